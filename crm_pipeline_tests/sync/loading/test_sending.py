"""How a batch is sent, and when a load goes on behind a call that failed."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from crm_pipeline.errors import ServiceError
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, Bench, contact, customer
from crm_pipeline_tests.sync.loading.stages import answers, stages


def test_every_row_of_a_batch_is_accounted_for_in_its_order(hubspot: Bench) -> None:
    spec = hubspot.spec()
    hubspot.stage(spec, ACCOUNT, customer(1), customer(2))
    with stages(hubspot, spec, ACCOUNT) as load:
        answered = load.sending.write(load.plan(1, 2))
    assert (answered.results["qbench_id"].tolist(), answered.error) == ([1, 2], None)
    assert hubspot.names() == ["Lab 1", "Lab 2"]


def test_call_that_fails_leaves_its_rows_open_and_ends_the_load(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.stage(spec, ACCOUNT, customer(1), customer(2))
    with stages(salesforce, spec, ACCOUNT) as load:
        batch = load.plan(1, 2)
        salesforce.sandbox.faults.add(Fault(times=None, status=500))
        with pytest.raises(ServiceError):
            load.sending.write(batch)
    assert salesforce.outcomes() == dict.fromkeys([1, 2], ("failed", "ServiceFailedException"))


def test_load_goes_on_behind_creates_that_failed_where_the_crm_is_up(salesforce: Bench) -> None:
    spec = salesforce.spec(external_keys=False)
    salesforce.stage(spec, ACCOUNT, customer(1), customer(2))
    salesforce.sandbox.faults.add(Fault(path="composite/sobjects", times=None, status=500))
    with stages(salesforce, spec, ACCOUNT) as load:
        answered = load.sending.write(load.plan(1, 2))
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
        with nullcontext() if suspects_only else pytest.raises(ServiceError):
            load.sending.write(load.plan(*ids))


def test_association_sends_the_account_and_keeps_what_the_write_said(hubspot: Bench) -> None:
    spec = hubspot.spec()
    account = hubspot.given(spec, ACCOUNT, customer(1))[1]
    person = hubspot.add(CONTACT, {"email": "person11@labs.example.org"})
    hubspot.stage(spec, CONTACT, contact(11, of=1))
    with stages(hubspot, spec, CONTACT) as load:
        batch = load.plan(11)
        told = load.sending.associate(batch.rows, answers(batch, {"crm_id": person})).results
        assert load.job.report.sent == {"associate": 1}
    assert told[["crm_id", "created", "parent_sent"]].to_numpy().tolist() == [[person, True, True]]
    assert {(one, other) for one, other, _ in hubspot.sandbox.portal.associations()} == {(person, account)}
