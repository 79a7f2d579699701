"""What grows is kept as long as the YAML says, and what Dagster shows of the hours stays."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import ValidationError
from sqlalchemy import text

from crm_pipeline.configuration.upkeep import MOST_DAYS, Upkeep
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.assets import build_integration
from crm_pipeline.orchestration.event_log import thin
from crm_pipeline.orchestration.names import job_name, upkeep_job_name, upkeep_schedule_name
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.upkeep import NOT_IN_POSTGRES
from crm_pipeline.store.database import URL_VARIABLE
from crm_pipeline_tests.orchestration.conftest import Ticking
from crm_pipeline_tests.orchestration.test_schedule import EXAMPLE
from crm_pipeline_tests.tenants import FIRST, SECOND, START

HISTORY = """
INSERT INTO crm_pipeline.{table} (integration, crm, record_type, {key}, outcome, retryable, run_id, at)
SELECT integration, 'hubspot', 'account', {value} 'created', false, 'run', now() - days * interval '1 day'
FROM unnest(ARRAY['acme', 'beta']) AS integration, unnest(ARRAY[1, 20, 40]) AS days
"""
LEFT = "SELECT integration, count(*) FROM crm_pipeline.{table} GROUP BY 1 ORDER BY 1"
STORAGE = f"""
storage:
  custom:
    module: crm_pipeline.orchestration.instance_storage
    class: PostgresStorage
    config: {{url_variable: {URL_VARIABLE}}}
