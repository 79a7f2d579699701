"""What is kept of each batch: links, outcomes, intents and open calls, and what is counted."""

from __future__ import annotations

import pandas as pd
import pytest

from crm_pipeline.errors import StoreError
from crm_pipeline_tests.conftest import end_lock_holders
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, Bench, contact, customer
from crm_pipeline_tests.sync.loading.stages import answers, begun, over, stages

LINKED = "SELECT qbench_id, crm_id FROM crm_pipeline.link ORDER BY qbench_id"
INTENTS = "SELECT qbench_id FROM crm_pipeline.intent ORDER BY qbench_id"
VERSIONS = "SELECT qbench_id, ctid FROM crm_pipeline.link ORDER BY record_type, qbench_id"
OPEN_CALLS = "SELECT count(*) FROM crm_pipeline.open_call"


def test_outcomes_that_the_plan_decided_are_kept_and_counted(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.stage(spec, ACCOUNT, customer(1), customer(2, customer_name=None))
    with stages(salesforce, spec, ACCOUNT) as load:
        load.storing.decided(load.plan(1, 2))
        assert load.job.report.outcomes == {"skipped": 1}
    assert salesforce.outcomes() == {2: ("skipped", "NoNameForCustomerException")}


def test_creates_that_cannot_be_recognized_are_kept_as_intents_before_they_are_sent(salesforce: Bench) -> None:
    spec = salesforce.spec(external_keys=False)
    salesforce.stage(spec, ACCOUNT, customer(1), customer(2))
    with stages(salesforce, spec, ACCOUNT) as load:
        batch = load.plan(1, 2)
        sent = begun(load, batch)
        assert (salesforce.rows(INTENTS), salesforce.rows(OPEN_CALLS)) == ([(1,), (2,)], [(0,)])
        told = answers(batch, {}, {"crm_id": None, "created": None, "error_type": "UnaccountedException"})
        load.storing.written(batch.rows, told, call=over(sent, told))
        assert load.storing.unclear == {2}
    assert (salesforce.rows(LINKED), salesforce.rows(INTENTS)) == ([(1, "crm-1")], [(2,)])


def test_writes_that_can_be_repeated_are_kept_as_a_call_until_it_is_answered(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.stage(spec, ACCOUNT, customer(1))
    with stages(salesforce, spec, ACCOUNT) as load:
        batch = load.plan(1)
        sent = begun(load, batch)
        assert (salesforce.rows(INTENTS), salesforce.rows(OPEN_CALLS)) == ([], [(1,)])
        told = answers(batch)
        load.storing.written(batch.rows, told, call=over(sent, told))
        assert load.job.report.outcomes == {"created": 1}
    assert (salesforce.rows(LINKED), salesforce.rows(OPEN_CALLS)) == ([(1, "crm-1")], [(0,)])


@pytest.mark.parametrize("external_keys", [True, False], ids=["with-keys", "without"])
def test_answers_that_come_once_the_lock_is_lost_are_not_kept_and_stay_in_doubt(
    salesforce: Bench, database_url: str, *, external_keys: bool
) -> None:
    spec = salesforce.spec(external_keys=external_keys)
    salesforce.stage(spec, ACCOUNT, customer(1))
    with stages(salesforce, spec, ACCOUNT) as load:
        batch = load.plan(1)
        sent = begun(load, batch)
        end_lock_holders(database_url)
        told = answers(batch)
        with pytest.raises(StoreError, match="the connection that held this lock is gone"):
            load.storing.written(batch.rows, told, call=over(sent, told))
        with pytest.raises(StoreError, match="the connection that held this lock is gone"):
            load.storing.close_intents([1])
    assert (salesforce.rows(LINKED), salesforce.outcomes()) == ([], {})
    assert (salesforce.rows(INTENTS), salesforce.rows(OPEN_CALLS)) == (([], [(1,)]) if external_keys else ([(1,)], [(0,)]))


def test_rows_that_go_again_are_kept_but_not_counted(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.stage(spec, ACCOUNT, customer(1))
    with stages(salesforce, spec, ACCOUNT) as load:
        batch = load.plan(1)
        load.storing.written(batch.rows, answers(batch, {"crm_id": None, "error_type": "ServiceFailedException"}), goes_again=True)
        assert load.job.report.accounted == 0
    assert salesforce.outcomes() == {1: ("failed", "ServiceFailedException")}


def test_write_that_ends_in_the_record_of_another_is_no_link(salesforce: Bench) -> None:
    spec = salesforce.spec()
    held = salesforce.given(spec, ACCOUNT, customer(1))[1]
    salesforce.stage(spec, ACCOUNT, customer(2))
    with stages(salesforce, spec, ACCOUNT) as load:
        batch = load.plan(2)
        load.storing.written(batch.rows, answers(batch, {"crm_id": held}))
    assert (salesforce.rows(LINKED), salesforce.outcomes()[2]) == ([(1, held)], ("skipped", "LinkConflictException"))


def test_contact_whose_account_did_not_go_with_it_is_handed_on_and_has_no_outcome_yet(hubspot: Bench) -> None:
    spec = hubspot.spec()
    hubspot.given(spec, ACCOUNT, customer(1))
    hubspot.stage(spec, CONTACT, contact(11, of=1), contact(12, of=1))
    with stages(hubspot, spec, CONTACT) as load:
        batch = load.plan(11, 12)
        pending, written = load.storing.written(batch.rows, answers(batch, {"parent_sent": True}, {}))
        assert (pending["qbench_id"].tolist(), written["crm_id"].tolist()) == ([12], ["crm-12"])
        assert hubspot.outcomes(CONTACT) == {11: ("created", None)}
        links = hubspot.rows(VERSIONS)
        load.storing.associated(pending, written.assign(parent_sent=True))
    assert hubspot.outcomes(CONTACT) == {11: ("created", None), 12: ("created", None)}
    assert hubspot.rows(VERSIONS) == links, "the links are written once more"


def test_load_that_ends_between_a_contact_and_its_account_is_followed_by_one_that_sends_the_account_alone(hubspot: Bench) -> None:
    spec = hubspot.spec()
    accounts = hubspot.given(spec, ACCOUNT, customer(1))
    hubspot.stage(spec, CONTACT, contact(11, of=1))
    with stages(hubspot, spec, CONTACT) as load:
        batch = load.plan(11)
        [crm_id] = [hubspot.sandbox.portal.add("contacts", {"email": "of@eleven.example", "qbench_id": batch.rows["key"].iloc[0]})]
        load.storing.written(batch.rows, answers(batch, {"crm_id": crm_id}))
    report = hubspot.load(spec, CONTACT)
    assert (report.outcomes, hubspot.calls.get("write"), hubspot.calls["associate"]) == ({"updated": 1}, None, 1)
    assert [(who, company) for who, company, _ in hubspot.sandbox.portal.associations()] == [(crm_id, accounts[1])]
    assert hubspot.rows(OPEN_CALLS) == [(0,)]
    assert hubspot.load(spec, CONTACT).outcomes == {"unchanged": 1}


def test_of_creates_that_go_at_the_same_time_each_call_is_kept_with_its_own_size(salesforce: Bench) -> None:
    spec = salesforce.spec(external_keys=False)
    salesforce.stage(spec, ACCOUNT, *map(customer, range(1, 4)))
    with stages(salesforce, spec, ACCOUNT) as load:
        load.storing.begin(load.plan(1, 2, 3), calls=pd.Series([0, 0, 1]))
    assert salesforce.rows("SELECT qbench_id, sent_with FROM crm_pipeline.intent ORDER BY qbench_id") == [(1, 2), (2, 2), (3, 1)]
