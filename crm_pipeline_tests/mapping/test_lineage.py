"""Where fields come from: CRM field, normalized field, QBench field."""

from __future__ import annotations

from crm_pipeline.mapping.lineage import crm_sources
from crm_pipeline.mapping.sources import normalized_sources, qbench_fields
from crm_pipeline.mapping.spec import AccountSpec, ContactSpec

ACCOUNTS = AccountSpec.model_validate(
    {
        "map": {
            "name": "customer_name",
            "industry": {"constant": "Laboratory"},
            "phone_number": "phone",
            "phone_number_type": "kind_of_phone",
            "address": {"street_1": "street", "street_2": "suite", "city": "city_name", "address_type": "kind_of_address"},
            "salesforce.Lab_Tier__c": "group_name",
        },
        "sync_on": [{"field": "customer_code", "in": {"salesforce": "Code__c"}}],
    }
)
CONTACTS = ContactSpec.model_validate({"map": {"email": "email_address", "phone": "phone", "address": {"street": "where"}}})


def test_crm_field_comes_from_its_normalized_field() -> None:
    assert crm_sources(ACCOUNTS, crm="salesforce")["Name"] == ("name",)
    assert crm_sources(CONTACTS, crm="hubspot")["email"] == ("email",)


def test_directly_mapped_field_comes_from_the_column_of_its_own_name() -> None:
    assert crm_sources(ACCOUNTS, crm="salesforce")["Lab_Tier__c"] == ("salesforce.Lab_Tier__c",)
    assert normalized_sources(ACCOUNTS)["salesforce.Lab_Tier__c"] == ("group_name",)
    assert "Lab_Tier__c" not in crm_sources(ACCOUNTS, crm="hubspot")


def test_phone_comes_from_number_and_type() -> None:
    assert crm_sources(ACCOUNTS, crm="salesforce")["Fax"] == ("phone_number", "phone_number_type")
    assert crm_sources(CONTACTS, crm="salesforce")["Phone"] == ("phone",), "a type that is not mapped is no source"


def test_joined_address_lines_come_from_all_their_parts() -> None:
    assert crm_sources(ACCOUNTS, crm="salesforce")["ShippingStreet"] == ("shipping_street_1", "shipping_street_2")
    assert crm_sources(ACCOUNTS, crm="hubspot")["city"] == ("billing_city", "shipping_city")
    assert crm_sources(CONTACTS, crm="hubspot")["address"] == ("mailing_street",)


def test_address_part_comes_from_its_field_and_from_the_one_that_decides_the_type() -> None:
    assert normalized_sources(ACCOUNTS)["shipping_city"] == ("city_name", "kind_of_address")


def test_constant_comes_from_no_field() -> None:
    assert crm_sources(ACCOUNTS, crm="hubspot")["industry"] == ("industry",)
    assert normalized_sources(ACCOUNTS)["industry"] == ()


def test_customer_and_match_key_name_their_qbench_fields() -> None:
    assert normalized_sources(CONTACTS)["customer_id"] == ("customers",)
    assert normalized_sources(ACCOUNTS)["qbench.customer_code"] == ("customer_code",)


def test_qbench_fields_are_named_once() -> None:
    fields = qbench_fields(ACCOUNTS)
    assert len(fields) == len(set(fields))
    assert {"customer_name", "kind_of_address", "group_name", "customer_code"} <= set(fields)
