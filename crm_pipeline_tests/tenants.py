"""Builders of test data: an integration on the sandbox, in the shape of the documented YAML."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import text

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.sandbox.tenant import QBenchTenant
from crm_pipeline.store.database import Store

START = datetime(2026, 11, 1, tzinfo=UTC)
FIRST = "2026-11-01-00:00"
SECOND = "2026-11-01-01:00"
BEFORE_START = int(START.timestamp()) - 86_400
IN_SECOND = int(START.timestamp()) + 3_600 + 60

ACCOUNT_MAP = {
    "name": "customer_name",
    "description": "comments",
    "website": "website",
    "number_of_employees": "employees",
    "phone_number": "phone",
    "address": {
        "street_1": "address",
        "city": "city_name",
        "state": "state_name",
        "postal_code": "zip_postal_code",
        "country": "country_name",
    },
}
CONTACT_MAP = {
    "email": "email_address",
    "first_name": "first_name",
    "last_name": "last_name",
    "phone": "phone",
    "address": {
        "street": "contact_street",
        "city": "contact_city",
        "state": "contact_state",
        "postal_code": "contact_zip",
        "country": "contact_country",
    },
}

NOTHING: Mapping[str, object] = MappingProxyType({})

SHORT_WAITS = {"first_seconds": 0.01}
"""A service that fails is asked again at once, unless it says when."""

FEW_FIELDS = {
    "accounts": {"map": {"name": "customer_name"}},
    "contacts": {"map": {"email": "email_address", "first_name": "first_name", "last_name": "last_name", "phone": "phone"}},
}
"""The least that an integration maps to create accounts and contacts. Every mapped field costs each load."""


def attributes(sandbox: Sandbox, *, external_keys: bool = True) -> dict[str, Any]:
    """The ``attributes`` of an integration between the sandbox's services."""
    salesforce: dict[str, Any] = {
        "url": sandbox.salesforce_url,
        "client_id": {"env": "SALESFORCE_CLIENT_ID"},
        "client_secret": {"env": "SALESFORCE_CLIENT_SECRET"},
    }
    hubspot: dict[str, Any] = {"url": sandbox.hubspot_url, "token": {"env": "HUBSPOT_TOKEN"}, "search_lag_seconds": 0}
    salesforce["waits"] = hubspot["waits"] = dict(SHORT_WAITS)
    if external_keys:
        salesforce["external_key"] = "QBench_Id__c"
        hubspot["external_key"] = "qbench_id"
    return {
        "start": START.isoformat(),
        "default_region": "US",
        "qbench": {
            "url": sandbox.qbench_url,
            "client_id": {"env": "QBENCH_CLIENT_ID"},
            "client_secret": {"env": "QBENCH_CLIENT_SECRET"},
            "waits": dict(SHORT_WAITS),
        },
        "crms": {"salesforce": salesforce, "hubspot": hubspot},
        "accounts": {"map": dict(ACCOUNT_MAP)},
        "contacts": {"map": dict(CONTACT_MAP)},
    }


def sugarcrm(sandbox: Sandbox) -> dict[str, Any]:
    """What to add to ``crms`` for the sandbox's SugarCRM, without a field for the key."""
    return {
        "url": sandbox.sugarcrm_url,
        "user": {"env": "SUGARCRM_USER_NAME"},
        "password": {"env": "SUGARCRM_PASSWORD"},
        "limits": {"calls": 1_000},
        "waits": dict(SHORT_WAITS),
    }


def integration(sandbox: Sandbox, *, external_keys: bool = True, **overrides: Any) -> IntegrationSpec:
    """The integration ``acme`` between the sandbox's services; ``overrides`` replace whole keys of the YAML."""
    return IntegrationSpec.model_validate({"name": "acme", **attributes(sandbox, external_keys=external_keys), **overrides})


def customized(sandbox: Sandbox, *, external_keys: bool = True, **services: dict[str, Any]) -> IntegrationSpec:
    """The integration ``acme`` of few fields with some settings changed: ``qbench={...}``, ``salesforce={...}``, ``hubspot={...}``."""
    changed = attributes(sandbox, external_keys=external_keys) | FEW_FIELDS
    for service, settings in services.items():
        (changed["qbench"] if service == "qbench" else changed["crms"][service]).update(settings)
    return IntegrationSpec.model_validate({"name": "acme", **changed})


def both_ways(
    spec: IntegrationSpec, *, accounts: Mapping[str, object] = NOTHING, contacts: Mapping[str, object] = NOTHING
) -> IntegrationSpec:
    """The integration with more of its maps, which may bring something back from the CRMs: it writes into QBench."""
    records = {"accounts": spec.accounts, "contacts": spec.contacts}
    changed: dict[str, Any] = {"qbench": spec.qbench.model_copy(update={"writes": True})}
    for name, more in {"accounts": accounts, "contacts": contacts}.items():
        record = records[name]
        if more and record is not None:
            written = record.model_dump(by_alias=True, exclude_unset=True)
            changed[name] = type(record).model_validate({**written, "map": {**written["map"], **more}})
    return spec.model_copy(update=changed)


def add_laboratories(
    tenant: QBenchTenant, customers: int, *, contacts_each: int = 0, at: int = BEFORE_START, first_number: int = 1
) -> list[int]:
    """Customers, numbered by name, each with some complete contacts; returns the customers' ids."""
    ids = []
    for number in range(first_number, first_number + customers):
        customer = tenant.add_customer(customer_name=f"Laboratory {number}", employees=number, phone=f"512 555 {number:04}", at=at)
        for position in range(1, contacts_each + 1):
            tenant.add_contact(
                customer_ids=[customer],
                email_address=f"person{position}@laboratory{number}.example.org",
                first_name="Pat",
                last_name=f"Person {number}-{position}",
                phone="512 555 0102",
                at=at,
            )
        ids.append(customer)
    return ids


def let_intents_settle(store: Store) -> None:
    """Make calls whose answers were lost so old that the CRM could not carry them out any more: what came of them is then looked for.

    No older: HubSpot's companies are looked for among those created within a quarter of an hour.
    """
    with store.transaction() as connection:
        connection.execute(text("UPDATE crm_pipeline.open_call SET over_at = least(over_at, now())"))
        connection.execute(text("UPDATE crm_pipeline.intent SET created_at = least(created_at, now() - interval '13 minutes')"))
