"""Contacts that go to one CRM as leads and to another as contacts, hour by hour, until people convert them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.names import links_job_name
from crm_pipeline_tests.orchestration.conftest import World, metadata_of, own_world, verdicts_of
from crm_pipeline_tests.tenants import FEW_FIELDS, FIRST, IN_SECOND, SECOND, add_laboratories, attributes

LEADS = ("acme", "salesforce", "leads")


def spec_of(world: World) -> IntegrationSpec:
    """Leads in Salesforce, contacts in HubSpot."""
    keys = attributes(world.sandbox) | FEW_FIELDS
    keys["crms"]["salesforce"]["contacts_as"] = "lead"
    keys["contacts"] = {**keys["contacts"], "lead": keys["contacts"]}
    return IntegrationSpec.model_validate({"name": "acme", **keys})


@dataclass(frozen=True)
class Hours:
    """Two hours of two contacts, one of which people convert in between.

    ``first``: the metadata of the first hour's leads; ``companies``: what Salesforce's leads named then. ``converted``: what the check
    of links counted; ``failed``: checks that failed in the second hour. ``contacts``: the last names of Salesforce's contacts, with
    their keys.
    """

    first: dict[str, object]
    companies: set[str]
    in_hubspot: int
    converted: object
    failed: set[str]
    contacts: list[tuple[str, str]]
    leads: int


@pytest.fixture(scope="module")
def hours(postgres: str) -> Hours:
    with own_world(postgres) as world:
        spec, org, dagster = spec_of(world), world.sandbox.org, world.dagster
        add_laboratories(world.sandbox.tenant, 2, contacts_each=1)
        first = dagster.run(spec, FIRST)
        companies = {row["Company"] for row in org.records("Lead")}
        org.convert_lead(org.records("Lead")[0]["Id"])
        job = dagster.definitions(spec).resolve_job_def(links_job_name("acme"))
        checked = job.execute_in_process(instance=dagster.instance)
        world.sandbox.tenant.edit_contact(1, at=IN_SECOND, last_name="Edited")
        second = dagster.run(spec, SECOND)
        return Hours(
            metadata_of(first, *LEADS[1:]),
            companies,
            len(world.sandbox.portal.records("contacts")),
            metadata_of(checked, "salesforce", "links")["converted"],
            {"/".join(check) for check, verdict in verdicts_of(dagster, second).items() if not verdict.passed},
            sorted((row["LastName"], row["QBench_Id__c"]) for row in org.records("Contact")),
            len(org.records("Lead")),
        )


def test_leads_load_with_the_hour_beside_the_contacts_of_another_crm(hours: Hours) -> None:
    assert hours.first["dagster/row_count"] == hours.first["created"] == 2
    assert hours.companies == {"Laboratory 1", "Laboratory 2"}
    assert hours.in_hubspot == 2


def test_converted_lead_goes_on_as_the_contact_that_it_became(hours: Hours) -> None:
    assert hours.converted == 1
    assert hours.contacts == [("Edited", "1")]
    assert hours.leads == 2


def test_contacts_that_are_leads_fail_no_check(hours: Hours) -> None:
    assert hours.failed == set()
