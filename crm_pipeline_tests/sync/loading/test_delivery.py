"""How a load's plans are carried out: what is stored at once, what waits for a full call, and what a stop leaves."""

from __future__ import annotations

import pytest

from crm_pipeline.errors import ServiceUnavailableError
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, Bench, contact, customer
from crm_pipeline_tests.sync.loading.stages import stages

FULL = 100
"""Records of one call to HubSpot."""
LOCKED = {"success": False, "errors": [{"statusCode": "UNABLE_TO_LOCK_ROW", "message": "locked", "fields": []}]}


def test_full_call_goes_at_once_and_the_rest_when_the_load_ends(hubspot: Bench) -> None:
    spec, numbers = hubspot.spec(), range(1, FULL + 2)
    hubspot.stage(spec, ACCOUNT, *map(customer, numbers))
    with stages(hubspot, spec, ACCOUNT) as load:
        load.delivery.carry_out(load.plan(*numbers))
        assert len(hubspot.names()) == len(hubspot.outcomes()) == FULL
        load.delivery.finish()
        assert hubspot.outcomes() == dict.fromkeys(numbers, ("created", None))


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
