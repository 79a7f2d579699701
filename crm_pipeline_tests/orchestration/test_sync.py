"""The whole way from QBench to both CRMs, through Dagster, on the sandbox and a real PostgreSQL."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import dagster as dg
import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sandbox.journal import Call
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline_tests.orchestration.conftest import LOADS, World, metadata_of, outcomes, own_world, writes
from crm_pipeline_tests.tenants import BEFORE_START, FEW_FIELDS, FIRST, IN_SECOND, SECOND, START, add_laboratories, attributes, integration

CUSTOMERS = 100
OLDEST = 1_000
BOUNDARY = int(START.timestamp()) + 3_600


@dataclass(frozen=True)
class Step:
    """One run and the calls that it wrote with."""

    result: dg.ExecuteInProcessResult
    writes: list[Call]


@dataclass(frozen=True)
class Story:
    """A first load of 100 customers with two contacts each, the same again, and an hour with 1 % of them edited.

    The customer ``OLDEST`` is as old as the clock.
    """

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

    customer, *_ = add_laboratories(sandbox.tenant, CUSTOMERS - 1, contacts_each=2)
    sandbox.tenant.add_customer(id=OLDEST, customer_name="Eco Labs", employees=55, city_name="Austin", at=1)
    for email, first_name in ((" Ana@Ecolabs.example.org ", "Ana"), ("bo@ecolabs.example.org", "Bo")):
        sandbox.tenant.add_contact(
            customer_ids=[OLDEST], email_address=email, first_name=first_name, last_name="Ruiz", phone="(512) 555-0102", at=BEFORE_START
        )
    first, again = step(FIRST), step(FIRST)
    sandbox.tenant.edit_customer(customer, customer_name="Renamed Laboratory", phone="512 555 9999", at=IN_SECOND)
    sandbox.tenant.edit_contact(1, last_name="Married", at=IN_SECOND)
    sandbox.tenant.edit_contact(3, phone="512 555 0199", at=IN_SECOND)
    edited = step(SECOND)
    return Story(sandbox, first, again, edited, customer, outcomes())


def test_customers_and_contacts_arrive_in_both_crms(story: Story) -> None:
    org, portal = story.sandbox.org, story.sandbox.portal
    (account,) = (record for record in org.records("Account") if record["Name"] == "Eco Labs")
    (contact,) = (record for record in org.records("Contact") if record["FirstName"] == "Ana")
    (company,) = (record for record in portal.records("companies") if record["properties"]["name"] == "Eco Labs")
    (person,) = (record for record in portal.records("contacts") if record["properties"]["firstname"] == "Ana")
    assert (account["NumberOfEmployees"], account["QBench_Id__c"]) == (55, str(OLDEST))
    assert (contact["Email"], contact["Phone"], contact["AccountId"]) == ("ana@ecolabs.example.org", "+15125550102", account["Id"])
    assert company["properties"]["qbench_id"] == str(OLDEST)
    assert person["properties"]["email"] == "ana@ecolabs.example.org"
    assert [to for of, to, _ in portal.associations() if of == person["id"]] == [company["id"]]


def test_first_partition_reaches_back_to_the_beginning_of_time(story: Story) -> None:
    assert str(OLDEST) in {record["QBench_Id__c"] for record in story.sandbox.org.records("Account")}


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


@dataclass(frozen=True)
class TwoHours:
    """The first hour and the next one, of an integration that syncs active customers and their contacts to HubSpot.

    A customer is kept, one dropped by the filter, and one changed later; three changed around the second that divides the hours, and
    one of the first hour shows up in QBench only after that was read.
    """

    first: dg.ExecuteInProcessResult
    companies_of_first: list[str]
    said_first: dict[tuple[str, int], tuple[str, str | None]]
    second: dg.ExecuteInProcessResult
    companies: list[str]
    said: dict[tuple[str, int], tuple[str, str | None]]
    contacts: int
    associations: int
    kept: int
    dropped: int
    later: int


@pytest.fixture(scope="module")
def two_hours(postgres: str) -> TwoHours:
    with own_world(postgres) as world:
        sandbox, tenant = world.sandbox, world.sandbox.tenant
        keys = attributes(sandbox) | FEW_FIELDS
        del keys["crms"]["salesforce"]
        keys["accounts"] = {**keys["accounts"], "only": {"all": [{"field": "status", "is": "ACTIVE"}]}}
        spec = IntegrationSpec.model_validate({"name": "acme", **keys})

        def companies() -> list[str]:
            return sorted(record["properties"]["name"] for record in sandbox.portal.records("companies"))

        def said() -> dict[tuple[str, int], tuple[str, str | None]]:
            return {(record_type, number): found[:2] for (_, record_type, number), found in outcomes().items()}

        kept, dropped, later = add_laboratories(tenant, 3, contacts_each=1)
        tenant.edit_customer(dropped, status="INACTIVE", at=BEFORE_START)
        tenant.edit_customer(later, at=IN_SECOND)
        for second in (BOUNDARY - 1, BOUNDARY, BOUNDARY + 1):
            tenant.add_customer(customer_name=f"at {second - BOUNDARY:+}", at=second)
        first = world.dagster.run(spec, FIRST)
        companies_of_first, said_first = companies(), said()
        tenant.add_customer(customer_name="late", at=BOUNDARY - 60)
        again = world.dagster.run(spec, SECOND, assets=("qbench/customers", "normalized/accounts", "hubspot/companies", "hubspot/contacts"))
        held = len(sandbox.portal.records("contacts")), len(sandbox.portal.associations())
        return TwoHours(first, companies_of_first, said_first, again, companies(), said(), *held, kept, dropped, later)


def test_contact_follows_its_customer_whether_that_is_filtered_out_or_not_yet_synced(two_hours: TwoHours) -> None:
    assert two_hours.first.success
    laboratories = {("account", two_hours.kept), ("account", two_hours.dropped), ("account", two_hours.later)}
    assert {of: said for of, said in two_hours.said_first.items() if of in laboratories or of[0] == "contact"} == {
        ("account", two_hours.kept): ("created", None),
        ("account", two_hours.dropped): ("skipped", "FilteredOutException"),
        ("contact", 1): ("created", None),
        ("contact", 2): ("skipped", "CustomerNotSyncedException"),
        ("contact", 3): ("deferred", "CustomerNotYetSyncedException"),
    }
    assert [name for name in two_hours.companies_of_first if name.startswith("Laboratory")] == ["Laboratory 1"]
    assert metadata_of(two_hours.second, "hubspot", "contacts")["from_other_hours"] == 1
    assert two_hours.said["contact", 3][0] == "created"
    assert two_hours.contacts == two_hours.associations == 2


def test_boundary_second_and_rows_that_show_up_late_are_not_lost(two_hours: TwoHours) -> None:
    def around(companies: list[str]) -> list[str]:
        return [name for name in companies if not name.startswith("Laboratory")]

    assert around(two_hours.companies_of_first) == ["at -1"]
    assert two_hours.second.success
    assert around(two_hours.companies) == ["at +0", "at +1", "at -1", "late"]
