"""Property history: which versions there are, who made them, and where they can be asked for, rule by rule."""

from __future__ import annotations

from typing import Any

import pytest

from crm_pipeline.sandbox.hubspot.history import Source, person
from crm_pipeline.sandbox.hubspot.properties import Property
from crm_pipeline_tests.sandbox.hubspot.conftest import OBJECTS, Serve, Served, contact_row, reading, searching

CONTACTS = f"{OBJECTS}/contacts"
COMPANIES = f"{OBJECTS}/companies"


def versions(served: Served, path: str, record_id: str, name: str) -> list[dict[str, Any]]:
    """The versions of a property, by a batch read."""
    answer = served.post(f"{path}/batch/read", reading(record_id, propertiesWithHistory=[name]))
    found: dict[str, list[dict[str, Any]]] = answer["results"][0]["propertiesWithHistory"]
    return found.get(name, [])


def test_versions_come_newest_first_with_their_times_and_sources(hubspot: Served) -> None:
    row = hubspot.post(f"{CONTACTS}/batch/upsert", {"inputs": [contact_row(1, firstname="Ada")]})["results"][0]
    hubspot.portal.update("contacts", row["id"], {"firstname": "Adele"}, at=hubspot.clock() + 60, by=person(28_604_240))
    assert versions(hubspot, CONTACTS, row["id"], "firstname") == [
        {
            "value": "Adele",
            "timestamp": "2026-11-18T11:07:40.000Z",
            "sourceType": "CRM_UI",
            "sourceId": "userId:28604240",
            "updatedByUserId": 28_604_240,
        },
        {"value": "Ada", "timestamp": "2026-11-18T11:06:40.000Z", "sourceType": "INTEGRATION", "sourceId": "5670736"},
    ]


def test_a_persons_edit_stands_some_milliseconds_before_the_records_own_stamp(hubspot: Served) -> None:
    company = hubspot.portal.add("companies", {"name": "Acme"})
    hubspot.portal.update("companies", company, {"name": "Acme Labs"}, at=hubspot.clock() + 60)
    assert versions(hubspot, COMPANIES, company, "name")[0]["timestamp"] == "2026-11-18T11:07:40.000Z"
    assert hubspot.portal.record("companies", company)["updatedAt"] == "2026-11-18T11:07:40.024Z"


def test_the_source_of_the_tokens_writes_can_be_without_an_id(served_portal: Serve) -> None:
    served = served_portal(app_id=None)
    row = served.post(f"{CONTACTS}/batch/upsert", {"inputs": [contact_row(1)]})["results"][0]
    assert {"sourceType": "INTEGRATION"}.items() <= (newest := versions(served, CONTACTS, row["id"], "email")[0]).items()
    assert newest.keys() == {"value", "timestamp", "sourceType"}


def test_an_automation_writes_under_a_source_of_its_own(hubspot: Served) -> None:
    company = hubspot.portal.add("companies", {"name": "Acme"})
    hubspot.portal.update("companies", company, {"city": "Paris"}, by=Source("AUTOMATION_PLATFORM", "enrollmentId:7"))
    newest = versions(hubspot, COMPANIES, company, "city")[0]
    assert (newest["sourceType"], newest["sourceId"]) == ("AUTOMATION_PLATFORM", "enrollmentId:7")


@pytest.mark.parametrize(("name", "kept"), [("companies", 20), ("contacts", 45)])
def test_the_history_keeps_only_so_many_versions(hubspot: Served, name: str, kept: int) -> None:
    record = hubspot.portal.add(name, {"domain": "a.example"} if name == "companies" else {"email": "ada@example.com"})
    for number in range(kept + 3):
        hubspot.portal.update(name, record, {"city": str(number)})
    found = [one["value"] for one in versions(hubspot, f"{OBJECTS}/{name}", record, "city")]
    assert found == [str(number) for number in range(kept + 2, 2, -1)]


def test_a_cleared_value_leaves_a_blank_version(hubspot: Served) -> None:
    company = hubspot.portal.add("companies", {"name": "Acme", "city": "Paris"})
    hubspot.post(f"{COMPANIES}/batch/update", {"inputs": [{"id": company, "properties": {"city": ""}}]})
    assert [one["value"] for one in versions(hubspot, COMPANIES, company, "city")] == ["", "Paris"]


