"""What a tick requests: every closed hour that is open, and nothing else."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.schedule_definition import ScheduleExecutionData
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent
from dagster._core.test_utils import create_run_for_test
from sqlalchemy import text

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.assets import build_integration
from crm_pipeline.orchestration.executor import steps_at_once
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.running import INTEGRATION_TAG, RANGE_END_TAG, RANGE_START_TAG
from crm_pipeline.orchestration.schedule import MAX_CATCH_UP_HOURS
from crm_pipeline_tests.orchestration.conftest import Ticking
from crm_pipeline_tests.tenants import FIRST, START

EXAMPLE: dict[str, Any] = {
    "name": "acme",
    "start": START.isoformat(),
    "qbench": {"url": "https://acme.qbench.net", "client_id": {"env": "A"}, "client_secret": {"env": "B"}},
    "crms": {"hubspot": {"token": {"env": "C"}}},
    "accounts": {"map": {"name": "customer_name"}},
}


def hour(number: int) -> str:
    """The key of the partition that begins so many hours after the start."""
    return (START + timedelta(hours=number)).strftime("%Y-%m-%d-%H:%M")


HOURLY = ("qbench/customers", "normalized/accounts", "hubspot/companies")


def open_record(integration: str, *, version: int, due_in_minutes: int) -> None:
    """A staged customer that is tried again then."""
    staged = (
        "INSERT INTO crm_pipeline.normalized_record (integration, record_type, qbench_id, version, fields, mapping_digest) "
        "VALUES (:integration, 'account', :version, :version, '{}', '')"
    )
    outcome = (
        "INSERT INTO crm_pipeline.outcome (integration, crm, record_type, qbench_id, version, outcome, retryable, run_id, attempts, "
        "next_attempt_at) VALUES (:integration, 'hubspot', 'account', :version, :version, 'failed', true, 'run', 1, "
        "now() + make_interval(mins => :due_in_minutes))"
    )
    with STORE.transaction() as connection:
        connection.execute(text(staged), {"integration": integration, "version": version})
        connection.execute(text(outcome), {"integration": integration, "version": version, "due_in_minutes": due_in_minutes})


@dataclass(frozen=True)
class Scheduled:
    """An integration of three hourly assets, qbench/customers, normalized/accounts, hubspot/companies, on an instance that others share."""

    instance: dg.DagsterInstance
    spec: IntegrationSpec

    @cached_property
    def definitions(self) -> dg.Definitions:
        return build_integration(self.spec)

    @property
    def schedule(self) -> dg.ScheduleDefinition:
        return self.definitions.resolve_schedule_def(f"{self.spec.name}__schedule")

    def key(self, asset: str) -> dg.AssetKey:
        return dg.AssetKey([self.spec.name, *asset.split("/")])

    def done(self, *hours: int, assets: Sequence[str] = HOURLY) -> None:
        """Materialize these hours of the assets."""
        for asset in assets:
            for number in hours:
                self.instance.report_runless_asset_event(dg.AssetMaterialization(self.key(asset), partition=hour(number)))

    def tick(self, *, at: datetime) -> tuple[list[tuple[str, str]], str | None]:
        """What the schedule requests at a time, as first and last partition of each run; or why it skips."""
        requests, skipped = self.requests(at=at)
        return [(first, last) for first, last, _ in requests], skipped

    def evaluated(self, *, at: datetime) -> ScheduleExecutionData:
        """The tick at a time; its runs have a config that their job takes, else Dagster's daemon fails the tick."""
        with Ticking(self.instance, at=at, definitions=self.definitions) as context:
            evaluated = self.schedule.evaluate_tick(context)
        for request in evaluated.run_requests or []:
            dg.validate_run_config(self.definitions.resolve_job_def(self.schedule.job_name), request.run_config)
        return evaluated

    def requests(self, *, at: datetime) -> tuple[list[tuple[str, str, set[str]]], str | None]:
        """The same with the assets of each run, without the integration's name; none where it takes all."""
        evaluated = self.evaluated(at=at)
        requests = evaluated.run_requests or []
        assert all(request.tags[INTEGRATION_TAG] == self.spec.name for request in requests)
        return [
            (
                request.tags[RANGE_START_TAG],
                request.tags[RANGE_END_TAG],
                {"/".join(key.path[1:]) for key in request.asset_selection or ()},
            )
            for request in requests
        ], evaluated.skip_message

    def failed(self, number: int, *, asset: str) -> None:
        """Let an asset fail for an hour."""
        run = create_run_for_test(self.instance, status=dg.DagsterRunStatus.STARTED)
        planned = AssetMaterializationPlannedData(self.key(asset), partition=hour(number))
        self.instance.report_dagster_event(DagsterEvent.build_asset_materialization_planned_event("job", "step", planned), run.run_id)
        self.instance.report_run_failed(run)

    def retried(self) -> list[tuple[str, str, set[str]]]:
        """What the retry sensor requests now: first and last partition of each run, and its assets."""
        with dg.build_sensor_context(instance=self.instance, definitions=self.definitions) as context:
            evaluated = self.definitions.resolve_sensor_def(f"{self.spec.name}__retries").evaluate_tick(context)
        return [
            (one.tags[RANGE_START_TAG], one.tags[RANGE_END_TAG], {"/".join(key.path[1:]) for key in one.asset_selection or ()})
            for one in evaluated.run_requests or []
        ]

    def with_changes(self, **changes: Any) -> Scheduled:
        """The same integration, after someone changed keys of its YAML."""
        return Scheduled(self.instance, IntegrationSpec.model_validate({**EXAMPLE, "name": self.spec.name, **changes}))


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance for all tests of the module; each has an integration of its own name."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def scheduled(instance: dg.DagsterInstance, **changes: Any) -> Scheduled:
    """A new integration; what is given replaces keys of the example."""
    name = f"acme_{uuid.uuid4().hex[:8]}"
    return Scheduled(instance, IntegrationSpec.model_validate({**EXAMPLE, "name": name, **changes}))


