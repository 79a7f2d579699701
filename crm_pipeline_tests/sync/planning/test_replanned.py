"""What waits for what: records are taken up by a later load without an edit of their own (docs/rules.md, 25)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from crm_pipeline.errors import AuthenticationError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.obstacles import Obstacle
from crm_pipeline.store.manual_links import make_link
from crm_pipeline.store.staging import Window
from crm_pipeline.sync.loading.report import LoadReport
from crm_pipeline_tests.sync.conftest import (
    ACCOUNT,
    BY_NAME,
    CONTACT,
    LEAN_ACCOUNT_MAP,
    LEAN_CONTACT_MAP,
    Bench,
    contact,
    customer,
    own_bench,
)
from crm_pipeline_tests.sync.extracting.test_deletions import delete

NOW = Window(since=900, until=1_000)
"""The window of a later run, in which nothing changed but what stands there."""

ACTIVE = {"all": [{"field": "status", "is": "ACTIVE"}]}


def normalized(bench: Bench, spec: IntegrationSpec, window: Window = NOW) -> None:
    """What a run does before it loads."""
    bench.normalize(spec, ACCOUNT, window=window)
    bench.normalize(spec, CONTACT, window=window)


def contacts_loaded(bench: Bench, spec: IntegrationSpec, window: Window = NOW) -> tuple[int, int, dict[str, int]]:
    """A run of the window in which no customer is to be written."""
    normalized(bench, spec, window)
    return taken_up(bench.load(spec, CONTACT, window=window))


def taken_up(report: LoadReport) -> tuple[int, int, dict[str, int]]:
    """Rows of the window, rows replanned, outcomes."""
    return report.rows, report.replanned, dict(report.outcomes)


Outcomes = dict[int, tuple[str, str | None]]


@dataclass(frozen=True)
class Seen:
    """What the loads of a run left: outcomes of accounts and contacts, the CRM's names and emails, and what links say of customers."""

    accounts: Outcomes
    contacts: Outcomes
    names: list[str]
    emails: list[str]
    links: dict[int, str]


def seen(bench: Bench) -> Seen:
    links = dict(bench.rows("SELECT qbench_id, crm_id FROM crm_pipeline.link WHERE record_type = 'account'"))
    return Seen(bench.outcomes(), bench.outcomes(CONTACT), bench.names(), bench.emails(), links)


@dataclass(frozen=True)
class Waiting:
    """Runs before and after what the records wait for came; and what the contact loads of runs in which nothing came took up."""

    first: Seen
    in_vain: tuple[int, int, dict[str, int]]
    second: Seen
    followed: tuple[int, int, dict[str, int]]
    in_the_end: tuple[int, int, dict[str, int]]


@pytest.fixture(scope="module")
def waiting(postgres: str) -> Iterator[Waiting]:
    with own_bench(postgres, "salesforce") as bench:
        lax = bench.spec(external_keys=False)
        gold: dict[str, Any] = {"status": "ACTIVE", "group_name": "Gold", "country": "US"}
        bench.given(lax, ACCOUNT, customer(1, **gold), customer(3, **gold), customer(9, **{**gold, "status": "INACTIVE"}))
        bench.given(lax, ACCOUNT, *(customer(number, **gold) for number in (5, 6)), customer(7, **{**gold, "group_name": "Silver"}))
        bench.given(lax, ACCOUNT, customer(10, customer_name="Eco Labs", **gold))
        bench.given(lax, CONTACT, contact(21, of=1), contact(23, of=3), contact(29, of=9))

        spec = bench.spec(
            external_keys=False,
            accounts={**BY_NAME, "active_only": True, "only": {"all": [{"field": "country", "is": "US"}]}},
            contacts={"map": LEAN_CONTACT_MAP, "only": {"all": [{"field": "customer.group_name", "is": "Gold"}]}},
        )
        normalized(bench, spec)
        inactive, abroad = {**gold, "status": "INACTIVE"}, {**gold, "country": "CA"}
        bench.stage(spec, ACCOUNT, customer(1, 200, customer_name="Renamed", **inactive), customer(2, **inactive))
        bench.stage(spec, ACCOUNT, customer(3, 200, customer_name="Renamed", **abroad), customer(4, **abroad))
        bench.stage(spec, ACCOUNT, customer(11, 200, customer_name="ECO Labs", **gold))
        bench.stage(
            spec,
            CONTACT,
            *(contact(20 + number, 200, of=number, email_address=f"new{number}@labs.example.org") for number in (1, 3, 9)),
            *(contact(20 + number, of=number) for number in (2, 4, 7)),
            contact(25, of=5, customers=[{"id": 5}, {"id": 6}]),
        )
        for record_type in (ACCOUNT, CONTACT):
            bench.load(spec, record_type)
        first, in_vain = seen(bench), contacts_loaded(bench, spec)

        bench.stage(spec, ACCOUNT, *(customer(number, 950, **gold) for number in (1, 2, 3, 4, 7)))
        delete(bench, spec, ACCOUNT, customer(6, 951), customer(10, 951, customer_name="Eco Labs", **gold))
        bench.load(spec, ACCOUNT, window=NOW)
        followed = contacts_loaded(bench, spec)
        yield Waiting(first, in_vain, seen(bench), followed, contacts_loaded(bench, spec, Window(since=1_000, until=1_001)))


