"""The assets of one integration: extract, normalize and load, per record type and CRM.

Dagster knows the bare MaterializeResult only where an asset has checks, hence the ignored type arguments.
"""

import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import dagster as dg

from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.base import CrmKind
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.mapping.sources import normalized_sources
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.model import MODELS, RecordType
from crm_pipeline.orchestration import names
from crm_pipeline.orchestration.alerts import build_alerts
from crm_pipeline.orchestration.changes import build_from_crms
from crm_pipeline.orchestration.check_along import CheckAlong
from crm_pipeline.orchestration.checks import LOAD_CHECKS, check_specs, gaps_told, log_checks, mapping_current, window_complete
from crm_pipeline.orchestration.executor import EXECUTOR, GOES_FIRST
from crm_pipeline.orchestration.freshness import freshness_policy
from crm_pipeline.orchestration.hourly import HourlyAssets
from crm_pipeline.orchestration.links import build_links, link_assets
from crm_pipeline.orchestration.load_events import LOAD_CONFIG, LoadEvents, named_ids
from crm_pipeline.orchestration.metadata import (
    COLUMN_LINEAGE,
    ROW_COUNT,
    Spent,
    column_lineage,
    gaps_listed,
    ids_listed,
)
from crm_pipeline.orchestration.pausing import paused
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.resync import build_resync
from crm_pipeline.orchestration.retries import build_retry_sensor
from crm_pipeline.orchestration.running import INTEGRATION_TAG
from crm_pipeline.orchestration.schedule import build_schedule, left_to_the_sensor
from crm_pipeline.orchestration.specs import AssetSpecs
from crm_pipeline.orchestration.steps import failing_clearly
from crm_pipeline.orchestration.translating import Translate, asset_of, untranslated
from crm_pipeline.orchestration.upkeep import build_upkeep
from crm_pipeline.orchestration.windows import backfill_policy, hourly_partitions, partition_label, window
from crm_pipeline.store.alerts import BACK_FROM
from crm_pipeline.store.normalized_records import count_of_other_mapping


def build_integration(spec: IntegrationSpec, translate: Translate = untranslated) -> dg.Definitions:
    """Everything Dagster needs for one integration: assets, resources, jobs, schedules and sensors. Does no I/O.

    ``translate`` may give the assets other keys, groups, owners and the like. Raises ProblemsError where these cannot be used.
    """
    with warnings.catch_warnings():
        # Nobody is to read, for each asset, that Dagster calls backfill policies and an asset's own resources a beta.
        warnings.simplefilter("ignore", dg.BetaWarning)
        specs = AssetSpecs(spec, translate)
        hourly = _hourly_assets(spec, specs)
        way_back, returning = build_from_crms(spec, specs)
        definitions = dg.Definitions.merge(_build_syncing(spec, specs, hourly), way_back, build_upkeep(spec, specs))
    if spec.alerts is None:
        return definitions
    loads = {crm: keys for crm, keys in hourly.loads.items() if crm not in hourly.paused}
    loads |= {f"{BACK_FROM}{crm}": keys for crm, keys in returning.loads.items() if crm not in returning.paused}
    alerts = build_alerts(spec, spec.alerts, watched=definitions, loads=loads)
    return dg.Definitions.merge(definitions, dg.Definitions(sensors=[alerts]))


def _hourly_assets(spec: IntegrationSpec, specs: AssetSpecs) -> HourlyAssets:
    partitions = hourly_partitions(spec.start)
    freshness = freshness_policy(spec, spec.schedule)
    loaded = {kind.name: spec.records_in(kind.name).values() for kind in _kinds(spec)}
    return HourlyAssets(
        read=[
            *(_extract(spec, record, partitions, specs) for record in spec.read.values()),
            *(_normalize(spec, record, partitions, specs) for record in spec.records.values()),
        ],
        loaded={
            kind.name: [_load(spec, kind, record, partitions, freshness, specs) for record in loaded[kind.name]] for kind in _kinds(spec)
        },
        first_load=spec.first_load,
        paused={kind.name: _sends_nothing(kind) for kind in _kinds(spec) if not spec.crms.configured[kind.name].send},
    )


def _sends_nothing(kind: CrmKind) -> str:
    """What is said of a CRM to which nothing is sent for now."""
    return f"nothing is sent to {kind.title} while `crms.{kind.name}.send` is false; its hours stay missing until then"


def _kinds(spec: IntegrationSpec) -> list[CrmKind]:
    return [crm_kinds()[name] for name in spec.crms.configured]


def _build_syncing(spec: IntegrationSpec, specs: AssetSpecs, hourly: HourlyAssets) -> dg.Definitions:
    """What brings records from QBench to the CRMs."""
    partitions = hourly_partitions(spec.start)
    kinds = _kinds(spec)
    job = dg.define_asset_job(
        names.job_name(spec.name),
        selection=dg.AssetSelection.assets(*hourly.assets),
        description=f"Brings what changed in QBench in one hour to {_listed(kinds)}.",
        executor_def=EXECUTOR,
        tags={INTEGRATION_TAG: spec.name},
    )
    links = link_assets(spec, kinds, specs)
    sync_and_check = dg.define_asset_job(
        names.sync_and_check_job_name(spec.name),
        selection=dg.AssetSelection.assets(*hourly.assets, *links.recent),
        description=f"Brings what changed in QBench in one hour to {_listed(kinds)}, and checks the links that may have changed.",
        executor_def=EXECUTOR,
        tags={INTEGRATION_TAG: spec.name},
    )
    along = CheckAlong(
        schedule=names.links_schedule_name(spec.name, "recent"),
        cron=spec.links.recent,
        hourly=spec.schedule,
        job=sync_and_check.name,
        asset_keys=links.recent_keys,
    )
    schedule = build_schedule(
        spec,
        sync_and_check,
        partitions,
        hourly=hourly,
        name=names.schedule_name(spec.name),
        cron=spec.schedule,
        left=partial(left_to_the_sensor, spec=spec, store=STORE, hourly=hourly),
        also=along,
    )
    definitions = dg.Definitions(
        assets=[*hourly.assets, *(build_resync(spec, kind, specs) for kind in kinds)],
        jobs=[job, sync_and_check],
        schedules=[schedule],
        sensors=[build_retry_sensor(spec, job, partitions, hourly=hourly)],
    )
    return dg.Definitions.merge(definitions, build_links(spec, links, along=along))


