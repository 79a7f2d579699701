"""Which records a partition means: the one place that turns Dagster partitions into versions."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

from crm_pipeline.errors import ConfigurationError
from crm_pipeline.store.staging import Window

PARTITION_FORMAT = "%Y-%m-%d-%H:%M"


def hourly_partitions(start: datetime) -> dg.HourlyPartitionsDefinition:
    """The partitions that all assets of an integration share: one per UTC hour from ``start``."""
    return dg.HourlyPartitionsDefinition(start_date=start, timezone="UTC")


def backfill_policy(hours_per_run: int | None) -> dg.BackfillPolicy:
    """How a backfill's hours become runs: all in one, or so many in each."""
    return dg.BackfillPolicy.single_run() if hours_per_run is None else dg.BackfillPolicy.multi_run(hours_per_run)


def window(context: dg.AssetExecutionContext, start: datetime, *, overlap_seconds: int) -> Window:
    """The window of the run's partition or range of partitions.

    The first partition reaches back to the beginning of time. Every other window begins ``overlap_seconds`` early, so that
    records which QBench reports late, or with the boundary's own second, are not lost; digests make the repeat free.
    """
    return _window(context.partition_time_window, start, overlap_seconds=overlap_seconds)


def window_of(partition_key: str, start: datetime, *, overlap_seconds: int) -> Window:
    """The window of one partition, by its key. Raises ConfigurationError where there is no such partition."""
    try:
        covered = hourly_partitions(start).time_window_for_partition_key(partition_key)
    except (ValueError, dg.DagsterError):
        raise ConfigurationError(f"there is no partition {partition_key}; give an hour as 2026-11-01-00:00") from None
    if covered.start < start:
        raise ConfigurationError(f"partition {partition_key} lies before the integration's start; the first is {start:{PARTITION_FORMAT}}")
    return _window(covered, start, overlap_seconds=overlap_seconds)


def _window(covered: dg.TimeWindow, start: datetime, *, overlap_seconds: int) -> Window:
    until = int(covered.end.timestamp())
    if covered.start <= start:
        return Window(since=None, until=until)
    return Window(since=int(covered.start.timestamp()) - overlap_seconds, until=until)


def partition_of(hour: int, start: datetime) -> str:
    """The key of the partition that holds the versions of an hour (its start in Unix seconds)."""
    return max(datetime.fromtimestamp(hour, UTC), start).strftime(PARTITION_FORMAT)


def partition_label(context: dg.AssetExecutionContext) -> str:
    """The partition's key, or ``first...last`` for a range; stored with outcomes."""
    keys = context.partition_keys
    return keys[0] if len(keys) == 1 else f"{keys[0]}...{keys[-1]}"
