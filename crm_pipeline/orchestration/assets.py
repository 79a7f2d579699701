"""The assets of one integration: extract, normalize and load, per record type and CRM.

Dagster knows the bare MaterializeResult only where an asset has checks, hence the ignored type arguments.
"""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import dagster as dg

from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.base import CrmKind
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.mapping.lineage import crm_sources, normalized_sources, qbench_fields
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.model import MODELS, RecordType
from crm_pipeline.orchestration import names
from crm_pipeline.orchestration.alerts import build_alerts
from crm_pipeline.orchestration.checks import LOAD_CHECKS, check_specs, gaps_told, log_checks, mapping_current, window_complete
from crm_pipeline.orchestration.freshness import freshness_policy
from crm_pipeline.orchestration.links import build_links
from crm_pipeline.orchestration.load_events import LoadEvents
from crm_pipeline.orchestration.metadata import (
    COLUMN_LINEAGE,
    COLUMN_SCHEMA,
    ROW_COUNT,
    calls_metadata,
    calls_since,
    column_lineage,
    column_schema,
    gaps_listed,
    ids_listed,
    seconds_since,
)
from crm_pipeline.orchestration.resources import STORE, crm_resource, qbench_resource
from crm_pipeline.orchestration.resync import build_resync
from crm_pipeline.orchestration.retries import build_retry_sensor
from crm_pipeline.orchestration.running import INTEGRATION_TAG
from crm_pipeline.orchestration.schedule import HourlyAssets, build_schedule
from crm_pipeline.orchestration.steps import failing_clearly
from crm_pipeline.orchestration.windows import backfill_policy, hourly_partitions, partition_label, window
from crm_pipeline.schemas import OUTCOMES, RAW, normalized_schema
from crm_pipeline.store.staging import count_of_other_mapping


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
    freshness = freshness_policy(spec)
    assets = [
        *(_extract(spec, record, partitions) for record in spec.records.values()),
        *(_normalize(spec, record, partitions) for record in spec.records.values()),
        *(_load(spec, kind, record, partitions, freshness) for kind in kinds for record in spec.records.values()),
    ]
    job = dg.define_asset_job(
        names.job_name(spec.name),
        selection=dg.AssetSelection.assets(*assets),
        description=f"Brings what changed in QBench in one hour to {_listed(kinds)}.",
        executor_def=dg.in_process_executor,
        tags={INTEGRATION_TAG: spec.name},
    )
    hourly = HourlyAssets(assets)
    definitions = dg.Definitions(
        assets=[*assets, *(build_resync(spec, kind) for kind in kinds)],
        jobs=[job],
        schedules=[build_schedule(spec, job, partitions, hourly=hourly)],
        sensors=[build_retry_sensor(spec, job, partitions, hourly=hourly)],
        resources={
            names.resource_key(spec.name, "qbench"): qbench_resource(spec.qbench, spec.name),
            **{names.resource_key(spec.name, kind.name): crm_resource(kind, spec.crms.configured[kind.name], spec.name) for kind in kinds},
        },
    )
    return dg.Definitions.merge(definitions, build_links(spec, kinds))


def _listed(kinds: Sequence[CrmKind]) -> str:
    return " and ".join(kind.title for kind in kinds)


