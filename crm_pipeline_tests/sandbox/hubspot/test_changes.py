"""What a reader of changes meets: stamps that move without a change and changes that move none, ties, lags, late commits."""

from __future__ import annotations

from typing import Any

import pytest

from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.hubspot.properties import Property
from crm_pipeline.sandbox.hubspot.search import LARGEST_PAGE, LARGEST_RESULT
from crm_pipeline_tests.sandbox.hubspot.conftest import ASSOCIATIONS, OBJECTS, Serve, Served, pair, reading, searching

CONTACTS = f"{OBJECTS}/contacts"
COMPANIES = f"{OBJECTS}/companies"
STAMPS = {"contacts": "lastmodifieddate", "companies": "hs_lastmodifieddate"}


def milliseconds(seconds: float) -> str:
    """A time as a filter takes it."""
    return str(int(seconds * 1000))


def changed_since(served: Served, name: str, since: float, **more: Any) -> list[str]:
    """The ids of the records whose stamp is not before a time, by search."""
    where = {"propertyName": STAMPS[name], "operator": "GTE", "value": milliseconds(since)}
    return [row["id"] for row in served.post(f"{OBJECTS}/{name}/search", searching(where, **more))["results"]]


@pytest.mark.parametrize("name", ["contacts", "companies"])
def test_an_edit_moves_the_stamp_that_its_object_has(served_portal: Serve, name: str) -> None:
    served = served_portal(search_calls=None)
    ids = [served.portal.add(name, {"city": "Rome", "domain": "a.example"} if name == "companies" else {"city": "Rome"}) for _ in range(2)]
    served.clock.now += 60
    served.portal.update(name, ids[1], {"city": "Paris"})
    assert changed_since(served, name, served.clock()) == [ids[1]]


def test_contacts_are_never_found_by_the_stamp_of_the_other_objects(hubspot: Served) -> None:
    person = hubspot.portal.add("contacts", {"email": "ada@example.com"})
    since = {"propertyName": "hs_lastmodifieddate", "operator": "GTE", "value": "1"}
    assert hubspot.post(f"{CONTACTS}/search", searching(since))["total"] == 0
    shown = hubspot.get(f"{CONTACTS}/{person}", properties="hs_lastmodifieddate")
    assert shown["properties"]["hs_lastmodifieddate"] is None


def test_companies_have_no_such_property_as_contacts_have(hubspot: Served) -> None:
    since = {"propertyName": "lastmodifieddate", "operator": "GTE", "value": "1"}
    hubspot.post(f"{COMPANIES}/search", searching(since), expect=400)


def test_stamps_have_milliseconds_and_compare_by_them(hubspot: Served) -> None:
    hubspot.clock.now += 0.1234
    company = hubspot.portal.add("companies", {"name": "Acme"})
    stamp = hubspot.portal.record("companies", company)["updatedAt"]
    assert stamp == "2026-11-18T11:06:40.123Z"
    for value in (stamp, "2026-11-18T11:06:40.123999Z"):
        where = {"propertyName": "hs_lastmodifieddate", "operator": "EQ", "value": value}
        assert hubspot.post(f"{COMPANIES}/search", searching(where))["total"] == 1


@pytest.mark.parametrize("value", ["0", "1970-01-01", "1969-12-31T23:59:59Z"])
def test_the_beginning_of_time_is_more_than_a_search_takes(hubspot: Served, value: str) -> None:
    where = {"propertyName": "hs_lastmodifieddate", "operator": "GTE", "value": value}
    hubspot.post(f"{COMPANIES}/search", searching(where), expect=500)


def test_a_sort_that_is_text_does_nothing(hubspot: Served) -> None:
    for name in ("Beta", "Acme"):
        hubspot.portal.add("companies", {"name": name})
    for sorts in (["name"], ["-name"], ["nosuch"]):
        rows = hubspot.post(f"{COMPANIES}/search", searching(sorts=sorts))["results"]
        assert [row["properties"]["name"] for row in rows] == ["Beta", "Acme"]


def test_a_file_gives_all_its_rows_one_stamp(hubspot: Served) -> None:
    known = hubspot.portal.add("companies", {"name": "Acme"})
    hubspot.clock.now += 60
    ids = hubspot.portal.load_file("companies", [{"hs_object_id": known, "city": "Paris"}, {"name": "Beta"}])
    shown = [hubspot.portal.record("companies", one) for one in ids]
    assert [one["properties"]["name"] for one in shown] == ["Acme", "Beta"]
    assert {one["updatedAt"] for one in shown} == {"2026-11-18T11:07:40.000Z"}
    versions = hubspot.get(f"{COMPANIES}/{known}", propertiesWithHistory="city")["propertiesWithHistory"]["city"]
    assert [one["sourceType"] for one in versions] == ["IMPORT"]


