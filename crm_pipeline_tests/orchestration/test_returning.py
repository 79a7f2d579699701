"""People's edits in the CRMs arrive in QBench, hour by hour, whatever fails meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import text

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.names import from_crms_job_name, from_crms_retry_sensor_name, from_crms_schedule_name
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.windows import hourly_partitions
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline_tests.orchestration.conftest import (
    Verdicts,
    World,
    failures,
    materialized,
    metadata_of,
    numbers,
    own_world,
    verdicts_of,
)
from crm_pipeline_tests.orchestration.test_changes import receiving
from crm_pipeline_tests.orchestration.test_first_load import THIRD, Requested, after, feeding
from crm_pipeline_tests.orchestration.test_retries import hours
from crm_pipeline_tests.tenants import FIRST, IN_SECOND, SECOND, START, add_laboratories, both_ways

FOURTH = "2026-11-01-03:00"
SALESFORCE = {"salesforce/account_changes", "qbench/customers_from_salesforce"}
HUBSPOT = {"hubspot/company_changes", "qbench/customers_from_hubspot"}


def back_from(world: World, *crms: str) -> IntegrationSpec:
    """The integration whose customers' comments come back from these CRMs; there are no contacts, and each call is tried once."""
    spec = feeding(world.sandbox, *crms)
    spec = spec.model_copy(update={"qbench": spec.qbench.model_copy(update={"attempts": 1})})
    return both_ways(spec, accounts={"description": {"from": "comments", "direction": "both"}})


def began(world: World, spec: IntegrationSpec, *, customers: int) -> None:
    """The first partition of both ways: customers are in both CRMs, and what stands there is known."""
    before, portal = START - timedelta(hours=1), world.sandbox.portal
    add_laboratories(world.sandbox.tenant, customers)
    portal.clock, clock = before.timestamp, portal.clock
    assert world.dagster.run(spec, FIRST).success
    portal.clock = clock
    world.sandbox.org.touch("Account", at=before)
    first = back(world, spec, FIRST)
    assert first.success, failures(first)


def back(world: World, spec: IntegrationSpec, partition: str, *, until: str | None = None) -> dg.ExecuteInProcessResult:
    """The way back for these hours."""
    return world.dagster.run(spec, partition, until=until, job_of=from_crms_job_name)


def follow_back(world: World, spec: IntegrationSpec, *, closed: int) -> tuple[Requested, list[dg.ExecuteInProcessResult], str | None]:
    """Run all that the way back's schedule requests once so many hours have closed."""
    requests, skipped = world.dagster.ticked(spec, at=after(closed) + timedelta(minutes=30), schedule_of=from_crms_schedule_name)
    return hours(requests), [world.dagster.launch(spec, request, job_of=from_crms_job_name) for request in requests], skipped


def describe(world: World, crm: str, number: int, description: str, *, at: datetime) -> None:
    """A person of the CRM gives a laboratory a description."""
    name = f"Laboratory {number}"
    if crm == "salesforce":
        [record] = [one for one in world.sandbox.org.records("Account") if one["Name"] == name]
        world.sandbox.org.update("Account", record["Id"], {"Description": description}, at=at)
    else:
        [record] = [one for one in world.sandbox.portal.records("companies") if one["properties"]["name"] == name]
        world.sandbox.portal.update("companies", record["id"], {"description": description}, at=at.timestamp(), seen_after=0)


def comments(world: World) -> list[Any]:
    """What QBench's customers have there."""
    return [customer.get("comments") for customer in world.sandbox.tenant.customers()]


@dataclass(frozen=True)
class OneDown:
    """An hour in which QBench and each CRM are edited while HubSpot is down, and the hour after it, in which HubSpot is back."""

    out: set[str]
    back: set[str]
    said: dict[str, str]
    meanwhile: list[Any]
    names: list[str]
    requested: Requested
    healed: set[str]
    afterwards: list[Any]


@pytest.fixture(scope="module")
def one_down(postgres: str) -> OneDown:
    with own_world(postgres) as world:
        spec = back_from(world, "salesforce", "hubspot")
        began(world, spec, customers=3)
        world.sandbox.faults.add(Fault(service="hubspot", status=503, times=None))
        world.sandbox.tenant.edit_customer(3, at=IN_SECOND, customer_name="Edited in QBench")
        describe(world, "salesforce", 1, "from Salesforce", at=START + timedelta(hours=1, minutes=10))
        describe(world, "hubspot", 2, "from HubSpot", at=START + timedelta(hours=1, minutes=10))
        out = world.dagster.run(spec, SECOND)
        _, [broken], _ = follow_back(world, spec, closed=2)
        meanwhile, names = comments(world), sorted(one["Name"] for one in world.sandbox.org.records("Account"))
        world.sandbox.faults.clear()
        requested, healed, _ = follow_back(world, spec, closed=2)
        return OneDown(
            materialized(out),
            materialized(broken),
            failures(broken),
            meanwhile,
            names,
            requested,
            set().union(*(materialized(run) for run in healed)),
            comments(world),
        )


