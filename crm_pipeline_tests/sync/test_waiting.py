"""What waits for what: records are taken up by a later load without an edit of their own (rule 25)."""

from __future__ import annotations

from typing import Any

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.store.staging import Window
from crm_pipeline.sync.report import LoadReport
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, Bench, contact, customer
from crm_pipeline_tests.sync.test_deletions import delete
from crm_pipeline_tests.tenants import ACCOUNT_MAP, CONTACT_MAP

NOW = Window(since=900, until=1_000)
"""The window of a later run, in which nothing changed."""

ACTIVE = {"all": [{"field": "status", "is": "ACTIVE"}]}
BY_NAME = {"map": ACCOUNT_MAP, "sync_on": [{"name": {"salesforce": "Name", "hubspot": "name"}}]}


def run(bench: Bench, spec: IntegrationSpec, window: Window = NOW) -> LoadReport:
    """A run of the window, from the normalized accounts to the loaded contacts; the report of the contacts."""
    bench.normalize(spec, ACCOUNT, window=window)
    bench.normalize(spec, CONTACT, window=window)
    bench.load(spec, ACCOUNT, window=window)
    return bench.load(spec, CONTACT, window=window)


def taken_up(report: LoadReport) -> tuple[int, int, dict[str, int]]:
    """Rows of the window, rows replanned, outcomes."""
    return report.rows, report.replanned, dict(report.outcomes)


def test_a_contact_follows_once_its_customer_is_back_in_the_filter(salesforce: Bench) -> None:
    spec = salesforce.spec(accounts={"map": ACCOUNT_MAP, "only": ACTIVE})
    salesforce.stage(spec, ACCOUNT, customer(1, status="INACTIVE"))
    salesforce.stage(spec, CONTACT, contact(7, of=1))
    run(salesforce, spec, Window(since=100, until=101))
    assert salesforce.outcomes(CONTACT) == {7: ("skipped", "CustomerNotSyncedException")}
    salesforce.stage(spec, ACCOUNT, customer(1, 950, status="ACTIVE"))
    assert taken_up(run(salesforce, spec)) == (0, 1, {"created": 1})
    assert taken_up(run(salesforce, spec)) == (0, 0, {})


def test_the_contacts_of_a_linked_customer_that_left_the_filter_are_not_planned_again_in_vain(salesforce: Bench) -> None:
    spec = salesforce.spec(accounts={"map": ACCOUNT_MAP, "only": ACTIVE})
    salesforce.stage(spec, ACCOUNT, customer(1, status="ACTIVE"))
    salesforce.stage(spec, CONTACT, contact(7, of=1))
    run(salesforce, spec, Window(since=100, until=101))
    salesforce.stage(spec, ACCOUNT, customer(1, 200, status="INACTIVE"))
    salesforce.stage(spec, CONTACT, contact(7, 200, of=1, last_name="Renamed"))
    run(salesforce, spec, Window(since=200, until=201))
    assert salesforce.outcomes(CONTACT) == {7: ("skipped", "CustomerNotSyncedException")}
    assert taken_up(run(salesforce, spec)) == (0, 0, {})
    salesforce.stage(spec, ACCOUNT, customer(1, 950, status="ACTIVE"))
    assert taken_up(run(salesforce, spec)) == (0, 1, {"updated": 1})