def test_more_rows_of_one_stamp_than_a_query_returns_are_read_by_id_only(served_portal: Serve) -> None:
    served = served_portal(search_calls=None)
    ids = served.portal.load_file("companies", [{"name": str(number)} for number in range(LARGEST_RESULT + 300)])
    assert len({served.portal.record("companies", ids[at])["updatedAt"] for at in (0, -1)}) == 1
    since = {"propertyName": "hs_lastmodifieddate", "operator": "GTE", "value": milliseconds(served.clock())}
    served.post(f"{COMPANIES}/search", searching(since, limit=200, after=str(LARGEST_RESULT)), expect=400)
    behind = {"propertyName": "hs_object_id", "operator": "GT", "value": ids[LARGEST_RESULT - 1]}
    sorts = [{"propertyName": "hs_object_id", "direction": "ASCENDING"}]
    rows = served.post(f"{COMPANIES}/search", searching(since, behind, sorts=sorts, limit=LARGEST_PAGE))
    assert rows["total"] == 300
    assert [row["id"] for row in rows["results"]] == ids[LARGEST_RESULT : LARGEST_RESULT + LARGEST_PAGE]


def test_hubspots_own_jobs_move_stamps_and_nothing_else(served_portal: Serve) -> None:
    served = served_portal(search_calls=None)
    ids = [served.portal.add("contacts", {"email": f"p{number}@example.com"}) for number in range(3)]
    served.clock.now += 3_600
    before = [one["properties"]["email"] for one in served.portal.records("contacts")]
    served.portal.touch("contacts", ids[:2])
    assert changed_since(served, "contacts", served.clock()) == ids[:2]
    served.portal.touch("contacts")
    assert changed_since(served, "contacts", served.clock()) == ids
    assert [one["properties"]["email"] for one in served.portal.records("contacts")] == before
    row = served.get(f"{CONTACTS}/{ids[0]}", propertiesWithHistory="email")
    assert len(row["propertiesWithHistory"]["email"]) == 1


def test_a_calculated_value_changes_without_moving_the_stamp(hubspot: Served) -> None:
    score = Property("lab_score", "Lab score", "number", "calculation_equation", group="companyinformation", calculated=True)
    hubspot.portal.add_property("companies", score)
    company = hubspot.portal.add("companies", {"name": "Acme"})
    hubspot.clock.now += 3_600
    hubspot.portal.recalculate("companies", company, {"lab_score": "7"})
    row = hubspot.get(f"{COMPANIES}/{company}", propertiesWithHistory="lab_score")
    assert [one["sourceType"] for one in row["propertiesWithHistory"]["lab_score"]] == ["CALCULATED"]
    assert row["updatedAt"] == row["createdAt"]
    assert changed_since(hubspot, "companies", hubspot.clock() - 60) == []
    with pytest.raises(ValueError, match="calculated"):
        hubspot.portal.recalculate("companies", company, {"name": "Beta"})


@pytest.mark.parametrize(("settings", "moves"), [({}, False), ({"unchanged_writes_move_stamps": True}, True)])
def test_a_write_that_changes_no_value_moves_no_stamp_unless_set_otherwise(served_portal: Serve, settings: Any, *, moves: bool) -> None:
    served = served_portal(**settings)
    company = served.portal.add("companies", {"name": "Acme"})
    served.clock.now += 60
    inputs = [{"id": company, "properties": {"name": "Acme", "city": ""}}]
    row = served.post(f"{COMPANIES}/batch/update", {"inputs": inputs})["results"][0]
    assert (row["updatedAt"] != row["createdAt"]) is moves
    versions = served.get(f"{COMPANIES}/{company}", propertiesWithHistory="name,city")["propertiesWithHistory"]
    assert {name: len(found) for name, found in versions.items()} == {"name": 1}


