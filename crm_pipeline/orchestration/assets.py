"""The assets of one integration: extract, normalize and load, per record type and CRM."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import dagster as dg

from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.base import CrmKind
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.model import MODELS, RecordType
from crm_pipeline.orchestration import names
from crm_pipeline.orchestration.alerts import build_alerts
from crm_pipeline.orchestration.links import build_links
from crm_pipeline.orchestration.metadata import calls_metadata, calls_since, column_schema, load_metadata, seconds_since
from crm_pipeline.orchestration.resources import STORE, crm_resource, qbench_resource
from crm_pipeline.orchestration.resync import build_resync
from crm_pipeline.orchestration.retries import build_retry_sensor
from crm_pipeline.orchestration.schedule import INTEGRATION_TAG, build_schedule
from crm_pipeline.orchestration.steps import failing_clearly
from crm_pipeline.orchestration.windows import hourly_partitions, partition_label, window
from crm_pipeline.schemas import OUTCOMES, RAW, normalized_schema


def build_integration(spec: IntegrationSpec) -> dg.Definitions:
    """Everything Dagster needs for one integration: assets, resources, jobs, schedules and sensors. Does no I/O."""
    definitions = _build_syncing(spec)
    if spec.alerts is None:
        return definitions
    return dg.Definitions.merge(definitions, dg.Definitions(sensors=[build_alerts(spec, spec.alerts, watched=definitions)]))


def _build_syncing(spec: IntegrationSpec) -> dg.Definitions:
    """What brings records from QBench to the CRMs."""
    partitions = hourly_partitions(spec.start)
    kinds = [crm_kinds()[name] for name in spec.crms.configured]
    assets = [
        *(_extract(spec, record, partitions) for record in spec.records.values()),
        *(_normalize(spec, record, partitions) for record in spec.records.values()),
        *(_load(spec, kind, record, partitions) for kind in kinds for record in spec.records.values()),
    ]
    job = dg.define_asset_job(
        names.job_name(spec.name),
        selection=dg.AssetSelection.assets(*assets),
        description=f"Brings what changed in QBench in one hour to {_listed(kinds)}.",
        executor_def=dg.in_process_executor,
        tags={INTEGRATION_TAG: spec.name},
    )
    keys = [asset.key for asset in assets]
    loads = {kind.name: [key for key in keys if key.path[1] == kind.name] for kind in kinds}
    hourly = dg.Definitions(
        assets=[*assets, *(build_resync(spec, kind) for kind in kinds)],
        jobs=[job],
        schedules=[build_schedule(spec, job, partitions, asset_keys=keys)],
        sensors=[build_retry_sensor(spec, job, partitions, loads=loads, asset_keys=keys)],
        resources={
            names.resource_key(spec.name, "qbench"): qbench_resource(spec.qbench, spec.name),
            **{names.resource_key(spec.name, kind.name): crm_resource(kind, spec.crms.configured[kind.name], spec.name) for kind in kinds},
        },
    )
    return dg.Definitions.merge(hourly, build_links(spec, kinds))


def _listed(kinds: Sequence[CrmKind]) -> str:
    return " and ".join(kind.title for kind in kinds)


def _extract(spec: IntegrationSpec, record: RecordSpec, partitions: dg.HourlyPartitionsDefinition) -> dg.AssetsDefinition:
    record_type = record.record_type
    resource = names.resource_key(spec.name, "qbench")

    @dg.asset(
        key=names.raw_key(spec.name, record_type),
        description=f"The {MODELS[record_type].qbench_object} that changed in QBench, staged as QBench gave them.",
        group_name=spec.name,
        owners=list(spec.owners),
        kinds={"python", "postgres"},
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys={resource},
        pool=resource,
        retry_policy=dg.RetryPolicy(max_retries=1),
        metadata={"dagster/column_schema": column_schema(RAW)},
    )
    def extract(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        from crm_pipeline.sync.extract import Extract

        client = getattr(context.resources, resource)
        before = client.calls.snapshot()
        started = time.monotonic()
        job = Extract(spec.name, record_type, store=STORE, client=client)

        def metadata() -> dict[str, Any]:
            calls = calls_since(before, client.calls.snapshot())
            rows = {"dagster/row_count": job.rows, "deleted": job.deleted, "resumed_at_row": job.resumed_at_row}
            return {**rows, **calls_metadata(calls), "seconds": seconds_since(started)}

        with failing_clearly(spec.name, metadata):
            job.run(window(context, spec.start, overlap_seconds=spec.qbench.overlap_seconds))
        return dg.MaterializeResult(metadata=metadata())

    return extract


def _normalize(spec: IntegrationSpec, record: RecordSpec, partitions: dg.HourlyPartitionsDefinition) -> dg.AssetsDefinition:
    record_type = record.record_type
    deps = [names.raw_key(spec.name, record_type)]
    if record_type is RecordType.CONTACT:
        # Which customers are deleted, and what rules on customer.<field> look at, is to be known first.
        deps.append(names.raw_key(spec.name, RecordType.ACCOUNT))

    @dg.asset(
        key=names.normalized_key(spec.name, record_type),
        deps=deps,
        description=f"The staged {MODELS[record_type].qbench_object} in the normalized model, through the integration's mapping.",
        group_name=spec.name,
        owners=list(spec.owners),
        kinds={"pandas", "postgres"},
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        retry_policy=dg.RetryPolicy(max_retries=1),
        metadata={"dagster/column_schema": column_schema(normalized_schema(record_type))},
    )
    def normalized(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        from crm_pipeline.sync.normalizing import normalize_staged

        started = time.monotonic()
        counts: Counter[str] = Counter()

        def metadata() -> dict[str, Any]:
            met = {name: count for name, count in sorted(counts.items()) if name != "rows"}
            return {"dagster/row_count": counts["rows"], **met, "seconds": seconds_since(started)}

        with failing_clearly(spec.name, metadata):
            within = window(context, spec.start, overlap_seconds=spec.qbench.overlap_seconds)
            normalize_staged(STORE, spec.name, record, window=within, default_region=spec.default_region, counts=counts)
        return dg.MaterializeResult(metadata=metadata())

    return normalized


def _load(spec: IntegrationSpec, kind: CrmKind, record: RecordSpec, partitions: dg.HourlyPartitionsDefinition) -> dg.AssetsDefinition:
    record_type = record.record_type
    resource = names.resource_key(spec.name, kind.name)
    deps = [names.normalized_key(spec.name, record_type)]
    if record_type is RecordType.CONTACT:
        deps.append(names.load_key(spec.name, kind, RecordType.ACCOUNT))

    @dg.asset(
        key=names.load_key(spec.name, kind, record_type),
        deps=deps,
        description=f"The normalized {names.NORMALIZED_OBJECTS[record_type]} in {kind.title}, one outcome per record.",
        group_name=spec.name,
        owners=list(spec.owners),
        kinds={kind.name},
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys={resource},
        pool=resource,
        metadata={"dagster/column_schema": column_schema(OUTCOMES)},
    )
    def load(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        from crm_pipeline.sync.load import Load

        crm = getattr(context.resources, resource)
        before = crm.calls.snapshot()
        order = spec.order(kind.name, record, run_id=context.run.run_id, partition_key=partition_label(context))
        job = Load(order, store=STORE, crm=crm)

        def metadata() -> dict[str, Any]:
            return load_metadata(job.report, calls_since(before, crm.calls.snapshot()))

        with failing_clearly(spec.name, metadata):
            job.run(window(context, spec.start, overlap_seconds=spec.qbench.overlap_seconds))
        return dg.MaterializeResult(metadata=metadata())

    return load
