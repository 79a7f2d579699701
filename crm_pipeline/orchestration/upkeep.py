"""The daily upkeep of an integration: an asset, its job and its schedule. It removes what is old, and tells what the database holds."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg
from dagster._core.definitions.target import ExecutableDefinition

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration import names
from crm_pipeline.orchestration.event_log import thin
from crm_pipeline.orchestration.metadata import ROW_COUNT
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.running import at_work
from crm_pipeline.orchestration.specs import AssetSpecs
from crm_pipeline.orchestration.steps import failing_clearly
from crm_pipeline.orchestration.translating import asset_of
from crm_pipeline.store.upkeep import TableSize, prune, sizes

MEGABYTE = 1_000_000
LARGEST = 10
NOT_IN_POSTGRES = "Dagster's event log is not in PostgreSQL; nothing is removed from it"


def build_upkeep(spec: IntegrationSpec, specs: AssetSpecs) -> dg.Definitions:
    """The asset ``<name>/database``, the job ``<name>__upkeep`` and its schedule. Does no I/O."""
    asset = _upkeep(spec, specs)
    job = dg.define_asset_job(
        names.upkeep_job_name(spec.name),
        selection=dg.AssetSelection.assets(asset),
        description="Removes what is older than `upkeep` says, and tells what the database holds.",
        executor_def=dg.in_process_executor,
    )
    return dg.Definitions(assets=[asset], jobs=[job], schedules=[_schedule(spec, job, asset.key)])


def _upkeep(spec: IntegrationSpec, specs: AssetSpecs) -> dg.AssetsDefinition:
    @asset_of(
        specs[names.upkeep_key(spec.name)], deps=[specs.key(names.records_key(spec.name))], retry_policy=dg.RetryPolicy(max_retries=1)
    )
    def upkeep(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        removed: dict[str, Any] = {}
        with failing_clearly(spec.name, lambda: removed):
            pruned = prune(STORE, spec.name, older_than=timedelta(days=spec.upkeep.history_days))
            removed |= {ROW_COUNT: sum(pruned.values()), **{f"{table}_removed": rows for table, rows in pruned.items()}}
            if spec.upkeep.events_days is not None:
                thinned = thin(context.instance, spec.name, older_than=timedelta(days=spec.upkeep.events_days))
                told = {"events": NOT_IN_POSTGRES} if thinned is None else thinned._asdict()
                removed |= {f"{what}_removed": rows for what, rows in told.items()}
            with STORE.transaction() as connection:
                found = sizes(connection)
        return dg.MaterializeResult(metadata={**removed, **sizes_metadata(found)})

    return upkeep


def sizes_metadata(found: Sequence[TableSize]) -> dict[str, Any]:
    """What the database holds: the state's and all other tables in MB (10^6 bytes), which Dagster plots, and the largest ones."""
    rows = "\n".join(f"| {each.name} | {each.size / MEGABYTE:,.1f} | {each.rows:,} |" for each in found[:LARGEST])
    return {
        "state_mb": round(sum(each.size for each in found if each.is_ours) / MEGABYTE, 1),
        "other_mb": round(sum(each.size for each in found if not each.is_ours) / MEGABYTE, 1),
        "largest_tables": dg.MetadataValue.md(f"| table | MB | rows, about |\n| --- | ---: | ---: |\n{rows}"),
    }


def _schedule(spec: IntegrationSpec, job: ExecutableDefinition, asset_key: dg.AssetKey) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=names.upkeep_schedule_name(spec.name),
        job=job,
        cron_schedule=spec.upkeep.schedule,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING if spec.active else dg.DefaultScheduleStatus.STOPPED,
        description="Requests the daily upkeep.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        if not spec.active:
            yield dg.SkipReason(f"integration {spec.name} is paused: active is false")
        elif at_work(context.instance, job.name, {asset_key: asset_key.to_python_identifier()}):
            yield dg.SkipReason(f"integration {spec.name}: the upkeep is queued or running")
        else:
            yield dg.RunRequest()

    return schedule
