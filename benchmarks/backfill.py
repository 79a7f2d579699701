"""What a month of hours costs in one run: with nothing to do in any of them, beside Dagster's own bookkeeping for it."""

from __future__ import annotations

import math

from benchmarks.figures import Figure
from benchmarks.workbench import Workbench, workbench

HOURS = 720
ASSETS = 8
CUSTOMERS, CONTACTS = 200, 600
BATCHED = {"DAGSTER_EVENT_BATCH_SIZE": "1000"}


def measure(scale: float) -> list[Figure]:
    """Seconds of a run over ``scale`` times 720 hours, and of the same run of assets that do nothing."""
    hours = math.ceil(HOURS * scale)
    with workbench(customers=CUSTOMERS, contacts=CONTACTS, crm_limits=True, hours=hours + 2) as bench:
        bench.run(0)
        ours = _seconds(bench, hours, settings=BATCHED)
        missing = sum(hours + 1 - done for done in bench.materialized_hours().values())
        empty = _seconds(bench, hours, empty="assets", settings=BATCHED)
        empty_with_checks = _seconds(bench, hours, empty="checks", settings=BATCHED)
        few = math.ceil(hours / 10)
        one_by_one = _seconds(bench, few, empty="checks")
    return [
        Figure("backfill", f"run of {hours} hours in which nothing changed", ours, unit="s"),
        Figure("backfill", "the same of assets that do nothing", empty, unit="s"),
        Figure("backfill", "the same of assets that do nothing, with their checks", empty_with_checks, unit="s"),
        Figure("backfill", "Dagster's own, per asset and hour", 1000 * empty_with_checks / hours / ASSETS, unit="ms"),
        Figure("backfill", f"Dagster's own, events stored one by one, {few} hours", 1000 * one_by_one / few / ASSETS, unit="ms"),
        Figure("backfill", "hours that are not green afterwards, over all assets", missing, limit=0),
    ]


def _seconds(bench: Workbench, hours: int, *, empty: str | None = None, settings: dict[str, str] | None = None) -> float:
    return bench.run(1, until=hours, empty=empty, settings=settings).seconds
