"""When an integration runs by itself: each tick requests every closed hour that is still missing or failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

import dagster as dg
from dagster._core.definitions.target import ExecutableDefinition

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration import names
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.windows import partition_of
from crm_pipeline.store.database import Store
from crm_pipeline.store.open_rows import waiting_hours

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
INTEGRATION_TAG = "crm_pipeline/integration"

MAX_CATCH_UP_HOURS = 720
"""The most hours one tick looks at, oldest first; the rest follows with the next ticks."""

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def build_schedule(
    spec: IntegrationSpec, job: ExecutableDefinition, partitions: dg.HourlyPartitionsDefinition, *, asset_keys: Sequence[dg.AssetKey]
) -> dg.ScheduleDefinition:
    """The integration's schedule, running by default when the integration is active."""

    @dg.schedule(
        name=names.schedule_name(spec.name),
        job=job,
        cron_schedule=spec.schedule,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING if spec.active else dg.DefaultScheduleStatus.STOPPED,
        description="Requests every closed hour that is missing or failed, one run per gap.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        if not spec.active:
            yield dg.SkipReason(f"integration {spec.name} is paused: active is false")
            return
        if is_running(context.instance, spec.name, asset_keys):
            yield dg.SkipReason(f"integration {spec.name}: a run is queued or running; its hours are not requested twice")
            return
        closed = partitions.get_partition_keys(context.scheduled_execution_time)
        if not closed:
            yield dg.SkipReason(f"integration {spec.name}: its start lies in the future, no hour has closed yet")
            return
        open_assets = unfinished(context.instance, asset_keys, closed, partitions)
        wanted = hours_to_request(open_assets, lambda: later_hours(spec, STORE))
        if closed[0] in wanted and spec.first_load == "manual":
            yield dg.SkipReason(f"integration {spec.name}: first load not done; materialize partition {closed[0]} of all its assets")
            return
        if spec.first_load == "none":
            wanted.discard(closed[0])
        requested = False
        for first, last in gaps(closed, wanted, at_most=MAX_CATCH_UP_HOURS):
            requested = True
            # Several requests of a tick need keys; a schedule's are looked up within their tick only.
            yield dg.RunRequest(run_key=f"{first}...{last}", tags={RANGE_START_TAG: first, RANGE_END_TAG: last, INTEGRATION_TAG: spec.name})
        if not requested:
            yield dg.SkipReason(f"integration {spec.name}: every closed hour is done")

    return schedule


def unfinished(
    instance: dg.DagsterInstance, asset_keys: Sequence[dg.AssetKey], hours: Sequence[str], partitions: dg.HourlyPartitionsDefinition
) -> dict[dg.AssetKey, set[str]]:
    """The hours that each of the assets has not materialized, or failed at last."""
    found: dict[dg.AssetKey, set[str]] = {}
    for asset_key in asset_keys:
        status = instance.get_status_by_partition(asset_key, hours, partitions) or {}
        found[asset_key] = {hour for hour in hours if (state := status.get(hour)) is None or state.value != "MATERIALIZED"}
    return found


def hours_to_request(open_assets: Mapping[dg.AssetKey, set[str]], later: Callable[[], Mapping[str, set[str]]]) -> set[str]:
    """The hours open in an asset, but for those of which only loads are open that the retry sensor takes up at their time.

    ``later``: these hours by CRM; asked only where it matters.
    """
    everywhere = set().union(*open_assets.values())
    read = set().union(*(hours for key, hours in open_assets.items() if key.path[1] in names.READ_STEPS))
    if everywhere == read:
        return everywhere
    waiting = later()
    loads = ((key.path[1], hours) for key, hours in open_assets.items() if key.path[1] not in names.READ_STEPS)
    return read.union(*(hours - waiting.get(crm, set()) for crm, hours in loads))


def later_hours(spec: IntegrationSpec, store: Store) -> dict[str, set[str]]:
    """The hours, by CRM, whose records are tried again later by themselves, none of them by now."""
    with store.transaction() as connection:
        waiting = waiting_hours(connection, spec.name)
    waiting = waiting[~waiting["due"]]
    return {str(crm): {partition_of(hour, spec.start) for hour in hours} for crm, hours in waiting.groupby("crm")["hour"]}


def gaps(hours: Sequence[str], unfinished: set[str], *, at_most: int) -> Iterator[tuple[str, str]]:
    """First and last hour of each unbroken row of unfinished hours, oldest first, of at most so many hours in all."""
    left = at_most
    for is_open, run in groupby(hours, key=unfinished.__contains__):
        gap = list(run)[:left] if is_open else []
        if gap:
            left -= len(gap)
            yield gap[0], gap[-1]


def is_running(instance: dg.DagsterInstance, integration: str | None, asset_keys: Sequence[dg.AssetKey]) -> bool:
    """Whether a run of the integration's hourly job, or of any of these assets, is queued or running."""
    # A run launched from the asset graph has no tag of ours, only its selection.
    ours = set(asset_keys)
    return any(
        (integration is not None and run.tags.get(INTEGRATION_TAG) == integration) or ours & set(run.asset_selection or ())
        for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))
    )
