"""What people are told of failed runs and ticks, failed records and silence: each incident once, and once when it ends."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import TickData, TickStatus
from dagster._core.storage.schedules import SqliteScheduleStorage
from dagster._core.test_utils import create_run_for_test
from dagster_shared.error import SerializableErrorInfo
from sqlalchemy import text

from crm_pipeline.alerts.settings import AlertSettings
from crm_pipeline.crms import crm_kinds
from crm_pipeline.errors import AlertNotSentError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.alerts import AlertWatch
from crm_pipeline.orchestration.assets import build_integration
from crm_pipeline.orchestration.failing import Watched
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.store.database import URL_VARIABLE
from crm_pipeline_tests.alerts.receivers import PATIENT, Hook, mail_server, web_hook
from crm_pipeline_tests.conftest import own_database
from crm_pipeline_tests.orchestration.test_schedule import EXAMPLE, hour
from crm_pipeline_tests.tenants import FIRST, START

LOCATION = RegisteredCodeLocationOrigin("crm_pipeline")
REPOSITORY = RemoteRepositoryOrigin(code_location_origin=LOCATION, repository_name="__repository__")
NOON = START + timedelta(hours=12)
LATER = NOON + timedelta(hours=1, minutes=5)
CUSTOMERS = "qbench/customers"


@dataclass(frozen=True)
class Deployment:
    """An instance and a database, in which every test has an integration of its own."""

    instance: dg.DagsterInstance
    hook: Hook


@pytest.fixture(scope="module")
def hook(postgres: str) -> Iterator[Hook]:
    """Where alerts go to, with the state database named in the environment."""
    with own_database(postgres) as database_url, pytest.MonkeyPatch.context() as environment, web_hook() as hook:
        environment.setenv(URL_VARIABLE, database_url)
        environment.setenv("HOOK", hook.url)
        STORE.close()
        yield hook
        STORE.close()


@pytest.fixture(scope="module")
def deployment(hook: Hook, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """An instance that retries runs whose worker died. It is in memory, where runs cost a tenth, but for the ticks."""
    retries = {"run_retries": {"enabled": True, "max_retries": 1, "retry_on_asset_or_op_failure": False}}
    ticks = SqliteScheduleStorage.from_local(str(tmp_path_factory.mktemp("ticks")))
    with dg.DagsterInstance.ephemeral(settings=retries) as instance:
        instance._schedule_storage = ticks
        ticks.register_instance(instance)
        yield Deployment(instance, hook)


@dataclass(frozen=True)
class Alerted:
    """An integration of assets qbench/customers, normalized/accounts, hubspot/companies, whose alerts a web server takes."""

    deployment: Deployment
    spec: IntegrationSpec

    @cached_property
    def definitions(self) -> dg.Definitions:
        return build_integration(self.spec)

    @property
    def instance(self) -> dg.DagsterInstance:
        return self.deployment.instance

    @property
    def sensor(self) -> str:
        return f"{self.spec.name}__alerts"

    @property
    def settings(self) -> AlertSettings:
        assert self.spec.alerts is not None
        return self.spec.alerts

    @property
    def loads(self) -> dict[str, list[dg.AssetKey]]:
        kinds = [crm_kinds()[crm] for crm in self.spec.crms.configured]
        return {kind.name: [self.key(f"{kind.name}/{kind.usual(type_).asset}") for type_ in self.spec.records] for kind in kinds}

    def key(self, asset: str) -> dg.AssetKey:
        return dg.AssetKey([self.spec.name, *asset.split("/")])

    def tick(self) -> str | None:
        """Evaluate the sensor as Dagster's daemon does; returns why it asks for no run."""
        with dg.SensorEvaluationContext(
            instance_ref=None, instance=self.instance, repository_name="__repository__", code_location_origin=LOCATION
        ) as context:
            return self.definitions.resolve_sensor_def(self.sensor).evaluate_tick(context).skip_message

    def told(self, *, at: datetime = NOON) -> list[str]:
        """The lines that one tick of the sensor tells at a time."""
        watch = AlertWatch(self.spec, self.settings, Watched.of(self.spec.name, self.definitions), loads=self.loads)
        watch.look(self.instance, REPOSITORY, now=at)
        watch.tell(now=at)
        return [line for text in self.deployment.hook.texts() for line in text.splitlines()[1:]]

    def fail_run(self, *, partition: str = FIRST, by: str = "job") -> str:
        """A run that fails, as there are no credentials at its first step; by the integration's job, or as the UI's backfills do."""
        made = self.definitions
        job = made.resolve_job_def(f"{self.spec.name}__sync") if by == "job" else made.resolve_implicit_global_asset_job_def()
        first = [self.key(CUSTOMERS)]
        result = job.execute_in_process(partition_key=partition, instance=self.instance, raise_on_error=False, asset_selection=first)
        assert not result.success
        return result.run_id

    def materialize(self, *hours: str, asset: str = CUSTOMERS) -> None:
        for partition in hours:
            self.instance.report_runless_asset_event(dg.AssetMaterialization(self.key(asset), partition=partition))

    def record_tick(self, status: TickStatus, *, of: str = "schedule") -> None:
        """A tick of the integration's schedule or sensor, as the daemon records it."""
        origin = REPOSITORY.get_instigator_origin(f"{self.spec.name}__{of}")
        self.instance.create_tick(
            TickData(
                instigator_origin_id=origin.get_id(),
                instigator_name=origin.instigator_name,
                instigator_type=InstigatorType.SCHEDULE if of == "schedule" else InstigatorType.SENSOR,
                status=status,
                timestamp=datetime.now(UTC).timestamp(),
                error=SerializableErrorInfo("it broke", [], None) if status is TickStatus.FAILURE else None,
                run_ids=["1"] if status is TickStatus.SUCCESS else None,
                selector_id=origin.get_selector().get_id(),
            )
        )

    def store_outcomes(self, *outcomes: str, crm: str = "hubspot", attempts: int = 0) -> None:
        """The latest outcomes of records 1, 2, ... in a CRM."""
        statement = text(
            "INSERT INTO crm_pipeline.outcome (integration, crm, record_type, qbench_id, version, outcome, retryable, run_id, attempts) "
            "VALUES (:name, :crm, 'account', :id, 1, :outcome, false, 'r', :attempts) "
            "ON CONFLICT (integration, crm, record_type, qbench_id) DO UPDATE SET outcome = excluded.outcome"
        )
        with STORE.transaction() as connection:
            for number, outcome in enumerate(outcomes, start=1):
                connection.execute(statement, {"name": self.spec.name, "crm": crm, "id": number, "outcome": outcome, "attempts": attempts})


