"""When is what stayed open tried again by itself? A sensor requests its hours, of one CRM's loads at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import chain, zip_longest

import dagster as dg
from dagster._core.definitions.target import ExecutableDefinition
from dagster._core.storage.tags import RUN_KEY_TAG

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration import names
from crm_pipeline.orchestration.catch_up import Standing, gaps
from crm_pipeline.orchestration.hourly import HourlyAssets
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.running import DUE, INTEGRATION_TAG, RANGE_END_TAG, RANGE_START_TAG, ROWS_TAG, at_work
from crm_pipeline.orchestration.schedule import for_retries, hours_per_run
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.open_rows import hours_of, waiting_hours
from crm_pipeline.sync.backoff import RetrySettings
from crm_pipeline.sync.hours import partition_of
from crm_pipeline.sync.planning.replanned import awakened

SHORTEST_SECONDS, LONGEST_SECONDS = 60, 300
"""Between two looks. Whoever sets a record free by hand, or puts right what it waits for, is not to wait longer for the next."""

MOST_REQUESTS = 10
"""The most runs one tick requests, of the CRMs in turn, oldest hours first; the rest follows with the next ticks."""

Hours = dict[str, str]
"""Partition key to a mark that changes with every attempt, and within the hour: a run may fail before it stores anything."""


def build_retry_sensor(
    spec: IntegrationSpec, job: ExecutableDefinition, partitions: dg.HourlyPartitionsDefinition, *, hourly: HourlyAssets
) -> dg.SensorDefinition:
    """The sensor that takes up what stayed open, running by default when the integration is active."""

    @dg.sensor(
        name=names.retry_sensor_name(spec.name),
        job=job,
        minimum_interval_seconds=seconds_between_looks(spec.retries),
        default_status=dg.DefaultSensorStatus.RUNNING if spec.active else dg.DefaultSensorStatus.STOPPED,
        description="Requests the records whose next attempt is due, or for which what they waited for has changed, by their hours.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        if not spec.active:
            yield dg.SkipReason(f"integration {spec.name} is paused: active is false")
            return
        sending = [crm for crm in hourly.loads if crm not in hourly.paused]
        due = _due(STORE, spec) if sending else {}
        of_crms = {crm: _changed(STORE, spec, crm) | due.get(crm, {}) for crm in sending}
        if not any(of_crms.values()):
            # Dagster's own records are opened for what is due alone: that costs as much as all the rest of a look.
            yield dg.SkipReason(f"integration {spec.name}: {'; '.join(['nothing is due', *hourly.paused.values()])}")
            return
        busy = at_work(context.instance, {job.name, names.sync_and_check_job_name(spec.name)}, hourly.steps)
        free = {crm: hourly.loads[crm] for crm in sending if busy.isdisjoint(hourly.loads[crm])}
        if not free:
            waiting = ["a run is queued or running; it is waited for", *hourly.paused.values()]
            yield dg.SkipReason(f"integration {spec.name}: {'; '.join(waiting)}")
            return
        closed = partitions.get_partition_keys()
        standing = for_retries(context.instance, set(closed).intersection(chain(*of_crms.values())), partitions, hourly=hourly)
        requests = [list(_requests(spec, crm, of_crms[crm], closed, standing=standing, loads=loads)) for crm, loads in free.items()]
        new = not_made_yet(context.instance, [one for of_each in zip_longest(*requests) for one in of_each if one is not None])
        yield from new[:MOST_REQUESTS]
        if not new:
            yield dg.SkipReason(f"integration {spec.name}: nothing is due that may run and was not requested within the hour")

    return sensor


def seconds_between_looks(retries: RetrySettings) -> int:
    """As long as the shortest wait of a record, within bounds: nothing can be due sooner."""
    return round(min(max(retries.first_after_minutes * 60, SHORTEST_SECONDS), LONGEST_SECONDS))


def not_made_yet(instance: dg.DagsterInstance, requests: Sequence[dg.RunRequest]) -> list[dg.RunRequest]:
    """The requests without those whose run was launched before: Dagster would pass over them, and they would take the others' places."""
    keys = [str(request.run_key) for request in requests]
    runs = instance.get_runs(dg.RunsFilter(tags={RUN_KEY_TAG: keys})) if keys else []
    made = {run.tags[RUN_KEY_TAG] for run in runs}
    return [request for request in requests if request.run_key not in made]


def _due(store: Store, spec: IntegrationSpec) -> dict[str, Hours]:
    """By CRM the hours with a record whose next attempt is due."""
    with store.transaction() as connection:
        found = waiting_hours(connection, spec.name, record_types=list(spec.records))
    due: dict[str, Hours] = {}
    for row in found[found["due"]].itertuples():
        due.setdefault(row.crm, {})[partition_of(row.hour, spec.start)] = f"{row.attempt} {row.hours_due}"
    return due


def _changed(store: Store, spec: IntegrationSpec, crm: str) -> Hours:
    """The hours of records for which what they waited for has changed.

    Every load takes them along anyway, so each set of them is requested once an hour at most.
    """
    changed: Hours = {}
    for record_type in spec.records:
        state = CrmState(spec.name, crm, record_type)
        with store.transaction() as connection:
            ids = awakened(connection, state, settings=spec.crms.configured[crm].decisive)
            hours = hours_of(connection, state, ids=ids) if ids else set()
        mark = f"{datetime.now(UTC):%Y%m%dT%H}-{blake2b(repr(ids).encode(), digest_size=6).hexdigest()}"
        changed.update((partition_of(hour, spec.start), mark) for hour in hours)
    return changed


def _requests(
    spec: IntegrationSpec, crm: str, hours: Hours, closed: Sequence[str], *, standing: Standing, loads: Sequence[dg.AssetKey]
) -> Iterator[dg.RunRequest]:
    """What is to be requested of a CRM's loads, as they stand, for these of the closed hours."""
    for chosen, its_hours in _by_loads(hours, standing, loads).items():
        for first, last, mark in _ranges(its_hours, closed, per_run=hours_per_run(spec)):
            yield dg.RunRequest(
                run_key=f"{spec.name} {crm} {first}...{last} {mark}",
                asset_selection=list(chosen),
                tags={RANGE_START_TAG: first, RANGE_END_TAG: last, INTEGRATION_TAG: spec.name, ROWS_TAG: DUE},
            )


def _by_loads(hours: Hours, standing: Standing, loads: Sequence[dg.AssetKey]) -> dict[tuple[dg.AssetKey, ...], Hours]:
    """The hours by those of a CRM's loads that may run for them; an hour for which none may is left out."""
    found: dict[tuple[dg.AssetKey, ...], Hours] = {}
    for hour, mark in hours.items():
        if chosen := standing.to_retry(hour, loads):
            found.setdefault(chosen, {})[hour] = mark
    return found


def _ranges(hours: Hours, closed: Sequence[str], *, per_run: int) -> Iterator[tuple[str, str, str]]:
    """First and last hour of each unbroken row of closed hours, and a mark of all their attempts."""
    for first, last in gaps(closed, hours.keys(), per_run=per_run, at_most=len(hours)):
        marks = sorted(mark for hour, mark in hours.items() if first <= hour <= last)
        yield first, last, blake2b(repr(marks).encode(), digest_size=8).hexdigest()
