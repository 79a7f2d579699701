"""When an integration runs by itself: each tick requests every closed hour that is still missing or failed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

import dagster as dg
from dagster._core.definitions.target import ExecutableDefinition

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration import names
from crm_pipeline.orchestration.catch_up import Hours, Standing, wanted
from crm_pipeline.orchestration.check_along import CheckAlong
from crm_pipeline.orchestration.executor import steps_at_once
from crm_pipeline.orchestration.hour_states import hour_states
from crm_pipeline.orchestration.hourly import HourlyAssets
from crm_pipeline.orchestration.running import INTEGRATION_TAG, RANGE_END_TAG, RANGE_START_TAG, SCOPE_TAG, at_work
from crm_pipeline.store.database import Store
from crm_pipeline.store.open_rows import only_wait, waiting_hours
from crm_pipeline.sync.hours import partition_of, window_of

MAX_CATCH_UP_HOURS = 168
"""The most hours of the same assets that one tick requests, and one run takes, where ``hours_per_run`` does not say more or less.

The rest follows with the next ticks. Dagster plans every hour of every asset before a run starts, 8 assets of 168 hours in 5 s.
"""


LeftAlone = Callable[[Standing], Hours]
"""Says which hours of an integration's assets nobody need request for now, though they are open."""


def build_schedule(
    spec: IntegrationSpec,
    job: ExecutableDefinition,
    partitions: dg.HourlyPartitionsDefinition,
    *,
    hourly: HourlyAssets,
    name: str,
    cron: str,
    left: LeftAlone,
    also: CheckAlong | None = None,
) -> dg.ScheduleDefinition:
    """The schedule of the job that makes these assets, running by default when the integration is active.

    ``also``: the check that the job makes too where its time has come, with the newest hours.
    """
    jobs = {job.name, names.job_name(spec.name)} if also else {job.name}

    @dg.schedule(
        name=name,
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING if spec.active else dg.DefaultScheduleStatus.STOPPED,
        description="Requests every closed hour that is missing or failed, one run per gap.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        if not spec.active:
            yield dg.SkipReason(f"integration {spec.name} is paused: active is false")
            return
        now = context.scheduled_execution_time
        closed = partitions.get_partition_keys(now)
        if not closed:
            yield dg.SkipReason(f"integration {spec.name}: its start lies in the future, no hour has closed yet")
            return
        standing, said = _standing(context.instance, jobs, closed, partitions, hourly=hourly)
        requests = wanted(
            replace(standing, left=left(standing)),
            closed,
            per_run=hours_per_run(spec),
            at_most=max(hours_per_run(spec), MAX_CATCH_UP_HOURS),
        )
        for one in requests:
            is_whole = len(one.assets) == len(hourly.keys)
            takes_along = also is not None and one is requests[-1] and is_whole and also.goes_along(context.instance, at=now)
            # Several requests of a tick need keys; a schedule's are looked up within their tick only. A first load is long.
            yield dg.RunRequest(
                run_key=f"{one.first}...{one.last}",
                asset_selection=None if is_whole and takes_along is (also is not None) else list(one.assets),
                run_config=steps_at_once(1 + len(hourly.loads)) if one.first == closed[0] else None,
                tags={
                    RANGE_START_TAG: one.first,
                    RANGE_END_TAG: one.last,
                    INTEGRATION_TAG: spec.name,
                    **({SCOPE_TAG: "recent"} if takes_along else {}),
                },
            )
        if requests and said:
            context.log.warning("integration %s: %s", spec.name, "; ".join(said))
        elif not requests:
            yield dg.SkipReason(f"integration {spec.name}: {'; '.join(said) or 'every closed hour is done'}")

    return schedule


def hours_per_run(spec: IntegrationSpec) -> int:
    """The most hours that one run takes which nobody starts by hand."""
    return spec.hours_per_run or MAX_CATCH_UP_HOURS


def unfinished(
    instance: dg.DagsterInstance,
    asset_keys: Sequence[dg.AssetKey],
    hours: Sequence[str],
    partitions: dg.HourlyPartitionsDefinition,
    *,
    failed_too: bool = False,
) -> dict[dg.AssetKey, set[str]]:
    """The hours, oldest first, that each of the assets has not materialized, or failed at last; ``failed_too``: these count as finished."""
    states = {asset_key: hour_states(instance, asset_key, hours, partitions) for asset_key in asset_keys}
    return {key: set(hours) - state.materialized - (state.failed if failed_too else frozenset()) for key, state in states.items()}


def _standing(
    instance: dg.DagsterInstance,
    jobs: Collection[str],
    closed: Sequence[str],
    partitions: dg.HourlyPartitionsDefinition,
    *,
    hourly: HourlyAssets,
) -> tuple[Standing, list[str]]:
    """How the assets stand, and what is to be said of those that rest."""
    first, said = closed[0], []
    open_hours = unfinished(instance, hourly.keys, closed, partitions)
    never = _never_materialized(instance, open_hours, first)
    resting = _not_to_begin(never, closed, hourly=hourly)
    held = resting.keys() if hourly.first_load == "manual" else set()
    if to_begin := [key.to_user_string() for key in hourly.keys if key in held and key in never and key not in hourly.resting]:
        said.append(f"first load not done; materialize partition {first} of {', '.join(to_begin)}")
    busy = at_work(instance, jobs, hourly.steps) - held
    if busy:
        said.append("a run is queued or running; its hours are not requested twice")
    said += hourly.paused.values()
    return Standing(hourly.upstream, open_hours, resting={**resting, **{key: set(closed) for key in busy | hourly.resting}}), said


def for_retries(
    instance: dg.DagsterInstance,
    hours: AbstractSet[str],
    partitions: dg.HourlyPartitionsDefinition,
    *,
    hourly: HourlyAssets,
) -> Standing:
    """How the assets stand in closed hours with records that are due. What someone began by hand goes on, though it failed."""
    first = partitions.get_first_partition_key() or ""
    asked = sorted(hours | {first})
    open_hours = unfinished(instance, hourly.keys, asked, partitions)
    resting = _not_to_begin(_never_materialized(instance, open_hours, first), asked, hourly=hourly)
    missing = unfinished(instance, list(resting), asked, partitions, failed_too=True)
    return Standing(hourly.upstream, open_hours, resting={key: resting[key] & missing[key] for key in resting})


def _not_to_begin(never: set[dg.AssetKey], hours: Sequence[str], *, hourly: HourlyAssets) -> dict[dg.AssetKey, set[str]]:
    """The hours that are a person's to begin: all of what was never loaded, or its first partition alone, as ``first_load`` says.

    ``never``: the assets whose first partition was never materialized; ``hours``: those that are asked about, the first one first.
    """
    if hourly.first_load == "manual":
        return {key: set(hours) for key in held_back(hourly, never)}
    return {key: {hours[0]} for key in never} if hourly.first_load == "none" else {}


def held_back(hourly: HourlyAssets, never: set[dg.AssetKey]) -> set[dg.AssetKey]:
    """The loads whose first partition was never materialized, and the reads that nothing else needs."""
    loads = [key for of_crm in hourly.loads.values() for key in of_crm]
    held = never.intersection(loads)
    needed = set().union(*(hourly.upstream[load] for load in loads if load not in held))
    return held | set(hourly.reads).difference(needed)


def _never_materialized(instance: dg.DagsterInstance, open_hours: Mapping[dg.AssetKey, set[str]], first: str) -> set[dg.AssetKey]:
    """The assets whose first partition was never green, whatever became of it since."""
    return {key for key, hours in open_hours.items() if first in hours and not _was_ever_materialized(instance, key, first)}


def _was_ever_materialized(instance: dg.DagsterInstance, key: dg.AssetKey, partition: str) -> bool:
    """Whether a partition was green once, whatever became of it since."""
    return bool(instance.fetch_materializations(dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition]), limit=1).records)


def left_to_the_sensor(standing: Standing, *, spec: IntegrationSpec, store: Store, hourly: HourlyAssets) -> Hours:
    """The hours of loads in which every open record has a later try ahead; the database is asked only where loads alone are open."""
    read = set().union(*(standing.open[key] for key in hourly.reads))
    loads = {crm: keys for crm, keys in hourly.loads.items() if crm not in hourly.paused}
    open_hours = {crm: set().union(*(standing.open[key] for key in keys)) - read for crm, keys in loads.items()}
    if not any(open_hours.values()):
        return {}
    left: dict[dg.AssetKey, set[str]] = {}
    with store.transaction() as connection:
        waiting = waiting_hours(connection, spec.name, record_types=list(spec.records))
        for crm, keys in loads.items():
            hours = sorted({partition_of(hour, spec.start) for hour in waiting.loc[waiting["crm"] == crm, "hour"]} & open_hours[crm])
            windows = [window_of(hour, spec.start, overlap_seconds=0) for hour in hours]
            wait = only_wait(connection, spec.name, crm, record_types=list(spec.records), windows=windows)
            left |= {key: {hour for hour, waits in zip(hours, wait, strict=True) if waits} for key in keys}
    return left