def alerted(deployment: Deployment, *, active: bool = True, **alerts: Any) -> Alerted:
    """A new integration whose sensor has ticked once."""
    settings = {"slack": {"env": "HOOK"}, **PATIENT, **alerts}
    name = f"acme_{uuid.uuid4().hex[:8]}"
    made = Alerted(deployment, IntegrationSpec.model_validate({**EXAMPLE, "name": name, "active": active, "alerts": settings}))
    deployment.hook.statuses.clear()
    if active:
        assert made.told() == []
    return made


def test_failed_run_is_told_once_whoever_started_it_and_once_when_its_hour_is_green(deployment: Deployment) -> None:
    acme = alerted(deployment, dagster_url="https://dagster.example.org")
    run_id = acme.fail_run(by="UI")
    failed = f"a run failed at {acme.spec.name}/{CUSTOMERS}"
    assert acme.told() == [f"NEW: {failed}, https://dagster.example.org/runs/{run_id}"]
    assert acme.told() == []
    acme.fail_run(by="job")
    assert acme.told() == []
    acme.materialize(FIRST)
    assert acme.told(at=LATER) == [f"CLEARED after 1 h 5 min: {failed} (2 times)"]
    assert acme.told() == []


def test_failed_hour_is_no_less_red_for_another_that_is_green(deployment: Deployment) -> None:
    acme = alerted(deployment)
    acme.fail_run(partition=hour(3))
    assert len(acme.told()) == 1
    acme.materialize(hour(4))
    assert acme.told() == []


