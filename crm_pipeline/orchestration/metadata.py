"""What the UI shows about assets and materializations: column schemas, counts, calls and a table of errors."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import dagster as dg

from crm_pipeline.calls import CallCounter
from crm_pipeline.counting import counted
from crm_pipeline.crms.base import Limits
from crm_pipeline.frames import FrameSchema
from crm_pipeline.model import Outcome
from crm_pipeline.sync.links.check import LinkReport
from crm_pipeline.sync.loading.report import LoadReport
from crm_pipeline.sync.returning.report import ReturnReport
from crm_pipeline.sync.tally import Tally

if TYPE_CHECKING:
    from crm_pipeline.source import Gap
    from crm_pipeline.sync.loading.preview import Forecast

ROW_COUNT = "dagster/row_count"
COLUMN_SCHEMA = "dagster/column_schema"
COLUMN_LINEAGE = "dagster/column_lineage"

MOST_IDS = 50
"""Ids of records that metadata and log name."""


def column_schema(schema: FrameSchema, *, fields: Mapping[str, str] | None = None) -> dg.TableSchema:
    """A frame's declared columns as Dagster shows them, and behind them ``fields``: names with what each is."""
    columns = [dg.TableColumn(name=column.name, type=column.dtype, description=column.meaning) for column in schema.columns]
    known = set(schema.names)
    columns += [dg.TableColumn(name=name, description=meaning) for name, meaning in (fields or {}).items() if name not in known]
    return dg.TableSchema(columns=columns)


def column_lineage(asset_key: dg.AssetKey, sources: Mapping[str, Sequence[str]]) -> dg.TableColumnLineage:
    """Where columns come from: of each, the columns of this other asset."""
    return dg.TableColumnLineage(
        {column: [dg.TableColumnDep(asset_key, source) for source in names] for column, names in sources.items() if names}
    )


def load_metadata(report: LoadReport, calls: Mapping[str, int], *, floor: Mapping[str, int], limits: Limits) -> dict[str, Any]:
    """What a load did, as metadata: rows per outcome, then calls made and needed, limits used, seconds; without what there is none of.

    ``rows``: records of its hours, ``from_other_hours``: those that follow because what they waited for changed. ``open_records``: those
    that are tried again by themselves; ``refused_before``: those that were not sent, because the CRM refused the same write before.

    ``floor``: the fewest write calls that the API allows for the rows sent (crms.fewest_calls).
    """
    told = {"open_records": report.retryable, "refused_before": report.refused_before, "from_other_hours": report.replanned}
    return {
        **outcomes_metadata(report),
        "rows": report.rows,
        **{name: count for name, count in told.items() if count},
        **({"notes": dg.MetadataValue.md(notes_list(report))} if report.notes else {}),
        **spent_metadata(calls, report),
        "fewest_write_calls": sum(floor.values()),
        **limits_metadata(limits, calls=sum(calls.values()), seconds=report.seconds),
    }


def return_metadata(report: ReturnReport, calls: Mapping[str, int]) -> dict[str, Any]:
    """What a run that brings changes home did: outcomes, readings, values by what was decided, conflicts by the side that won, calls.

    ``rows``: readings of the window, ``others``: beside it; ``records_changed``: QBench records; ``open_records``: changes that are tried
    again by themselves. Without what there is none of.
    """
    told = {
        "open_records": report.retryable,
        "others": report.others,
        "not_linked": report.unlinked,
        "read_again": report.read_again,
        "other_account": report.moved,
    }
    return {
        **outcomes_metadata(report),
        "records_changed": report.changed,
        **({"fields_changed": ", ".join(f"{name} {count}" for name, count in report.fields.most_common())} if report.fields else {}),
        **{f"values_{verdict}": count for verdict, count in sorted(report.verdicts.items())},
        **{f"conflicts_{winner}_won": count for winner, count in sorted(report.conflicts.items())},
        "rows": report.rows,
        **{name: count for name, count in told.items() if count},
        **spent_metadata(calls, report),
    }


def outcomes_metadata(report: Tally) -> dict[str, int]:
    """The records by outcome, each outcome's count."""
    return {str(outcome): report.outcomes.get(outcome, 0) for outcome in Outcome}


