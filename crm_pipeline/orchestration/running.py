"""Which assets are at work? Asked of the runs that have not ended, whoever started them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import dagster as dg
from dagster._core.execution.stats import StepEventStatus

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
INTEGRATION_TAG = "crm_pipeline/integration"
ROWS_TAG = "crm_pipeline/rows"
"""Which records of its hours a load takes: those that are ``due``, in a retry; all of them without the tag, as when started by hand."""

DUE = "due"

SCOPE_TAG = "crm_pipeline/links"
"""Which links a run checks: recent or full. Of a run without the tag, started by hand: recent with its hours, else all."""

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_ENDED = {StepEventStatus.SUCCESS, StepEventStatus.FAILURE, StepEventStatus.SKIPPED}


def at_work(instance: dg.DagsterInstance, jobs: Collection[str], steps: Mapping[dg.AssetKey, str]) -> set[dg.AssetKey]:
    """Those of these assets that a queued or running run is still to make; ``steps``: the name of each one's step.

    ``jobs``: those that make all of them; their runs have no selection where they do.
    """
    found: set[dg.AssetKey] = set()
    for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED)):
        selected = set(steps).intersection(run.asset_selection or (steps if run.job_name in jobs else ()))
        if selected:
            ended = {step.step_key for step in instance.get_run_step_stats(run.run_id) if step.status in _ENDED}
            found |= {asset for asset in selected if steps[asset] not in ended}
    return found