def test_properties_without_a_version_and_unknown_ones_are_left_out(hubspot: Served) -> None:
    company = hubspot.portal.add("companies", {"name": "Acme"})
    body = reading(company, properties=["name"], propertiesWithHistory=["name", "city", "nosuch"])
    assert hubspot.post(f"{COMPANIES}/batch/read", body)["results"][0]["propertiesWithHistory"].keys() == {"name"}


def test_a_batch_shows_among_the_plain_properties_only_those_asked_for_there(hubspot: Served) -> None:
    company = hubspot.portal.add("companies", {"name": "Acme", "city": "Paris"})
    for asked in (["phone"], []):
        row = hubspot.post(f"{COMPANIES}/batch/read", reading(company, properties=asked, propertiesWithHistory=["city"]))["results"][0]
        assert row["properties"].keys() == {*asked, "createdate", "hs_object_id", "hs_lastmodifieddate"}


@pytest.mark.parametrize("listed", [False, True])
def test_single_reads_and_lists_show_them_among_the_plain_ones_too(hubspot: Served, *, listed: bool) -> None:
    company = hubspot.portal.add("companies", {"name": "Acme", "city": "Paris"})
    answer = hubspot.get(COMPANIES if listed else f"{COMPANIES}/{company}", propertiesWithHistory="city")
    row = answer["results"][0] if listed else answer
    assert row["properties"].keys() == {"city", "createdate", "hs_object_id", "hs_lastmodifieddate"}
    assert [one["value"] for one in row["propertiesWithHistory"]["city"]] == ["Paris"]


def test_reads_without_history_carry_none(hubspot: Served) -> None:
    company = hubspot.portal.add("companies", {"name": "Acme"})
    assert "propertiesWithHistory" not in hubspot.post(f"{COMPANIES}/batch/read", reading(company))["results"][0]


def test_fifty_inputs_can_be_read_with_history_and_no_more(hubspot: Served) -> None:
    ids = [hubspot.portal.add("companies", {"name": str(number)}) for number in range(51)]
    hubspot.post(f"{COMPANIES}/batch/read", reading(*ids))
    hubspot.post(f"{COMPANIES}/batch/read", reading(*ids[:50], propertiesWithHistory=["name"]))
    answer = hubspot.post(f"{COMPANIES}/batch/read", reading(*ids, propertiesWithHistory=["name"]), expect=400)
    assert answer["message"] == "The maximum number of inputs supported in a batch request for property histories is 50"


def test_a_page_of_the_list_with_history_holds_fifty(hubspot: Served) -> None:
    hubspot.get(COMPANIES, propertiesWithHistory="name", limit="50")
    hubspot.get(COMPANIES, propertiesWithHistory="name", limit="51", expect=400)


def test_search_knows_no_history(hubspot: Served) -> None:
    hubspot.portal.add("companies", {"name": "Acme"})
    row = hubspot.post(f"{COMPANIES}/search", searching(propertiesWithHistory=["name"]))["results"][0]
    assert "propertiesWithHistory" not in row


def test_sensitive_values_have_a_history_for_those_only_who_may_read_them(served_portal: Serve) -> None:
    served = served_portal()
    served.portal.add_property("contacts", Property("diagnosis", "Diagnosis", group="contactinformation", sensitivity="sensitive"))
    person_id = served.portal.add("contacts", {"email": "ada@example.com", "diagnosis": "x"})
    assert versions(served, CONTACTS, person_id, "diagnosis") == []
    served.portal.scopes |= {"crm.objects.contacts.sensitive.read.v2"}
    assert [one["value"] for one in versions(served, CONTACTS, person_id, "diagnosis")] == ["x"]


def test_the_bin_is_read_with_history_too(hubspot: Served) -> None:
    company = hubspot.portal.add("companies", {"name": "Acme"})
    hubspot.portal.archive("companies", company)
    row = hubspot.post(f"{COMPANIES}/batch/read?archived=true", reading(company, propertiesWithHistory=["name"]))["results"][0]
    assert [one["value"] for one in row["propertiesWithHistory"]["name"]] == ["Acme"]


def test_a_merged_record_begins_a_history_of_its_own(hubspot: Served) -> None:
    first, second = (hubspot.portal.add("companies", {"name": name, "city": city}) for name, city in (("Acme", ""), ("Beta", "Paris")))
    merged = hubspot.portal.merge("companies", first, second)
    assert [(one["value"], one["sourceType"]) for one in versions(hubspot, COMPANIES, merged, "city")] == [("Paris", "MERGE_OBJECTS")]
