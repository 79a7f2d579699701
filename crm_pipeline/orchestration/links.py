"""The checks of links in Dagster: one unpartitioned asset per CRM outside the hourly job, a job of their own, and two schedules."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.target import ExecutableDefinition

from crm_pipeline.crms.base import CrmKind
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import MODELS, RecordType
from crm_pipeline.orchestration import names
from crm_pipeline.orchestration.metadata import (
    MOST_IDS,
    calls_metadata,
    calls_since,
    findings_table,
    gaps_listed,
    ids_listed,
    seconds_since,
)
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.running import at_work
from crm_pipeline.orchestration.specs import AssetSpecs
from crm_pipeline.orchestration.steps import failing_clearly
from crm_pipeline.orchestration.translating import asset_of
from crm_pipeline.sync.links.check import FINDINGS, LinkCheck, Scope

SCOPE_TAG = "crm_pipeline/links"
"""Which links a run checks: recent or full. A run without the tag, started by hand, checks all."""

LINKS_CONSISTENT = "links_consistent"


def build_links(spec: IntegrationSpec, kinds: Sequence[CrmKind], specs: AssetSpecs) -> dg.Definitions:
    """The assets, the job and the schedules of an integration's checks of links. Does no I/O."""
    checks = [_links(spec, kind, specs) for kind in kinds]
    waiting = [_waiting_contacts(spec, record_type, specs) for record_type in spec.records if MODELS[record_type].parent is not None]
    nightly = [_deletions(spec, specs), *waiting]
    job = dg.define_asset_job(
        names.links_job_name(spec.name),
        selection=dg.AssetSelection.assets(*checks, *nightly),
        description="Compares the links between QBench and CRM records with the CRMs.",
        executor_def=dg.in_process_executor,
    )
    keys = [asset.key for asset in checks]
    return dg.Definitions(
        assets=[*checks, *nightly],
        jobs=[job],
        schedules=[
            _schedule(spec, job, "recent", cron=spec.links.recent, asset_keys=keys),
            _schedule(spec, job, "full", cron=spec.links.full, asset_keys=[*keys, *(asset.key for asset in nightly)]),
        ],
    )


