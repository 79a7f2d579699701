"""What becomes of records that stay open: the retry sensor requests their hours, and no more than that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import text

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.assets import build_integration
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.retries import seconds_between_looks
from crm_pipeline.orchestration.running import RANGE_END_TAG, RANGE_START_TAG
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.sync.backoff import RetrySettings
from crm_pipeline_tests.orchestration.conftest import Dagster, World, failures, metadata_of, outcomes, own_world, writes
from crm_pipeline_tests.tenants import FEW_FIELDS, FIRST, IN_SECOND, SECOND, add_laboratories, attributes

LOADS = {"salesforce/accounts", "salesforce/contacts"}
CUSTOMERS = ("qbench/customers", "normalized/accounts", "salesforce/accounts")
TRIES_IN_A_LOAD = 3
THIRD = "2026-11-01-02:00"


def integration(sandbox: Sandbox, **overrides: Any) -> IntegrationSpec:
    """The integration ``acme`` into Salesforce alone, of few fields."""
    keys = attributes(sandbox) | FEW_FIELDS | overrides
    del keys["crms"]["hubspot"]
    return IntegrationSpec.model_validate({"name": "acme", **keys})


def tick(dagster: Dagster, spec: IntegrationSpec) -> tuple[list[dg.RunRequest], str | None]:
    """What the sensor requests now, or why it skips."""
    definitions = dagster.definitions(spec)
    with dg.build_sensor_context(instance=dagster.instance, definitions=definitions) as context:
        evaluated = definitions.resolve_sensor_def("acme__retries").evaluate_tick(context)
    return list(evaluated.run_requests or []), evaluated.skip_message


def hours(requests: list[dg.RunRequest]) -> list[tuple[str, str, set[str]]]:
    """First and last hour of each request, and its assets."""
    return [
        (request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG], {"/".join(key.path[1:]) for key in request.asset_selection or []})
        for request in requests
    ]


def let_time_pass(seconds: int) -> None:
    """As if every outcome were older by so much."""
    with STORE.transaction() as connection:
        connection.execute(text(f"UPDATE crm_pipeline.outcome SET next_attempt_at = next_attempt_at - interval '{seconds} seconds'"))


@dataclass(frozen=True)
class StillOpen:
    """One customer of two locked in Salesforce through two loads, and then a third; with what the sensor requested in between.

    ``at_once`` and ``due``: after the first load, before and after its time had come; ``due_again``: after the second; ``due`` twice each.
    """

    at_once: tuple[list[dg.RunRequest], str | None]
    due: list[list[dg.RunRequest]]
    due_again: list[list[dg.RunRequest]]
    rows_sent: list[int | None]
    said: dict[tuple[str, str, int], tuple[str, str | None, str | None]]
    afterwards: list[dg.RunRequest]


@pytest.fixture(scope="module")
def still_open(postgres: str) -> StillOpen:
    with own_world(postgres) as world:
        sandbox, dagster, spec = world.sandbox, world.dagster, integration(world.sandbox)
        add_laboratories(sandbox.tenant, 2)
        sandbox.org.lock("Account", "1", times=2 * TRIES_IN_A_LOAD)

        def tick_twice_after(seconds: int) -> list[list[dg.RunRequest]]:
            let_time_pass(seconds)
            return [tick(dagster, spec)[0] for _ in range(2)]

        assert dagster.run(spec, FIRST, assets=CUSTOMERS).success
        at_once, due = tick(dagster, spec), tick_twice_after(300)
        assert dagster.run(spec, FIRST, assets=CUSTOMERS[-1:]).success
        due_again = tick_twice_after(86_400)
        sandbox.journal.clear()
        assert dagster.run(spec, FIRST, until=FIRST, assets=sorted(LOADS)).success
        rows_sent = [call.rows for call in writes(sandbox)]
        return StillOpen(at_once, due, due_again, rows_sent, outcomes(), tick(dagster, spec)[0])


def test_the_hour_of_an_open_record_is_requested_of_its_crm_alone_once_it_is_due(still_open: StillOpen) -> None:
    assert still_open.at_once == ([], "integration acme: nothing is due")
    assert hours(still_open.due[0]) == hours(still_open.due_again[0]) == [(FIRST, FIRST, {"salesforce/accounts"})]
    assert still_open.rows_sent == [1]
    assert still_open.said == {
        ("salesforce", "account", 1): ("created", None, None),
        ("salesforce", "account", 2): ("unchanged", None, None),
    }
    assert still_open.afterwards == []


def test_retry_leaves_out_a_load_whose_records_nobody_has_read_yet(still_open: StillOpen) -> None:
    requested = {asset for requests in (*still_open.due, *still_open.due_again) for _, _, assets in hours(requests) for asset in assets}
    assert requested == {"salesforce/accounts"}, "the contacts of the first partition were never read; a person is to begin with them"


def test_one_attempt_is_requested_once(still_open: StillOpen) -> None:
    (first, first_again), (second, second_again) = (
        [[each.run_key for each in requests] for requests in asked] for asked in (still_open.due, still_open.due_again)
    )
    assert (first, second) == (first_again, second_again)
    assert len(first) == len(second) == 1
    assert first != second


@dataclass(frozen=True)
class GivenUp:
    """A customer with a contact whose only attempt failed, later an edit of the customer, then what the sensor requested for the contact.

    ``said`` by record type, and ``requested``, after each of the three.
    """

    said: list[dict[str, tuple[str, str | None, str | None]]]
    requested: list[list[tuple[str, str, set[str]]]]


@pytest.fixture(scope="module")
def given_up(world: World) -> GivenUp:
    sandbox, dagster = world.sandbox, world.dagster
    spec = integration(sandbox, retries={"attempts": 1})
    customer = sandbox.tenant.add_customer(customer_name="Locked", at=IN_SECOND)
    sandbox.tenant.add_contact(
        customer_ids=[customer], email_address="a@b.example.org", first_name="A", last_name="B", phone="5125550102", at=IN_SECOND
    )
    sandbox.org.lock("Account", str(customer), times=TRIES_IN_A_LOAD)
    said, requested = [], []

    def run(partition: str, **how: Any) -> None:
        assert dagster.run(spec, partition, **how).success, "its hour is green"
        let_time_pass(86_400)
        said.append({record_type: outcome for (_, record_type, _), outcome in outcomes().items()})
        requested.append(hours(tick(dagster, spec)[0]))

    run(FIRST, until=SECOND)
    sandbox.tenant.edit_customer(customer, customer_name="Edited", at=IN_SECOND + 3_600)
    run(THIRD, assets=CUSTOMERS)
    run(SECOND, assets=sorted(LOADS))
    return GivenUp(said, requested)


def test_a_record_that_fails_once_too_often_is_failed_for_good(given_up: GivenUp) -> None:
    assert given_up.said[0]["account"] == ("failed", "RecordLockedException", "code: UNABLE_TO_LOCK_ROW; given up after 1 attempt")
    assert given_up.requested[0] == []


def test_a_record_that_was_given_up_is_tried_again_when_it_is_edited(given_up: GivenUp) -> None:
    assert given_up.said[1]["account"][0] == "created"


def test_a_record_whose_wait_is_over_is_requested_though_its_hour_is_green(given_up: GivenUp) -> None:
    assert given_up.said[0]["contact"][:2] == ("skipped", "CustomerNotSyncedException")
    assert given_up.requested[1] == [(SECOND, SECOND, LOADS)]
    assert given_up.said[2]["contact"][0] == "created"
    assert given_up.requested[2] == []


@dataclass(frozen=True)
class Retried:
    """Three customers of the first partition, one of them locked at first: after its retry, and after someone ran all of it by hand.

    ``failing``: what the sensor requested around a run that Salesforce let fail before anything could be stored.
    """

    failing: list[list[dg.RunRequest]]
    failed: dict[str, str]
    rows: list[object]
    said: list[dict[int, str]]
    calls: list[int]


@pytest.fixture(scope="module")
def retried(postgres: str) -> Retried:
    with own_world(postgres) as world:
        sandbox, dagster, spec = world.sandbox, world.dagster, integration(world.sandbox)
        add_laboratories(sandbox.tenant, 3)
        sandbox.org.lock("Account", "1", times=TRIES_IN_A_LOAD)
        rows, said, calls = [], [], []

        def note(result: dg.ExecuteInProcessResult) -> None:
            assert result.success
            rows.append(metadata_of(result, "salesforce", "accounts")["rows"])
            said.append({number: outcome[0] for (_, _, number), outcome in outcomes().items()})
            calls.append(len(writes(sandbox)))
            sandbox.journal.clear()

        note(dagster.run(spec, FIRST, assets=CUSTOMERS))
        let_time_pass(300)
        failing = [tick(dagster, spec)[0]]
        sandbox.faults.add(Fault(service="salesforce", times=None, status=503))
        failed = failures(dagster.launch(spec, failing[0][0]))
        sandbox.faults.clear()
        failing.append(tick(dagster, spec)[0])
        let_time_pass(3_600)
        failing.append(tick(dagster, spec)[0])
        sandbox.journal.clear()
        note(dagster.launch(spec, failing[-1][0]))
        note(dagster.run(spec, FIRST, assets=CUSTOMERS[-1:]))
        return Retried(failing, failed, rows, said, calls)


def test_retry_loads_what_is_due_and_leaves_the_rest_of_its_hour_alone(retried: Retried) -> None:
    assert retried.rows[:2] == [3, 1]
    assert retried.said[:2] == [{1: "failed", 2: "created", 3: "created"}, dict.fromkeys((1, 2, 3), "created")]
    assert retried.calls[1] == 1


def test_hour_that_is_materialized_by_hand_is_loaded_as_a_whole(retried: Retried) -> None:
    assert (retried.rows[2], retried.said[2], retried.calls[2]) == (3, dict.fromkeys((1, 2, 3), "unchanged"), 0)


def test_attempt_whose_run_failed_before_it_stored_anything_is_requested_again_an_hour_later(retried: Retried) -> None:
    assert list(retried.failed) == ["salesforce/accounts"]
    before, at_once, later = retried.failing
    assert at_once == [], "not every minute, and in no other request's place"
    assert later[0].run_key != before[0].run_key


def test_paused_integration_skips(world: World) -> None:
    requests, skipped = tick(world.dagster, integration(world.sandbox, active=False))
    assert (requests, skipped) == ([], "integration acme is paused: active is false")


@pytest.mark.parametrize(("minutes", "seconds"), [(5, 300), (2.5, 150), (0.1, 60), (90, 300)])
def test_sensor_looks_as_often_as_a_record_can_be_due(minutes: float, seconds: int) -> None:
    assert seconds_between_looks(RetrySettings(first_after_minutes=minutes)) == seconds


def test_look_at_which_nothing_is_due_does_not_open_dagsters_records(state_database: str, sandbox: Sandbox) -> None:
    definitions = build_integration(integration(sandbox))
    with dg.build_sensor_context(definitions=definitions) as context:
        evaluated = definitions.resolve_sensor_def("acme__retries").evaluate_tick(context)
    assert evaluated.skip_message == "integration acme: nothing is due"