telemetry: {{enabled: false}}
"""


@contextmanager
def in_postgres(home: Path) -> Iterator[dg.DagsterInstance]:
    """An instance as a deployment has it."""
    (home / "dagster.yaml").write_text(STORAGE)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


def kept_up(instance: dg.DagsterInstance, **upkeep: Any) -> dict[str, Any]:
    """Run the upkeep; its metadata."""
    spec = IntegrationSpec.model_validate({"name": "acme", **EXAMPLE, "upkeep": upkeep})
    ran = build_integration(spec).resolve_job_def(upkeep_job_name("acme")).execute_in_process(instance=instance)
    [event] = ran.get_asset_materialization_events()
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_histories_are_kept_as_long_as_the_yaml_says_each_integration_s_by_its_own(database_in_environment: str) -> None:
    STORE.close()
    with STORE.transaction() as connection:
        connection.execute(text(HISTORY.format(table="outcome_history", key="qbench_id, version", value="7, 1,")))
        connection.execute(text(HISTORY.format(table="change_history", key="crm_id", value="'7',")))
    with dg.DagsterInstance.ephemeral() as instance:
        told = kept_up(instance, history_days=30, events_days=30)
    with STORE.transaction() as connection:
        for table in ("outcome_history", "change_history"):
            assert [tuple(row) for row in connection.execute(text(LEFT.format(table=table)))] == [("acme", 2), ("beta", 3)]
    assert (told["outcome_history_removed"], told["change_history_removed"]) == (1, 1)
    assert told["events_removed"] == NOT_IN_POSTGRES
    assert told["state_mb"] > 0
    assert "outcome_history" in told["largest_tables"]
    STORE.close()


def test_the_most_days_that_the_yaml_takes_can_be_reckoned_with(database_in_environment: str, tmp_path: Path) -> None:
    STORE.close()
    with in_postgres(tmp_path) as instance:
        told = kept_up(instance, history_days=MOST_DAYS, events_days=MOST_DAYS)
    assert (told["outcome_history_removed"], told["events_removed"]) == (0, 0)
    for name in ("history_days", "events_days"):
        with pytest.raises(ValidationError, match="less than or equal to 100000"):
            Upkeep.model_validate({name: MOST_DAYS + 1})
    STORE.close()


def test_thinned_runs_leave_their_hours_green_their_failures_red_and_what_is_younger_alone(
    database_in_environment: str, tmp_path: Path
) -> None:
    hours = dg.HourlyPartitionsDefinition(START)

    @dg.asset(partitions_def=hours, check_specs=[dg.AssetCheckSpec("sound", asset="companies")])
    def companies(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        context.log.info("a line")
        if "fail" in context.run.tags:
            raise dg.Failure("refused")
        return dg.MaterializeResult(metadata={"rows": 3}, check_results=[dg.AssetCheckResult(check_name="sound", passed=True)])

    definitions = dg.Definitions(assets=[companies], jobs=[dg.define_asset_job(job_name("acme"))])
    job = definitions.resolve_job_def(job_name("acme"))
    with in_postgres(tmp_path) as instance:
        done = job.execute_in_process(instance=instance, partition_key=FIRST).run_id
        failed = job.execute_in_process(instance=instance, partition_key=SECOND, tags={"fail": ""}, raise_on_error=False).run_id
        before = {run: len(instance.all_logs(run)) for run in (done, failed)}

        def seen() -> tuple[Any, ...]:
            states = instance.get_status_by_partition(companies.key, [FIRST, SECOND], hours) or {}
            latest = instance.get_latest_materialization_event(companies.key)
            assert latest is not None
            checked = instance.event_log_storage.get_asset_check_summary_records(list(companies.check_keys))
            metadata = latest.asset_materialization and latest.asset_materialization.metadata
            return {hour: state and state.value for hour, state in states.items()}, metadata, checked

        shown = seen()
        assert shown[0] == {FIRST: "MATERIALIZED", SECOND: "FAILED"}
        forty_days_pass()
        assert thin(instance, "acme", older_than=timedelta(days=50)) == (0, 0)
        assert thin(instance, "beta", older_than=timedelta(days=30)) == (0, 0)
        removed = thin(instance, "acme", older_than=timedelta(days=30))
        after = {run: len(instance.all_logs(run)) for run in (done, failed)}
        assert removed == (before[done] - after[done], 1)
        assert before[done] - after[done] > 5
        assert after[failed] == before[failed]
        assert seen() == shown
        # What is counted anew, as after an upgrade of Dagster, comes out the same.
        with STORE.transaction() as connection:
            connection.execute(text("UPDATE public.asset_keys SET cached_status_data = NULL"))
        assert seen() == shown
        # The next night looks at none of these runs again, however little of them it would find.
        instance.report_engine_event("late", instance.get_run_by_id(done))
        assert thin(instance, "acme", older_than=timedelta(days=30)) == (0, 0)
        assert len(instance.all_logs(done)) == after[done] + 1
    STORE.close()


@pytest.mark.filterwarnings("ignore:Specifying a partitions_def")
def test_of_thinned_runs_the_latest_verdicts_of_each_check_stay(database_in_environment: str, tmp_path: Path) -> None:
    hours = dg.HourlyPartitionsDefinition(START)
    names = ("sound", "another", "each_hour")

    def checked(asset: str) -> dg.AssetsDefinition:
        specs = [dg.AssetCheckSpec(name, asset=asset, partitions_def=hours if name == "each_hour" else None) for name in names]

        @dg.asset(name=asset, partitions_def=hours, check_specs=specs)
        def made(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
            if "fail" in context.run.tags:
                raise dg.Failure("refused")
            passed = "warn" not in context.run.tags
            return dg.MaterializeResult(check_results=[dg.AssetCheckResult(check_name=name, passed=passed) for name in names])

        return made

    assets = [checked("companies"), checked("people")]
    keys = [key for asset in assets for key in asset.check_keys]
    job = dg.Definitions(assets=assets, jobs=[dg.define_asset_job(job_name("acme"))]).resolve_job_def(job_name("acme"))
    with in_postgres(tmp_path) as instance:
        for hour, tag in ((SECOND, "fail"), (FIRST, "warn"), (FIRST, ""), (SECOND, "warn"), (FIRST, ""), (FIRST, "fail")):
            job.execute_in_process(instance=instance, partition_key=hour, tags={tag: ""} if tag else {}, raise_on_error=False)
        events = instance.event_log_storage

        def told(name: str) -> list[tuple[str, str | None]]:
            one, other = (events.get_asset_check_execution_history(key, limit=9) for key in keys if key.name == name)
            [history] = {tuple((each.status.value, each.partition) for each in of) for of in (one, other)}
            return list(history)

        before = events.get_asset_check_summary_records(keys)
        forty_days_pass()
        kept_up(instance, events_days=30)
        assert told("sound") == [("PLANNED", FIRST), ("SUCCEEDED", None), ("FAILED", None), ("PLANNED", SECOND)]
        each_hour = [("PLANNED", FIRST), ("SUCCEEDED", FIRST), ("FAILED", SECOND), ("FAILED", FIRST), ("PLANNED", SECOND)]
        assert told("each_hour") == each_hour
        assert events.get_asset_check_summary_records(keys) == before
    STORE.close()


def forty_days_pass() -> None:
    """Let all runs of now be that old."""
    with STORE.transaction() as connection:
        long_ago = (datetime.now(UTC) - timedelta(days=40)).replace(tzinfo=None)
        connection.execute(text("UPDATE public.runs SET update_timestamp = :at"), {"at": long_ago})


@pytest.mark.parametrize(("active", "requested"), [(True, 1), (False, 0)])
def test_upkeep_is_requested_every_day_while_the_integration_is_active(*, active: bool, requested: int) -> None:
    spec: IntegrationSpec = IntegrationSpec.model_validate({"name": "acme", **EXAMPLE, "active": active})
    definitions = build_integration(spec)
    with dg.DagsterInstance.ephemeral() as instance, Ticking(instance, at=START, definitions=definitions) as context:
        ticked = definitions.resolve_schedule_def(upkeep_schedule_name("acme")).evaluate_tick(context)
    assert len(ticked.run_requests or []) == requested
