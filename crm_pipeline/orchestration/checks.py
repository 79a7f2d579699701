"""The asset checks: what each promises, and its verdict from counts. WARN for records, ERROR for broken promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dagster as dg
import pandas as pd

from crm_pipeline.counting import counted
from crm_pipeline.errors import wanted_errors
from crm_pipeline.frames import Column, FrameSchema
from crm_pipeline.store.ledger import LinkFault, OpenRecords
from crm_pipeline.sync.loading.report import LoadReport
from crm_pipeline.sync.unknown_fields import told

_DESCRIPTIONS = {
    "no_failed_records": "No record of this CRM is refused or skipped for something that is wrong with it, as its latest outcome says.",
    "no_open_records": "No record of this CRM, in hours that are green, failed for a passing cause and is to be tried again.",
    "counts_add_up": "Every staged record of the materialized hours has an outcome of its current version and mapping.",
    "links_consistent": "What is synced has a link, links belong to the integration's organization, "
    "and no create has been left undecided for a day.",
    "window_complete": "QBench was read to the window's end, no record of its lists fails to be shown, and none is dated in the future.",
    "mapping_current": "Every staged record was normalized by the mapping as it is now, and the QBench fields that it names exist.",
}
LOAD_CHECKS = ("no_failed_records", "no_open_records", "counts_add_up", "links_consistent")
_HOURS_SHOWN = 20

OPEN_BY_PARTITION = FrameSchema(
    "open_by_partition",
    (
        Column("partition", "str", "key of a partition with open rows"),
        Column("done", "bool", "it counts as done, and so does the one whose overlap holds some of its rows"),
        Column("undecided", "int64", "rows of whose version no outcome speaks"),
        Column("renewed", "int64", "other rows that were normalized to another state since their outcome"),
        Column("retryable", "int64", "all other open rows: they are tried again by themselves"),
    ),
)
"""What is open (store.open_rows), by partition."""


def check_specs(asset_key: dg.AssetKey, *names: str) -> list[dg.AssetCheckSpec]:
    """The specs of an asset's checks."""
    return [dg.AssetCheckSpec(name, asset=asset_key, description=_DESCRIPTIONS[name]) for name in names]


def no_failed_records(errors: Mapping[str, int]) -> dg.AssetCheckResult:
    """WARN where records are wrong; ``errors``: latest outcomes by error type.

    What is left out on purpose, or for its customer's sake, is told beside the count and its parts, which add up.
    """
    wanted = wanted_errors()
    wrong = {name: count for name, count in errors.items() if name not in wanted}
    left_out = ", ".join(f"{count} {name}" for name, count in errors.items() if name in wanted)
    return dg.AssetCheckResult(
        check_name="no_failed_records",
        passed=not wrong,
        severity=dg.AssetCheckSeverity.WARN,
        description=wrong_with(sum(wrong.values()), "record", "skipped") if wrong else None,
        metadata={"records": sum(wrong.values()), **wrong, **({"not_counted": left_out} if left_out else {})},
    )


def wrong_with(count: int, one: str, left: str) -> str:
    """What is said of so many records, or changes, that are refused or ``left`` out."""
    is_one = count == 1
    return f"{counted(count, f'{one} is', f'{one}s are')} refused or {left} for something that is wrong with {'it' if is_one else 'them'}."


def tried_again(found: OpenRecords, one: str) -> str:
    """What is said of records, or changes, that are tried again."""
    many = counted(found.records, f"{one} is tried again by itself", f"{one}s are tried again by themselves")
    return f"{many}, the next after {found.next_attempt_at:%Y-%m-%d %H:%M} UTC."


def no_open_records(found: OpenRecords) -> dg.AssetCheckResult:
    """WARN where records failed for a passing cause and are to be tried again by themselves; those that are left out on purpose aside."""
    said = None
    if found.next_attempt_at is not None:
        said = tried_again(found, "record")
    return dg.AssetCheckResult(
        check_name="no_open_records",
        passed=found.errors.keys() <= wanted_errors(),
        severity=dg.AssetCheckSeverity.WARN,
        description=said,
        metadata={"records": found.records, "most_attempts": found.most_attempts, **found.errors},
    )


