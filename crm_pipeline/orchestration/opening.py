"""What a materialization opens with: the errors of its records beside those of all, and how they stand; tables shown in place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from crm_pipeline.counting import changed
from crm_pipeline.errors.wording import told
from crm_pipeline.store.standing import Condition, Standing, Total, by_condition, by_error
from crm_pipeline.sync.tally import Tally

ERRORS = "errors"
ERRORS_IN_FULL = "errors_in_full"
RECORDS = "records"

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

    whole = table(MOST_SAMPLES)
    # The fewer there are of a row, the more there is of the table.
    shorter = (table(most) for most in range(MOST_SAMPLES - 1, -1, -1))
    bare = (_table(["error", "this run:", "all:", "since yesterday:"], list(counts.values())[:most]) for most in range(len(names), 0, -1))
    shown = next(text for text in (whole, *shorter, *bare) if len(text) <= IN_PLACE)
    in_full = {} if shown == whole else {ERRORS_IN_FULL: dg.MetadataValue.md(whole)}
    return {ERRORS: dg.MetadataValue.md(shown), **in_full}


def records_table(standing: Iterable[Standing], *, run: Tally) -> str:
    """How the records of a run, and all records, stand now, and how many more or fewer do than a day ago."""
    sums, here = by_condition(standing), run.conditions
    rows = [[str(condition), f"{here[condition]:,}", *_now(sums[condition])] for condition in Condition]
    return _table(["records", "this run:", "all:", "since yesterday:"], rows)


def record_link(qbench_id: object, qbench_page: str | None, crm_page: str | None) -> str:
    """One record by its QBench id, linked to its pages: the number to QBench's, the arrow to the CRM's."""
    number = str(qbench_id) if qbench_page is None else f"[{qbench_id}]({qbench_page})"
    return number if crm_page is None else f"{number} [↗]({crm_page})"


def _now(total: Total) -> list[str]:
    return [f"{total.records:,}", changed(total.change)]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table; columns whose head ends with a colon are of numbers."""
    rules = ["---:" if head.endswith(":") else "---" for head in heads]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in ([head.removesuffix(":") for head in heads], rules, *rows))
