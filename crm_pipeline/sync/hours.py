"""Which records does an hour mean? Partitions and versions, without Dagster."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from crm_pipeline.errors import ConfigurationError
from crm_pipeline.store.staging import Window

PARTITION_FORMAT = "%Y-%m-%d-%H:%M"
"""How Dagster writes the key of an hourly partition."""


def window_between(since: datetime, until: datetime, start: datetime, *, overlap_seconds: int) -> Window:
    """The window of the hours from ``since`` to ``until``, of an integration whose first hour begins at ``start``.

    The first hour reaches back to the beginning of time. Every other window begins ``overlap_seconds`` early, so that
    records which QBench reports late, or with the boundary's own second, are not lost; digests make the repeat free.
    """
    reaches_back = since <= start
    return Window(since=None if reaches_back else int(since.timestamp()) - overlap_seconds, until=int(until.timestamp()))


def window_of(partition_key: str, start: datetime, *, overlap_seconds: int) -> Window:
    """The window of one partition, by its key. Raises ConfigurationError where there is no such partition."""
    try:
        hour = datetime.strptime(partition_key, PARTITION_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        hour = None
    if hour is None or hour.minute:
        raise ConfigurationError(f"there is no partition {partition_key}; give an hour as 2026-11-01-00:00")
    if hour < start:
        raise ConfigurationError(f"partition {partition_key} lies before the integration's start; the first is {start:{PARTITION_FORMAT}}")
    return window_between(hour, hour + timedelta(hours=1), start, overlap_seconds=overlap_seconds)


def partition_of(hour: int, start: datetime) -> str:
    """The key of the partition that holds the versions of an hour (its start in Unix seconds)."""
    return max(datetime.fromtimestamp(hour, UTC), start).strftime(PARTITION_FORMAT)
