"""Of several reasons the first of rules.md, *Order of reasons*, is told; and what a linked record still gets."""

from __future__ import annotations

from typing import Any

from crm_pipeline.store.staging import Window
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, LEAN_ACCOUNT_MAP, LEAN_CONTACT_MAP, Bench, contact, customer

SHARED: dict[str, Any] = {"phone": "512 555 0199"}
"""The phone of two contacts of the CRM: whoever has it in QBench matches both."""


def test_of_the_reasons_that_need_more_than_the_record_the_first_is_told(salesforce: Bench) -> None:
    spec = salesforce.spec(contacts={"map": LEAN_CONTACT_MAP, "sync_on": [{"phone": {"salesforce": "Phone"}}]})
    for name in ("Ruiz", "Lee"):
        salesforce.sandbox.org.add("Contact", {"LastName": name, "Phone": "(512) 555-0199"})
    salesforce.stage(spec, ACCOUNT, customer(1), customer(2, customer_name=None))
    missing: dict[str, Any] = {"first_name": None}
    salesforce.stage(
        spec,
        CONTACT,
        contact(6, of=1),
        contact(7, of=2, email_address="person6@labs.example.org", **SHARED, **missing),
        contact(8, of=2, **SHARED, **missing),
        contact(9, of=3, **SHARED, **missing),
        contact(10, of=2, **missing),
        contact(11, of=3, **missing),
        contact(12, of=1, **missing),
    )
    salesforce.load(spec, ACCOUNT)
    salesforce.load(spec, CONTACT)
    assert salesforce.outcomes(CONTACT) == {
        6: ("created", None),
        7: ("skipped", "DuplicateEmailException"),
        8: ("skipped", "AmbiguousMatchException"),
        9: ("skipped", "AmbiguousMatchException"),
        10: ("skipped", "CustomerNotSyncedException"),
        11: ("deferred", "CustomerNotYetSyncedException"),
        12: ("skipped", "MissingFieldForContactException"),
    }


def test_without_match_keys_a_contact_that_waits_for_its_customer_costs_no_look_up(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.stage(spec, CONTACT, contact(7, of=1))
    salesforce.load(spec, CONTACT)
    organization = 1
    assert salesforce.calls["read"] == organization


def test_a_linked_contact_that_gains_a_second_customer_is_not_updated(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.given(spec, ACCOUNT, customer(1), customer(2))
    salesforce.given(spec, CONTACT, contact(7, of=1))
    both = contact(7, 200, of=1, customers=[{"id": 1}, {"id": 2}], email_address="new@labs.example.org")
    salesforce.stage(spec, CONTACT, both)
    salesforce.load(spec, CONTACT)
    assert salesforce.outcomes(CONTACT) == {7: ("skipped", "ContactWithMoreThanOneCustomerException")}
    assert salesforce.emails() == ["person7@labs.example.org"]


def test_a_record_that_leaves_the_filter_stays_where_it_is_and_is_not_updated(salesforce: Bench) -> None:
    spec = salesforce.spec(accounts={"map": LEAN_ACCOUNT_MAP, "only": {"field": "group_name", "is": "Gold"}})
    salesforce.given(spec, ACCOUNT, customer(1, group_name="Gold"))
    salesforce.stage(spec, ACCOUNT, customer(1, 200, group_name="Silver", customer_name="Renamed"))
    salesforce.load(spec, ACCOUNT)
    assert (salesforce.outcomes(), salesforce.names()) == ({1: ("skipped", "FilteredOutException")}, ["Lab 1"])
    salesforce.stage(spec, ACCOUNT, customer(1, 300, group_name="Gold", customer_name="Renamed"))
    assert dict(salesforce.load(spec, ACCOUNT, window=Window(since=300, until=301)).outcomes) == {"updated": 1}
    assert salesforce.names() == ["Renamed"]
