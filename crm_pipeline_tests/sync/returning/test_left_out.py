"""Nothing is made in QBench of what the integration leaves out: contacts of customers that do not sync, records outside a list."""

from __future__ import annotations

from typing import Any

import pytest

from crm_pipeline.model import RecordType
from crm_pipeline.sync.returning.selection import asked_for
from crm_pipeline_tests.sync.conftest import ACCOUNT, BY_NAME, CONTACT, LEAN_ACCOUNT_MAP, Bench
from crm_pipeline_tests.sync.returning.test_creating import PERSON, House, house, with_account

ACTIVE_ONLY: dict[str, Any] = {"map": LEAN_ACCOUNT_MAP, "active_only": True}
NO_TESTS: dict[str, Any] = {"map": LEAN_ACCOUNT_MAP, "only": {"field": "group_name", "is_not": "Test"}}


def asked(here: House, record_type: RecordType) -> list[str]:
    """The CRM records that the next run looks at, whatever their stamps."""
    return asked_for(here.bench.order(here.spec, record_type), store=here.bench.store)


@pytest.mark.parametrize(
    ("accounts", "left_out", "taken_in", "error"),
    [
        (ACTIVE_ONLY, {"status": "INACTIVE"}, {"status": "ACTIVE"}, "InactiveCustomerException"),
        (NO_TESTS, {"group_name": "Test"}, {"group_name": "Gold"}, "FilteredOutException"),
    ],
)
def test_contact_of_a_customer_that_does_not_sync_waits_until_it_does(
    salesforce: Bench, accounts: dict[str, Any], left_out: dict[str, str], taken_in: dict[str, str], error: str
) -> None:
    here, account = with_account(salesforce, accounts=accounts)
    here.tenant.edit_customer(1, **left_out)
    here.extract()
    crm_id = here.add(CONTACT, account=account, **PERSON)
    here.bring(CONTACT)
    assert (here.shown("contacts"), here.outcome(crm_id)) == ([], ("skipped", "CustomerNotSyncedException", f"customer 1: {error}"))

    here.tenant.edit_customer(1, **taken_in)
    here.extract()
    here.bring(CONTACT)
    assert (len(here.shown("contacts")), here.outcome(crm_id)[:2]) == (1, ("created", None))


def test_contact_of_a_customer_that_was_deleted_in_qbench_is_not_made(salesforce: Bench) -> None:
    """It would belong to nobody."""
    here, account = with_account(salesforce)
    here.tenant.delete_customer(1)
    here.extract()
    crm_id = here.add(CONTACT, account=account, **PERSON)
    here.bring(CONTACT)
    assert (here.shown("contacts"), here.outcome(crm_id)[1]) == ([], "CustomerNotSyncedException")


@pytest.mark.parametrize(
    ("only", "receive"), [({"crm_list": {"hubspot": "Lab customers"}}, True), (None, {"only_in_list": "Lab customers"})]
)
def test_record_outside_the_list_is_not_made_until_it_is_in_it(hubspot: Bench, only: dict[str, Any] | None, receive: object) -> None:
    portal = hubspot.sandbox.portal
    portal.scopes |= {"crm.lists.read"}
    list_id = portal.lists.add("Lab customers", "companies")
    here = house(hubspot, accounts={"map": LEAN_ACCOUNT_MAP, "only": only}, settings={"receive": receive})
    outside, inside = here.add(ACCOUNT, name="Outside"), here.add(ACCOUNT, name="Inside")
    portal.lists.join(list_id, inside)
    here.bring()
    assert [record["customer_name"] for record in here.shown("customers")] == ["Inside"]
    assert here.outcome(outside) == ("skipped", "NotInListException", "list: Lab customers")
    assert here.outcome(inside)[:2] == ("created", None)

    portal.lists.join(list_id, outside)
    here.bring()
    assert sorted(record["customer_name"] for record in here.shown("customers")) == ["Inside", "Outside"]


def test_contact_follows_once_the_email_is_free_in_qbench(salesforce: Bench) -> None:
    here, account = with_account(salesforce)
    here.tenant.add_contact(id=70, customer_ids=[1], email_address=PERSON["email"], first_name="X", last_name="Y", at=1_000)
    here.extract(CONTACT)
    crm_id = here.add(CONTACT, account=account, **PERSON)
    here.bring(CONTACT)
    assert here.outcome(crm_id)[1:] == ("DuplicateEmailException", "QBench id 70")
    assert asked(here, CONTACT) == []

    here.tenant.edit_contact(70, email_address="other@eco.example")
    here.extract(CONTACT)
    assert asked(here, CONTACT) == [crm_id]
    here.bring(CONTACT)
    assert (here.outcome(crm_id)[0], asked(here, CONTACT)) == ("created", [])


def test_account_follows_once_it_is_clear_which_customer_it_is(salesforce: Bench) -> None:
    here = house(salesforce, accounts=BY_NAME)
    for number in (5, 6):
        here.tenant.add_customer(id=number, customer_name="Eco Labs", at=1_000)
    here.extract()
    crm_id = here.add(ACCOUNT, name="Eco Labs")
    here.bring()
    assert (here.outcome(crm_id)[1], asked(here, ACCOUNT)) == ("AmbiguousMatchException", [])

    here.tenant.delete_customer(6)
    here.extract()
    assert asked(here, ACCOUNT) == [crm_id]
    here.bring()
    assert here.outcome(crm_id)[0] == "linked"
