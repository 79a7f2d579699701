"""How a batch is sent, and when a load goes on behind a call that failed."""

from __future__ import annotations

import threading

import pytest

from crm_pipeline.errors import ServiceError
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sync.loading.sending import Contacts
from crm_pipeline_tests.awaiting import await_that
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, Bench, contact, customer
from crm_pipeline_tests.sync.loading.stages import answers, sent, stages, wave


def test_every_row_of_a_batch_is_accounted_for_in_its_order(hubspot: Bench) -> None:
    spec = hubspot.spec()
    hubspot.stage(spec, ACCOUNT, customer(1), customer(2))
    with stages(hubspot, spec, ACCOUNT) as load:
        [(_, answered)] = sent(load, load.plan(1, 2))
    assert (answered.results["qbench_id"].tolist(), answered.error) == ([1, 2], None)
    assert hubspot.names() == ["Lab 1", "Lab 2"]


def test_call_that_fails_ends_the_load(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.stage(spec, ACCOUNT, customer(1), customer(2))
    with stages(salesforce, spec, ACCOUNT) as load:
        batch = load.plan(1, 2)
        salesforce.sandbox.faults.add(Fault(times=None, status=500))
        [(_, answered)] = sent(load, batch)
    assert (answered.stops, isinstance(answered.error, ServiceError)) == (True, True)
    assert answered.results["error_type"].tolist() == ["ServiceFailedException"] * 2


def test_batches_of_one_wave_are_under_way_at_the_same_time_and_answered_in_their_order(hubspot: Bench) -> None:
    spec, barrier = hubspot.spec(), threading.Event()
    hubspot.stage(spec, ACCOUNT, *map(customer, range(1, 4)))
    with stages(hubspot, spec, ACCOUNT) as load:
        batches = [load.plan(number) for number in (1, 2, 3)]
        slow = Fault(path="batch/upsert", kind="delay", until=barrier, times=len(batches))
        hubspot.sandbox.faults.add(slow)
        under_way = load.sending.begin(wave(*batches))
        await_that(lambda: slow not in hubspot.sandbox.faults.open(), "all three calls are under way")
        barrier.set()
        [(rows, answered)] = load.sending.answered(under_way)
    assert rows.rows["qbench_id"].tolist() == answered.results["qbench_id"].tolist() == [1, 2, 3]
    assert hubspot.names() == ["Lab 1", "Lab 2", "Lab 3"]


def test_answer_that_one_call_of_a_wave_loses_says_nothing_of_the_others(hubspot: Bench) -> None:
    spec = hubspot.spec(settings={"attempts": 1})
    hubspot.stage(spec, ACCOUNT, *map(customer, range(1, 4)))
    with stages(hubspot, spec, ACCOUNT) as load:
        hubspot.sandbox.faults.add(Fault(path="batch/upsert", kind="drop_after"))
        [(_, answered)] = sent(load, *(load.plan(number) for number in (1, 2, 3)))
    assert answered.lost.sum() == 1
    assert answered.results["error_type"].notna().tolist() == answered.lost.tolist()


def test_call_of_a_wave_that_fails_is_told_apart_from_those_that_were_answered(salesforce: Bench) -> None:
    spec = salesforce.spec(external_keys=False)
    salesforce.stage(spec, ACCOUNT, *map(customer, range(1, 4)))
    with stages(salesforce, spec, ACCOUNT) as load:
        salesforce.sandbox.faults.add(Fault(path="composite/sobjects", holding="Lab 2", times=None, status=500))
        found = sent(load, *(load.plan(number) for number in (1, 2, 3)))
    assert [(rows.rows["qbench_id"].tolist(), one.error is None) for rows, one in found] == [([1, 3], True), ([2], False)]


def test_load_goes_on_behind_creates_that_failed_where_the_crm_is_up(salesforce: Bench) -> None:
    spec = salesforce.spec(external_keys=False)
    salesforce.stage(spec, ACCOUNT, customer(1), customer(2))
    salesforce.sandbox.faults.add(Fault(path="composite/sobjects", times=None, status=500))
    with stages(salesforce, spec, ACCOUNT) as load:
        [(_, answered)] = sent(load, load.plan(1, 2))
    assert isinstance(answered.error, ServiceError)
    assert answered.results["error_type"].tolist() == ["ServiceFailedException"] * 2


@pytest.mark.parametrize("suspects_only", [False, True])
def test_load_goes_on_behind_a_call_that_can_be_repeated_only_where_suspects_alone_are_left(hubspot: Bench, *, suspects_only: bool) -> None:
    """Part after part failed, and nothing got through: while others wait, that is the service's trouble."""
    spec, ids = hubspot.spec(), range(1, 33)
    hubspot.stage(spec, ACCOUNT, *map(customer, ids))
    hubspot.sandbox.faults.add(Fault(path="batch/upsert", times=None, status=500))
    with stages(hubspot, spec, ACCOUNT) as load:
        load.sending.suspects_only = suspects_only
        [(_, answered)] = sent(load, load.plan(*ids))
    assert answered.stops is not suspects_only


def test_association_sends_the_account_and_keeps_what_the_write_said(hubspot: Bench) -> None:
    spec = hubspot.spec()
    account = hubspot.given(spec, ACCOUNT, customer(1))[1]
    person = hubspot.add(CONTACT, {"email": "person11@labs.example.org"})
    hubspot.stage(spec, CONTACT, contact(11, of=1))
    with stages(hubspot, spec, CONTACT) as load:
        batch = load.plan(11)
        [(_, answered)] = load.sending.associate(Contacts(batch.rows, answers(batch, {"crm_id": person})))
        assert load.job.report.sent == {"associate": 1}
    assert answered.results[["crm_id", "created", "parent_sent"]].to_numpy().tolist() == [[person, True, True]]
    assert {(one, other) for one, other, _ in hubspot.sandbox.portal.associations()} == {(person, account)}
