"""Of several reasons the first is told (docs/rules.md, 38), and what a linked record still gets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from crm_pipeline.store.staging import Window
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, LEAN_ACCOUNT_MAP, LEAN_CONTACT_MAP, Bench, contact, customer, own_bench

SHARED: dict[str, Any] = {"phone": "512 555 0199"}
"""The phone of two contacts of the CRM: whoever has it in QBench matches both."""


@dataclass(frozen=True)
class Told:
    """The outcomes of accounts and contacts, and the CRM's names and emails; then what became of accounts in the run after."""

    accounts: dict[int, tuple[str, str | None]]
    contacts: dict[int, tuple[str, str | None]]
    names: list[str]
    emails: list[str]
    later: dict[str, int]
    later_names: list[str]


@pytest.fixture(scope="module")
def told(postgres: str) -> Iterator[Told]:
    """Loads of contacts 6 to 12, which have more than one reason not to sync, and of changes to what is linked."""
    with own_bench(postgres, "salesforce") as bench:
        spec = bench.spec(
            accounts={"map": LEAN_ACCOUNT_MAP, "only": {"field": "group_name", "is": "Gold"}},
            contacts={"map": LEAN_CONTACT_MAP, "sync_on": [{"phone": {"salesforce": "Phone"}}]},
        )
        for name in ("Ruiz", "Lee"):
            bench.sandbox.org.add("Contact", {"LastName": name, "Email": f"{name}@crm.example.org", "Phone": "(512) 555-0199"})
        gold: dict[str, Any] = {"group_name": "Gold"}
        bench.given(spec, ACCOUNT, customer(4, **gold), customer(5, **gold))
        bench.given(spec, CONTACT, contact(13, of=4))
        bench.stage(spec, ACCOUNT, customer(1, **gold), customer(2, customer_name=None, **gold))
        bench.stage(spec, ACCOUNT, customer(5, 200, group_name="Silver", customer_name="Renamed"))
        missing: dict[str, Any] = {"first_name": None}
        bench.stage(
            spec,
            CONTACT,
            contact(6, of=1),
            contact(7, of=2, email_address="person6@labs.example.org", **SHARED, **missing),
            contact(8, of=2, **SHARED, **missing),
            contact(9, of=3, **SHARED, **missing),
            contact(10, of=2, **missing),
            contact(11, of=3, **missing),
            contact(12, of=1, **missing),
            contact(13, 200, of=4, customers=[{"id": 4}, {"id": 5}], email_address="new@labs.example.org"),
        )
        bench.load(spec, ACCOUNT)
        names = bench.names()
        bench.load(spec, CONTACT)
        bench.stage(spec, ACCOUNT, customer(5, 300, customer_name="Renamed", **gold))
        first = bench.outcomes(), bench.outcomes(CONTACT), names, bench.emails()
        later = bench.load(spec, ACCOUNT, window=Window(since=300, until=301))
        yield Told(*first, dict(later.outcomes), bench.names())


def test_of_the_reasons_that_need_more_than_the_record_the_first_is_told(told: Told) -> None:
    assert {number: told.contacts[number] for number in range(6, 13)} == {
        6: ("created", None),
        7: ("skipped", "DuplicateEmailException"),
        8: ("skipped", "AmbiguousMatchException"),
        9: ("skipped", "AmbiguousMatchException"),
        10: ("skipped", "CustomerNotSyncedException"),
        11: ("deferred", "CustomerNotYetSyncedException"),
        12: ("skipped", "MissingFieldForContactException"),
    }


def test_a_linked_contact_that_gains_a_second_customer_is_not_updated(told: Told) -> None:
    assert told.contacts[13] == ("skipped", "ContactWithMoreThanOneCustomerException")
    assert "person13@labs.example.org" in told.emails


def test_a_record_that_leaves_the_filter_stays_where_it_is_and_is_not_updated(told: Told) -> None:
    assert told.accounts[5] == ("skipped", "FilteredOutException")
    assert told.names == ["Lab 1", "Lab 4", "Lab 5"]
    assert (told.later, told.later_names) == ({"updated": 1}, ["Lab 1", "Lab 4", "Renamed"])


def test_without_match_keys_a_contact_that_waits_for_its_customer_costs_no_look_up(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.stage(spec, CONTACT, contact(7, of=1))
    salesforce.load(spec, CONTACT)
    assert "read" not in salesforce.calls
