"""What a month of hours costs in one run: with nothing to do in any of them, beside Dagster's own bookkeeping for it."""

from __future__ import annotations

import math

from benchmarks.figures import Figure
from benchmarks.workbench import workbench

HOURS = 720
ASSETS = 8
CUSTOMERS, CONTACTS = 200, 600
BATCHED = {"DAGSTER_EVENT_BATCH_SIZE": "1000"}


def measure(scale: float) -> list[Figure]:
    """What a run over ``scale`` times 720 hours costs, and the same run of assets and checks that do nothing."""
    hours = math.ceil(HOURS * scale)
    with workbench(customers=CUSTOMERS, contacts=CONTACTS, crm_limits=True, hours=hours + 2) as bench:
        bench.run(0)
        ours = bench.run(1, until=hours, settings=BATCHED)
        missing = sum(hours + 1 - done for done in bench.materialized_hours().values())
        empty = bench.run(1, until=hours, empty="checks", settings=BATCHED)
        few = math.ceil(hours / 10)
        one_by_one = bench.run(1, until=few, empty="checks")
    return [
        Figure("backfill", f"run of {hours} hours in which nothing changed", ours.seconds, unit="s"),
        Figure("backfill", "its CPU", ours.cpu_seconds, unit="s"),
        Figure("backfill", "the same of assets and checks that do nothing", empty.seconds, unit="s"),
        Figure("backfill", "its CPU, which is Dagster's own", empty.cpu_seconds, unit="s"),
        Figure("backfill", "Dagster's own, per asset and hour", 1000 * empty.seconds / hours / ASSETS, unit="ms"),
        Figure("backfill", f"the same with events stored one by one, {few} hours", 1000 * one_by_one.seconds / few / ASSETS, unit="ms"),
        Figure("backfill", "hours that are not green afterwards, over all assets", missing, limit=0),
    ]