def after(hours: int) -> datetime:
    """Five minutes after so many hours have closed."""
    return START + timedelta(hours=hours, minutes=5)


def test_hour_that_has_just_closed_is_requested(instance: dg.DagsterInstance) -> None:
    acme = scheduled(instance)
    acme.done(0, 1)
    assert acme.tick(at=after(3)) == ([(hour(2), hour(2))], None)


def test_each_gap_is_one_run_over_its_hours(instance: dg.DagsterInstance) -> None:
    acme = scheduled(instance)
    acme.done(0, 3, 4)
    assert acme.tick(at=after(7)) == ([(hour(1), hour(2)), (hour(5), hour(6))], None)


@pytest.mark.usefixtures("state_database")
def test_hour_that_one_asset_lacks_is_open(instance: dg.DagsterInstance) -> None:
    acme = scheduled(instance)
    acme.done(0)
    acme.done(1, assets=HOURLY[:2])
    assert acme.tick(at=after(2)) == ([(hour(1), hour(1))], None)


@pytest.mark.usefixtures("state_database")
def test_hour_whose_load_waits_for_its_next_attempt_is_left_to_it(instance: dg.DagsterInstance) -> None:
    acme = scheduled(instance)
    acme.done(0)
    acme.done(1, assets=HOURLY[:2])
    open_record(acme.spec.name, version=int(START.timestamp()) + 3_600, due_in_minutes=5)
    assert acme.tick(at=after(2)) == ([], f"integration {acme.spec.name}: every closed hour is done")
    open_record(acme.spec.name, version=int(START.timestamp()) + 3_601, due_in_minutes=-5)
    assert acme.tick(at=after(2)) == ([(hour(1), hour(1))], None)


def test_everything_done_skips(instance: dg.DagsterInstance) -> None:
    acme = scheduled(instance)
    acme.done(0, 1)
    assert acme.tick(at=after(2)) == ([], f"integration {acme.spec.name}: every closed hour is done")


def test_paused_integration_skips(instance: dg.DagsterInstance) -> None:
    acme = scheduled(instance, active=False, first_load="automatic")
    requested, skipped = acme.tick(at=after(2))
    assert requested == []
    assert f"{acme.spec.name} is paused" in str(skipped)


def test_paused_integration_has_its_schedule_off(instance: dg.DagsterInstance) -> None:
    states = [scheduled(instance, active=active).schedule.default_status for active in (True, False)]
    assert states == [dg.DefaultScheduleStatus.RUNNING, dg.DefaultScheduleStatus.STOPPED]


def test_manual_first_load_that_is_not_done_skips_and_names_the_partition(instance: dg.DagsterInstance) -> None:
    requested, skipped = scheduled(instance).tick(at=after(5))
    assert requested == []
    assert f"materialize partition {FIRST}" in str(skipped)