NOT_SYNCED = ("skipped", "CustomerNotSyncedException")
CREATED, UPDATED = ("created", None), ("updated", None)


def test_nothing_is_planned_again_in_vain(waiting: Waiting) -> None:
    assert waiting.in_vain == (0, 0, {})
    assert waiting.followed == (0, 6, {"updated": 2, "created": 4})
    assert waiting.in_the_end == (0, 0, {})


@pytest.mark.parametrize(
    ("synced", "new", "error"),
    [(1, 2, "InactiveCustomerException"), (3, 4, "FilteredOutException")],
    ids=["active_only", "a filter"],
)
def test_nothing_is_written_for_the_contacts_of_a_customer_left_out_until_it_is_back(
    waiting: Waiting, synced: int, new: int, error: str
) -> None:
    first, second = waiting.first, waiting.second
    assert (first.accounts[synced], first.accounts[new]) == (("skipped", error), ("skipped", error))
    assert (first.contacts[20 + synced], first.contacts[20 + new]) == (NOT_SYNCED, NOT_SYNCED)
    assert {"Renamed", f"Lab {new}"}.isdisjoint(first.names)
    assert {f"new{synced}@labs.example.org", f"person{20 + new}@labs.example.org"}.isdisjoint(first.emails)
    assert (second.contacts[20 + synced], second.contacts[20 + new]) == (UPDATED, CREATED)
    assert {f"new{synced}@labs.example.org", f"person{20 + new}@labs.example.org"} <= set(second.emails)


def test_contact_that_a_change_of_its_customer_leaves_out_says_so_though_it_did_not_change(salesforce: Bench) -> None:
    spec = salesforce.spec(contacts={"map": LEAN_CONTACT_MAP, "only": {"field": "customer.group_name", "is": "Gold"}})
    salesforce.given(spec, ACCOUNT, customer(1, group_name="Gold"))
    salesforce.given(spec, CONTACT, contact(21, of=1))
    salesforce.stage(spec, ACCOUNT, customer(1, 950, group_name="Silver"))
    assert contacts_loaded(salesforce, spec) == (0, 1, {"skipped": 1})
    assert salesforce.outcomes(CONTACT) == {21: ("skipped", "FilteredOutException")}
    assert contacts_loaded(salesforce, spec) == (0, 0, {})


def test_active_only_holds_from_the_next_run_on_for_customers_that_synced_before(waiting: Waiting) -> None:
    assert (waiting.first.contacts[29], waiting.second.contacts[29]) == (NOT_SYNCED, NOT_SYNCED)
    assert "person29@labs.example.org" in waiting.second.emails


def test_a_contact_of_two_customers_follows_once_one_of_them_is_deleted(waiting: Waiting) -> None:
    assert waiting.first.contacts[25] == ("skipped", "ContactWithMoreThanOneCustomerException")
    assert waiting.second.contacts[25] == CREATED


def test_a_contact_whose_rule_names_its_customer_follows_the_customer(waiting: Waiting) -> None:
    assert (waiting.first.contacts[27], waiting.second.contacts[27]) == (("skipped", "FilteredOutException"), CREATED)


def test_a_record_in_conflict_follows_once_the_one_that_holds_the_crm_record_is_deleted(waiting: Waiting) -> None:
    assert waiting.first.accounts[11] == ("skipped", "LinkConflictException")
    assert (waiting.second.accounts[10], waiting.second.accounts[11]) == (("skipped", "DeletedInQBenchException"), ("linked", None))
    assert waiting.second.links[11] == waiting.first.links[10]
    assert 10 not in waiting.second.links


def test_a_changed_mapping_takes_up_what_could_not_sync_and_leaves_the_rest_alone(hubspot: Bench) -> None:
    spec = hubspot.spec()
    hubspot.given(spec, ACCOUNT, customer(1))
    hubspot.given(spec, CONTACT, contact(8, of=1, mail="x@y.example.org"))
    hubspot.stage(spec, CONTACT, contact(7, of=1, email_address=None, mail="ana@labs.example.org"))
    hubspot.load(spec, CONTACT)
    assert hubspot.outcomes(CONTACT)[7] == ("skipped", "NoEmailForContactException")
    changed = hubspot.spec(contacts={"map": {**LEAN_CONTACT_MAP, "email": "mail"}})
    assert contacts_loaded(hubspot, changed) == (0, 1, {"created": 1})
    assert hubspot.emails() == ["ana@labs.example.org", "person8@labs.example.org"]
    assert contacts_loaded(hubspot, changed) == (0, 0, {})