def test_failed_hour_that_runs_again_is_not_cleared_before_it_is_done(deployment: Deployment) -> None:
    acme = alerted(deployment)
    acme.fail_run()
    assert len(acme.told()) == 1
    job = acme.definitions.resolve_job_def(f"{acme.spec.name}__sync")
    again = deployment.instance.create_run_for_job(job, tags={"dagster/partition": FIRST}, status=dg.DagsterRunStatus.STARTED)
    assert acme.told() == []
    acme.materialize(FIRST)
    deployment.instance.report_run_canceled(again)
    assert len(acme.told()) == 1


def test_run_that_dies_outside_its_steps_is_told(deployment: Deployment) -> None:
    acme = alerted(deployment)
    run = create_run_for_test(
        deployment.instance,
        job_name="__ASSET_JOB",
        asset_selection=frozenset({acme.key(CUSTOMERS)}),
        status=dg.DagsterRunStatus.STARTED,
        tags={"dagster/max_retries": "0"},
    )
    deployment.instance.report_run_failed(run)
    assert acme.told() == [f"NEW: a run failed outside its steps: it could not start, or its worker died, run {run.run_id}"]


def test_run_that_will_be_retried_is_not_told(deployment: Deployment) -> None:
    acme = alerted(deployment)
    run = create_run_for_test(deployment.instance, asset_selection=frozenset({acme.key(CUSTOMERS)}), status=dg.DagsterRunStatus.STARTED)
    deployment.instance.report_run_failed(run)
    tags = deployment.instance.get_run_by_id(run.run_id).tags  # type: ignore[union-attr]
    assert tags["dagster/will_retry"] == "true"
    assert acme.told() == []


def test_failed_run_of_another_integration_is_not_told(deployment: Deployment) -> None:
    acme, other = alerted(deployment), alerted(deployment)
    other.fail_run()
    assert acme.told() == []


def test_runs_that_failed_before_the_first_look_are_not_told(deployment: Deployment) -> None:
    name = f"acme_{uuid.uuid4().hex[:8]}"
    spec = IntegrationSpec.model_validate({**EXAMPLE, "name": name, "alerts": {"slack": {"env": "HOOK"}, **PATIENT}})
    acme = Alerted(deployment, spec)
    acme.fail_run()
    assert acme.told() == []


def test_failed_runs_are_told_from_as_many_on_as_configured_without_a_recovery_in_between(deployment: Deployment) -> None:
    acme = alerted(deployment, consecutive_failures=2)
    acme.fail_run()
    assert acme.told() == []
    acme.materialize(FIRST)
    assert acme.told() == []
    acme.fail_run()
    assert acme.told() == []
    acme.fail_run()
    assert len(acme.told()) == 1


def test_failed_tick_is_told_once_and_once_when_the_next_one_works(deployment: Deployment) -> None:
    acme = alerted(deployment)
    acme.record_tick(TickStatus.FAILURE)
    failed = f"a tick of {acme.spec.name}__schedule failed"
    assert acme.told() == [f"NEW: {failed}"]
    acme.record_tick(TickStatus.FAILURE)
    assert acme.told() == []
    acme.record_tick(TickStatus.SKIPPED)
    assert acme.told() == [f"CLEARED after 0 h 0 min: {failed} (2 times)"]
    assert acme.told() == []


def test_failed_tick_between_two_looks_is_told_although_the_next_one_worked(deployment: Deployment) -> None:
    acme = alerted(deployment)
    acme.record_tick(TickStatus.SUCCESS)
    assert acme.told() == []
    acme.record_tick(TickStatus.FAILURE)
    acme.record_tick(TickStatus.SUCCESS)
    assert [line.partition(":")[0] for line in acme.told()] == ["NEW"]
    assert [line.partition(" ")[0] for line in acme.told()] == ["CLEARED"]


