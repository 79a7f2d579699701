"""The hours of a run as Dagster has them: the partitions definition, and the window of a run's partitions."""

from __future__ import annotations

from datetime import datetime

import dagster as dg

from crm_pipeline.store.staging import Window
from crm_pipeline.sync.hours import window_between


def hourly_partitions(start: datetime) -> dg.HourlyPartitionsDefinition:
    """The partitions that all assets of an integration share: one per UTC hour from ``start``."""
    return dg.HourlyPartitionsDefinition(start_date=start, timezone="UTC")


def backfill_policy(hours_per_run: int | None) -> dg.BackfillPolicy:
    """How a backfill's hours become runs: all in one, or ``hours_per_run`` in each."""
    return dg.BackfillPolicy.single_run() if hours_per_run is None else dg.BackfillPolicy.multi_run(hours_per_run)


def window(context: dg.AssetExecutionContext, start: datetime, *, overlap_seconds: int) -> Window:
    """The window of the run's partition or range of partitions."""
    covered = context.partition_time_window
    return window_between(covered.start, covered.end, start, overlap_seconds=overlap_seconds)


def partition_label(context: dg.AssetExecutionContext) -> str:
    """The partition's key, or ``first...last`` for a range; stored with outcomes."""
    keys = context.partition_keys
    return keys[0] if len(keys) == 1 else f"{keys[0]}...{keys[-1]}"
