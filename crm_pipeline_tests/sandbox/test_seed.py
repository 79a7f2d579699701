"""The seeded tenant: equal seeds make equal tenants, clean ones are clean, dirty ones are dirty in every way promised."""

from __future__ import annotations

from collections import Counter

import phonenumbers
import pytest
from email_validator import EmailNotValidError, validate_email

from crm_pipeline.sandbox.hubspot import HubSpotPortal
from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline.sandbox.seed import Existing, seed_existing, seed_tenant
from crm_pipeline.sandbox.tenant import QBenchTenant

NOW = 1_790_000_000


@pytest.fixture(scope="module")
def clean() -> QBenchTenant:
    return seed_tenant(seed=4, customers=100, contacts=500, now=NOW, dirty=False)


@pytest.fixture(scope="module")
def dirty() -> QBenchTenant:
    return seed_tenant(seed=4, customers=200, contacts=1000, now=NOW)


def valid(email: object) -> bool:
    try:
        validate_email(str(email), check_deliverability=False)
    except EmailNotValidError:
        return False
    return True


def test_equal_seeds_make_equal_tenants(dirty: QBenchTenant) -> None:
    again = seed_tenant(seed=4, customers=200, contacts=1000, now=NOW)
    assert (again.customers(), again.contacts()) == (dirty.customers(), dirty.contacts())


def test_other_seed_makes_another_tenant(clean: QBenchTenant) -> None:
    other = seed_tenant(seed=5, customers=100, contacts=500, now=NOW, dirty=False)
    assert other.customers() != clean.customers()


def test_tenant_has_the_size_asked_for(clean: QBenchTenant) -> None:
    assert (len(clean.customers()), len(clean.contacts())) == (100, 500)


def test_contacts_without_customers_are_refused() -> None:
    with pytest.raises(ValueError, match="customers"):
        seed_tenant(seed=1, customers=0, contacts=1, now=NOW)


def test_nothing_was_edited_after_now(dirty: QBenchTenant) -> None:
    assert max(record["last_updated"] for record in dirty.customers() + dirty.contacts()) < NOW
    assert all(customer["date_created"] <= customer["last_updated"] for customer in dirty.customers())


def test_clean_emails_are_unique_and_valid(clean: QBenchTenant) -> None:
    emails = [contact["email_address"] for contact in clean.contacts()]
    assert len({email.lower() for email in emails}) == len(emails)
    assert [email for email in emails if not valid(email)] == []


def test_clean_domains_are_reserved_ones(clean: QBenchTenant) -> None:
    assert {contact["email_address"].split(".", 1)[1].rsplit("example.", 1)[1] for contact in clean.contacts()} == {"org", "com"}


def test_clean_contacts_have_what_a_create_needs_and_one_customer(clean: QBenchTenant) -> None:
    for contact in clean.contacts():
        assert contact["first_name"]
        assert contact["last_name"]
        assert len(contact["customer_ids"]) == 1


def test_clean_customers_have_unique_names(clean: QBenchTenant) -> None:
    names = Counter(customer["customer_name"].casefold() for customer in clean.customers())
    assert max(names.values()) == 1


def test_clean_phones_are_valid_numbers(clean: QBenchTenant) -> None:
    phones = [record["phone"] for record in clean.customers() + clean.contacts()]
    assert [phone for phone in phones if not phonenumbers.is_valid_number(phonenumbers.parse(phone, None))] == []


def test_names_are_not_ascii_only(clean: QBenchTenant) -> None:
    assert any(not contact["last_name"].isascii() for contact in clean.contacts())


DIRTY_CUSTOMERS = {
    "no name": lambda row: row["customer_name"] is None,
    "blank name": lambda row: row["customer_name"] == "   ",
    "over-long name": lambda row: len(row["customer_name"] or "") == 250,
    "over-long city": lambda row: len(row["city_name"] or "") == 100,
    "inactive": lambda row: row["status"] == "INACTIVE",
    "no address": lambda row: row["address"] is None,
    "employees in words": lambda row: row["employees"] == "50-100",
    "phone in words": lambda row: row["phone"] == "call the front desk",
    "phone with extension": lambda row: "ext." in row["phone"],
    "unknown industry": lambda row: row["industry"] == "Food testing",
    "unknown country": lambda row: row["country_name"] == "Atlantis",
    "country by name": lambda row: row["country_name"] == "USA",
}
DIRTY_CONTACTS = {
    "no email": lambda row: row["email_address"] is None,
    "invalid email": lambda row: row["email_address"] == "nobody at example.org",
    "padded upper-case email": lambda row: (row["email_address"] or "").startswith(" "),
    "two emails in one field": lambda row: ";" in (row["email_address"] or ""),
    "no first name": lambda row: not row["first_name"],
    "no last name": lambda row: row["last_name"] is None,
    "no phone": lambda row: row["phone"] is None,
    "phone in words": lambda row: row["phone"] == "see notes",
    "phone with extension": lambda row: (row["phone"] or "").endswith("x77"),
    "over-long last name": lambda row: len(row["last_name"] or "") == 100,
    "two customers": lambda row: len(row["customer_ids"]) == 2,
    "no customer": lambda row: row["customer_ids"] == [],
}


