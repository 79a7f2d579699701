"""The properties endpoints, rule by rule."""

from __future__ import annotations

from typing import Any

import pytest

from crm_pipeline.sandbox.hubspot.properties import Property
from crm_pipeline_tests.sandbox.hubspot.conftest import OBJECTS, Serve, Served, create_row

PROPERTIES = "/crm/v3/properties"
FAMILIES = (PROPERTIES, "/crm/properties/2026-03")
KEY: dict[str, Any] = {
    "name": "qbench_id",
    "label": "QBench ID",
    "groupName": "companyinformation",
    "type": "string",
    "fieldType": "text",
    "hasUniqueValue": True,
}
MAPPED = {
    "companies": "name description industry website domain numberofemployees phone address address2 city state zip country",
    "contacts": "email firstname lastname phone mobilephone address city state zip country",
}


@pytest.mark.parametrize("properties", FAMILIES)
@pytest.mark.parametrize("name", ["companies", "contacts"])
def test_every_mapped_property_is_listed_and_writable(hubspot: Served, properties: str, name: str) -> None:
    listed = {prop["name"]: prop for prop in hubspot.get(f"{properties}/{name}")["results"]}
    assert {*MAPPED[name].split(), "qbench_id", "hubspot_owner_id", "lifecyclestage"} <= listed.keys()
    assert not [field for field in MAPPED[name].split() if listed[field]["modificationMetadata"]["readOnlyValue"]]
    assert listed["hs_object_id"]["modificationMetadata"]["readOnlyValue"] is True
    assert [field for field, prop in listed.items() if prop["hasUniqueValue"]] == ["qbench_id"]


def test_industry_is_a_choice_of_upper_case_values(hubspot: Served) -> None:
    options = hubspot.get(f"{PROPERTIES}/companies/industry")["options"]
    values = [option["value"] for option in options]
    assert len(values) == len(set(values)) > 140
    assert all(value == value.upper() for value in values)
    assert {"label": "Biotechnology", "value": "BIOTECHNOLOGY", "hidden": False, "displayOrder": 11} in options


def test_contacts_have_no_second_street_line(hubspot: Served) -> None:
    hubspot.get(f"{PROPERTIES}/contacts/address2", expect=404)


def test_a_unique_property_can_be_made_and_used_at_once(served_portal: Serve) -> None:
    served = served_portal(external_keys=False)
    assert served.post(f"{PROPERTIES}/companies", KEY, expect=201)["hasUniqueValue"] is True
    row = {"id": "1", "idProperty": "qbench_id", "properties": {"name": "Acme"}}
    assert served.post(f"{OBJECTS}/companies/batch/upsert", {"inputs": [row]})["results"][0]["new"] is True


def test_a_property_is_not_made_twice(hubspot: Served) -> None:
    hubspot.post(f"{PROPERTIES}/companies", KEY, expect=409)


def test_an_object_has_at_most_ten_unique_properties(hubspot: Served) -> None:
    for number in range(9):
        hubspot.post(f"{PROPERTIES}/companies", {**KEY, "name": f"key_{number}"}, expect=201)
    hubspot.post(f"{PROPERTIES}/companies", {**KEY, "name": "key_9"}, expect=400)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "QBench"},
        {"fieldType": "number"},
        {"groupName": "nosuch"},
        {"label": ""},
        {"type": "enumeration", "fieldType": "select", "hasUniqueValue": False, "options": [{"label": "A", "value": "a"}]},
    ],
)
def test_a_definition_that_cannot_be_is_refused(hubspot: Served, change: dict[str, Any]) -> None:
    hubspot.post(f"{PROPERTIES}/companies", {**KEY, "name": "other", **change}, expect=400)


def test_making_a_property_needs_its_scope(served_portal: Serve) -> None:
    served = served_portal(external_keys=False, scopes=frozenset({"crm.objects.companies.read", "crm.objects.companies.write"}))
    answer = served.post(f"{PROPERTIES}/companies", KEY, expect=403)
    assert answer["category"] == "MISSING_SCOPES"
    assert answer["errors"][0]["context"]["requiredGranularScopes"] == ["crm.schemas.companies.write"]
    served.get(f"{PROPERTIES}/companies")


def test_sensitive_properties_are_listed_only_where_asked_for_and_need_their_own_scope(hubspot: Served) -> None:
    hubspot.portal.add_property(
        "contacts", Property("diagnosis", "Diagnosis", group="contactinformation", hubspot_defined=False, sensitivity="sensitive")
    )
    assert "diagnosis" not in [prop["name"] for prop in hubspot.get(f"{PROPERTIES}/contacts")["results"]]
    assert [prop["name"] for prop in hubspot.get(f"{PROPERTIES}/contacts", dataSensitivity="sensitive")["results"]] == ["diagnosis"]
    body = {"inputs": [create_row("t", email="a@example.com", diagnosis="x")]}
    hubspot.post(f"{OBJECTS}/contacts/batch/create", body, expect=403)
    hubspot.portal.scopes |= {"crm.objects.contacts.sensitive.write.v2"}
    hubspot.post(f"{OBJECTS}/contacts/batch/create", body, expect=201)


def test_a_property_that_was_taken_away_does_not_exist(hubspot: Served) -> None:
    hubspot.portal.remove_property("companies", "qbench_id")
    hubspot.get(f"{PROPERTIES}/companies/qbench_id", expect=404)
    row = {"id": "1", "idProperty": "qbench_id", "properties": {"name": "Acme"}}
    hubspot.post(f"{OBJECTS}/companies/batch/upsert", {"inputs": [row]}, expect=400)


TOKEN_INFO = "/oauth/v2/private-apps/get/access-token-info"


def test_the_scopes_of_a_private_app_s_token_are_told_to_who_has_it(hubspot: Served) -> None:
    told = hubspot.post(TOKEN_INFO, {"tokenKey": hubspot.portal.token})
    assert set(told["scopes"]) == hubspot.portal.scopes
    hubspot.post(TOKEN_INFO, {}, expect=400)
    hubspot.post(TOKEN_INFO, {"tokenKey": "another"}, expect=404)
    hubspot.portal.app_id = None
    hubspot.post(TOKEN_INFO, {"tokenKey": hubspot.portal.token}, expect=404)
