"""When is what stayed open on its way into QBench looked at again by itself? A sensor requests it, of one CRM at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b

import dagster as dg
from dagster._core.definitions.target import ExecutableDefinition

from crm_pipeline.crms import crm_kinds
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.orchestration import names
from crm_pipeline.orchestration.hourly import HourlyAssets
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.retries import not_made_yet, seconds_between_looks
from crm_pipeline.orchestration.running import DUE, INTEGRATION_TAG, RANGE_END_TAG, RANGE_START_TAG, ROWS_TAG, at_work
from crm_pipeline.orchestration.schedule import unfinished
from crm_pipeline.orchestration.specs import AssetSpecs
from crm_pipeline.sync.returning.selection import asked_for

Opened = Mapping[RecordType, Sequence[str]]
"""The CRM records at which another look is due."""


def build_change_retries(
    spec: IntegrationSpec, job: ExecutableDefinition, partitions: dg.HourlyPartitionsDefinition, *, hourly: HourlyAssets, specs: AssetSpecs
) -> dg.SensorDefinition:
    """The sensor that takes up what stayed open, running by default when the integration is active."""

    @dg.sensor(
        name=names.from_crms_retry_sensor_name(spec.name),
        job=job,
        minimum_interval_seconds=seconds_between_looks(spec.retries),
        default_status=dg.DefaultSensorStatus.RUNNING if spec.active else dg.DefaultSensorStatus.STOPPED,
        description="Requests the changes whose next attempt is due, or at which somebody or something wants another look.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        if not spec.active:
            yield dg.SkipReason(f"integration {spec.name} is paused: active is false")
            return
        opened = {crm: found for crm in hourly.loads if crm not in hourly.paused and (found := _opened(spec, crm))}
        if not opened:
            yield dg.SkipReason(f"integration {spec.name}: {'; '.join(['nothing is due', *hourly.paused.values()])}")
            return
        busy = at_work(context.instance, {job.name}, hourly.steps)
        closed = partitions.get_partition_keys()
        requests = [
            one
            for crm, found in opened.items()
            if busy.isdisjoint(hourly.loads[crm])
            for one in _requests(context.instance, spec, crm, found, closed, partitions, specs=specs)
        ]
        new = not_made_yet(context.instance, requests)
        yield from new
        if not new:
            waited_for = ["a run is queued or running; it is waited for"] if busy else []
            said = [*waited_for, *hourly.paused.values()] or ["nothing is due that may run and was not requested within the hour"]
            yield dg.SkipReason(f"integration {spec.name}: {'; '.join(said)}")

    return sensor


def _opened(spec: IntegrationSpec, crm: str) -> Opened:
    """What is open of a CRM by record type."""
    orders = {record_type: spec.order(crm, record, run_id="") for record_type, record in spec.returning[crm].items()}
    return {record_type: found for record_type, order in orders.items() if (found := asked_for(order, store=STORE))}


def _requests(
    instance: dg.DagsterInstance,
    spec: IntegrationSpec,
    crm: str,
    opened: Opened,
    closed: Sequence[str],
    partitions: dg.HourlyPartitionsDefinition,
    *,
    specs: AssetSpecs,
) -> Iterator[dg.RunRequest]:
    """A run for all that is open of a CRM, by the newest hour that is done: of another, the readings are to be looked at too."""
    keys = [specs.key(names.returned_key(spec.name, crm_kinds()[crm], record_type)) for record_type in opened]
    still_open = set().union(*unfinished(instance, keys, closed, partitions).values())
    done = [hour for hour in closed if hour not in still_open]
    if not done:
        return
    mark = f"{datetime.now(UTC):%Y%m%dT%H}-{blake2b(repr(opened).encode(), digest_size=8).hexdigest()}"
    yield dg.RunRequest(
        run_key=f"{spec.name} from {crm} {mark}",
        asset_selection=keys,
        tags={RANGE_START_TAG: done[-1], RANGE_END_TAG: done[-1], INTEGRATION_TAG: spec.name, ROWS_TAG: DUE},
    )
