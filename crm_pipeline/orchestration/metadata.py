"""What the UI shows about assets and materializations: column schemas, counts, calls and a table of errors."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from crm_pipeline.errors import record_errors
from crm_pipeline.frames import FrameSchema
from crm_pipeline.model import Outcome
from crm_pipeline.sync.link_check import LinkReport
from crm_pipeline.sync.report import LoadReport


def column_schema(schema: FrameSchema) -> dg.TableSchema:
    """A frame's declared columns as Dagster shows them."""
    return dg.TableSchema(
        columns=[dg.TableColumn(name=column.name, type=column.dtype, description=column.meaning) for column in schema.columns]
    )


def load_metadata(report: LoadReport, calls: Mapping[str, int]) -> dict[str, Any]:
    """A load's counts as materialization metadata: rows per outcome, calls made, seconds, errors by type."""
    return {
        "dagster/row_count": report.accounted,
        "rows": report.rows,
        "replanned": report.replanned,
        **{str(outcome): report.outcomes.get(outcome, 0) for outcome in Outcome},
        **calls_metadata(calls),
        "seconds": round(report.seconds, 2),
        **({"notes": dg.MetadataValue.md(notes_list(report))} if report.notes else {}),
        "errors": dg.MetadataValue.md(error_table(report)),
    }


def notes_list(report: LoadReport) -> str:
    """What was left out of written records, as a markdown list with counts."""
    return "\n".join(f"- {note} ({count} records)" for note, count in report.notes.most_common())


def calls_metadata(calls: Mapping[str, int]) -> dict[str, int]:
    """Calls made, in all and by what for."""
    return {"calls": sum(calls.values()), **{f"calls_{label}": count for label, count in sorted(calls.items())}}


def calls_since(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    """The calls made between two snapshots of a counter."""
    return {label: count - before.get(label, 0) for label, count in now.items() if count > before.get(label, 0)}


def seconds_since(started: float) -> float:
    """Seconds since a moment of the monotonic clock, to the hundredth."""
    return round(time.monotonic() - started, 2)


def error_table(report: LoadReport) -> str:
    """Errors by type as a markdown table, most frequent first, with sample QBench ids."""
    if not report.errors:
        return "No record was skipped, deferred or refused."
    meanings = {name: error.meaning for name, error in record_errors().items()}
    rows = [
        f"| {name} | {count} | {', '.join(map(str, report.samples.get(name, [])))} | {meanings.get(name, '')} |"
        for name, count in report.errors.most_common()
    ]
    return "\n".join(["| error | records | QBench ids (some) | meaning |", "| --- | ---: | --- | --- |", *rows])


def findings_table(reports: Sequence[LinkReport]) -> str:
    """What a check found about links as a markdown table, with sample QBench ids."""
    rows = [
        f"| {report.record_type} | {name} | {count} | {', '.join(map(str, report.samples.get(name, [])))} |"
        for report in reports
        for name, count in report.counts.items()
        if count and name != "checked"
    ]
    if not rows:
        return "All links are as they were."
    return "\n".join(["| record | finding | links | QBench ids (some) |", "| --- | --- | ---: | --- |", *rows])
