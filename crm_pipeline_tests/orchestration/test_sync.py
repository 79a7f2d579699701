"""The whole way from QBench to both CRMs, through Dagster, on the sandbox and a real PostgreSQL."""

from __future__ import annotations

from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline_tests.orchestration.conftest import Dagster, metadata_of
from crm_pipeline_tests.tenants import BEFORE_START, FIRST, integration


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