def test_a_changed_filter_takes_up_what_it_left_out_in_every_crm(salesforce: Bench) -> None:
    hubspot = Bench(salesforce.sandbox, salesforce.store, "hubspot")
    spec = salesforce.spec(accounts={"map": LEAN_ACCOUNT_MAP, "only": ACTIVE})
    salesforce.stage(spec, ACCOUNT, customer(1, status="INACTIVE"))
    for bench in (salesforce, hubspot):
        bench.load(spec, ACCOUNT)
    open_to_all = salesforce.spec()
    salesforce.normalize(open_to_all, ACCOUNT, window=NOW)
    for bench in (salesforce, hubspot):
        assert taken_up(bench.load(open_to_all, ACCOUNT, window=NOW)) == (0, 1, {"created": 1})


@pytest.mark.parametrize("leaves", ["deleted", "inactive", "renamed", "linked by hand"])
def test_a_record_whose_rival_leaves_is_linked_in_the_run_that_sees_it(salesforce: Bench, leaves: str) -> None:
    spec = salesforce.spec(external_keys=False, accounts={**BY_NAME, "active_only": True})
    made = salesforce.add_account("Eco Labs")
    salesforce.stage(spec, ACCOUNT, customer(1, customer_name="Eco Labs"), customer(2, customer_name="Eco Labs"))
    salesforce.load(spec, ACCOUNT)
    assert set(salesforce.outcomes().values()) == {("skipped", "AmbiguousMatchException")}
    assert taken_up(salesforce.load(spec, ACCOUNT, window=NOW)) == (0, 0, {})
    if leaves == "deleted":
        delete(salesforce, spec, ACCOUNT, customer(2, 950, customer_name="Eco Labs"))
    elif leaves == "inactive":
        salesforce.stage(spec, ACCOUNT, customer(2, 950, customer_name="Eco Labs", status="INACTIVE"))
    elif leaves == "renamed":
        salesforce.stage(spec, ACCOUNT, customer(2, 950, customer_name="Other Labs"))
    else:
        other, state = salesforce.add_account("Other Labs"), salesforce.order(spec, ACCOUNT).state
        with salesforce.store.transaction() as connection:
            make_link(connection, state, org_id=salesforce.org_id, qbench_id=2, crm_id=other)
    salesforce.load(spec, ACCOUNT, window=NOW)
    assert salesforce.outcomes()[1] == ("linked", None)
    assert salesforce.rows("SELECT crm_id FROM crm_pipeline.link WHERE qbench_id = 1") == [(made,)]
    assert taken_up(salesforce.load(spec, ACCOUNT, window=Window(since=1_000, until=1_001))) == (0, 0, {})


def test_a_record_whose_rival_left_is_linked_though_the_load_that_saw_it_broke_off(salesforce: Bench) -> None:
    spec = salesforce.spec(external_keys=False, accounts=BY_NAME)
    salesforce.add_account("Eco Labs")
    salesforce.stage(spec, ACCOUNT, customer(1, customer_name="Eco Labs"), customer(2, customer_name="Eco Labs"))
    salesforce.load(spec, ACCOUNT)
    salesforce.stage(spec, ACCOUNT, customer(2, 950, customer_name="Other Labs"))
    salesforce.sandbox.faults.add(Fault(service="salesforce", path="composite/sobjects", status=401, times=None))
    with pytest.raises(AuthenticationError):
        salesforce.load(spec, ACCOUNT, window=NOW)
    salesforce.sandbox.faults.clear()
    assert salesforce.outcomes()[2] == ("failed", "ServiceFailedException"), "it names no rival any more"
    salesforce.load(spec, ACCOUNT, window=NOW)
    assert salesforce.outcomes()[1] == ("linked", None)


def test_a_contact_deferred_for_a_customer_says_so_once_that_is_given_up(salesforce: Bench) -> None:
    spec = salesforce.spec(retries={"attempts": 2})
    salesforce.sandbox.org.obstacles.append(Obstacle("Account", bool, "UNKNOWN_EXCEPTION"))
    salesforce.stage(spec, ACCOUNT, customer(1))
    salesforce.stage(spec, CONTACT, contact(7, of=1))
    salesforce.load(spec, ACCOUNT)
    salesforce.load(spec, CONTACT)
    assert salesforce.outcomes(CONTACT) == {7: ("deferred", "CustomerNotYetSyncedException")}
    salesforce.load(spec, ACCOUNT)
    assert taken_up(salesforce.load(spec, CONTACT, window=NOW)) == (0, 1, {"skipped": 1})
    assert salesforce.outcomes(CONTACT) == {7: ("skipped", "CustomerNotSyncedException")}
    assert taken_up(salesforce.load(spec, CONTACT, window=NOW)) == (0, 0, {})