SALESFORCE = {"domain": "acme.my", "client_id": {"env": "D"}, "client_secret": {"env": "E"}}
BOTH_CRMS = {**EXAMPLE["crms"], "salesforce": SALESFORCE}
CONTACTS = {"map": {"email": "email_address"}}


@pytest.mark.usefixtures("state_database")
def test_crm_that_was_added_is_held_back_alone_until_someone_loads_it(instance: dg.DagsterInstance) -> None:
    acme = scheduled(instance)
    acme.done(0, 1)
    both = acme.with_changes(crms=BOTH_CRMS)
    assert both.requests(at=after(2)) == (
        [],
        f"integration {acme.spec.name}: first load not done; materialize partition {FIRST} of {acme.spec.name}/salesforce/accounts",
    )
    assert both.requests(at=after(3)) == ([(hour(2), hour(2), set(HOURLY))], None)
    both.done(0, assets=["salesforce/accounts"])
    assert both.requests(at=after(3)) == ([(hour(1), hour(1), {"salesforce/accounts"}), (hour(2), hour(2), set())], None)


@pytest.mark.usefixtures("state_database")
def test_contacts_that_were_added_are_held_back_alone_and_all_their_assets_are_named(instance: dg.DagsterInstance) -> None:
    acme = scheduled(instance)
    acme.done(0, 1)
    more = acme.with_changes(contacts=CONTACTS)
    assert more.requests(at=after(3)) == ([(hour(2), hour(2), set(HOURLY))], None)
    more.done(2)
    _, skipped = more.requests(at=after(3))
    of_contacts = ("qbench/contacts", "normalized/contacts", "hubspot/contacts")
    assert str(skipped).endswith(" of " + ", ".join(more.key(asset).to_user_string() for asset in of_contacts))


@pytest.mark.usefixtures("state_database")
def test_what_is_added_follows_first_load(instance: dg.DagsterInstance) -> None:
    requested = {}
    for first_load in ("automatic", "none"):
        acme = scheduled(instance, first_load=first_load)
        acme.done(0, 1)
        requested[first_load] = acme.with_changes(crms=BOTH_CRMS, first_load=first_load).requests(at=after(2))[0]
    assert requested == {
        "automatic": [(hour(0), hour(1), {"salesforce/accounts"})],
        "none": [(hour(1), hour(1), {"salesforce/accounts"})],
    }


@pytest.mark.usefixtures("state_database")
def test_load_under_way_keeps_only_itself_from_being_requested(instance: dg.DagsterInstance) -> None:
    acme = scheduled(instance, crms=BOTH_CRMS)
    acme.done(0, 1, assets=(*HOURLY, "salesforce/accounts"))
    create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED, asset_selection=frozenset({acme.key("hubspot/companies")}))
    without_hubspot = {"qbench/customers", "normalized/accounts", "salesforce/accounts"}
    assert acme.requests(at=after(3)) == ([(hour(2), hour(2), without_hubspot)], None)


def test_automatic_first_load_is_requested(instance: dg.DagsterInstance) -> None:
    assert scheduled(instance, first_load="automatic").tick(at=after(2)) == ([(hour(0), hour(1))], None)


def test_first_load_loads_all_crms_side_by_side_and_no_other_run_does(instance: dg.DagsterInstance) -> None:
    acme = scheduled(instance, first_load="automatic")
    first = acme.evaluated(at=after(2))
    acme.done(0, 1)
    later = acme.evaluated(at=after(3))
    assert [request.run_config for tick in (first, later) for request in tick.run_requests or ()] == [steps_at_once(2), {}]


def test_first_load_none_leaves_the_first_partition_out(instance: dg.DagsterInstance) -> None:
    assert scheduled(instance, first_load="none").tick(at=after(3)) == ([(hour(1), hour(2))], None)


@pytest.mark.parametrize(
    ("by", "status"),
    [
        ("job", dg.DagsterRunStatus.NOT_STARTED),
        ("job", dg.DagsterRunStatus.STARTING),
        ("job", dg.DagsterRunStatus.STARTED),
        ("assets", dg.DagsterRunStatus.STARTED),
    ],
)
def test_hours_of_a_run_that_has_not_ended_are_not_requested_again(
    instance: dg.DagsterInstance, by: str, status: dg.DagsterRunStatus
) -> None:
    acme = scheduled(instance, first_load="automatic")
    create_run_for_test(
        instance,
        status=status,
        job_name=f"{acme.spec.name}__sync" if by == "job" else "__ASSET_JOB",
        asset_selection=frozenset({acme.key("qbench/customers")}) if by == "assets" else None,
    )
    requested, skipped = acme.tick(at=after(2))
    assert requested == []
    assert "a run is queued or running" in str(skipped)


