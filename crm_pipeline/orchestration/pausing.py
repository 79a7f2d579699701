"""Hourly assets of a CRM that is paused. Their runs succeed, say so, and leave the hours missing.

So nothing is skipped once it goes on: the schedule requests the missing hours as it does after any downtime.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from crm_pipeline.orchestration.translating import assets_of


def paused(specs: Sequence[dg.AssetSpec], *, why: str, **others: Any) -> dg.AssetsDefinition:
    """The assets of these specs while they are paused, and ``why`` they are; ``others``: what they have anyway."""

    @assets_of(specs, **others)
    def nothing(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        context.log.warning(why)
        for key in context.selected_asset_keys:
            context.log_event(dg.AssetObservation(key, description=why, partition=context.partition_keys[-1]))
        yield from ()

    return nothing