def _links(spec: IntegrationSpec, kind: CrmKind, specs: AssetSpecs) -> dg.AssetsDefinition:
    resource = names.resource_key(spec.name, kind.name)
    shown = specs[names.links_key(spec.name, kind)]

    @asset_of(
        shown,
        deps=[specs.key(names.load_key(spec.name, kind, record_type)) for record_type in spec.records],
        required_resource_keys={resource},
        pool=resource,
        check_specs=[
            dg.AssetCheckSpec(
                LINKS_CONSISTENT,
                asset=shown.key,
                description=f"Fails when so many linked records are gone from {kind.title} at once that they are reported only.",
            )
        ],
    )
    # Beside a check, Dagster knows its result only by the bare class.
    def links(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        crm = getattr(context.resources, resource)
        before = crm.calls.snapshot()
        started = time.monotonic()
        orders = [spec.order(kind.name, record, run_id=context.run.run_id) for record in spec.records.values()]
        job = LinkCheck(orders, policy=spec.links, store=STORE, crm=crm)
        scope = scope_of(context.run.tags)

        def metadata() -> dict[str, Any]:
            return {**links_metadata(job), "scope": scope, **_calls(before, crm), "seconds": seconds_since(started)}

        with failing_clearly(spec.name, metadata):
            job.run(scope)
        return dg.MaterializeResult(metadata=metadata(), check_results=[links_consistent(job)])

    return links


def scope_of(tags: Mapping[str, str]) -> Scope:
    """Which links a run with these tags checks."""
    return "recent" if tags.get(SCOPE_TAG) == "recent" else "full"


def links_metadata(job: LinkCheck) -> dict[str, Any]:
    """The counts per finding over all record types, and a table with some QBench ids of each."""
    counts = {name: sum(report.counts[name] for report in job.reports) for name in ("checked", *FINDINGS)}
    return {"dagster/row_count": counts.pop("checked"), **counts, "findings": dg.MetadataValue.md(findings_table(job.reports))}


def links_consistent(job: LinkCheck) -> dg.AssetCheckResult:
    """Whether the CRM still has the linked records, but for as many as the integration takes for usual."""
    too_many = sum(report.counts["too_many"] for report in job.reports)
    return dg.AssetCheckResult(
        check_name=LINKS_CONSISTENT, passed=not job.too_many_gone, severity=dg.AssetCheckSeverity.ERROR, metadata={"too_many": too_many}
    )


def _waiting_contacts(spec: IntegrationSpec, record_type: RecordType, specs: AssetSpecs) -> dg.AssetsDefinition:
    resource = names.resource_key(spec.name, "qbench")

    @asset_of(
        specs[names.waiting_key(spec.name, record_type)],
        deps=[specs.key(names.normalized_key(spec.name, record_type))],
        required_resource_keys={resource},
        pool=resource,
        retry_policy=dg.RetryPolicy(max_retries=1),
    )
    def waiting_contacts(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        from crm_pipeline.sync.extracting.waiting_contacts import WaitingContacts

        client = getattr(context.resources, resource)
        before = client.calls.snapshot()
        started = time.monotonic()
        job = WaitingContacts(spec.name, record_type, store=STORE, client=client)

        def metadata() -> dict[str, Any]:
            counts = {"dagster/row_count": job.read, "changed": job.changed, **_failed(job.failed)}
            return {**counts, **_calls(before, client), "seconds": seconds_since(started)}

        with failing_clearly(spec.name, metadata):
            job.run()
        if job.failed:
            context.log.warning(
                f"integration {spec.name}: contacts {ids_listed(job.failed)} cannot be read; they are tried again next time"
            )
        return dg.MaterializeResult(metadata=metadata())

    return waiting_contacts


def _deletions(spec: IntegrationSpec, specs: AssetSpecs) -> dg.AssetsDefinition:
    resource = names.resource_key(spec.name, "qbench")

    @asset_of(
        specs[names.deletions_key(spec.name)],
        deps=[specs.key(names.normalized_key(spec.name, record_type)) for record_type in spec.records],
        required_resource_keys={resource},
        pool=resource,
        retry_policy=dg.RetryPolicy(max_retries=1),
    )
    def deletions(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        from crm_pipeline.sync.extracting.deletions import Deletions

        client = getattr(context.resources, resource)
        before = client.calls.snapshot()
        started = time.monotonic()
        job = Deletions(spec.name, *spec.records, store=STORE, client=client)

        def metadata() -> dict[str, Any]:
            counts = {"dagster/row_count": job.listed, "deleted": job.deleted, "restored": job.restored}
            failed = _failed([qbench_id for ids in job.failed.values() for qbench_id in ids])
            gaps = gaps_listed(deletions=job.gaps)
            lacking = {"not_listed": len(gaps), "not_listed_where": "; ".join(gaps[:MOST_IDS])} if gaps else {}
            return {**counts, **failed, **lacking, **_calls(before, client), "seconds": seconds_since(started)}

        with failing_clearly(spec.name, metadata):
            job.run()
        if job.gaps:
            context.log.warning(
                f"integration {spec.name}: QBench fails to list {len(job.gaps)} deleted records; they are looked for again next time"
            )
        for record_type, ids in job.failed.items():
            if ids:
                context.log.warning(
                    f"integration {spec.name}: {record_type}s {ids_listed(ids)} cannot be read; whether they are back is asked again "
                    "next time"
                )
        return dg.MaterializeResult(metadata=metadata())

    return deletions


def _failed(ids: Sequence[int]) -> dict[str, Any]:
    """Records whose own reads fail, as metadata: how many, and which; nothing where none does."""
    return {"failed": len(ids), "failed_ids": ids_listed(ids)} if ids else {}


def _calls(before: Mapping[str, int], client: Any) -> dict[str, int]:
    return calls_metadata(calls_since(before, client.calls.snapshot()))


def _schedule(
    spec: IntegrationSpec, job: ExecutableDefinition, scope: Scope, *, cron: str, asset_keys: Sequence[dg.AssetKey]
) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=names.links_schedule_name(spec.name, scope),
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING if spec.active else dg.DefaultScheduleStatus.STOPPED,
        description=f"Requests a {scope} check of the links.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        if not spec.active:
            yield dg.SkipReason(f"integration {spec.name} is paused: active is false")
        elif at_work(context.instance, None, asset_keys):
            yield dg.SkipReason(f"integration {spec.name}: a check of links is queued or running")
        else:
            yield dg.RunRequest(asset_selection=list(asset_keys), tags={SCOPE_TAG: scope})

    return schedule
