"""CRM records that are already there before the first sync: some mean QBench's records, some do not."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from crm_pipeline.sandbox.tenant import QBenchTenant, Record

SHARE = 0.3
"""Part of the customers, and of their contacts, that each CRM already has."""

UNRELATED = 15


class _Org(Protocol):
    def add(self, object_name: str, values: dict[str, Any]) -> str: ...


class _Portal(Protocol):
    def add(self, object: str, properties: Mapping[str, str]) -> str: ...

    def associate(self, contact_id: str, company_id: str) -> None: ...


class _Site(Protocol):
    def add(self, module: str, values: Mapping[str, Any]) -> str: ...


@dataclass(frozen=True, slots=True)
class Existing:
    """What was put into the CRMs: CRM ids by the id of the QBench record that they mean; two ids where a match is ambiguous."""

    salesforce_accounts: dict[int, list[str]] = field(default_factory=dict)
    salesforce_contacts: dict[int, list[str]] = field(default_factory=dict)
    hubspot_companies: dict[int, list[str]] = field(default_factory=dict)
    hubspot_contacts: dict[int, list[str]] = field(default_factory=dict)


def seed_existing(tenant: QBenchTenant, org: _Org, portal: _Portal, *, seed: int) -> Existing:
    """Put records without an external key into both CRMs, for a part of the tenant's customers and contacts, and unrelated ones.

    Names and emails are those of QBench, often in another case or spacing; other fields are blank or differ. For the
    first of the chosen customers each CRM has two records of the same name.
    """
    rng = random.Random(seed)
    existing = Existing()
    chosen = [customer for customer in tenant.customers() if (customer["customer_name"] or "").strip() and rng.random() < SHARE]
    contacts = _usable_contacts(tenant)
    for customer in chosen:
        _add_to_salesforce(existing, org, customer, contacts.get(customer["id"], []), rng=rng)
        _add_to_hubspot(existing, portal, customer, contacts.get(customer["id"], []), rng=rng)
    if chosen:
        first = chosen[0]
        existing.salesforce_accounts[first["id"]].append(org.add("Account", {"Name": first["customer_name"].strip()}))
        existing.hubspot_companies[first["id"]].append(portal.add("companies", {"name": first["customer_name"].strip()}))
    _add_unrelated(org, portal)
    return existing


def seed_existing_site(tenant: QBenchTenant, site: _Site, *, seed: int) -> None:
    """The same for a site of SugarCRM, without a word about what was put there."""
    rng = random.Random(seed)
    contacts, doubled = _usable_contacts(tenant), False
    for customer in tenant.customers():
        if not (customer["customer_name"] or "").strip() or rng.random() >= SHARE:
            continue
        account_id = site.add("Accounts", {"name": _retyped(customer["customer_name"], rng), "billing_address_city": "Old Town"})
        for contact in _part(contacts.get(customer["id"], []), rng):
            values = {"first_name": contact["first_name"], "last_name": contact["last_name"], "account_id": account_id}
            site.add("Contacts", {**values, "email1": _retyped(contact["email_address"], rng)})
        if not doubled:
            site.add("Accounts", {"name": customer["customer_name"]})
            doubled = True
    for number in range(1, UNRELATED + 1):
        account_id = site.add("Accounts", {"name": f"Unrelated Prospect {number}"})
        values = {"last_name": f"Prospect{number}", "email1": f"prospect{number}@unrelated.example.com", "account_id": account_id}
        site.add("Contacts", values)


def _usable_contacts(tenant: QBenchTenant) -> dict[int, list[Record]]:
    """Contacts that a CRM takes, by their one customer: both names, and an address that no other contact has."""
    emails: set[str] = set()
    usable: dict[int, list[Record]] = {}
    for contact in tenant.contacts():
        email = (contact["email_address"] or "").strip().lower()
        plain = email.count("@") == 1 and " " not in email and ";" not in email
        if plain and email not in emails and len(contact["customer_ids"]) == 1 and contact["first_name"] and contact["last_name"]:
            usable.setdefault(contact["customer_ids"][0], []).append(contact)
        emails.add(email)
    return usable


def _add_to_salesforce(existing: Existing, org: _Org, customer: Record, contacts: list[Record], *, rng: random.Random) -> None:
    account_id = org.add("Account", {"Name": _retyped(customer["customer_name"], rng)[:255], "BillingCity": "Old Town"})
    existing.salesforce_accounts[customer["id"]] = [account_id]
    for contact in _part(contacts, rng):
        values = {"FirstName": contact["first_name"][:40], "LastName": contact["last_name"][:80], "AccountId": account_id}
        values["Email"] = _retyped(contact["email_address"], rng).strip()
        existing.salesforce_contacts[contact["id"]] = [org.add("Contact", values)]


def _add_to_hubspot(existing: Existing, portal: _Portal, customer: Record, contacts: list[Record], *, rng: random.Random) -> None:
    company_id = portal.add("companies", {"name": _retyped(customer["customer_name"], rng), "city": "Old Town"})
    existing.hubspot_companies[customer["id"]] = [company_id]
    for contact in _part(contacts, rng):
        properties = {
            "email": contact["email_address"].strip().lower(),
            "firstname": contact["first_name"],
            "lastname": contact["last_name"],
        }
        contact_id = portal.add("contacts", properties)
        portal.associate(contact_id, company_id)
        existing.hubspot_contacts[contact["id"]] = [contact_id]


def _part(contacts: list[Record], rng: random.Random) -> Iterator[Record]:
    return (contact for contact in contacts if rng.random() < 2 * SHARE)


def _retyped(text: str, rng: random.Random) -> str:
    """The text as someone else might have typed it."""
    return rng.choice((text, text.strip(), text.strip().upper(), text.strip().lower()))


def _add_unrelated(org: _Org, portal: _Portal) -> None:
    for number in range(1, UNRELATED + 1):
        account_id = org.add("Account", {"Name": f"Unrelated Prospect {number}"})
        org.add("Contact", {"LastName": f"Prospect{number}", "Email": f"prospect{number}@unrelated.example.com", "AccountId": account_id})
        company_id = portal.add("companies", {"name": f"Unrelated Prospect {number}", "domain": f"unrelated{number}.example.com"})
        contact_id = portal.add("contacts", {"email": f"prospect{number}@unrelated.example.com", "lastname": f"Prospect{number}"})
        portal.associate(contact_id, company_id)
