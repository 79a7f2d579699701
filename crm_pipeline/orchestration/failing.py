"""What failed lately, and what works again? Asked of Dagster's own records, for the assets, schedules and sensors of one integration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.remote_origin import RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorTick, TickStatus
from dagster._core.storage.tags import WILL_RETRY_TAG

from crm_pipeline.alerts.incidents import Failure, FailureKind, Subject
from crm_pipeline.orchestration.hour_states import hour_states
from crm_pipeline.orchestration.running import INTEGRATION_TAG

RUNS_PER_LOOK = 100
TICKS_PER_LOOK = 20
"""The most that one look at Dagster's records takes up; runs beyond follow with the next look."""

_TAG_PATIENCE = timedelta(minutes=1)
"""Dagster says whether a failed run will be retried a moment after it says that it failed."""

_FINISHED = (TickStatus.SUCCESS, TickStatus.SKIPPED, TickStatus.FAILURE)


@dataclass(frozen=True)
class Watched:
    """The parts of an integration whose failures count: assets by the names of their steps; schedules and sensors by name."""

    integration: str
    assets: Mapping[str, dg.AssetsDefinition]
    jobs: frozenset[str]
    instigators: tuple[str, ...]

    @classmethod
    def of(cls, integration: str, definitions: dg.Definitions) -> Watched:
        """All that these definitions hold."""
        assets = [asset for asset in definitions.assets or () if isinstance(asset, dg.AssetsDefinition)]
        instigators = (*(definitions.schedules or ()), *(definitions.sensors or ()))
        return cls(
            integration,
            assets={asset.node_def.name: asset for asset in assets},
            jobs=frozenset(job.name for job in definitions.jobs or ()),
            instigators=tuple(sorted(instigator.name for instigator in instigators)),
        )


@dataclass(frozen=True, slots=True)
class Look:
    """Failures that Dagster's records show, and the position from which the next look goes on."""

    failures: list[Failure]
    position: dict[str, int]


def failed_runs(instance: dg.DagsterInstance, watched: Watched, *, after: Mapping[str, int], now: datetime) -> Look:
    """The failed runs since a position, whoever started them; what failed before the first look is not told.

    A run that Dagster retries by itself does not count: its retry does.
    """
    newest = instance.fetch_run_status_changes(dg.DagsterEventType.RUN_FAILURE, limit=1).records
    end = newest[0].storage_id if newest else 0
    position = after.get("runs", end)
    failures: list[Failure] = []
    if end > position:
        recent = dg.RunStatusChangeRecordsFilter(dg.DagsterEventType.RUN_FAILURE, after_storage_id=position)
        for record in instance.fetch_run_status_changes(recent, limit=RUNS_PER_LOOK, ascending=True).records:
            at = _utc(record.timestamp)
            run = instance.get_run_by_id(record.run_id)
            if run is not None and _is_undecided(instance, run) and now - at < _TAG_PATIENCE:
                break
            position = record.storage_id
            if run is not None and run.tags.get(WILL_RETRY_TAG) != "true":
                failures += [Failure(Subject(FailureKind.RUN, name), run.run_id, at) for name in _failed_in(instance, run, watched)]
    # A database that was put back to an earlier state has lower ids.
    return Look(failures, {"runs": min(position, end)})


def failed_ticks(instance: dg.DagsterInstance, repository: RemoteRepositoryOrigin, watched: Watched, *, after: Mapping[str, int]) -> Look:
    """The failed ticks since a position, and the last one of each schedule and sensor whenever it failed."""
    failures: list[Failure] = []
    position: dict[str, int] = {}
    for name in watched.instigators:
        ticks = _finished_ticks(instance, repository, name)
        if ticks:
            latest = position[name] = ticks[0].tick_id
            seen = min(after.get(name, latest), latest - 1)
            failed = [tick for tick in ticks if tick.tick_id > seen and tick.status is TickStatus.FAILURE]
            failures += [Failure(Subject(FailureKind.TICK, name), str(tick.tick_id), _utc(tick.timestamp)) for tick in failed]
    return Look(failures, position)


def is_well(instance: dg.DagsterInstance, watched: Watched, name: str, *, now: datetime) -> bool:
    """Whether nothing of this asset (of any asset, by the integration's name) is red, nor still under way."""
    named = [asset for asset in watched.assets.values() if name in {watched.integration, _name(asset)}]
    return all(_is_green(instance, asset, now=now) for asset in named)


def last_loads(instance: dg.DagsterInstance, loads: Mapping[str, Sequence[dg.AssetKey]]) -> dict[str, datetime]:
    """Since when the load assets of each CRM were materialized at last, the longest ago counts; without CRMs not loaded yet."""
    keys = [key for crm_keys in loads.values() for key in crm_keys]
    entries = {record.asset_entry.asset_key: record.asset_entry for record in instance.get_asset_records(keys)}
    times = {key: entry.last_materialization.timestamp for key, entry in entries.items() if entry.last_materialization}
    return {crm: _utc(min(times[key] for key in crm_keys)) for crm, crm_keys in loads.items() if all(key in times for key in crm_keys)}


def _is_undecided(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    return run.status is not dg.DagsterRunStatus.FAILURE or (instance.run_retries_enabled and WILL_RETRY_TAG not in run.tags)


def _failed_in(instance: dg.DagsterInstance, run: dg.DagsterRun, watched: Watched) -> Iterator[str]:
    """The assets of ours that failed in a run; the integration where the run was ours and failed outside its steps.

    A backfill from the UI has neither our job nor our tag, and may hold assets of other integrations.
    """
    steps = {record.event_log_entry.step_key for record in _step_failures(instance, run)}
    yield from (_name(asset) for step, asset in watched.assets.items() if step in steps)
    selected = {key for asset in watched.assets.values() for key in asset.keys} & set(run.asset_selection or ())
    ours = run.job_name in watched.jobs or run.tags.get(INTEGRATION_TAG) == watched.integration
    if not steps and (selected or ours):
        yield watched.integration


def _step_failures(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Sequence[dg.EventLogRecord]:
    return instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records


def _finished_ticks(instance: dg.DagsterInstance, repository: RemoteRepositoryOrigin, name: str) -> Sequence[InstigatorTick]:
    origin = repository.get_instigator_origin(name)
    return instance.get_ticks(origin.get_id(), origin.get_selector().get_id(), limit=TICKS_PER_LOOK, statuses=list(_FINISHED))


def _name(asset: dg.AssetsDefinition) -> str:
    """What the assets of one step are called together: by the first of them."""
    return next(iter(asset.specs)).key.to_user_string()


def _is_green(instance: dg.DagsterInstance, asset: dg.AssetsDefinition, *, now: datetime) -> bool:
    if isinstance(partitions := asset.partitions_def, dg.HourlyPartitionsDefinition):
        hours = partitions.get_partition_keys(now)
        states = [hour_states(instance, key, hours, partitions) for key in asset.keys]
        return not any(state.failed or state.under_way for state in states)
    for record in instance.get_asset_records(list(asset.keys)):
        entry = record.asset_entry
        last = instance.get_run_by_id(entry.last_run_id) if entry.last_run_id else None
        made = entry.last_materialization is not None and entry.last_materialization.run_id == entry.last_run_id
        return made or last is None or last.status in {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.CANCELED}
    return True


def _utc(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, tz=UTC)
