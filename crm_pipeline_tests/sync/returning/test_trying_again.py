"""What is told, left aside and tried again of records that people made in a CRM, and that something stands in the way of."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from crm_pipeline.errors import ServiceUnavailableError
from crm_pipeline.model import RecordType
from crm_pipeline.qbench.source import QBench
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.salesforce import ValidationRule
from crm_pipeline.store.staging import Window
from crm_pipeline.sync.backoff import RetrySettings
from crm_pipeline.sync.returning.bring import Return
from crm_pipeline.sync.returning.policy import ReturnPolicy
from crm_pipeline.sync.returning.reading import ReadChanges
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, Bench, customer
from crm_pipeline_tests.sync.returning.test_creating import PERSON, House, house, key, with_account

MINUTE = timedelta(minutes=1)
DUPLICATE = ("skipped", "DuplicateEmailException")


# Keys that the CRM refuses


def test_key_that_the_crm_refuses_is_told_with_its_error_and_not_sent_hourly(salesforce: Bench) -> None:
    here = house(salesforce)
    rule = ValidationRule("Account", lambda row: row["QBench_Id__c"] is not None, field="Phone", message="SECRET")
    salesforce.sandbox.org.add_validation_rule(rule)
    crm_id = here.add(ACCOUNT, name="Eco Labs")
    here.bring()
    refused = ("failed", "InvalidValueException", "external key; code: FIELD_CUSTOM_VALIDATION_EXCEPTION; fields: Phone")
    assert (here.outcome(crm_id), here.report.outcomes, len(here.links())) == (refused, {"failed": 1}, 1)
    hour(here, ACCOUNT)
    assert (here.outcome(crm_id), here.crm_calls) == (refused, {})


def test_key_is_written_once_the_record_that_refused_it_changed(salesforce: Bench) -> None:
    here = house(salesforce)
    other = here.add(ACCOUNT, name="Other Labs")
    salesforce.sandbox.org.update("Account", other, {key(here): "1"})
    crm_id = here.add(ACCOUNT, name="Eco Labs")
    here.bring()
    assert here.outcome(crm_id)[:2] == ("failed", "DuplicateRecordException")

    salesforce.sandbox.org.update("Account", other, {key(here): None})
    salesforce.sandbox.org.update("Account", crm_id, {"Description": "new"}, at=datetime.now(UTC) + MINUTE)
    here.bring()
    assert here.outcome(crm_id)[:2] == ("updated", None)
    assert salesforce.sandbox.org.record("Account", crm_id)[key(here)] == "1"


# Several with one email


@pytest.fixture
def twins(salesforce: Bench) -> tuple[House, str, str]:
    """Two new contacts with one email, of which none was made."""
    here, account = with_account(salesforce)
    first, second = (here.add(CONTACT, account=account, **PERSON) for _ in range(2))
    here.bring(CONTACT)
    assert [here.outcome(one)[:2] for one in (first, second)] == [DUPLICATE] * 2
    return here, first, second


def edit(here: House, crm_id: str, values: Mapping[str, str | None], *, minutes: int = 1) -> None:
    here.bench.sandbox.org.update("Contact", crm_id, values, at=datetime.now(UTC) + minutes * MINUTE)


def hour(here: House, record_type: RecordType = CONTACT, *, policy: ReturnPolicy = ReturnPolicy()) -> None:  # noqa: B008 - immutable
    """A run of an hour in which nothing lies but what ``edit`` changed."""
    bench, window = here.bench, Window(since=int(time.time()) + 30, until=2**32)
    order = bench.order(here.spec, record_type)
    with closing(bench.connect(here.spec)) as crm, closing(QBench(here.spec.qbench, integration=here.spec.name)) as source:
        ReadChanges([order], store=bench.store, crm=crm).run(window)
        job = Return(order, store=bench.store, source=source, crm=crm, policy=policy, back=here.spec.coming_back)
        here.report = job.report
        try:
            job.run(window)
        finally:
            here.crm_calls = {name: count for name, count in crm.calls.snapshot().items() if name == "write"}


@pytest.mark.parametrize("email", ["other@eco.example", None])
def test_new_contact_is_made_once_the_other_one_gave_up_its_email(twins: tuple[House, str, str], email: str | None) -> None:
    here, first, second = twins
    edit(here, second, {"Email": email})
    hour(here)
    assert here.outcome(first)[:2] == ("created", None)


def test_new_contact_is_made_once_the_other_one_is_gone(twins: tuple[House, str, str]) -> None:
    """Which nobody tells: it is looked at again in its time."""
    here, first, second = twins
    here.bench.sandbox.org.delete("Contact", second)
    hour(here)
    assert here.outcome(first)[:2] == DUPLICATE
    here.let_be_due()
    hour(here)
    assert here.outcome(first)[:2] == ("created", None)


def test_edit_of_one_of_them_alone_makes_none(twins: tuple[House, str, str]) -> None:
    here, first, second = twins
    edit(here, second, {"Phone": "+15125550199"})
    hour(here)
    assert (here.shown("contacts"), here.outcome(first)[:2], here.outcome(second)[:2]) == ([], DUPLICATE, DUPLICATE)


def test_further_one_with_the_email_waits_with_them(twins: tuple[House, str, str]) -> None:
    here, first, _ = twins
    account = here.bench.sandbox.org.record("Contact", first)["AccountId"]
    third = here.bench.sandbox.org.add(
        "Contact", {"AccountId": account, "Email": "ANA@eco.example", "FirstName": "A", "LastName": "B"}, at=datetime.now(UTC) + MINUTE
    )
    hour(here)
    assert (here.shown("contacts"), here.outcome(third)[:2]) == ([], DUPLICATE)


# Links and values that QBench refuses


def test_refused_link_is_tried_again_where_the_record_was_edited_in_the_same_second(salesforce: Bench) -> None:
    here, account = with_account(salesforce, external_keys=False)
    crm_id = here.add(CONTACT, account=account, **PERSON)
    salesforce.sandbox.faults.add(Fault(service="qbench", method="POST", path="contacts/.*/customers$", status=422, times=None))
    here.bring(CONTACT)
    assert here.bring(CONTACT).get("write", 0) == 0
    salesforce.sandbox.faults.clear()
    stamp = datetime.fromisoformat(salesforce.sandbox.org.record("Contact", crm_id)["SystemModstamp"])
    salesforce.sandbox.org.update("Contact", crm_id, {"FirstName": "Anna"}, at=stamp)
    here.bring(CONTACT)
    [contact] = here.shown("contacts")
    assert (here.open(), contact["first_name"], here.outcome(crm_id)[:2]) == ([], "Anna", ("updated", None))


# Records on which QBench fails


@pytest.fixture
def failing(salesforce: Bench) -> House:
    """Three new accounts, of which QBench fails on the second one."""
    here = house(salesforce)
    for name in ("Eco", "Poison", "Geo"):
        here.add(ACCOUNT, name=name)
    salesforce.sandbox.faults.add(Fault(service="qbench", method="POST", path="customers$", naming="Poison", status=500, times=None))
    return here


def made(here: House) -> list[str]:
    return sorted(str(one["customer_name"]) for one in here.shown("customers"))


def test_record_on_which_qbench_fails_stops_no_other_and_its_hour_is_red(failing: House) -> None:
    with pytest.raises(ServiceUnavailableError):
        failing.bring()
    [(poison, none)] = failing.open()
    assert (made(failing), none) == (["Eco", "Geo"], None)
    assert failing.outcome(poison)[:2] == ("failed", "QBenchFailsOnRecordException")
    assert failing.report.outcomes == {"created": 2, "failed": 1}


def test_later_hours_try_it_again_and_are_not_red(failing: House) -> None:
    with pytest.raises(ServiceUnavailableError):
        failing.bring()
    failing.age()
    hour(failing, ACCOUNT)
    assert (len(failing.open()), failing.report.outcomes) == (1, {"failed": 1})
    failing.bench.sandbox.faults.clear()
    failing.age()
    hour(failing, ACCOUNT)
    assert (made(failing), failing.open()) == (["Eco", "Geo", "Poison"], [])


def test_record_that_was_given_up_is_not_made_until_it_changes(failing: House) -> None:
    failing.spec = failing.spec.model_copy(update={"retries": RetrySettings(attempts=1)})
    with pytest.raises(ServiceUnavailableError):
        failing.bring()
    failing.age()
    hour(failing, ACCOUNT)
    assert failing.open() == []
    hour(failing, ACCOUNT)
    assert (failing.report.outcomes, made(failing)) == ({}, ["Eco", "Geo"])


def test_qbench_that_fails_on_each_of_many_is_left_alone(salesforce: Bench) -> None:
    here = house(salesforce)
    salesforce.given(here.spec, ACCOUNT, *(customer(number) for number in range(100, 110)))
    for number in range(10):
        salesforce.sandbox.org.add("Account", {"Name": f"New {number}"}, at=datetime.now(UTC) + MINUTE)
    salesforce.sandbox.faults.add(Fault(service="qbench", method="POST", path="customers$", status=500, times=None))
    with pytest.raises(ServiceUnavailableError):
        hour(here, ACCOUNT, policy=ReturnPolicy(most_changed_share=1))
    assert (len(here.open()), here.shown("customers")) == (8, [])