def _listed(kinds: Sequence[CrmKind]) -> str:
    return " and ".join(kind.title for kind in kinds)


def _extract(
    spec: IntegrationSpec, record: RecordSpec, partitions: dg.HourlyPartitionsDefinition, specs: AssetSpecs
) -> dg.AssetsDefinition:
    record_type = record.record_type
    resource = names.resource_key(spec.name, "qbench")
    shown = specs[names.raw_key(spec.name, record_type)]

    @asset_of(
        shown,
        partitions_def=partitions,
        backfill_policy=backfill_policy(spec.hours_per_run),
        resource_defs=specs.clients(resource),
        pool=resource,
        # Accounts can be loaded while contacts are read.
        op_tags=GOES_FIRST if record_type is RecordType.ACCOUNT else None,
        retry_policy=dg.RetryPolicy(max_retries=1),
        check_specs=check_specs(shown.key, "window_complete"),
    )
    def extract(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from crm_pipeline.sync.extracting.extract import Extract

        source = getattr(context.resources, resource)
        spent = Spent(source)
        job = Extract(spec.name, record_type, store=STORE, source=source, back=spec.coming_back)

        def metadata() -> dict[str, Any]:
            rows = {ROW_COUNT: job.rows, "deleted": job.deleted, "resumed_at_row": job.resumed_at_row}
            rows |= {"read_again": job.read_again} if job.read_again else {}
            untold = {"customers_unknown": len(job.untold), "customers_unknown_ids": ids_listed(job.untold)} if job.untold else {}
            return {**rows, **untold, **spent.metadata()}

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


def _normalize(
    spec: IntegrationSpec, record: RecordSpec, partitions: dg.HourlyPartitionsDefinition, specs: AssetSpecs
) -> dg.AssetsDefinition:
    record_type = record.record_type
    shown = specs[names.normalized_key(spec.name, record_type)]
    raw = specs.key(names.raw_key(spec.name, record_type))
    deps = [raw]
    if (parent := MODELS[MODELS[record_type].source].parent) is not None:
        # Which customers are deleted, and what rules on customer.<field> look at, is to be known first.
        deps.append(specs.key(names.raw_key(spec.name, parent)))
    lineage = column_lineage(raw, normalized_sources(record))

    @asset_of(
        shown,
        deps=deps,
        partitions_def=partitions,
        backfill_policy=backfill_policy(spec.hours_per_run),
        retry_policy=dg.RetryPolicy(max_retries=1),
        check_specs=check_specs(shown.key, "mapping_current"),
    )
    def normalized(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from crm_pipeline.mapping.revision import mapping_digest
        from crm_pipeline.store.raw_fields import NEWEST
        from crm_pipeline.sync.extracting.normalizing import normalize_staged
        from crm_pipeline.sync.unknown_fields import told, unknown_fields

        spent = Spent()
        counts: Counter[str] = Counter()
        unknown: list[str] = []

        def metadata() -> dict[str, Any]:
            met = {name: count for name, count in sorted(counts.items()) if name != "rows"}
            fields = {"unknown_fields": ", ".join(unknown)} if unknown else {}
            return {ROW_COUNT: counts["rows"], **met, **fields, **spent.metadata()}

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
    specs: AssetSpecs,
) -> dg.AssetsDefinition:
    record_type = record.record_type
    resource = names.resource_key(spec.name, kind.name)
    shown = specs[names.load_key(spec.name, kind, record_type)]
    normalized = specs.key(names.normalized_key(spec.name, record_type))
    deps = [normalized]
    model = MODELS[record_type]
    # Contacts need their accounts, and which of them go as leads is known once they are planned.
    deps += [specs.key(names.load_key(spec.name, kind, other)) for other in (model.parent, model.made_of) if other is not None]

    hours = {
        "partitions_def": partitions,
        "backfill_policy": backfill_policy(spec.hours_per_run),
        "check_specs": check_specs(shown.key, *LOAD_CHECKS),
    }
    if not spec.crms.configured[kind.name].send:
        return paused([shown.replace_attributes(deps=deps)], why=_sends_nothing(kind), **hours)

    @asset_of(
        shown,
        deps=deps,
        resource_defs=specs.clients(resource),
        pool=resource,
        freshness_policy=freshness,
        config_schema=LOAD_CONFIG,
        output_required=False,
        **hours,
    )
    def load(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        from crm_pipeline.sync.loading.load import Load

        crm = getattr(context.resources, resource)
        order = spec.order(kind.name, record, run_id=context.run.run_id, partition_key=partition_label(context))
        if named_ids(context) is not None:
            order = replace(order, refused="again")
        job = Load(order, store=STORE, crm=crm)
        events = LoadEvents(context, spec, kind, record, load=job, crm=crm, normalized=normalized)
        with failing_clearly(spec.name, events.counts, before=events.failing):
            job.run(events.selection)
            told = list(events.finished())
        yield from told

    return load