def test_one_crm_that_is_down_stops_neither_the_others_way_back_nor_the_way_out(one_down: OneDown) -> None:
    assert "salesforce/accounts" in one_down.out
    assert one_down.back == SALESFORCE
    assert set(one_down.said) == {"hubspot/company_changes"}
    assert one_down.meanwhile == ["from Salesforce", None, None]
    assert one_down.names == ["Edited in QBench", "Laboratory 1", "Laboratory 2"]


def test_failed_hour_of_one_crm_is_requested_again_and_brings_home_what_it_missed(one_down: OneDown) -> None:
    assert one_down.requested == [(SECOND, SECOND, HUBSPOT)]
    assert one_down.healed == HUBSPOT
    assert one_down.afterwards == ["from Salesforce", "from HubSpot", None]


@dataclass(frozen=True)
class Told:
    """An hour with a change, a conflict and a change that QBench fails on; the same hour once QBench is well; then one with too many."""

    counts: Mapping[str, object]
    verdicts: Verdicts
    lineage: object
    due: Requested
    retried: Mapping[str, object]
    tried_again: list[Any]
    late: list[Any]
    too_many: str
    too_many_verdict: dg.AssetCheckEvaluation
    unchanged: list[Any]
    raised: list[Any]
    events: str


@pytest.fixture(scope="module")
def told(postgres: str) -> Told:
    with own_world(postgres) as world:
        tenant, spec = world.sandbox.tenant, back_from(world, "salesforce")
        began(world, spec, customers=7)
        in_second = START + timedelta(hours=1, minutes=10)
        tenant.edit_customer(2, at=IN_SECOND, comments="lost in QBench")
        for number in (1, 2, 3):
            describe(world, "salesforce", number, f"from Salesforce {number}", at=in_second)
        world.sandbox.faults.add(Fault(service="qbench", method="PATCH", holding="from Salesforce 3", status=500, times=None))
        run = back(world, spec, SECOND)
        assert run.success, failures(run)
        counts, verdicts = metadata_of(run, "qbench", "customers_from_salesforce"), verdicts_of(world.dagster, run)
        world.sandbox.faults.clear()
        with STORE.transaction() as connection:
            connection.execute(text("UPDATE crm_pipeline.change_outcome SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL"))
        due = world.dagster.sensed(spec, sensor_of=from_crms_retry_sensor_name)
        [retried] = [world.dagster.launch(spec, request, job_of=from_crms_job_name) for request in due]
        tried_again = comments(world)
        describe(world, "salesforce", 4, "committed late", at=START + timedelta(hours=1, minutes=50))
        assert back(world, spec, THIRD).success
        late = comments(world)
        for number in range(1, 8):
            describe(world, "salesforce", number, f"loaded {number}", at=START + timedelta(hours=3, minutes=10))
        refused = back(world, spec, FOURTH)
        unchanged = comments(world)
        job = world.dagster.definitions(spec).resolve_job_def(from_crms_job_name("acme"))
        config = {"ops": {"acme__qbench__customers_from_salesforce": {"config": {"most_changed": 7}}}}
        raised = job.execute_in_process(partition_key=FOURTH, run_config=config, instance=world.dagster.instance)
        assert raised.success
        return Told(
            counts,
            verdicts,
            counts["dagster/column_lineage"],
            hours(due),
            metadata_of(retried, "qbench", "customers_from_salesforce"),
            tried_again,
            late,
            failures(refused)["qbench/customers_from_salesforce"],
            verdicts_of(world.dagster, refused)["qbench/customers_from_salesforce", "few_records_changed"],
            unchanged,
            comments(world),
            world.dagster.events(),
        )


def test_materialization_tells_what_flowed_what_conflicted_and_what_it_cost(told: Told) -> None:
    wanted: dict[str, object] = {"dagster/row_count": 7, "rows": 3, "updated": 2, "failed": 1, "open_records": 1, "values_to_qbench": 3}
    wanted |= {"conflicts_crm_won": 1, "records_changed": 2, "fields_changed": "comments 2"}
    assert {name: told.counts[name] for name in wanted} == wanted
    purposes = told.counts["calls_by_purpose"]
    assert isinstance(purposes, dict)
    assert told.counts["calls"] == sum(purposes.values())
    assert "QBenchFailsOnRecordException" in str(told.counts["errors"])


