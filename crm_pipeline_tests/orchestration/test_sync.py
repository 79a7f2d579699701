"""The whole way from QBench to both CRMs, through Dagster, on the sandbox and a real PostgreSQL."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import dagster as dg
import pytest

from crm_pipeline.sandbox.journal import Call
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline_tests.orchestration.conftest import (
    ACCOUNTS,
    LOADS,
    Dagster,
    World,
    materialized,
    metadata_of,
    outcomes,
    writes,
)
from crm_pipeline_tests.tenants import ACCOUNT_MAP, BEFORE_START, FIRST, IN_SECOND, SECOND, START, add_laboratories, integration

CUSTOMERS = 100
BOUNDARY = int(START.timestamp()) + 3_600
THIRD = "2026-11-01-02:00"


@dataclass(frozen=True)
class Step:
    """One run and the calls that it wrote with."""

    result: dg.ExecuteInProcessResult
    writes: list[Call]


@dataclass(frozen=True)
class Story:
    """A first load of 100 customers with two contacts each, the same again, and an hour with 1 % of them edited."""

    sandbox: Sandbox
    first: Step
    again: Step
    edited: Step
    customer: int
    reasons: dict[tuple[str, str, int], tuple[str, str | None, str | None]]


@pytest.fixture(scope="module")
def story(world: World) -> Story:
    sandbox, spec = world.sandbox, integration(world.sandbox)

    def step(partition: str) -> Step:
        sandbox.journal.clear()
        result = world.dagster.run(spec, partition)
        assert result.success
        return Step(result, writes(sandbox))

    customer, *_ = add_laboratories(sandbox.tenant, CUSTOMERS, contacts_each=2)
    first, again = step(FIRST), step(FIRST)
    sandbox.tenant.edit_customer(customer, customer_name="Renamed Laboratory", phone="512 555 9999", at=IN_SECOND)
    sandbox.tenant.edit_contact(1, last_name="Married", at=IN_SECOND)
    sandbox.tenant.edit_contact(3, phone="512 555 0199", at=IN_SECOND)
    edited = step(SECOND)
    return Story(sandbox, first, again, edited, customer, outcomes())


def test_customers_and_contacts_arrive_in_both_crms(sandbox: Sandbox, dagster: Dagster) -> None:
    customer = sandbox.tenant.add_customer(customer_name="Eco Labs", employees=55, city_name="Austin", at=BEFORE_START)
    sandbox.tenant.add_contact(
        customer_ids=[customer],
        email_address=" Ana@Ecolabs.example.org ",
        first_name="Ana",
        last_name="Ruiz",
        phone="(512) 555-0102",
        at=BEFORE_START,
    )
    result = dagster.run(integration(sandbox), FIRST)
    assert result.success
    (account,) = sandbox.org.records("Account")
    (contact,) = sandbox.org.records("Contact")
    (company,) = sandbox.portal.records("companies")
    (person,) = sandbox.portal.records("contacts")
    assert (account["Name"], account["NumberOfEmployees"], account["QBench_Id__c"]) == ("Eco Labs", 55, str(customer))
    assert (contact["Email"], contact["Phone"], contact["AccountId"]) == ("ana@ecolabs.example.org", "+15125550102", account["Id"])
    assert (company["properties"]["name"], company["properties"]["qbench_id"]) == ("Eco Labs", str(customer))
    assert person["properties"]["email"] == "ana@ecolabs.example.org"
    assert [(a, b) for a, b, _ in sandbox.portal.associations()] == [(person["id"], company["id"])]
    assert metadata_of(result, "hubspot", "contacts")["created"] == 1


def test_first_load_creates_every_record_once(story: Story) -> None:
    org, portal = story.sandbox.org, story.sandbox.portal
    held = [len(org.records("Account")), len(org.records("Contact")), len(portal.records("companies")), len(portal.records("contacts"))]
    assert held == [CUSTOMERS, 2 * CUSTOMERS, CUSTOMERS, 2 * CUSTOMERS]


def test_first_load_writes_in_the_largest_batches(story: Story) -> None:
    rows = Counter(tuple(call.path.split("/")[-4:]) for call in story.first.writes)
    assert sum(rows.values()) == 6, f"floor: accounts 1, contacts 1, companies 1, contacts 2, associations 1; made: {rows}"


def test_same_run_again_makes_no_write_call(story: Story) -> None:
    assert story.again.writes == []


def test_same_run_again_finds_every_record_unchanged(story: Story) -> None:
    unchanged = {load: metadata_of(story.again.result, *load.split("/"))["unchanged"] for load in LOADS}
    rows = {load: metadata_of(story.again.result, *load.split("/"))["dagster/row_count"] for load in LOADS}
    assert unchanged == rows == {load: CUSTOMERS * (2 if load.endswith("/contacts") else 1) for load in LOADS}


def test_few_edits_make_one_write_call_per_object_and_crm(story: Story) -> None:
    assert len(story.edited.writes) == 4, story.edited.writes


def test_edits_reach_the_linked_records(story: Story) -> None:
    org, portal = story.sandbox.org, story.sandbox.portal
    names = {record["Name"] for record in org.records("Account")}, {record["properties"]["name"] for record in portal.records("companies")}
    people = (
        {record["LastName"] for record in org.records("Contact")},
        {record["properties"]["lastname"] for record in portal.records("contacts")},
    )
    phones = (
        {record["Phone"] for record in org.records("Contact")},
        {record["properties"]["phone"] for record in portal.records("contacts")},
    )
    assert all("Renamed Laboratory" in held for held in names)
    assert all("Married" in held for held in people)
    assert all("+15125550199" in held for held in phones)


def test_edited_create_only_field_is_not_pushed(story: Story) -> None:
    phones = [
        *(record["Phone"] for record in story.sandbox.org.records("Account") if record["Name"] == "Renamed Laboratory"),
        *(
            record["properties"]["phone"]
            for record in story.sandbox.portal.records("companies")
            if record["properties"]["name"] == "Renamed Laboratory"
        ),
    ]
    assert len(phones) == 2
    assert all("9999" not in phone for phone in phones)


def test_edited_create_only_field_is_named_in_the_outcome(story: Story) -> None:
    said = {crm: story.reasons[crm, "account", story.customer][2] for crm in ("salesforce", "hubspot")}
    assert said == {"salesforce": "not_pushed: Phone", "hubspot": "not_pushed: phone"}


def test_contact_waits_for_its_customer_and_is_taken_up_with_it(sandbox: Sandbox, dagster: Dagster) -> None:
    (customer,) = add_laboratories(sandbox.tenant, 1, contacts_each=1)
    sandbox.tenant.edit_customer(customer, at=IN_SECOND)
    spec = integration(sandbox)
    assert dagster.run(spec, FIRST).success
    waiting = {outcomes()[crm, "contact", 1][:2] for crm in ("salesforce", "hubspot")}
    assert waiting == {("deferred", "CustomerNotYetSyncedException")}
    result = dagster.run(spec, SECOND)
    assert metadata_of(result, "salesforce", "contacts")["replanned"] == 1
    assert {outcomes()[crm, "contact", 1][0] for crm in ("salesforce", "hubspot")} == {"created"}
    assert len(sandbox.org.records("Contact")) == len(sandbox.portal.associations()) == 1


def test_without_external_keys_a_repeat_creates_nothing(keyless_sandbox: Sandbox, dagster: Dagster) -> None:
    add_laboratories(keyless_sandbox.tenant, 3, contacts_each=1)
    spec = integration(keyless_sandbox, external_keys=False)
    assert dagster.run(spec, FIRST).success
    keyless_sandbox.journal.clear()
    assert dagster.run(spec, FIRST).success
    assert writes(keyless_sandbox) == []
    org, portal = keyless_sandbox.org, keyless_sandbox.portal
    assert [len(org.records(name)) for name in ("Account", "Contact")] == [3, 3]
    assert [len(portal.records(name)) for name in ("companies", "contacts")] == [3, 3]
    assert len(portal.associations()) == 3


def test_sync_on_links_existing_records_instead_of_creating(sandbox: Sandbox, dagster: Dagster) -> None:
    (customer,) = add_laboratories(sandbox.tenant, 1, contacts_each=1)
    account = sandbox.org.add("Account", {"Name": " laboratory  1", "Phone": "by hand"})
    sandbox.org.add("Contact", {"LastName": "By Hand", "Email": "Person1@Laboratory1.example.org"})
    sandbox.portal.add("companies", {"name": "LABORATORY 1", "phone": "by hand"})
    sandbox.portal.add("contacts", {"email": "person1@laboratory1.example.org"})
    spec = integration(
        sandbox,
        accounts={"map": ACCOUNT_MAP, "sync_on": [{"name": {"salesforce": "Name", "hubspot": "name"}}]},
        contacts={
            "map": {"email": "email_address", "first_name": "first_name", "last_name": "last_name", "phone": "phone"},
            "sync_on": [{"email": {"salesforce": "Email", "hubspot": "email"}}],
        },
    )
    assert dagster.run(spec, FIRST).success
    assert {outcome for outcome, _, _ in outcomes().values()} == {"linked"}
    (held,) = sandbox.org.records("Account")
    assert (held["Id"], held["Name"], held["Phone"], held["QBench_Id__c"]) == (account, "Laboratory 1", "by hand", str(customer))
    assert [len(sandbox.portal.records(name)) for name in ("companies", "contacts")] == [1, 1]


def test_only_filter_keeps_customers_and_their_contacts_out(sandbox: Sandbox, dagster: Dagster) -> None:
    kept, dropped = add_laboratories(sandbox.tenant, 2, contacts_each=1)
    sandbox.tenant.edit_customer(dropped, status="INACTIVE", at=BEFORE_START)
    spec = integration(sandbox, accounts={"map": ACCOUNT_MAP, "only": {"all": [{"field": "status", "is": "ACTIVE"}]}})
    assert dagster.run(spec, FIRST).success
    said = outcomes()
    assert said["salesforce", "account", dropped][:2] == ("skipped", "FilteredOutException")
    assert said["hubspot", "contact", 2][:2] == ("skipped", "CustomerNotSyncedException")
    assert [record["Name"] for record in sandbox.org.records("Account")] == ["Laboratory 1"]
    assert said["hubspot", "account", kept][0] == "created"


def test_without_contacts_in_the_yaml_only_customers_sync(sandbox: Sandbox, dagster: Dagster) -> None:
    add_laboratories(sandbox.tenant, 1, contacts_each=1)
    result = dagster.run(integration(sandbox, contacts=None), FIRST)
    assert materialized(result) == set(ACCOUNTS)
    assert (len(sandbox.org.records("Account")), len(sandbox.org.records("Contact"))) == (1, 0)


def test_range_of_partitions_is_one_run_over_all_its_hours(sandbox: Sandbox, dagster: Dagster) -> None:
    for at in (BEFORE_START, IN_SECOND, IN_SECOND + 3_600, IN_SECOND + 2 * 3_600):
        sandbox.tenant.add_customer(customer_name=f"Changed at {at}", at=at)
    result = dagster.run(integration(sandbox), FIRST, until=THIRD, assets=ACCOUNTS)
    assert metadata_of(result, "salesforce", "accounts")["created"] == 3
    partitions = {
        event.partition for event in result.get_asset_materialization_events() if event.asset_key and "hubspot" in event.asset_key.path
    }
    assert partitions == {FIRST, SECOND, THIRD}


def test_first_partition_reaches_back_to_the_beginning_of_time(sandbox: Sandbox, dagster: Dagster) -> None:
    sandbox.tenant.add_customer(customer_name="As old as the clock", at=1)
    assert dagster.run(integration(sandbox), FIRST, assets=ACCOUNTS).success
    assert [record["Name"] for record in sandbox.org.records("Account")] == ["As old as the clock"]


@pytest.mark.parametrize("bound", [">", ">="])
def test_boundary_second_and_rows_that_show_up_late_are_not_lost(sandbox: Sandbox, dagster: Dagster, bound: str) -> None:
    sandbox.tenant.last_updated_bound = ">" if bound == ">" else ">="
    spec, some = integration(sandbox), ("qbench/customers", "normalized/accounts", "salesforce/accounts")
    for second in (BOUNDARY - 1, BOUNDARY, BOUNDARY + 1):
        sandbox.tenant.add_customer(customer_name=f"at {second - BOUNDARY:+}", at=second)
    assert dagster.run(spec, FIRST, assets=some).success
    assert [record["Name"] for record in sandbox.org.records("Account")] == ["at -1"]
    sandbox.tenant.add_customer(customer_name="late", at=BOUNDARY - 60)
    assert dagster.run(spec, SECOND, assets=some).success
    assert sorted(record["Name"] for record in sandbox.org.records("Account")) == ["at +0", "at +1", "at -1", "late"]
