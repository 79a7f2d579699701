"""Which assets are at work? Asked of the runs that have not ended, whoever started them."""

from __future__ import annotations

from collections.abc import Collection

import dagster as dg
from dagster._core.execution.stats import StepEventStatus

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
INTEGRATION_TAG = "crm_pipeline/integration"
ROWS_TAG = "crm_pipeline/rows"
"""Which records of its hours a load takes: those that are ``due``, in a retry; all of them without the tag, as when started by hand."""

DUE = "due"

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_ENDED = {StepEventStatus.SUCCESS, StepEventStatus.FAILURE, StepEventStatus.SKIPPED}


def at_work(instance: dg.DagsterInstance, integration: str | None, assets: Collection[dg.AssetKey]) -> set[dg.AssetKey]:
    """Those of these assets that a queued or running run is still to make.

    ``integration``: its hourly job's runs count as well, which have a tag of ours instead of a selection where they take all.
    """
    found: set[dg.AssetKey] = set()
    for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED)):
        # A run launched from the asset graph has no tag of ours, only its selection.
        ours = integration is not None and run.tags.get(INTEGRATION_TAG) == integration
        selected = set(assets).intersection(run.asset_selection or (assets if ours else ()))
        if selected:
            ended = {step.step_key for step in instance.get_run_step_stats(run.run_id) if step.status in _ENDED}
            found |= {asset for asset in selected if asset.to_python_identifier() not in ended}
    return found