def test_a_changed_mapping_takes_up_what_could_not_sync_and_leaves_the_rest_alone(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.stage(spec, ACCOUNT, customer(1))
    salesforce.stage(
        spec, CONTACT, contact(7, of=1, email_address=None, mail="ana@labs.example.org"), contact(8, of=1, mail="x@y.example.org")
    )
    run(salesforce, spec, Window(since=100, until=101))
    assert salesforce.outcomes(CONTACT)[7] == ("skipped", "NoEmailForContactException")
    changed = salesforce.spec(contacts={"map": {**CONTACT_MAP, "email": "mail"}})
    assert taken_up(run(salesforce, changed)) == (0, 1, {"created": 1})
    assert salesforce.emails() == ["ana@labs.example.org", "person8@labs.example.org"]
    assert taken_up(run(salesforce, changed)) == (0, 0, {})


def test_a_changed_filter_takes_up_what_it_left_out_in_every_crm(salesforce: Bench) -> None:
    hubspot = Bench(salesforce.sandbox, salesforce.store, "hubspot")
    spec = salesforce.spec(accounts={"map": ACCOUNT_MAP, "only": ACTIVE})
    salesforce.stage(spec, ACCOUNT, customer(1, status="INACTIVE"))
    for bench in (salesforce, hubspot):
        bench.load(spec, ACCOUNT)
    open_to_all = salesforce.spec()
    salesforce.normalize(open_to_all, ACCOUNT, window=NOW)
    for bench in (salesforce, hubspot):
        assert taken_up(bench.load(open_to_all, ACCOUNT, window=NOW)) == (0, 1, {"created": 1})


def test_a_contact_of_two_customers_follows_once_one_of_them_is_deleted(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.stage(spec, ACCOUNT, customer(1), customer(2))
    salesforce.stage(spec, CONTACT, contact(7, of=1, customers=[{"id": 1}, {"id": 2}]))
    run(salesforce, spec, Window(since=100, until=101))
    assert salesforce.outcomes(CONTACT) == {7: ("skipped", "ContactWithMoreThanOneCustomerException")}
    delete(salesforce, spec, ACCOUNT, customer(2, 950))
    assert taken_up(run(salesforce, spec)) == (0, 1, {"created": 1})


def test_a_contact_whose_rule_names_its_customer_follows_the_customer(salesforce: Bench) -> None:
    rule: dict[str, Any] = {"all": [{"field": "customer.group_name", "is": "Gold"}]}
    spec = salesforce.spec(contacts={"map": CONTACT_MAP, "only": rule})
    salesforce.stage(spec, ACCOUNT, customer(1, group_name="Silver"))
    salesforce.stage(spec, CONTACT, contact(7, of=1))
    run(salesforce, spec, Window(since=100, until=101))
    assert salesforce.outcomes(CONTACT) == {7: ("skipped", "FilteredOutException")}
    salesforce.stage(spec, ACCOUNT, customer(1, 950, group_name="Gold"))
    assert taken_up(run(salesforce, spec)) == (0, 1, {"created": 1})


def test_a_record_in_conflict_follows_once_the_one_that_holds_the_crm_record_is_deleted(salesforce: Bench) -> None:
    spec = salesforce.spec(accounts=BY_NAME)
    salesforce.stage(spec, ACCOUNT, customer(1, customer_name="Eco Labs"))
    salesforce.load(spec, ACCOUNT)
    salesforce.rows("UPDATE crm_pipeline.link SET version = version RETURNING 1")
    account = salesforce.sandbox.org.records("Account")[0]["Id"]
    salesforce.sandbox.org.update("Account", account, {"QBench_Id__c": None})
    salesforce.stage(spec, ACCOUNT, customer(2, 200, customer_name="ECO Labs"))
    salesforce.load(spec, ACCOUNT, window=Window(since=200, until=201))
    assert salesforce.outcomes()[2] == ("skipped", "LinkConflictException")
    delete(salesforce, spec, ACCOUNT, customer(1, 950, customer_name="Eco Labs"))
    report = salesforce.load(spec, ACCOUNT, window=NOW)
    assert taken_up(report) == (1, 1, {"skipped": 1, "linked": 1})
    assert salesforce.rows("SELECT qbench_id, crm_id FROM crm_pipeline.link") == [(2, account)]


def test_nothing_is_updated_for_the_contacts_of_an_inactive_customer_until_it_is_active_again(bench: Bench) -> None:
    spec = bench.spec(accounts={"map": ACCOUNT_MAP, "active_only": True})
    bench.stage(spec, ACCOUNT, customer(1, status="ACTIVE"), customer(2, status="INACTIVE"))
    bench.stage(spec, CONTACT, contact(7, of=1), contact(8, of=2))
    run(bench, spec, Window(since=100, until=101))
    assert bench.outcomes() == {1: ("created", None), 2: ("skipped", "InactiveCustomerException")}
    bench.stage(spec, ACCOUNT, customer(1, 200, status="INACTIVE", customer_name="Renamed"))
    bench.stage(spec, CONTACT, contact(7, 200, of=1, email_address="new@labs.example.org"))
    assert dict(run(bench, spec, Window(since=200, until=201)).errors) == {"CustomerNotSyncedException": 1}
    assert (bench.names(), bench.emails()) == (["Lab 1"], ["person7@labs.example.org"])
    bench.stage(spec, ACCOUNT, customer(1, 950, status="ACTIVE"), customer(2, 950, status="ACTIVE"))
    assert taken_up(run(bench, spec)) == (0, 2, {"updated": 1, "created": 1})
    assert bench.emails() == ["new@labs.example.org", "person8@labs.example.org"]


def test_active_only_holds_from_the_next_run_on_for_customers_that_synced_before(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.stage(spec, ACCOUNT, customer(1, status="INACTIVE"))
    salesforce.stage(spec, CONTACT, contact(7, of=1))
    run(salesforce, spec, Window(since=100, until=101))
    strict = salesforce.spec(accounts={"map": ACCOUNT_MAP, "active_only": True})
    salesforce.stage(strict, CONTACT, contact(7, 950, of=1, last_name="Renamed"))
    assert taken_up(run(salesforce, strict)) == (1, 0, {"skipped": 1})
    assert taken_up(run(salesforce, strict, Window(since=960, until=961))) == (0, 0, {})
