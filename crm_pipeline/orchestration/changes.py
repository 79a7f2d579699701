"""What brings people's changes in the CRMs into QBench: the assets of each CRM, their job, schedule and sensor.

A chain of its own for each CRM, apart from the hourly loads: one CRM's trouble stops neither the other's way nor the way out.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.abilities import clock_ahead_of
from crm_pipeline.crms.base import CrmKind
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.model import MODELS, RecordType
from crm_pipeline.orchestration import names
from crm_pipeline.orchestration.change_checks import CHANGES_COMPLETE, RETURN_CHECKS, change_check_specs, changes_complete
from crm_pipeline.orchestration.change_retries import build_change_retries
from crm_pipeline.orchestration.checks import log_checks
from crm_pipeline.orchestration.executor import EXECUTOR
from crm_pipeline.orchestration.freshness import freshness_policy
from crm_pipeline.orchestration.hourly import HourlyAssets
from crm_pipeline.orchestration.metadata import ROW_COUNT, Spent
from crm_pipeline.orchestration.pausing import paused
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.return_events import MOST_CHANGED, ReturnEvents
from crm_pipeline.orchestration.running import INTEGRATION_TAG
from crm_pipeline.orchestration.schedule import build_schedule
from crm_pipeline.orchestration.specs import AssetSpecs
from crm_pipeline.orchestration.steps import failing_clearly
from crm_pipeline.orchestration.translating import asset_of, assets_of
from crm_pipeline.orchestration.windows import backfill_policy, hourly_partitions, partition_label, window


def build_from_crms(spec: IntegrationSpec, specs: AssetSpecs) -> tuple[dg.Definitions, HourlyAssets]:
    """The assets, the job, the schedule and the sensor of an integration's way back; nothing where nothing comes back. Does no I/O."""
    partitions = hourly_partitions(spec.start)
    kinds = {name: crm_kinds()[name] for name in spec.returning}
    hourly = HourlyAssets(
        read=[],
        loaded={name: list(_chain(spec, kind, partitions, specs)) for name, kind in kinds.items()},
        # Nobody's records are touched by the first window, and without it the first edit of a record would be taken for what was there.
        first_load="automatic" if spec.first_load == "none" else spec.first_load,
        paused={name: _receives_nothing(kind) for name, kind in kinds.items() if not spec.crms.configured[name].receive},
    )
    if not kinds:
        return dg.Definitions(), hourly
    titles = " and ".join(kind.title for kind in kinds.values())
    job = dg.define_asset_job(
        names.from_crms_job_name(spec.name),
        selection=dg.AssetSelection.assets(*hourly.keys),
        description=f"Brings what people changed in {titles} in one hour into QBench.",
        executor_def=EXECUTOR,
        tags={INTEGRATION_TAG: spec.name},
    )
    schedule = build_schedule(
        spec,
        job,
        partitions,
        hourly=hourly,
        name=names.from_crms_schedule_name(spec.name),
        cron=spec.from_crms.schedule,
        left=lambda _: {},
    )
    retries = build_change_retries(spec, job, partitions, hourly=hourly, specs=specs)
    return dg.Definitions(assets=hourly.assets, jobs=[job], schedules=[schedule], sensors=[retries]), hourly


def _receives_nothing(kind: CrmKind) -> str:
    """What is said of a CRM from which nothing comes back for now."""
    return f"nothing comes back from {kind.title} while `crms.{kind.name}.receive` is false; its hours stay missing until then"


def _chain(
    spec: IntegrationSpec, kind: CrmKind, partitions: dg.HourlyPartitionsDefinition, specs: AssetSpecs
) -> Iterator[dg.AssetsDefinition]:
    """The assets of one CRM, upstream before downstream."""
    hours = {"partitions_def": partitions, "backfill_policy": backfill_policy(spec.hours_per_run)}
    returned = {record_type: _returned_spec(spec, kind, record, specs) for record_type, record in spec.returning[kind.name].items()}
    changed = {record_type: specs[names.changes_key(spec.name, kind, record_type)] for record_type in returned}
    checked = [check for shown in changed.values() for check in change_check_specs(shown.key, CHANGES_COMPLETE)]
    if not spec.crms.configured[kind.name].receive:
        why = _receives_nothing(kind)
        yield paused(list(changed.values()), why=why, check_specs=checked, **hours)
        for shown in returned.values():
            yield paused([shown], why=why, check_specs=change_check_specs(shown.key, *RETURN_CHECKS), **hours)
        return
    qbench, crm = (names.resource_key(spec.name, service) for service in ("qbench", kind.name))
    yield _changes(spec, kind, changed, check_specs=checked, resource_defs=specs.clients(crm), **hours)
    for record_type, shown in returned.items():
        yield _returned(spec, kind, spec.records[record_type], shown, resource_defs=specs.clients(qbench, crm), **hours)


