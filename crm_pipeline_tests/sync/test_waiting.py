"""What waits for what: records are taken up by a later load without an edit of their own (rule 25)."""

from __future__ import annotations

from typing import Any

import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.store.database import Store
from crm_pipeline.store.staging import Window
from crm_pipeline.sync.report import LoadReport
from crm_pipeline_tests.sync.conftest import ACCOUNT, BY_NAME, CONTACT, LEAN_ACCOUNT_MAP, LEAN_CONTACT_MAP, Bench, contact, customer
from crm_pipeline_tests.sync.test_deletions import delete

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


@pytest.mark.parametrize(
    ("crm", "rule", "error"),
    [("salesforce", {"only": ACTIVE}, "FilteredOutException"), ("hubspot", {"active_only": True}, "InactiveCustomerException")],
    ids=["a filter", "active_only"],
)
def test_nothing_is_written_for_the_contacts_of_a_customer_left_out_until_it_is_back(
    sandbox: Sandbox, store: Store, crm: str, rule: dict[str, Any], error: str
) -> None:
    bench = Bench(sandbox, store, crm)
    spec = bench.spec(accounts={"map": LEAN_ACCOUNT_MAP, **rule})
    bench.given(spec, ACCOUNT, customer(1, status="ACTIVE"))
    bench.given(spec, CONTACT, contact(7, of=1))
    bench.stage(spec, ACCOUNT, customer(1, 200, status="INACTIVE", customer_name="Renamed"), customer(2, status="INACTIVE"))
    bench.stage(spec, CONTACT, contact(7, 200, of=1, email_address="new@labs.example.org"), contact(8, of=2))
    for record_type in (ACCOUNT, CONTACT):
        bench.load(spec, record_type)
    assert bench.outcomes() == {1: ("skipped", error), 2: ("skipped", error)}
    assert bench.outcomes(CONTACT) == {7: ("skipped", "CustomerNotSyncedException"), 8: ("skipped", "CustomerNotSyncedException")}
    assert (bench.names(), bench.emails()) == (["Lab 1"], ["person7@labs.example.org"])
    assert contacts_loaded(bench, spec) == (0, 0, {}), "not planned again in vain"
    bench.stage(spec, ACCOUNT, customer(1, 950, status="ACTIVE"), customer(2, 950, status="ACTIVE"))
    bench.load(spec, ACCOUNT, window=NOW)
    assert contacts_loaded(bench, spec) == (0, 2, {"updated": 1, "created": 1})
    assert bench.emails() == ["new@labs.example.org", "person8@labs.example.org"]
    assert contacts_loaded(bench, spec, Window(since=1_000, until=1_001)) == (0, 0, {})


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


def test_a_contact_of_two_customers_follows_once_one_of_them_is_deleted(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.given(spec, ACCOUNT, customer(1), customer(2))
    salesforce.stage(spec, CONTACT, contact(7, of=1, customers=[{"id": 1}, {"id": 2}]))
    salesforce.load(spec, CONTACT)
    assert salesforce.outcomes(CONTACT) == {7: ("skipped", "ContactWithMoreThanOneCustomerException")}
    delete(salesforce, spec, ACCOUNT, customer(2, 950))
    assert contacts_loaded(salesforce, spec) == (0, 1, {"created": 1})


def test_a_contact_whose_rule_names_its_customer_follows_the_customer(hubspot: Bench) -> None:
    rule: dict[str, Any] = {"all": [{"field": "customer.group_name", "is": "Gold"}]}
    spec = hubspot.spec(contacts={"map": LEAN_CONTACT_MAP, "only": rule})
    hubspot.given(spec, ACCOUNT, customer(1, group_name="Silver"))
    hubspot.stage(spec, CONTACT, contact(7, of=1))
    hubspot.load(spec, CONTACT)
    assert hubspot.outcomes(CONTACT) == {7: ("skipped", "FilteredOutException")}
    hubspot.stage(spec, ACCOUNT, customer(1, 950, group_name="Gold"))
    assert contacts_loaded(hubspot, spec) == (0, 1, {"created": 1})


def test_a_record_in_conflict_follows_once_the_one_that_holds_the_crm_record_is_deleted(salesforce: Bench) -> None:
    spec = salesforce.spec(external_keys=False, accounts=BY_NAME)
    account = salesforce.given(spec, ACCOUNT, customer(1, customer_name="Eco Labs"))[1]
    salesforce.stage(spec, ACCOUNT, customer(2, 200, customer_name="ECO Labs"))
    salesforce.load(spec, ACCOUNT, window=Window(since=200, until=201))
    assert salesforce.outcomes()[2] == ("skipped", "LinkConflictException")
    delete(salesforce, spec, ACCOUNT, customer(1, 950, customer_name="Eco Labs"))
    assert taken_up(salesforce.load(spec, ACCOUNT, window=NOW)) == (1, 1, {"skipped": 1, "linked": 1})
    assert salesforce.rows("SELECT qbench_id, crm_id FROM crm_pipeline.link") == [(2, account)]


def test_active_only_holds_from_the_next_run_on_for_customers_that_synced_before(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.given(spec, ACCOUNT, customer(1, status="INACTIVE"))
    salesforce.given(spec, CONTACT, contact(7, of=1))
    strict = salesforce.spec(accounts={"map": LEAN_ACCOUNT_MAP, "active_only": True})
    salesforce.stage(strict, CONTACT, contact(7, 950, of=1, last_name="Renamed"))
    assert contacts_loaded(salesforce, strict) == (1, 0, {"skipped": 1})
    assert contacts_loaded(salesforce, strict, Window(since=960, until=961)) == (0, 0, {})
