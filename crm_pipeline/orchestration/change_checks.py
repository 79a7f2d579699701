"""The checks of what comes back from the CRMs: what each promises, and its verdict from counts. ERROR where a person must decide."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta

import dagster as dg

from crm_pipeline.counting import counted
from crm_pipeline.errors import PingPongException, wanted_errors
from crm_pipeline.orchestration.checks import tried_again, wrong_with
from crm_pipeline.store.ledger import OpenRecords
from crm_pipeline.sync.returning.reading import ObjectRead
from crm_pipeline.sync.returning.report import ReturnReport

_DESCRIPTIONS = {
    "changes_complete": "The CRM was read to the window's end, which has passed by its own clock, and it shows every record that changed.",
    "no_failed_changes": "No change of this CRM is refused or left out for something that is wrong with it, as its latest outcome says.",
    "no_open_changes": "No change of this CRM failed for a passing cause and is to be tried again.",
    "few_records_changed": "No more QBench records were to be changed at once than `from_crms` allows; else none was.",
    "conflicts": "No value was written over that the other side did not know. Those that were are kept for 30 days.",
    "no_ping_pong": "No field is written to and fro between QBench and this CRM.",
}
_IF_MEANT = "Look at what changed in the CRM; if it is meant, materialize the hour again with a higher `most_changed` in its config."
_IDS_SHOWN = 20
CHANGES_COMPLETE = "changes_complete"
RETURN_CHECKS = ("no_failed_changes", "no_open_changes", "few_records_changed", "conflicts", "no_ping_pong")


def change_check_specs(asset_key: dg.AssetKey, *names: str) -> list[dg.AssetCheckSpec]:
    """The specs of an asset's checks."""
    return [dg.AssetCheckSpec(name, asset=asset_key, description=_DESCRIPTIONS[name]) for name in names]


def changes_complete(
    asset_key: dg.AssetKey, *, read: ObjectRead, is_complete: bool, until: int, clock_ahead: timedelta
) -> dg.AssetCheckResult:
    """ERROR where the reading stopped before the window's end; WARN where records lack, or the CRM's clock is not there yet.

    ``until``: the window's end, Unix seconds. ``clock_ahead``: how far the CRM's clock is ahead of ours.
    """
    not_shown = len(read.failed) + read.nameless
    seconds_early = max(round(until - time.time() - clock_ahead.total_seconds()), 0)
    said = None
    if not is_complete:
        said = "The CRM was not read to the window's end; materialize it again."
    elif not_shown:
        said = (
            f"The CRM fails to show {counted(not_shown, 'record')} that changed. Those it names "
            f"({', '.join(read.failed[:_IDS_SHOWN]) or 'none'}) are read again with the next run, the others by the nightly check of links."
        )
    elif seconds_early:
        said = (
            f"By the CRM's clock the window ends in {counted(seconds_early, 'second')}; what changes until then comes with the next hour."
        )
    return dg.AssetCheckResult(
        asset_key=asset_key,
        check_name=CHANGES_COMPLETE,
        passed=said is None,
        severity=dg.AssetCheckSeverity.WARN if is_complete else dg.AssetCheckSeverity.ERROR,
        description=said,
        metadata={"records_not_shown": not_shown, "seconds_early": seconds_early},
    )


def no_failed_changes(errors: Mapping[str, int]) -> dg.AssetCheckResult:
    """WARN where changes are wrong; ``errors``: latest outcomes by error type. What is left out on purpose is told beside the count."""
    wanted = wanted_errors()
    wrong = {name: count for name, count in errors.items() if name not in wanted}
    left_out = ", ".join(f"{count} {name}" for name, count in errors.items() if name in wanted)
    return _warning(
        "no_failed_changes",
        wrong_with(sum(wrong.values()), "change", "left out") if wrong else None,
        {"records": sum(wrong.values()), **wrong, **({"not_counted": left_out} if left_out else {})},
    )


def no_open_changes(found: OpenRecords) -> dg.AssetCheckResult:
    """WARN where changes failed for a passing cause and are tried again by themselves."""
    said = None
    if found.next_attempt_at is not None:
        said = tried_again(found, "change")
    return _warning("no_open_changes", said, {"records": found.records, "most_attempts": found.most_attempts, **found.errors})


def few_records_changed(report: ReturnReport) -> dg.AssetCheckResult:
    """ERROR where so many records were to be changed that none was."""
    planned, limit = report.to_change or 0, report.limit
    too_many = limit is not None and planned > limit
    return dg.AssetCheckResult(
        check_name="few_records_changed",
        passed=not too_many,
        severity=dg.AssetCheckSeverity.ERROR,
        description=_IF_MEANT if too_many else None,
        metadata={"to_change": planned, **({} if limit is None else {"limit": limit})},
    )


def conflicts(report: ReturnReport) -> dg.AssetCheckResult:
    """WARN where this run wrote over values that the other side did not know."""
    found = report.conflicts.total()
    said = (
        f"{counted(found, 'value was', 'values were')} written over that the other side did not know; `crm-pipeline conflicts` lists them."
        if found
        else None
    )
    return _warning(
        "conflicts", said, {"conflicts": found, **{f"{winner}_won": count for winner, count in sorted(report.conflicts.items())}}
    )


def no_ping_pong(found: OpenRecords) -> dg.AssetCheckResult:
    """WARN where fields are held because they went to and fro; ``found``: what is tried again."""
    held = found.errors.get(PingPongException.__name__, 0)
    said = (
        f"Fields of {counted(held, 'record')} went to and fro and are held: something changes on its way what is written there."
        if held
        else None
    )
    return _warning("no_ping_pong", said, {"records": held})


def _warning(name: str, said: str | None, metadata: Mapping[str, int | str]) -> dg.AssetCheckResult:
    """WARN where there is something to say."""
    return dg.AssetCheckResult(
        check_name=name, passed=said is None, severity=dg.AssetCheckSeverity.WARN, description=said, metadata={**metadata}
    )
