"""Contacts that go to two CRMs as leads and to another as contacts, hour by hour, until people convert them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.names import links_job_name
from crm_pipeline.sandbox.credentials import SUGARCRM_CREDENTIALS
from crm_pipeline.sandbox.sugarcrm import SugarSite
from crm_pipeline_tests.orchestration.conftest import World, metadata_of, own_world, running_sandbox, verdicts_of
from crm_pipeline_tests.tenants import FEW_FIELDS, FIRST, IN_SECOND, SECOND, add_laboratories, attributes, sugarcrm

CRMS = ("salesforce", "sugarcrm")


def spec_of(world: World) -> IntegrationSpec:
    """Leads in Salesforce and SugarCRM, contacts in HubSpot."""
    keys = attributes(world.sandbox) | FEW_FIELDS
    keys["crms"]["sugarcrm"] = {**sugarcrm(world.sandbox), "external_key": "qbench_id_c"}
    for crm in CRMS:
        keys["crms"][crm]["contacts_as"] = "lead"
    keys["contacts"] = {**keys["contacts"], "lead": keys["contacts"]}
    return IntegrationSpec.model_validate({"name": "acme", **keys})


@dataclass(frozen=True)
class Hours:
    """Two hours of two contacts, one of which people convert in between, in each of the two CRMs.

    ``first``: the metadata of the first hour's leads; ``companies``: what the leads named then. ``converted``: what the check of links
    counted; ``contacts``: the last names of the contacts in the end, with their keys; ``leads``: how many. ``failed``: checks that failed
    in the second hour.
    """

    first: dict[str, dict[str, object]]
    companies: dict[str, set[str]]
    in_hubspot: int
    converted: dict[str, object]
    failed: set[str]
    contacts: dict[str, list[tuple[str, str]]]
    leads: dict[str, int]


@pytest.fixture(scope="module")
def hours(postgres: str) -> Hours:
    site = SugarSite(external_keys=True)
    with pytest.MonkeyPatch.context() as environment, own_world(postgres, running_sandbox(site=site)) as world:
        for name, value in SUGARCRM_CREDENTIALS.items():
            environment.setenv(name, value)
        spec, org, dagster = spec_of(world), world.sandbox.org, world.dagster
        add_laboratories(world.sandbox.tenant, 2, contacts_each=1)
        first = dagster.run(spec, FIRST)
        companies = {row["Company"] for row in org.records("Lead")}, {row["account_name"] for row in site.records("Leads")}
        org.convert_lead(next(row["Id"] for row in org.records("Lead") if row["QBench_Id__c"] == "1"))
        site.convert_lead(next(row["id"] for row in site.records("Leads") if row["qbench_id_c"] == "1"))
        job = dagster.definitions(spec).resolve_job_def(links_job_name("acme"))
        checked = job.execute_in_process(instance=dagster.instance)
        world.sandbox.tenant.edit_contact(1, at=IN_SECOND, last_name="Edited")
        second = dagster.run(spec, SECOND)
        return Hours(
            {crm: metadata_of(first, crm, "leads") for crm in CRMS},
            dict(zip(CRMS, companies, strict=True)),
            len(world.sandbox.portal.records("contacts")),
            {crm: metadata_of(checked, crm, "links")["converted"] for crm in CRMS},
            {"/".join(check) for check, verdict in verdicts_of(dagster, second).items() if not verdict.passed},
            {
                "salesforce": [(row["LastName"], row["QBench_Id__c"]) for row in org.records("Contact")],
                "sugarcrm": [(row["last_name"], row["qbench_id_c"]) for row in site.records("Contacts")],
            },
            {"salesforce": len(org.records("Lead")), "sugarcrm": len(site.records("Leads"))},
        )


@pytest.mark.parametrize("crm", CRMS)
def test_leads_load_with_the_hour_beside_the_contacts_of_another_crm(hours: Hours, crm: str) -> None:
    assert hours.first[crm]["dagster/row_count"] == hours.first[crm]["created"] == 2
    assert hours.companies[crm] == {"Laboratory 1", "Laboratory 2"}
    assert hours.in_hubspot == 2


@pytest.mark.parametrize("crm", CRMS)
def test_converted_lead_goes_on_as_the_contact_that_it_became(hours: Hours, crm: str) -> None:
    assert hours.converted[crm] == 1
    assert hours.contacts[crm] == [("Edited", "1")]
    assert hours.leads[crm] == 2


def test_contacts_that_are_leads_fail_no_check(hours: Hours) -> None:
    assert hours.failed == set()
