"""The checks of links in Dagster: one unpartitioned asset per CRM outside the hourly job, a job of their own, and two schedules."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg
from dagster._core.definitions.target import ExecutableDefinition
from dagster._core.storage.tags import PARTITION_NAME_TAG

from crm_pipeline.crms.base import CrmKind
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration import names
from crm_pipeline.orchestration.check_along import CheckAlong
from crm_pipeline.orchestration.executor import EXECUTOR
from crm_pipeline.orchestration.metadata import ROW_COUNT, Spent, findings_table
from crm_pipeline.orchestration.nightly import flag_assets, nightly_assets
from crm_pipeline.orchestration.records import build_records
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.running import RANGE_START_TAG, SCOPE_TAG
from crm_pipeline.orchestration.specs import AssetSpecs
from crm_pipeline.orchestration.steps import failing_clearly
from crm_pipeline.orchestration.translating import asset_of
from crm_pipeline.sync.links.check import FINDINGS, LinkCheck, Scope

FEW_RECORDS_GONE = "few_records_gone"


@dataclass(frozen=True)
class LinkAssets:
    """The assets of an integration's checks of links: those of every check, and those of full ones alone."""

    recent: Sequence[dg.AssetsDefinition]
    nightly: Sequence[dg.AssetsDefinition]

    @property
    def recent_keys(self) -> list[dg.AssetKey]:
        """The keys of every check."""
        return [asset.key for asset in self.recent]


def link_assets(spec: IntegrationSpec, kinds: Sequence[CrmKind], specs: AssetSpecs) -> LinkAssets:
    """The assets of an integration's checks of links. Does no I/O."""
    checks = [_links(spec, kind, specs) for kind in kinds]
    return LinkAssets([*checks, *flag_assets(spec, specs), build_records(spec, kinds, specs)], nightly_assets(spec, specs))


def build_links(spec: IntegrationSpec, assets: LinkAssets, *, along: CheckAlong) -> dg.Definitions:
    """The assets with their job and the schedules; ``along``: when hourly runs make the recent check. Does no I/O."""
    job = dg.define_asset_job(
        names.links_job_name(spec.name),
        selection=dg.AssetSelection.assets(*assets.recent, *assets.nightly),
        description="Compares the links between QBench and CRM records with the CRMs, and tells how all records stand.",
        executor_def=EXECUTOR,
    )
    keys = assets.recent_keys
    return dg.Definitions(
        assets=[*assets.recent, *assets.nightly],
        jobs=[job],
        schedules=[
            _schedule(spec, job, "recent", cron=spec.links.recent, asset_keys=keys, along=along),
            _schedule(spec, job, "full", cron=spec.links.full, asset_keys=[*keys, *(asset.key for asset in assets.nightly)], along=along),
        ],
    )


def _links(spec: IntegrationSpec, kind: CrmKind, specs: AssetSpecs) -> dg.AssetsDefinition:
    resource = names.resource_key(spec.name, kind.name)
    shown = specs[names.links_key(spec.name, kind)]

    @asset_of(
        shown,
        deps=[specs.key(names.load_key(spec.name, kind, record_type)) for record_type in spec.records_in(kind.name)],
        resource_defs=specs.clients(resource),
        pool=resource,
        check_specs=[
            dg.AssetCheckSpec(
                FEW_RECORDS_GONE,
                asset=shown.key,
                description=f"Fails when too many linked records are gone from {kind.title} at once, or to be deleted there; "
                "then they are reported only.",
            )
        ],
    )
    # Beside a check, Dagster knows its result only by the bare class.
    def links(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        crm = getattr(context.resources, resource)
        spent = Spent(crm)
        orders = [spec.order(kind.name, record, run_id=context.run.run_id) for record in spec.records_in(kind.name).values()]
        job = LinkCheck(orders, policy=spec.links, store=STORE, crm=crm)
        scope = scope_of(context.run.tags)

        def metadata() -> dict[str, Any]:
            return {**links_metadata(job), "scope": scope, **spent.metadata()}

        with failing_clearly(spec.name, metadata):
            job.run(scope)
        return dg.MaterializeResult(metadata=metadata(), check_results=[few_records_gone(job)])

    return links


def scope_of(tags: Mapping[str, str]) -> Scope:
    """Which links a run with these tags checks."""
    with_hours = not {PARTITION_NAME_TAG, RANGE_START_TAG}.isdisjoint(tags)
    return "recent" if tags.get(SCOPE_TAG, "recent" if with_hours else "full") == "recent" else "full"


def links_metadata(job: LinkCheck) -> dict[str, Any]:
    """The counts per finding over all record types, and a table with some QBench ids of each."""
    counts = {name: sum(report.counts[name] for report in job.reports) for name in ("checked", *FINDINGS)}
    return {ROW_COUNT: counts.pop("checked"), **counts, "findings": dg.MetadataValue.md(findings_table(job.reports))}


def few_records_gone(job: LinkCheck) -> dg.AssetCheckResult:
    """Whether the CRM still has the linked records, but for as many as the integration takes for usual."""
    too_many = sum(report.counts["too_many"] + report.counts["too_many_to_remove"] for report in job.reports)
    return dg.AssetCheckResult(
        check_name=FEW_RECORDS_GONE, passed=not job.too_many_gone, severity=dg.AssetCheckSeverity.ERROR, metadata={"too_many": too_many}
    )


def _schedule(
    spec: IntegrationSpec, job: ExecutableDefinition, scope: Scope, *, cron: str, asset_keys: Sequence[dg.AssetKey], along: CheckAlong
) -> dg.ScheduleDefinition:
    unless = ", unless hourly runs made it since the last tick" if scope == "recent" else ""

    @dg.schedule(
        name=names.links_schedule_name(spec.name, scope),
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING if spec.active else dg.DefaultScheduleStatus.STOPPED,
        description=f"Requests a {scope} check of the links{unless}.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        if not spec.active:
            yield dg.SkipReason(f"integration {spec.name} is paused: active is false")
        elif replace(along, asset_keys=asset_keys).is_at_work(context.instance):
            yield dg.SkipReason(f"integration {spec.name}: a check of links is queued or running")
        elif scope == "recent" and along.went_along(context.instance, at=context.scheduled_execution_time):
            yield dg.SkipReason(f"integration {spec.name}: the links were checked with the hourly run")
        else:
            yield dg.RunRequest(asset_selection=list(asset_keys), tags={SCOPE_TAG: scope})

    return schedule