@pytest.mark.parametrize("kind", DIRTY_CUSTOMERS)
def test_dirty_tenant_has_customers_with(dirty: QBenchTenant, kind: str) -> None:
    assert any(map(DIRTY_CUSTOMERS[kind], dirty.customers()))


@pytest.mark.parametrize("kind", DIRTY_CONTACTS)
def test_dirty_tenant_has_contacts_with(dirty: QBenchTenant, kind: str) -> None:
    assert any(map(DIRTY_CONTACTS[kind], dirty.contacts()))


def test_dirty_tenant_has_duplicate_emails(dirty: QBenchTenant) -> None:
    emails = Counter((contact["email_address"] or "").strip().lower() for contact in dirty.contacts() if valid(contact["email_address"]))
    assert max(emails.values()) > 1


def test_dirty_tenant_has_deleted_customers_with_contacts(dirty: QBenchTenant) -> None:
    live = {customer["id"] for customer in dirty.customers()}
    assert any(set(contact["customer_ids"]) - live for contact in dirty.contacts())


def test_dirty_tenant_has_more_contacts_in_one_second_than_a_page(dirty: QBenchTenant) -> None:
    seconds = Counter(contact["last_updated"] for contact in dirty.contacts())
    assert max(seconds.values()) > 50


def test_most_dirty_contacts_are_fine(dirty: QBenchTenant) -> None:
    fine = [contact for contact in dirty.contacts() if valid(contact["email_address"]) and len(contact["customer_ids"]) == 1]
    assert len(fine) > 0.7 * len(dirty.contacts())


@pytest.fixture(scope="module")
def crms(dirty: QBenchTenant) -> tuple[SalesforceOrg, HubSpotPortal, Existing]:
    org, portal = SalesforceOrg(), HubSpotPortal()
    return org, portal, seed_existing(dirty, org, portal, seed=4)


def test_existing_records_bear_the_names_of_customers(dirty: QBenchTenant, crms: tuple[SalesforceOrg, HubSpotPortal, Existing]) -> None:
    org, portal, existing = crms
    assert existing.salesforce_accounts
    for customer_id, crm_ids in existing.salesforce_accounts.items():
        name = str(dirty.customer(customer_id)["customer_name"]).strip().casefold()
        assert {str(org.record("Account", crm_id)["Name"]).strip().casefold() for crm_id in crm_ids} == {name}
    for customer_id, crm_ids in existing.hubspot_companies.items():
        name = str(dirty.customer(customer_id)["customer_name"]).strip().casefold()
        assert {portal.record("companies", crm_id)["properties"]["name"].strip().casefold() for crm_id in crm_ids} == {name}


def test_existing_contacts_belong_to_existing_accounts(crms: tuple[SalesforceOrg, HubSpotPortal, Existing]) -> None:
    org, portal, existing = crms
    accounts = {record["Id"] for record in org.records("Account")}
    assert {record["AccountId"] for record in org.records("Contact")} <= accounts
    associated = {contact_id for contact_id, _, _ in portal.associations()}
    assert {crm_id for crm_ids in existing.hubspot_contacts.values() for crm_id in crm_ids} <= associated


def test_one_existing_name_is_ambiguous(crms: tuple[SalesforceOrg, HubSpotPortal, Existing]) -> None:
    _, _, existing = crms
    assert sorted(map(len, existing.salesforce_accounts.values()))[-2:] == [1, 2]
    assert sorted(map(len, existing.hubspot_companies.values()))[-2:] == [1, 2]


def test_crms_hold_records_that_mean_no_customer(crms: tuple[SalesforceOrg, HubSpotPortal, Existing]) -> None:
    org, portal, existing = crms
    assert len(org.records("Account")) > sum(map(len, existing.salesforce_accounts.values()))
    assert len(portal.records("contacts")) > sum(map(len, existing.hubspot_contacts.values()))
