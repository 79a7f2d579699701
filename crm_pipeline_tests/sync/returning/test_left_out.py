"""Nothing is made in QBench of what the integration leaves out: contacts of customers that do not sync, records outside a list."""

from __future__ import annotations

from typing import Any

import pytest

from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, LEAN_ACCOUNT_MAP, Bench
from crm_pipeline_tests.sync.returning.test_creating import PERSON, house, with_account

ACTIVE_ONLY: dict[str, Any] = {"map": LEAN_ACCOUNT_MAP, "active_only": True}
NO_TESTS: dict[str, Any] = {"map": LEAN_ACCOUNT_MAP, "only": {"field": "group_name", "is_not": "Test"}}


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


def test_record_outside_the_list_is_not_made_until_it_is_in_it(hubspot: Bench) -> None:
    portal = hubspot.sandbox.portal
    portal.scopes |= {"crm.lists.read"}
    list_id = portal.lists.add("Lab customers", "companies")
    here = house(hubspot, accounts={"map": LEAN_ACCOUNT_MAP, "only": {"crm_list": {"hubspot": "Lab customers"}}})
    outside, inside = here.add(ACCOUNT, name="Outside"), here.add(ACCOUNT, name="Inside")
    portal.lists.join(list_id, inside)
    here.bring()
    assert [record["customer_name"] for record in here.shown("customers")] == ["Inside"]
    assert (here.outcome(outside)[:2], here.outcome(inside)[:2]) == (("skipped", "NotInListException"), ("created", None))

    portal.lists.join(list_id, outside)
    here.bring()
    assert sorted(record["customer_name"] for record in here.shown("customers")) == ["Inside", "Outside"]
