"""Salesforce on the bench."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.salesforce import ACCOUNTS, CONTACTS, KIND, LEADS, SalesforceSettings
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.testing.bench import Bench, FieldNames, Request
from crm_pipeline_tests.tenants import SHORT_WAITS

KEY = "QBench_Id__c"
TIERS = ("Gold", "Silver")
FIELDS = {
    RecordType.ACCOUNT: FieldNames(
        match="Name",
        text="Description",
        short="BillingCity",
        short_length=40,
        choice="Lab_Tier__c",
        option=TIERS[0],
        required={},
        number="NumberOfEmployees",
    ),
    RecordType.CONTACT: FieldNames(
        match="Email",
        text="FirstName",
        short="LastName",
        short_length=80,
        choice="Lab_Tier__c",
        option=TIERS[0],
        required={"LastName": "Lovelace"},
    ),
    RecordType.LEAD: FieldNames(
        match="Email",
        text="FirstName",
        short="LastName",
        short_length=80,
        choice="Lab_Tier__c",
        option=TIERS[0],
        required={"LastName": "Lovelace", "Company": "Laboratory"},
    ),
}


def open_bench(sandbox: Sandbox) -> Bench:
    """The organization with an external key and a restricted choice field on every object."""
    org = sandbox.org
    for crm_object in (ACCOUNTS, CONTACTS, LEADS):
        org.add_field(crm_object.name, name=KEY, type="string", length=64, external_id=True, unique=True)
        org.add_field(crm_object.name, name="Lab_Tier__c", type="picklist", length=255, picklist=TIERS, restricted_picklist=True)
    org.track(CONTACTS.name, "FirstName")

    def connect(**settings: Any) -> Crm:
        return connect_salesforce(sandbox, **settings)

    def add(record_type: RecordType, values: Mapping[str, object]) -> str:
        return org.add(KIND.usual(record_type).name, dict(values))

    def edit(record_type: RecordType, crm_id: str, values: Mapping[str, object]) -> None:
        org.update(KIND.usual(record_type).name, crm_id, dict(values))

    def records(record_type: RecordType) -> list[dict[str, Any]]:
        return [{**record, "id": record["Id"]} for record in org.records(KIND.usual(record_type).name)]

    def delete(record_type: RecordType, crm_id: str) -> None:
        org.delete(KIND.usual(record_type).name, crm_id)

    def restore(record_type: RecordType, crm_id: str) -> None:
        org.undelete(KIND.usual(record_type).name, crm_id)

    def merge(record_type: RecordType, winner: str, loser: str) -> str:
        org.merge(KIND.usual(record_type).name, winner, [loser])
        return winner

    def parent(crm_id: str) -> str | None:
        account_id = org.record("Contact", crm_id)["AccountId"]
        return str(account_id) if account_id else None

    return Bench(
        kind=KIND,
        faults=sandbox.faults,
        journal=sandbox.journal,
        key=KEY,
        connect=connect,
        fields=FIELDS,
        add=add,
        records=records,
        delete=delete,
        restore=restore,
        merge=merge,
        parent=parent,
        secret="SALESFORCE_CLIENT_SECRET",
        keyed_create=lambda record_type: Request("PATCH", f"/composite/sobjects/{KIND.usual(record_type).name}/{KEY}$"),
        plain_create=lambda _: Request("POST", "/composite/sobjects$"),
        update=lambda _: Request("PATCH", "/composite/sobjects$"),
        edit=edit,
        convert=org.convert_lead,
    )


def connect_salesforce(sandbox: Sandbox, **settings: Any) -> Crm:
    """An adapter on the stand-in; keywords replace settings."""
    given = {
        "url": sandbox.salesforce_url,
        "client_id": {"env": "SALESFORCE_CLIENT_ID"},
        "client_secret": {"env": "SALESFORCE_CLIENT_SECRET"},
        "external_key": KEY,
        "attempts": 2,
        "timeout_seconds": 60,
        "waits": SHORT_WAITS,
    }
    return KIND.connect(SalesforceSettings.model_validate({**given, **settings}), "demo")
