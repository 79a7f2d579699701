"""How a load's plans are carried out: what is stored at once, what waits for a full call, and what a stop leaves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from crm_pipeline.errors import ServiceUnavailableError, StoreError
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline_tests.awaiting import await_that
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, Bench, contact, customer
from crm_pipeline_tests.sync.loading.stages import Stages, stages

FULL = 100
"""Records of one call to HubSpot."""
LOCKED = {"success": False, "errors": [{"statusCode": "UNABLE_TO_LOCK_ROW", "message": "locked", "fields": []}]}


def test_full_call_goes_at_once_and_the_rest_when_the_load_ends(hubspot: Bench) -> None:
    spec, numbers = hubspot.spec(), range(1, FULL + 2)
    hubspot.stage(spec, ACCOUNT, *map(customer, numbers))
    with stages(hubspot, spec, ACCOUNT) as load:
        load.delivery.carry_out(load.plan(*numbers))
        await_that(lambda: len(hubspot.names()) == FULL, "the full call is answered")
        load.delivery.finish()
        assert hubspot.outcomes() == dict.fromkeys(numbers, ("created", None))


@dataclass(frozen=True)
class Held:
    """A load of four full calls: two are answered, and two under way at the same time, the last one until ``answers`` is set."""

    bench: Bench
    load: Stages
    answers: threading.Event

    def crm_id(self, number: int) -> str:
        """The id of a record that the last call makes."""
        self.answers.set()
        await_that(lambda: f"Lab {number}" in self.bench.names(), "the last call is carried out")
        found = self.bench.sandbox.portal.records("companies")
        [crm_id] = [record["id"] for record in found if record["properties"]["name"] == f"Lab {number}"]
        return str(crm_id)


TRUE_ANSWER = Fault(path="batch/upsert", holding=f"Lab {4 * FULL}", kind="delay")
NOT_SIGNED_IN = replace(TRUE_ANSWER, kind="status", status=401)


@pytest.fixture(params=[TRUE_ANSWER])
def held(hubspot: Bench, request: pytest.FixtureRequest) -> Iterator[Held]:
    """The parameter says what the last call is answered."""
    spec, last = hubspot.spec(settings={"calls_in_flight": 4}), threading.Event()
    hubspot.stage(spec, ACCOUNT, *map(customer, range(1, 4 * FULL + 2)))
    hubspot.sandbox.faults.add(replace(request.param, until=last))
    with stages(hubspot, spec, ACCOUNT) as load:
        load.delivery.carry_out(load.plan(*range(1, 4 * FULL + 1)))
        yield Held(hubspot, load, last)


def test_answers_are_stored_while_the_next_calls_are_under_way(held: Held) -> None:
    assert len(held.bench.outcomes()) == 2 * FULL
    held.answers.set()
    held.load.delivery.finish()
    assert len(held.bench.outcomes()) == 4 * FULL


def test_stop_stores_what_is_answered_to_calls_under_way(held: Held) -> None:
    held.answers.set()
    held.load.delivery.break_off(ServiceUnavailableError("down", integration="acme", service="hubspot"))
    assert held.bench.outcomes() == dict.fromkeys(range(1, 4 * FULL + 1), ("created", None))


@pytest.mark.parametrize("held", [NOT_SIGNED_IN], indirect=True)
def test_stop_tells_what_else_failed_meanwhile(held: Held, caplog: pytest.LogCaptureFixture) -> None:
    held.answers.set()
    held.load.delivery.break_off(StoreError("the first cause"))
    assert "behind what ends the load, also: integration acme: hubspot" in caplog.text


def test_plan_that_found_what_a_call_under_way_makes_is_known_by_it(held: Held) -> None:
    other = held.load.plan(4 * FULL + 1).rows
    assert held.load.delivery.is_under_way(other.assign(crm_id=held.crm_id(4 * FULL)))


def test_no_more_calls_go_at_the_same_time_than_the_crm_asks_for(hubspot: Bench) -> None:
    spec, numbers = hubspot.spec(), range(1, 22 * FULL + 1)
    hubspot.stage(spec, ACCOUNT, *map(customer, numbers))
    with stages(hubspot, spec, ACCOUNT) as load:
        load.delivery.carry_out(load.plan(*numbers))
        answered = len(hubspot.outcomes())
        load.delivery.finish()
    assert answered == 21 * FULL, "the first alone, twenty at the same time, and the last behind them"


def test_what_a_plan_decides_itself_is_stored_while_its_writes_wait(hubspot: Bench) -> None:
    spec = hubspot.spec()
    hubspot.stage(spec, ACCOUNT, customer(1), customer(2, customer_name=""))
    with stages(hubspot, spec, ACCOUNT) as load:
        load.delivery.carry_out(load.plan(1, 2))
        assert (list(hubspot.outcomes()), hubspot.names()) == ([2], [])


def test_record_that_waits_for_its_call_is_under_way_by_either_id(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.given(spec, ACCOUNT, customer(1), customer(2))
    salesforce.stage(spec, ACCOUNT, *(customer(number, version=101, comments="new") for number in (1, 2)))
    with stages(salesforce, spec, ACCOUNT) as load:
        first, second = load.plan(1), load.plan(2)
        load.delivery.carry_out(first)
        assert load.delivery.is_under_way(first.rows)
        assert not load.delivery.is_under_way(second.rows)
        assert load.delivery.is_under_way(second.rows.assign(crm_id=first.rows["crm_id"]))
        load.delivery.finish()
        assert not load.delivery.is_under_way(first.rows)


def test_record_that_the_crm_has_locked_is_sent_three_times_and_left_open_then(salesforce: Bench) -> None:
    spec = salesforce.spec(settings={"waits": {"first_seconds": 0.01, "longest_seconds": 0.01}})
    salesforce.stage(spec, ACCOUNT, customer(1))
    salesforce.sandbox.faults.add(Fault(path="composite/sobjects/Account", kind="rows", body=LOCKED, times=None))
    with stages(salesforce, spec, ACCOUNT) as load:
        load.delivery.carry_out(load.plan(1))
        load.delivery.finish()
        assert load.job.crm.calls.snapshot()["write"] == 3
    assert salesforce.outcomes() == {1: ("failed", "RecordLockedException")}


def test_stop_leaves_open_the_contacts_whose_account_was_not_sent(hubspot: Bench) -> None:
    spec = hubspot.spec()
    hubspot.given(spec, ACCOUNT, customer(1))
    hubspot.stage(spec, CONTACT, contact(11, of=1))
    with stages(hubspot, spec, CONTACT) as load:
        load.delivery.carry_out(load.plan(11))
        hubspot.sandbox.faults.add(Fault(path="^(?!.*upsert)", times=None, status=503))
        with pytest.raises(ServiceUnavailableError) as stop:
            load.delivery.finish()
        load.delivery.break_off(stop.value)
    assert hubspot.outcomes(CONTACT)[11][0] == "failed"
    assert hubspot.rows("SELECT retryable FROM crm_pipeline.outcome WHERE record_type = 'contact'") == [(True,)]