def counts_add_up(report: LoadReport, *, finished: bool, open_rows: pd.DataFrame) -> dg.AssetCheckResult:
    """ERROR where rows are lost: undecided ones of a partition that counts as done, or rows of a ``finished`` load.

    WARN where rows of done partitions were normalized anew since they were sent, as after a change of the mapping.
    ``open_rows``: OPEN_BY_PARTITION. Rows of partitions that are not done are known to be open: these are missing or failed.
    """
    done = open_rows[open_rows["done"]]
    lost = done[done["undecided"].gt(0)]
    records, renewed = int(lost["undecided"].sum()), int(done["renewed"].sum())
    uncounted = report.rows + report.replanned - report.accounted if finished else 0
    said = None
    if records:
        said = f"{counted(records, 'staged record of materialized hours has', 'staged records of materialized hours have')} no outcome."
    elif renewed:
        anew = counted(renewed, "record was normalized anew since it was sent", "records were normalized anew since they were sent")
        said = f"{anew}; materialize the resync asset to send what differs."
    return dg.AssetCheckResult(
        check_name="counts_add_up",
        passed=not records and not renewed and not uncounted,
        severity=dg.AssetCheckSeverity.ERROR if records or uncounted else dg.AssetCheckSeverity.WARN,
        description=said,
        metadata={
            "rows": report.rows + report.replanned,
            "outcomes": report.accounted,
            "open_records": int(open_rows[["undecided", "renewed", "retryable"]].sum().sum()) - records - renewed,
            "lost_records": records,
            "renewed_records": renewed,
            "hours_with_lost_records": lost["partition"].head(_HOURS_SHOWN).tolist(),
        },
    )


def links_consistent(faults: Mapping[LinkFault, int]) -> dg.AssetCheckResult:
    """ERROR where links break a promise; WARN where all that is found are synced records without one: people may have removed it."""
    broken = sum(faults.values()) - faults["synced_without_link"]
    lost = counted(
        faults["synced_without_link"],
        "synced record has no link any more; it syncs anew when it changes, or by resync.",
        "synced records have no link any more; they sync anew when they change, or by resync.",
    )
    return dg.AssetCheckResult(
        check_name="links_consistent",
        passed=not any(faults.values()),
        severity=dg.AssetCheckSeverity.ERROR if broken else dg.AssetCheckSeverity.WARN,
        description=lost if faults["synced_without_link"] else None,
        metadata={str(fault): count for fault, count in faults.items()},
    )


def window_complete(*, seconds_missing: int, seconds_ahead: int, gaps: Sequence[str] = ()) -> dg.AssetCheckResult:
    """ERROR where the read stopped so long before the window's end; WARN where records lack, or QBench's newest is so far in the future.

    ``gaps``: where those stand which QBench fails to list, in words.
    """
    said = None
    if seconds_missing > 0:
        said = "QBench was not read to the window's end; materialize it again, the read goes on where it stopped."
    elif gaps:
        said = f"{gaps_told(gaps)}."
    elif seconds_ahead > 0:
        said = "QBench has records dated in the future, which are read late; check this host's clock."
    return dg.AssetCheckResult(
        check_name="window_complete",
        passed=said is None,
        severity=dg.AssetCheckSeverity.ERROR if seconds_missing > 0 else dg.AssetCheckSeverity.WARN,
        description=said,
        metadata={"seconds_missing": max(seconds_missing, 0), "seconds_ahead": max(seconds_ahead, 0), "records_not_listed": len(gaps)},
    )


def gaps_told(gaps: Sequence[str]) -> str:
    """What is said of records that QBench fails to list, and what to do."""
    left_out = counted(len(gaps), "record, which is", "records, which are")
    return (
        f"QBench fails whenever its lists are to show one of {left_out} left out and read again with the next hourly "
        f"runs: {'; '.join(gaps[:_HOURS_SHOWN])}. Look at the records of that time in QBench, and ask QBench's support if it stays"
    )


def mapping_current(out_of_date: int, *, unknown_fields: Sequence[str] = ()) -> dg.AssetCheckResult:
    """WARN where another mapping made staged rows, or the mapping names QBench fields that no record has."""
    said = [f"{counted(out_of_date, 'staged record was', 'staged records were')} normalized by an earlier mapping."] if out_of_date else []
    said += [f"{told(unknown_fields)}."] if unknown_fields else []
    return dg.AssetCheckResult(
        check_name="mapping_current",
        passed=not said,
        severity=dg.AssetCheckSeverity.WARN,
        description=" ".join(said) or None,
        metadata={"records_out_of_date": out_of_date, "unknown_fields": ", ".join(unknown_fields)},
    )


def log_checks(context: dg.AssetExecutionContext, results: Sequence[dg.AssetCheckResult]) -> None:
    """Store verdicts of a step that is about to fail, which cannot return them."""
    for result in results:
        context.log_event(
            dg.AssetCheckEvaluation(
                asset_key=result.asset_key or context.asset_key,
                check_name=str(result.check_name),
                passed=result.passed,
                metadata=result.metadata,
                severity=result.severity,
                description=result.description,
                blocking=False,
            )
        )