def spent_metadata(calls: Mapping[str, int], report: Tally) -> dict[str, Any]:
    """Calls and seconds, each in all and by what for."""
    return {
        "calls": sum(calls.values()),
        "calls_by_purpose": dg.MetadataValue.json(dict(sorted(calls.items()))),
        "seconds": round(report.seconds, 2),
        "seconds_by_step": dg.MetadataValue.json({phase: round(seconds, 2) for phase, seconds in sorted(report.phases.items())}),
    }


def limits_metadata(limits: Limits, *, calls: int, seconds: float) -> dict[str, float]:
    """How much of the CRM's limits is used, in percent: of the pace by this load, of the day's calls by everyone."""
    shares: dict[str, float] = {}
    if limits.calls_per_second is not None:
        shares["rate_limit_used_percent"] = round(100 * calls / max(seconds, 1.0) / limits.calls_per_second, 1)
    if limits.daily_used is not None and limits.daily_total:
        shares["daily_limit_used_percent"] = round(100 * limits.daily_used / limits.daily_total, 4)
    return shares


def notes_list(report: LoadReport) -> str:
    """What was left out of written records, as a markdown list with counts."""
    return "\n".join(f"- {note} ({counted(count, 'record')})" for note, count in report.notes.most_common())


class Calling(Protocol):
    """A client of QBench or of a CRM."""

    @property
    def calls(self) -> CallCounter:
        """The HTTP calls made so far."""
        ...


class Spent:
    """What a step spends from now on: seconds and, where it has a client, its calls."""

    def __init__(self, client: Calling | None = None) -> None:
        self._client = client
        self._before = {} if client is None else client.calls.snapshot()
        self._started = time.monotonic()

    @property
    def calls(self) -> dict[str, int]:
        """The calls made since, by what for."""
        now = {} if self._client is None else self._client.calls.snapshot()
        return {label: count - self._before.get(label, 0) for label, count in now.items() if count > self._before.get(label, 0)}

    def metadata(self) -> dict[str, Any]:
        """Calls, in all and by what for, where there is a client; seconds, to the hundredth."""
        calls = {} if self._client is None else calls_metadata(self.calls)
        return {**calls, "seconds": round(time.monotonic() - self._started, 2)}


def calls_metadata(calls: Mapping[str, int]) -> dict[str, int]:
    """Calls made, in all and by what for."""
    return {"calls": sum(calls.values()), **{f"calls_{label}": count for label, count in sorted(calls.items())}}


def ids_listed(ids: Sequence[int]) -> str:
    """QBench ids as metadata and log name them, the first ``MOST_IDS``."""
    more = len(ids) - MOST_IDS
    return ", ".join(map(str, ids[:MOST_IDS])) + (f" and {more} more" if more > 0 else "")


def gaps_listed(gaps: Sequence[Gap] = (), *, deletions: Sequence[Gap] = ()) -> list[str]:
    """Where the records stand that QBench fails to list, in words: list, time and place, for their ids are not known.

    ``deletions``: those of the lists of deleted records.
    """
    return [_gap(gap, gap.name) for gap in gaps] + [_gap(gap, f"deleted {gap.name}") for gap in deletions]


def _gap(gap: Gap, of: str) -> str:
    return (
        f"{of} updated from {_moment(gap.since)} to {_moment(gap.until - 1)} (number {gap.place} of those from {_moment(gap.position)} on)"
    )


def _moment(seconds: float) -> str:
    return "now" if seconds > time.time() else f"{datetime.fromtimestamp(seconds, tz=UTC):%Y-%m-%d %H:%M:%S} UTC"


def forecast_table(forecasts: Sequence[Forecast]) -> str:
    """What loads would do as a markdown table, with sample QBench ids."""
    rows = [
        f"| {forecast.record_type}s | {operation} | {reason or ''} | {tally.count:,} | {', '.join(map(str, tally.sample_ids))} |"
        for forecast in forecasts
        for (operation, reason), tally in forecast.planned.items()
    ]
    if not rows:
        return "No such record."
    return "\n".join(["| records | would be | because | how many | QBench ids (some) |", "| --- | --- | --- | ---: | --- |", *rows])


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