def _extract(spec: IntegrationSpec, record: RecordSpec, partitions: dg.HourlyPartitionsDefinition) -> dg.AssetsDefinition:
    record_type = record.record_type
    resource = names.resource_key(spec.name, "qbench")

    @dg.asset(
        key=names.raw_key(spec.name, record_type),
        description=f"The {MODELS[record_type].qbench_object} that changed in QBench, staged as QBench gave them. "
        "What all CRMs are fed from: QBench is read once for all of them.",
        group_name=spec.name,
        owners=list(spec.owners),
        kinds={"python", "postgres"},
        partitions_def=partitions,
        backfill_policy=backfill_policy(spec.hours_per_run),
        required_resource_keys={resource},
        pool=resource,
        retry_policy=dg.RetryPolicy(max_retries=1),
        metadata={COLUMN_SCHEMA: column_schema(RAW, fields=dict.fromkeys(qbench_fields(record), "field of QBench, within content"))},
        check_specs=check_specs(names.raw_key(spec.name, record_type), "window_complete"),
    )
    def extract(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from crm_pipeline.sync.extract import Extract

        client = getattr(context.resources, resource)
        before = client.calls.snapshot()
        started = time.monotonic()
        job = Extract(spec.name, record_type, store=STORE, client=client)

        def metadata() -> dict[str, Any]:
            calls = calls_since(before, client.calls.snapshot())
            rows = {ROW_COUNT: job.rows, "deleted": job.deleted, "resumed_at_row": job.resumed_at_row}
            rows |= {"read_again": job.read_again} if job.read_again else {}
            untold = {"customers_unknown": len(job.untold), "customers_unknown_ids": ids_listed(job.untold)} if job.untold else {}
            return {**rows, **untold, **calls_metadata(calls), "seconds": seconds_since(started)}

        def complete() -> dg.AssetCheckResult:
            ahead = 0 if job.newest is None else job.newest - int(time.time())
            return window_complete(
                seconds_missing=within.until - job.position, seconds_ahead=ahead, gaps=gaps_listed(job.gaps, deletions=job.deletion_gaps)
            )

        within = window(context, spec.start, overlap_seconds=spec.qbench.overlap_seconds)
        with failing_clearly(spec.name, metadata, before=lambda: log_checks(context, [complete()])):
            job.run(within)
        if gaps := gaps_listed(job.gaps, deletions=job.deletion_gaps):
            context.log.warning(f"integration {spec.name}: {gaps_told(gaps)}")
        if job.untold:
            context.log.warning(
                f"integration {spec.name}: QBench does not tell the customers of contacts {ids_listed(job.untold)}; they are asked for "
                "again with the next hourly run"
            )
        return dg.MaterializeResult(metadata=metadata(), check_results=[complete()])

    return extract


def _normalize(spec: IntegrationSpec, record: RecordSpec, partitions: dg.HourlyPartitionsDefinition) -> dg.AssetsDefinition:
    record_type = record.record_type
    deps = [names.raw_key(spec.name, record_type)]
    if record_type is RecordType.CONTACT:
        # Which customers are deleted, and what rules on customer.<field> look at, is to be known first.
        deps.append(names.raw_key(spec.name, RecordType.ACCOUNT))
    sources = normalized_sources(record)
    direct = dict.fromkeys((name for name in sources if "." in name), "value of a field outside the normalized model")
    lineage = column_lineage(names.raw_key(spec.name, record_type), sources)

    @dg.asset(
        key=names.normalized_key(spec.name, record_type),
        deps=deps,
        description=f"The staged {MODELS[record_type].qbench_object} in the normalized model, through the integration's mapping. "
        "What may not sync is named here, with the reason, for all CRMs.",
        group_name=spec.name,
        owners=list(spec.owners),
        kinds={"pandas", "postgres"},
        partitions_def=partitions,
        backfill_policy=backfill_policy(spec.hours_per_run),
        retry_policy=dg.RetryPolicy(max_retries=1),
        metadata={COLUMN_SCHEMA: column_schema(normalized_schema(record_type), fields=direct)},
        check_specs=check_specs(names.normalized_key(spec.name, record_type), "mapping_current"),
    )
    def normalized(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from crm_pipeline.store.raw_fields import NEWEST
        from crm_pipeline.sync.normalizing import mapping_digest, normalize_staged
        from crm_pipeline.sync.unknown_fields import told, unknown_fields

        started = time.monotonic()
        counts: Counter[str] = Counter()
        unknown: list[str] = []

        def metadata() -> dict[str, Any]:
            met = {name: count for name, count in sorted(counts.items()) if name != "rows"}
            fields = {"unknown_fields": ", ".join(unknown)} if unknown else {}
            return {ROW_COUNT: counts["rows"], **met, **fields, "seconds": seconds_since(started)}

        with failing_clearly(spec.name, metadata):
            within = window(context, spec.start, overlap_seconds=spec.qbench.overlap_seconds)
            normalize_staged(STORE, spec.name, record, window=within, reading=spec.reading, counts=counts)
            digest = mapping_digest(record, spec.reading)
            with STORE.transaction() as connection:
                out_of_date = count_of_other_mapping(connection, spec.name, record_type, mapping_digest=digest)
                unknown += unknown_fields(connection, spec.name, record, newest=NEWEST)
        if unknown:
            context.log.warning(f"integration {spec.name}, {record_type}s: {told(unknown)}")
        context.add_asset_metadata({COLUMN_LINEAGE: lineage}, partition_key=context.partition_keys[-1])
        return dg.MaterializeResult(metadata=metadata(), check_results=[mapping_current(out_of_date, unknown_fields=unknown)])

    return normalized


def _load(
    spec: IntegrationSpec,
    kind: CrmKind,
    record: RecordSpec,
    partitions: dg.HourlyPartitionsDefinition,
    freshness: dg.FreshnessPolicy | None,
) -> dg.AssetsDefinition:
    record_type = record.record_type
    resource = names.resource_key(spec.name, kind.name)
    deps = [names.normalized_key(spec.name, record_type)]
    if record_type is RecordType.CONTACT:
        deps.append(names.load_key(spec.name, kind, RecordType.ACCOUNT))
    written = crm_sources(record, crm=kind.name)

    @dg.asset(
        key=names.load_key(spec.name, kind, record_type),
        deps=deps,
        description=f"The normalized {names.NORMALIZED_OBJECTS[record_type]} in {kind.title}, one outcome per record. "
        "Green: all was done that can be. Red: materialize it again, only what is open is sent.",
        group_name=spec.name,
        owners=list(spec.owners),
        kinds={kind.name},
        partitions_def=partitions,
        backfill_policy=backfill_policy(spec.hours_per_run),
        required_resource_keys={resource},
        pool=resource,
        metadata={COLUMN_SCHEMA: column_schema(OUTCOMES, fields=dict.fromkeys(written, f"field of {kind.title} that is written"))},
        check_specs=check_specs(names.load_key(spec.name, kind, record_type), *LOAD_CHECKS),
        freshness_policy=freshness,
    )
    def load(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from crm_pipeline.sync.load import Load

        crm = getattr(context.resources, resource)
        order = spec.order(kind.name, record, run_id=context.run.run_id, partition_key=partition_label(context))
        job = Load(order, store=STORE, crm=crm)
        events = LoadEvents(context, spec, kind, record, load=job, crm=crm)
        with failing_clearly(spec.name, events.counts, before=events.failing):
            job.run(events.selection)
            return events.finished()

    return load
