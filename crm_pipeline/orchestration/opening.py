"""What a materialization opens with: the errors of its records beside those of all, and how they stand; shown in place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import dagster as dg

from crm_pipeline.counting import changed
from crm_pipeline.errors.wording import told
from crm_pipeline.store.standing import Condition, Standing, Total, by_condition, by_error, by_records
from crm_pipeline.sync.tally import Tally

ERRORS = "errors"
RECORDS = "records"
HEALTH = "health"

IN_PLACE = 999
"""The most characters of markdown that Dagster's UI shows in place; what is longer stands behind a link (ui-core's MetadataEntry, 1.13)."""

MOST_SAMPLES = 5
NOTHING_WRONG = "Nothing is wrong with any record."


def errors_metadata(
    errors: Mapping[str, int], standing: Iterable[Standing], samples: Mapping[str, Sequence[str]], *, crm: str
) -> dict[str, Any]:
    """The errors of a run's records (``errors``, by name) beside those of all, each with why and some records.

    ``samples``: by error, records as links to QBench and to the CRM, whose title is ``crm``. Where that would be too long to be shown in
    place, there are fewer records of each error, or fewer words, and all stands behind it.
    """
    totals = {name: total for name, total in by_error(standing).items() if total.records or name in errors}
    counts = {
        name: f"- **{name}** {errors.get(name, 0):,} / {totals.get(name, Total())}"
        for name in (*totals, *(name for name in errors if name not in totals))
    }
    if not counts:
        return {ERRORS: dg.MetadataValue.md(NOTHING_WRONG)}
    title = "Records of this run / of all (since yesterday)."
    linked = f"{title} The number leads to QBench, ↗ to {crm}."

    def told_with(most: Mapping[str, int]) -> str:
        links = {name: ", ".join(samples.get(name, ())[: most[name]]) for name in counts}
        lines = [f"{count}: {told(name, None)} {links[name]}".rstrip() for name, count in counts.items()]
        return _list(linked if any(links.values()) else title, lines)

    whole = told_with(dict.fromkeys(counts, MOST_SAMPLES))
    return _in_place(ERRORS, whole, chain([_filled(list(counts), told_with)], _from_the_top(title, list(counts.values()))))


def all_errors_metadata(standing: Sequence[Standing]) -> dict[str, Any]:
    """The errors of all records of an integration, by what records these are, each with why; as ``errors_metadata``."""
    found = {title: totals for title, members in by_records(standing).items() if (totals := by_error(members))}
    if not found:
        return {ERRORS: dg.MetadataValue.md(NOTHING_WRONG)}
    title = "Records now (since yesterday)."
    bare = [[f"- {of}", *(f"  - **{name}** {total}" for name, total in totals.items())] for of, totals in found.items()]
    lines = [
        line
        for of, totals in found.items()
        for line in (f"- {of}", *(f"  - **{name}** {total}: {told(name, None)}" for name, total in totals.items()))
    ]
    return _in_place(ERRORS, _list(title, lines), _from_the_top(title, list(chain(*bare))))


def health_metadata(standing: Sequence[Standing]) -> dict[str, Any]:
    """How all records of an integration stand, by what records these are, with the change since a day ago in brackets."""
    sums = {title: by_condition(members) for title, members in by_records(standing).items()}
    if not sums:
        return {HEALTH: dg.MetadataValue.md("No record has an outcome yet.")}
    title = "Records now (since yesterday)."
    # Two short lines each: a long one is cut on the page of an asset, not broken.
    lines = [line for of, totals in sums.items() for line in _in_lines(of, [f"{total} {name}" for name, total in totals.items()])]
    bare = [f"- {of}: {', '.join(f'{total.records:,} {condition}' for condition, total in totals.items())}" for of, totals in sums.items()]
    return _in_place(HEALTH, _list(title, lines), _from_the_top("Records now.", bare))


def records_table(standing: Iterable[Standing], *, run: Tally) -> str:
    """How the records of a run, and all records, stand now, and how many more or fewer do than a day ago."""
    sums, here = by_condition(standing), run.conditions
    # Below it stand the outcomes, of which one is called failed too.
    rows = [
        ["failed or skipped" if condition is Condition.FAILED else str(condition), f"{here[condition]:,}", *_now(sums[condition])]
        for condition in Condition
    ]
    return _table(["records", "this run:", "all:", "since yesterday:"], rows)


def record_link(qbench_id: object, qbench_page: str | None, crm_page: str | None) -> str:
    """One record by its QBench id, linked to its pages: the number to QBench's, the arrow to the CRM's."""
    number = str(qbench_id) if qbench_page is None else f"[{qbench_id}]({qbench_page})"
    return number if crm_page is None else f"{number} [↗]({crm_page})"


def _in_place(name: str, whole: str, shorter: Iterable[str]) -> dict[str, Any]:
    """What is told under a name: whole, or the first of what is shorter that is shown in place, with the whole behind it."""
    if len(whole) <= IN_PLACE:
        return {name: dg.MetadataValue.md(whole)}
    shown = next(text for text in shorter if len(text) <= IN_PLACE)
    return {name: dg.MetadataValue.md(shown), f"{name}_in_full": dg.MetadataValue.md(whole)}


def _in_lines(of: str, told: Sequence[str]) -> list[str]:
    """An entry of a markdown list with two of its parts in a line below it."""
    return [f"- {of}", *(f"  - {', '.join(told[start : start + 2])}" for start in range(0, len(told), 2))]


def _list(title: str, lines: Sequence[str]) -> str:
    """A markdown list: on the narrow page of an asset its lines are broken, where a table would be cut."""
    return "\n".join([title.strip(), "", *lines])


def _from_the_top(title: str, lines: Sequence[str]) -> Iterator[str]:
    """The list with fewer and fewer lines."""
    for most in range(len(lines), -1, -1):
        yield _list(title, [*lines[:most], *(["- and more"] if most < len(lines) else [])])


def _filled(names: Sequence[str], told_with: Callable[[Mapping[str, int]], str]) -> str:
    """As many samples of each as fit in place, by turns; ``told_with``: the text, by how many of which."""
    most = dict.fromkeys(names, 0)
    for _ in range(MOST_SAMPLES):
        for name in names:
            more = {**most, name: most[name] + 1}
            most = more if len(told_with(more)) <= IN_PLACE else most
    return told_with(most)


def _now(total: Total) -> list[str]:
    return [f"{total.records:,}", changed(total.change)]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table; columns whose head ends with a colon are of numbers."""
    rules = ["---:" if head.endswith(":") else "---" for head in heads]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in ([head.removesuffix(":") for head in heads], rules, *rows))