def test_no_value_that_comes_back_is_in_any_event_whatever_becomes_of_it(told: Told) -> None:
    """Brought, lost in a conflict, failed on by QBench, one of too many."""
    values = ("from Salesforce 1", "lost in QBench", "from Salesforce 3", "committed late", "loaded 7")
    assert "STEP_FAILURE" in told.events
    assert [value for value in values if value in told.events] == []


def test_columns_of_qbench_come_from_those_of_the_crm(told: Told) -> None:
    key = dg.AssetKey(["acme", "salesforce", "account_changes"])
    assert told.lineage == dg.TableColumnLineage({"comments": [dg.TableColumnDep(key, "Description")]})


def test_checks_warn_of_conflicts_and_of_what_is_tried_again(told: Told) -> None:
    of_asset = {check: one for (asset, check), one in told.verdicts.items() if asset == "qbench/customers_from_salesforce"}
    assert {check for check, one in of_asset.items() if not one.passed} == {"conflicts", "no_open_changes"}
    assert all(one.severity is dg.AssetCheckSeverity.WARN for one in of_asset.values() if not one.passed)
    assert (numbers(of_asset["conflicts"])["crm_won"], numbers(of_asset["no_open_changes"])["records"]) == (1, 1)


def test_change_that_qbench_failed_on_is_requested_by_itself_and_arrives(told: Told) -> None:
    assert told.due == [(SECOND, SECOND, {"qbench/customers_from_salesforce"})]
    assert (told.retried["rows"], told.retried["others"]) == (0, 1)
    assert told.tried_again[:3] == [f"from Salesforce {number}" for number in (1, 2, 3)]


def test_change_that_is_shown_only_after_its_hour_arrives_with_the_next_one(told: Told) -> None:
    assert told.late[3] == "committed late"


def test_mass_of_changes_turns_the_hour_red_before_anything_is_written(told: Told) -> None:
    assert "TooManyChangesError" in told.too_many
    assert not told.too_many_verdict.passed
    assert told.too_many_verdict.severity is dg.AssetCheckSeverity.ERROR
    assert numbers(told.too_many_verdict) == {"to_change": 7, "limit": 5}
    assert told.unchanged == told.late


def test_mass_of_changes_that_is_meant_goes_through_by_the_config_of_one_run(told: Told) -> None:
    assert told.raised == [f"loaded {number}" for number in range(1, 8)]


@dataclass(frozen=True)
class Backfilled:
    """Half a day in one run, in whose first and last hours records were edited: with QBench granting no write, and without.

    Then three hours from the newest to the oldest, which had been read before. Laboratory 1 was edited in the two new ones, 2 in the
    older of them; 1 is edited in QBench, and sent, while the newest alone is done, and that hour's staged changes are brought once more
    at last. ``backwards``: the comments behind each step; ``there``: what Salesforce shows in the end.
    """

    calls: int
    red: set[str]
    green: int
    comments: list[Any]
    backwards: list[list[Any]]
    there: list[Any]


@pytest.fixture(scope="module")
def backfilled(postgres: str) -> Backfilled:
    with own_world(postgres) as world:
        spec, last = back_from(world, "salesforce"), "2026-11-01-11:00"
        began(world, spec, customers=2)
        world.sandbox.tenant.clock = (START + timedelta(hours=12)).timestamp
        describe(world, "salesforce", 1, "early", at=START + timedelta(hours=1, minutes=10))
        describe(world, "salesforce", 2, "late", at=START + timedelta(hours=11, minutes=10))
        world.sandbox.faults.add(Fault(service="qbench", method="PATCH", status=403, times=None))
        world.sandbox.journal.clear()
        broken = back(world, spec, SECOND, until=last)
        reads = [call for call in world.sandbox.journal.calls("salesforce") if call.path.endswith("composite")]
        assert not broken.success
        key, partitions = dg.AssetKey(["acme", "qbench", "customers_from_salesforce"]), hourly_partitions(START)
        every = partitions.get_partition_keys(START + timedelta(hours=12))
        status = world.dagster.instance.get_status_by_partition(key, every, partitions) or {}
        states = {hour: state.value for hour, state in status.items() if state is not None}
        world.sandbox.faults.clear()
        assert back(world, spec, SECOND, until=last).success
        done = comments(world)
        backwards, there = hours_backwards(world, spec)
        return Backfilled(
            len(reads),
            {hour for hour, state in states.items() if state == "FAILED"},
            sum(state == "MATERIALIZED" for state in states.values()),
            done,
            backwards,
            there,
        )


