"""How do the hours of an asset stand? As Dagster tells it, but at the price of the gaps: its own answer looks at each hour of all years."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import dagster as dg
from dagster._core.definitions.partitions.subset import PartitionsSubset, TimeWindowPartitionsSubset
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value


@dataclass(frozen=True, slots=True)
class HourStates:
    """Partition keys by state, each in one at most; those in none were never run."""

    materialized: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    under_way: frozenset[str] = frozenset()


def hour_states(
    instance: dg.DagsterInstance, asset_key: dg.AssetKey, hours: Sequence[str], partitions: dg.HourlyPartitionsDefinition
) -> HourStates:
    """How these hours, oldest first, stand: the same as ``DagsterInstance.get_status_by_partition``."""
    kept = get_and_update_asset_status_cache_value(instance, asset_key, partitions)
    if kept is None:  # nothing was ever planned
        return HourStates()
    under_way = _among(hours, kept.deserialize_in_progress_partition_subsets(partitions), partitions)
    failed = _among(hours, kept.deserialize_failed_partition_subsets(partitions), partitions) - under_way
    materialized = _among(hours, kept.deserialize_materialized_partition_subsets(partitions), partitions)
    return HourStates(materialized - failed - under_way, failed, under_way)


def _among(hours: Sequence[str], subset: PartitionsSubset, partitions: dg.HourlyPartitionsDefinition) -> frozenset[str]:
    """Those of the hours that are in a subset: it is a few windows of time, and keys are in the order of time."""
    windows = cast("TimeWindowPartitionsSubset", subset).included_time_windows
    bounds = [[bisect_left(hours, edge.strftime(partitions.fmt)) for edge in (window.start, window.end)] for window in windows]
    return frozenset(hour for first, end in bounds for hour in hours[first:end])