def test_run_of_another_integration_is_no_obstacle(instance: dg.DagsterInstance) -> None:
    create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED, job_name="other__sync")
    assert scheduled(instance, first_load="automatic").tick(at=after(2)) == ([(hour(0), hour(1))], None)


def test_long_downtime_is_caught_up_in_pieces_oldest_first(instance: dg.DagsterInstance) -> None:
    requested, _ = scheduled(instance, first_load="automatic").tick(at=after(MAX_CATCH_UP_HOURS + 100))
    assert requested == [(hour(0), hour(MAX_CATCH_UP_HOURS - 1))]


def test_start_in_the_future_skips(instance: dg.DagsterInstance) -> None:
    requested, skipped = scheduled(instance, first_load="automatic").tick(at=START - timedelta(days=2))
    assert requested == []
    assert "lies in the future" in str(skipped)


def test_first_hour_is_requested_only_once_it_has_closed(instance: dg.DagsterInstance) -> None:
    acme = scheduled(instance, first_load="automatic")
    assert acme.tick(at=START + timedelta(minutes=59))[0] == []
    assert acme.tick(at=START + timedelta(minutes=60))[0] == [(FIRST, FIRST)]


def test_schedule_ticks_in_utc_by_the_yamls_cron(instance: dg.DagsterInstance) -> None:
    schedule = scheduled(instance, schedule="35 * * * *").schedule
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("35 * * * *", "UTC")
    assert START.tzinfo == UTC


WITH_CONTACTS: dict[str, Any] = {"contacts": CONTACTS}
READS = ("qbench/customers", "normalized/accounts", "qbench/contacts", "normalized/contacts")


@dataclass(frozen=True)
class Due:
    """What the retry sensor requests for a customer that is due in an hour; ``loads``: in which assets that was done before."""

    instance: dg.DagsterInstance
    number: int = 0
    first_load: str = "manual"

    def after(self, *loads: str, reads: Sequence[str] = READS, failed: str | None = None) -> list[set[str]]:
        acme = scheduled(self.instance, **WITH_CONTACTS, first_load=self.first_load)
        acme.done(self.number, assets=(*reads, *loads))
        open_record(acme.spec.name, version=int(START.timestamp()) + self.number * 3_600, due_in_minutes=-1)
        if failed:
            acme.failed(self.number, asset=failed)
        requested = acme.retried()
        assert {(first, last) for first, last, _ in requested} <= {(hour(self.number), hour(self.number))}
        return [assets for _, _, assets in requested]


BOTH_LOADS = {"hubspot/companies", "hubspot/contacts"}


@pytest.mark.usefixtures("state_database")
@pytest.mark.parametrize(("number", "first_load"), [(5, "manual"), (0, "automatic")])
def test_retry_runs_no_load_of_an_hour_whose_records_were_not_read(instance: dg.DagsterInstance, number: int, first_load: str) -> None:
    due = Due(instance, number, first_load)
    assert due.after("hubspot/companies", reads=HOURLY[:2]) == [{"hubspot/companies"}]
    assert due.after("hubspot/companies", reads=READS[:3]) == [{"hubspot/companies"}], "read, and not normalized"
    assert due.after("hubspot/companies", reads=READS[1:]) == [], "read before, and not now"


@pytest.mark.usefixtures("state_database")
@pytest.mark.parametrize(
    ("number", "first_load", "expected"),
    [
        (0, "manual", {"hubspot/companies"}),
        (5, "manual", {"hubspot/companies"}),
        (0, "none", {"hubspot/companies"}),
        (5, "none", BOTH_LOADS),
        (0, "automatic", BOTH_LOADS),
    ],
)
def test_retry_does_not_begin_a_first_load(instance: dg.DagsterInstance, number: int, first_load: str, expected: set[str]) -> None:
    assert Due(instance, number, first_load).after("hubspot/companies") == [expected]


@pytest.mark.usefixtures("state_database")
def test_first_load_that_someone_began_and_that_failed_is_retried(instance: dg.DagsterInstance) -> None:
    assert Due(instance).after(failed="hubspot/companies") == [{"hubspot/companies"}]
    assert Due(instance).after("hubspot/companies", failed="hubspot/contacts") == [BOTH_LOADS]