def hours_backwards(world: World, spec: IntegrationSpec) -> tuple[list[list[Any]], list[Any]]:
    """What QBench has behind each step, and what Salesforce has then (Backfilled)."""
    tenant, found = world.sandbox.tenant, []
    at_12, at_13 = (START + timedelta(hours=hour, minutes=10) for hour in (12, 13))
    for number, at in ((1, at_12), (2, at_12), (1, at_13)):
        describe(world, "salesforce", number, f"{number} at {at:%H}", at=at)
    newest, older = "2026-11-01-13:00", "2026-11-01-12:00"
    tenant.clock = at_13.timestamp
    assert back(world, spec, newest).success
    found.append(comments(world))
    tenant.edit_customer(1, at=int(at_13.timestamp()) + 60, comments="1 in QBench")
    assert world.dagster.run(spec, newest).success
    for hour, assets in ((older, None), (SECOND, None), (newest, ["qbench/customers_from_salesforce"])):
        assert world.dagster.run(spec, hour, assets=assets, job_of=from_crms_job_name).success
        found.append(comments(world))
    return found, [record["Description"] for record in world.sandbox.org.records("Account")]


def test_range_of_hours_is_read_as_one_window(backfilled: Backfilled) -> None:
    assert backfilled.calls == 1


def test_hours_of_a_failed_range_are_red_where_a_change_is_open_and_green_else(backfilled: Backfilled) -> None:
    assert backfilled.red == {SECOND, "2026-11-01-11:00"}
    assert backfilled.green == 10


def test_failed_range_brings_everything_home_once_it_is_materialized_again(backfilled: Backfilled) -> None:
    assert backfilled.comments == ["early", "late"]


def test_hours_from_the_newest_to_the_oldest_lose_nothing_and_turn_nothing_back(backfilled: Backfilled) -> None:
    newest, *rest = backfilled.backwards
    assert newest == ["1 at 13", "late"]
    assert rest == [["1 in QBench", "2 at 12"]] * 3
    assert backfilled.there == ["1 in QBench", "2 at 12"]


@dataclass(frozen=True)
class Resumed:
    """Two hours in which nothing is received from Salesforce, and in which its records are edited; then it goes on with another mapping."""

    by_hand: tuple[bool, set[str]]
    said: str
    calls: int
    meanwhile: list[Any]
    requested: Requested
    customers: list[tuple[Any, Any]]


@pytest.fixture(scope="module")
def resumed(postgres: str) -> Resumed:
    with own_world(postgres) as world:
        spec = back_from(world, "salesforce")
        held = receiving(spec, salesforce=False)
        more = both_ways(spec, accounts={"website": {"from": "website", "direction": "both"}})
        world.sandbox.tenant.add_field("customers", "website")
        began(world, more, customers=2)
        describe(world, "salesforce", 1, "while paused", at=START + timedelta(hours=1, minutes=10))
        world.sandbox.journal.clear()
        by_hand = back(world, held, SECOND)
        assert follow_back(world, held, closed=2)[0] == []
        [record] = [one for one in world.sandbox.org.records("Account") if one["Name"] == "Laboratory 2"]
        site = {"Website": "https://lab2.example.org"}
        world.sandbox.org.update("Account", record["Id"], site, at=START + timedelta(hours=2, minutes=10))
        assert follow_back(world, held, closed=3)[0] == []
        calls, meanwhile = len(world.sandbox.journal.calls("salesforce")), comments(world)
        requested, runs, _ = follow_back(world, more, closed=3)
        assert all(run.success for run in runs), [failures(run) for run in runs]
        return Resumed(
            (by_hand.success, materialized(by_hand)),
            world.dagster.events_of(by_hand.run_id),
            calls,
            meanwhile,
            requested,
            [(customer.get("comments"), customer.get("website")) for customer in world.sandbox.tenant.customers()],
        )


def test_run_by_hand_of_a_crm_from_which_nothing_is_received_succeeds_and_leaves_its_hour_missing(resumed: Resumed) -> None:
    assert resumed.by_hand == (True, set())
    assert "nothing comes back from Salesforce while `crms.salesforce.receive` is false" in resumed.said
    assert (resumed.calls, resumed.meanwhile) == (0, [None, None])


def test_everything_missed_is_taken_up_with_the_mapping_of_that_time(resumed: Resumed) -> None:
    assert resumed.requested == [(SECOND, THIRD, set())]
    assert resumed.customers == [("while paused", None), (None, "https://lab2.example.org")]
