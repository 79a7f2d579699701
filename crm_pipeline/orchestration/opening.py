"""What a materialization opens with: the errors of its records beside those of all, and how they stand; tables shown in place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    """The errors of a run's records (``errors``, by name) beside those of all, most frequent first, each with why and some records.

    ``samples``: by error, records as links to QBench and to the CRM, whose title is ``crm``. Where the table would be too long to be
    shown in place it has fewer records in each row, or fewer words, and stands whole behind it.
    """
    totals = {name: total for name, total in by_error(standing).items() if total.records or name in errors}
    names = [*totals, *(name for name in errors if name not in totals)]
    if not names:
        return {ERRORS: dg.MetadataValue.md(NOTHING_WRONG)}
    counts = {name: [name, f"{errors.get(name, 0):,}", *_now(totals.get(name, Total()))] for name in names}

    def table(most: int) -> str:
        heads = ["error", "this run:", "all:", "since yesterday:", "why", f"some records, in QBench and {crm}"]
        return _table(heads, [[*counts[name], told(name, None), ", ".join(samples.get(name, ())[:most])] for name in names])

    # The fewer records stand in a row, the more there is of the table.
    shorter = (table(most) for most in range(MOST_SAMPLES - 1, -1, -1))
    bare = _from_the_top(["error", "this run:", "all:", "since yesterday:"], list(counts.values()))
    return _in_place(ERRORS, table(MOST_SAMPLES), chain(shorter, bare))


def all_errors_metadata(standing: Sequence[Standing]) -> dict[str, Any]:
    """The errors of all records of an integration, by what records these are, each with why; as ``errors_metadata``."""
    rows = [
        [title, name, *_now(total), told(name, None)]
        for title, members in by_records(standing).items()
        for name, total in by_error(members).items()
    ]
    if not rows:
        return {ERRORS: dg.MetadataValue.md(NOTHING_WRONG)}
    heads = ["records", "error", "now:", "since yesterday:", "why"]
    bare = [row[:-1] for row in rows]
    return _in_place(ERRORS, _table(heads, rows), _from_the_top(heads[:-1], bare))


def health_metadata(standing: Sequence[Standing]) -> dict[str, Any]:
    """How all records of an integration stand, by what records these are, with the change since a day ago in brackets."""
    heads = ["records", *(f"{condition}:" for condition in Condition)]
    sums = {title: by_condition(members).values() for title, members in by_records(standing).items()}
    if not sums:
        return {HEALTH: dg.MetadataValue.md("No record has an outcome yet.")}
    bare = [[title, *(f"{total.records:,}" for total in totals)] for title, totals in sums.items()]
    return _in_place(HEALTH, _table(heads, [[title, *map(str, totals)] for title, totals in sums.items()]), _from_the_top(heads, bare))


def records_table(standing: Iterable[Standing], *, run: Tally) -> str:
    """How the records of a run, and all records, stand now, and how many more or fewer do than a day ago."""
    sums, here = by_condition(standing), run.conditions
    rows = [[str(condition), f"{here[condition]:,}", *_now(sums[condition])] for condition in Condition]
    return _table(["records", "this run:", "all:", "since yesterday:"], rows)


def record_link(qbench_id: object, qbench_page: str | None, crm_page: str | None) -> str:
    """One record by its QBench id, linked to its pages: the number to QBench's, the arrow to the CRM's."""
    number = str(qbench_id) if qbench_page is None else f"[{qbench_id}]({qbench_page})"
    return number if crm_page is None else f"{number} [↗]({crm_page})"


def _in_place(name: str, whole: str, shorter: Iterable[str]) -> dict[str, Any]:
    """A table, or the first of the shorter ones that is shown in place and the whole one behind it."""
    if len(whole) <= IN_PLACE:
        return {name: dg.MetadataValue.md(whole)}
    shown = next(text for text in shorter if len(text) <= IN_PLACE)
    return {name: dg.MetadataValue.md(shown), f"{name}_in_full": dg.MetadataValue.md(whole)}


def _from_the_top(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The table with fewer and fewer rows."""
    return (_table(heads, rows[:most]) for most in range(len(rows), -1, -1))


def _now(total: Total) -> list[str]:
    return [f"{total.records:,}", changed(total.change)]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table; columns whose head ends with a colon are of numbers."""
    rules = ["---:" if head.endswith(":") else "---" for head in heads]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in ([head.removesuffix(":") for head in heads], rules, *rows))