def _returned_spec(spec: IntegrationSpec, kind: CrmKind, record: RecordSpec, specs: AssetSpecs) -> dg.AssetSpec:
    """Behind its changes and, of contacts, behind the accounts that they belong to."""
    record_type = record.record_type
    deps = [specs.key(names.changes_key(spec.name, kind, record_type))]
    if (parent := MODELS[record_type].parent) is not None and parent in spec.returning[kind.name]:
        deps.append(specs.key(names.returned_key(spec.name, kind, parent)))
    return specs[names.returned_key(spec.name, kind, record_type)].replace_attributes(deps=deps)


def _changes(spec: IntegrationSpec, kind: CrmKind, changed: Mapping[RecordType, dg.AssetSpec], **others: Any) -> dg.AssetsDefinition:
    """What changed in a CRM: one step for all its objects, which are read together."""
    resource = names.resource_key(spec.name, kind.name)

    @assets_of(list(changed.values()), pool=resource, retry_policy=dg.RetryPolicy(max_retries=1), **others)
    def changes(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        from crm_pipeline.sync.returning.reading import ReadChanges

        crm = getattr(context.resources, resource)
        spent = Spent(crm)
        chosen = {record_type: shown.key for record_type, shown in changed.items() if shown.key in context.selected_asset_keys}
        orders = [spec.order(kind.name, spec.records[record_type], run_id=context.run.run_id) for record_type in chosen]
        job = ReadChanges(orders, store=STORE, crm=crm)
        within = window(context, spec.start, overlap_seconds=spec.from_crms.look_back_seconds)

        def checks() -> list[dg.AssetCheckResult]:
            ahead = clock_ahead_of(crm)
            return [
                changes_complete(key, read=job.read[record_type], is_complete=job.is_complete, until=within.until, clock_ahead=ahead)
                for record_type, key in chosen.items()
            ]

        def metadata() -> dict[str, Any]:
            return {f"{MODELS[record_type].plural}_read": job.read[record_type].rows for record_type in chosen} | spent.metadata()

        with failing_clearly(spec.name, metadata, before=lambda: log_checks(context, checks())):
            job.run(within)
        for (record_type, key), check in zip(chosen.items(), checks(), strict=True):
            read = job.read[record_type]
            counts = {ROW_COUNT: read.rows, "not_shown": len(read.failed) + read.nameless, **spent.metadata()}
            yield dg.MaterializeResult(asset_key=key, metadata=counts, check_results=[check])

    return changes


def _returned(spec: IntegrationSpec, kind: CrmKind, record: RecordSpec, shown: dg.AssetSpec, **others: Any) -> dg.AssetsDefinition:
    """What became of the changes, in QBench."""
    qbench, resource = (names.resource_key(spec.name, service) for service in ("qbench", kind.name))
    changes = next(dep.asset_key for dep in shown.deps)

    @asset_of(
        shown,
        deps=shown.deps,
        pool=qbench,
        check_specs=change_check_specs(shown.key, *RETURN_CHECKS),
        freshness_policy=freshness_policy(spec, spec.from_crms.schedule),
        config_schema=MOST_CHANGED,
        **others,
    )
    def returned(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from crm_pipeline.sync.returning.bring import Return

        source, crm = getattr(context.resources, qbench), getattr(context.resources, resource)
        order = spec.order(kind.name, record, run_id=context.run.run_id, partition_key=partition_label(context))
        events = ReturnEvents(context, spec, kind, record, source=source, crm=crm, changes=changes)
        job = Return(order, store=STORE, source=source, crm=crm, policy=events.policy, back=spec.coming_back)
        with failing_clearly(spec.name, lambda: events.counts(job.report), before=lambda: events.failing(job.report)):
            job.run(events.selection)
            return events.finished(job.report)

    return returned