@pytest.mark.parametrize(("settings", "moves"), [({}, True), ({"associations_move_stamps": False}, False)])
def test_an_association_moves_the_stamps_of_both_records_once(served_portal: Serve, settings: Any, *, moves: bool) -> None:
    served = served_portal(**settings)
    person, company = served.portal.add("contacts", {"email": "ada@example.com"}), served.portal.add("companies", {"name": "Acme"})

    def stamps() -> list[str]:
        return [served.portal.record(name, one)["updatedAt"] for name, one in (("contacts", person), ("companies", company))]

    for path, body in (
        ("create", {"inputs": [pair(person, company, 279)]}),
        ("archive", {"inputs": [{"from": {"id": person}, "to": [{"id": company}]}]}),
    ):
        before = stamps()
        served.clock.now += 60
        served.post(f"{ASSOCIATIONS}/contacts/companies/batch/{path}", body, expect=None)
        after = stamps()
        assert [old != new for old, new in zip(before, after, strict=True)] == [moves, moves]
        served.clock.now += 60
        served.post(f"{ASSOCIATIONS}/contacts/companies/batch/{path}", body, expect=None)
        assert stamps() == after, "the second time nothing changes"


def test_a_stamp_never_goes_back(hubspot: Served) -> None:
    company = hubspot.portal.add("companies", {"name": "Acme"})
    stamp = hubspot.portal.record("companies", company)["updatedAt"]
    hubspot.portal.update("companies", company, {"city": "Paris"}, at=hubspot.clock() - 600)
    hubspot.portal.touch("companies", at=hubspot.clock() - 600)
    assert hubspot.portal.record("companies", company)["updatedAt"] == stamp


def test_an_edit_can_come_to_light_long_after_its_stamp(hubspot: Served) -> None:
    company = hubspot.portal.add("companies", {"name": "Acme"})
    began = hubspot.clock()
    hubspot.clock.now += 600
    assert changed_since(hubspot, "companies", began + 1) == []
    hubspot.portal.update("companies", company, {"city": "Paris"}, at=began + 5)
    assert changed_since(hubspot, "companies", began + 1) == [company]
    assert changed_since(hubspot, "companies", began + 60) == [], "a window that begins later never shows it"
    with pytest.raises(ValueError, match="before that of a value"):
        hubspot.portal.update("companies", company, {"city": "Rome"}, at=began)


def test_a_record_can_come_to_light_long_after_it_was_made(hubspot: Served) -> None:
    company = hubspot.portal.add("companies", {"name": "Acme"}, at=hubspot.clock() - 600)
    assert hubspot.portal.record("companies", company)["updatedAt"] == "2026-11-18T10:56:40.000Z"


@pytest.mark.parametrize("per_portal", [True, False])
def test_reads_show_an_edit_at_once_and_search_after_its_lag(served_portal: Serve, *, per_portal: bool) -> None:
    served = served_portal(search_calls=None, edit_lag_seconds=120.0 if per_portal else 0.0)
    company = served.portal.add("companies", {"name": "Acme"})
    served.clock.now += 3_600
    served.portal.update("companies", company, {"name": "Beta"}, seen_after=None if per_portal else 120.0)
    edited = served.clock()
    assert served.post(f"{COMPANIES}/batch/read", reading(company))["results"][0]["properties"]["name"] == "Beta"
    for seconds, found in ((0, []), (119, []), (120, [company])):
        served.clock.now = edited + seconds
        assert changed_since(served, "companies", edited) == found
    rows = served.post(f"{COMPANIES}/search", searching(properties=["name"]))["results"]
    assert [row["properties"]["name"] for row in rows] == ["Beta"]


def test_search_shows_the_values_that_its_index_has(hubspot: Served) -> None:
    company = hubspot.portal.add("companies", {"name": "Acme"})
    hubspot.portal.update("companies", company, {"name": "Beta"}, seen_after=60)
    rows = hubspot.post(f"{COMPANIES}/search", searching(properties=["name"]))["results"]
    assert [row["properties"]["name"] for row in rows] == ["Acme"]


def test_answers_say_what_time_it_is_there(hubspot: Served) -> None:
    assert hubspot.http.get(CONTACTS).headers["Date"] == "Wed, 18 Nov 2026 11:06:40 GMT"
    hubspot.clock.now += 90
    assert hubspot.http.get(CONTACTS, headers={"Authorization": "no"}).headers["Date"] == "Wed, 18 Nov 2026 11:08:10 GMT"


def test_reading_changes_can_be_made_to_fail(hubspot: Served) -> None:
    company = hubspot.portal.add("companies", {"name": "Acme"})
    hubspot.faults.add(Fault(path="/batch/read$", holding='"name"'))
    hubspot.post(f"{COMPANIES}/batch/read", reading(company, propertiesWithHistory=["name"]), expect=503)
    hubspot.post(f"{COMPANIES}/batch/read", reading(company, propertiesWithHistory=["name"]))