def test_failed_records_are_told_once_and_once_when_they_are_fewer(deployment: Deployment) -> None:
    acme = alerted(deployment, failed_records=2)
    acme.store_outcomes("failed", "created", "created")
    assert acme.told() == []
    acme.store_outcomes("failed", "failed", "created")
    assert acme.told() == ["NEW: 2 of 3 records failed in hubspot"]
    assert acme.told() == []
    acme.store_outcomes("failed", "updated", "created")
    assert acme.told() == ["CLEARED after 0 h 0 min: 2 of 3 records failed in hubspot"]


def test_records_of_a_crm_that_the_yaml_does_not_feed_are_no_incident(deployment: Deployment) -> None:
    acme = alerted(deployment, failed_records=1)
    acme.store_outcomes("failed", crm="salesforce", attempts=7)
    assert acme.told() == []
    acme.store_outcomes("failed", crm="hubspot", attempts=7)
    assert [line.partition(":")[0] for line in acme.told()] == ["NEW", "NEW"]


def test_crm_that_nothing_is_synced_to_is_told_until_a_load_is_materialized(deployment: Deployment) -> None:
    acme = alerted(deployment, silent_hours=6)
    assert acme.told() == []
    acme.materialize(FIRST, asset="hubspot/companies")
    loaded = datetime.now(UTC)
    assert acme.told(at=loaded + timedelta(hours=5)) == []
    silent = loaded + timedelta(hours=7)
    assert [line.partition(" since")[0] for line in acme.told(at=silent)] == ["NEW: nothing was synced to hubspot"]
    assert acme.told(at=silent) == []
    assert [line.split()[0] for line in acme.told(at=loaded)] == ["CLEARED"]


def test_alert_that_is_not_taken_fails_the_tick_and_is_told_by_the_next(deployment: Deployment) -> None:
    acme = alerted(deployment)
    acme.record_tick(TickStatus.FAILURE)
    deployment.hook.statuses = [500, 500]
    with pytest.raises(AlertNotSentError, match="alerts by slack: answered 500"):
        acme.tick()
    acme.record_tick(TickStatus.SUCCESS)
    assert [line.split()[0] for line in acme.told()] == ["NEW:", "CLEARED"]


def test_channel_that_works_is_not_told_again_for_one_that_does_not(deployment: Deployment) -> None:
    with mail_server() as mailbox:
        mail = {"host": "127.0.0.1", "port": mailbox.port, "security": "none", "from": "crm@example.org", "to": ["data@example.org"]}
        acme = alerted(deployment, email=mail)
        acme.record_tick(TickStatus.FAILURE)
        deployment.hook.statuses = [404, 404]
        for _ in range(2):
            with pytest.raises(AlertNotSentError):
                acme.tick()
        assert len(acme.told()) == 1
        assert len(mailbox.messages) == 1


def test_two_sensors_at_once_tell_an_incident_once(deployment: Deployment) -> None:
    acme = alerted(deployment)
    acme.record_tick(TickStatus.FAILURE)
    sensors = [threading.Thread(target=acme.tick) for _ in range(2)]
    for sensor in sensors:
        sensor.start()
    for sensor in sensors:
        sensor.join()
    assert len(deployment.hook.texts()) == 1


def test_paused_integration_tells_nothing(deployment: Deployment) -> None:
    acme = alerted(deployment, active=False)
    acme.record_tick(TickStatus.FAILURE)
    assert "is paused" in str(acme.tick())
    assert deployment.hook.texts() == []


def test_sensor_is_on_when_the_integration_is_active(deployment: Deployment) -> None:
    sensors = [
        each.definitions.resolve_sensor_def(each.sensor) for each in (alerted(deployment, active=active) for active in (True, False))
    ]
    assert [sensor.default_status for sensor in sensors] == [dg.DefaultSensorStatus.RUNNING, dg.DefaultSensorStatus.STOPPED]


def test_without_alerts_there_is_no_sensor() -> None:
    definitions = build_integration(IntegrationSpec.model_validate(EXAMPLE))
    assert "acme__alerts" not in [sensor.name for sensor in definitions.sensors or ()]
