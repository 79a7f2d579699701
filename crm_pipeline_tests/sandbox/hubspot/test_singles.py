"""The endpoints for one record and the list, and what merging does, rule by rule."""

from __future__ import annotations

import pytest

from crm_pipeline_tests.sandbox.hubspot.conftest import ASSOCIATIONS, OBJECTS, Serve, Served, pair, reading

CONTACTS = f"{OBJECTS}/contacts"
COMPANIES = f"{OBJECTS}/companies"


def test_one_record_is_created_read_changed_and_deleted(hubspot: Served) -> None:
    created = hubspot.post(CONTACTS, {"properties": {"email": "ada@example.com"}, "associations": []}, expect=201)
    assert hubspot.get(f"{CONTACTS}/ada@example.com", idProperty="email", properties="email")["id"] == created["id"]
    changed = hubspot.http.patch(f"{CONTACTS}/{created['id']}", json={"properties": {"firstname": "Ada"}})
    assert changed.json()["properties"]["firstname"] == "Ada"
    assert hubspot.http.delete(f"{CONTACTS}/{created['id']}").status_code == 204
    assert hubspot.get(f"{CONTACTS}/{created['id']}", expect=404)["category"] == "OBJECT_NOT_FOUND"
    assert hubspot.get(f"{CONTACTS}/{created['id']}", archived="true")["archived"] is True


@pytest.mark.parametrize("asked", ["properties=name,city", "properties=name&properties=city"])
def test_properties_are_listed_by_commas_or_one_by_one(hubspot: Served, asked: str) -> None:
    company = hubspot.portal.add("companies", {"name": "Acme", "city": "Paris"})
    shown = hubspot.http.get(f"{COMPANIES}/{company}?{asked}").json()["properties"]
    assert (shown["name"], shown["city"]) == ("Acme", "Paris")


def test_a_single_create_of_an_existing_email_is_a_409(hubspot: Served) -> None:
    hubspot.portal.add("contacts", {"email": "ada@example.com"})
    hubspot.post(CONTACTS, {"properties": {"email": "ada@example.com"}, "associations": []}, expect=409)


def test_the_list_is_paged_by_a_hundred_in_the_order_of_ids(hubspot: Served) -> None:
    ids = [hubspot.portal.add("companies", {"name": str(number)}) for number in range(150)]
    hubspot.portal.archive("companies", ids.pop(120))
    first = hubspot.get(COMPANIES, limit="100")
    second = hubspot.get(COMPANIES, limit="100", after=first["paging"]["next"]["after"])
    assert [row["id"] for row in first["results"] + second["results"]] == ids
    assert "paging" not in second
    hubspot.get(COMPANIES, limit="101", expect=400)


def test_the_list_of_archived_records_is_the_bin(hubspot: Served) -> None:
    gone = hubspot.portal.add("companies", {"name": "Gone"})
    hubspot.portal.add("companies", {"name": "Kept"})
    hubspot.portal.archive("companies", gone)
    assert [row["id"] for row in hubspot.get(COMPANIES, archived="true")["results"]] == [gone]


def test_the_list_carries_associations_where_asked_for(hubspot: Served) -> None:
    person = hubspot.portal.add("contacts", {"email": "ada@example.com"})
    company = hubspot.portal.add("companies", {"name": "Acme"})
    hubspot.portal.associate(person, company)
    row = hubspot.get(CONTACTS, associations="companies", properties="associatedcompanyid")["results"][0]
    assert row["properties"]["associatedcompanyid"] == company
    assert [(end["id"], end["type"]) for end in row["associations"]["companies"]["results"]] == [
        (company, "contact_to_company"),
        (company, "contact_to_company_unlabeled"),
    ]


def test_a_merge_makes_a_new_record_to_which_the_old_ids_lead(hubspot: Served) -> None:
    first = hubspot.portal.add("companies", {"name": "Acme", "qbench_id": "1"})
    second = hubspot.portal.add("companies", {"name": "Acme Inc", "city": "Paris", "qbench_id": "2"})
    answer = hubspot.post(f"{COMPANIES}/merge", {"primaryObjectId": first, "objectIdToMerge": second})
    merged = answer["id"]
    assert merged not in (first, second)
    names = "name,city,qbench_id,hs_merged_object_ids"
    for old in (first, second):
        shown = hubspot.get(f"{COMPANIES}/{old}", properties=names)
        assert shown["id"] == merged
        expected = {"name": "Acme", "city": "Paris", "qbench_id": "1", "hs_merged_object_ids": f"{first};{second}"}
        assert expected.items() <= shown["properties"].items()
    assert [row["id"] for row in hubspot.portal.records("companies")] == [merged]


def test_the_losers_key_is_lost_in_a_merge(hubspot: Served) -> None:
    first, second = (hubspot.portal.add("companies", {"name": "Acme", "qbench_id": number}) for number in "12")
    hubspot.portal.merge("companies", first, second)
    row = {"id": "2", "idProperty": "qbench_id", "properties": {"name": "Acme", "qbench_id": "2"}}
    assert hubspot.post(f"{COMPANIES}/batch/upsert", {"inputs": [row]})["results"][0]["new"] is True


def test_merging_can_preserve_the_primary_id(served_portal: Serve) -> None:
    served = served_portal(preserve_primary_id=True)
    first, second = (served.portal.add("companies", {"name": name}) for name in "ab")
    assert served.portal.merge("companies", first, second) == first
    assert served.get(f"{COMPANIES}/{second}")["id"] == first
    assert served.portal.record("companies", first)["properties"]["hs_merged_object_ids"] == second


@pytest.mark.parametrize(("settings", "status"), [({}, 200), ({"batch_read_follows_merges": False}, 207)])
def test_batch_reads_follow_merges_unless_set_otherwise(served_portal: Serve, settings: dict[str, bool], status: int) -> None:
    served = served_portal(**settings)
    first, second = (served.portal.add("companies", {"name": name}) for name in "ab")
    merged = served.portal.merge("companies", first, second)
    answer = served.post(f"{COMPANIES}/batch/read", reading(first, second), expect=status)
    assert [row["id"] for row in answer["results"]] == ([merged] if status == 200 else [])


def test_a_single_update_follows_merges(hubspot: Served) -> None:
    first, second = (hubspot.portal.add("companies", {"name": name}) for name in "ab")
    merged = hubspot.portal.merge("companies", first, second)
    assert hubspot.http.patch(f"{COMPANIES}/{second}", json={"properties": {"city": "Paris"}}).json()["id"] == merged


def test_a_merged_contact_keeps_the_other_email_as_an_additional_one(hubspot: Served) -> None:
    first, second = (hubspot.portal.add("contacts", {"email": f"{name}@example.com"}) for name in "ab")
    merged = hubspot.portal.merge("contacts", first, second)
    properties = hubspot.portal.record("contacts", merged)["properties"]
    assert (properties["email"], properties["hs_additional_emails"]) == ("a@example.com", "b@example.com")
    hubspot.post(CONTACTS, {"properties": {"email": "b@example.com"}, "associations": []}, expect=409)


def test_associations_move_to_the_merged_record(hubspot: Served) -> None:
    person, other = (hubspot.portal.add("contacts", {"email": f"{name}@example.com"}) for name in "ab")
    first, second = (hubspot.portal.add("companies", {"name": name}) for name in "ab")
    hubspot.portal.associate(person, first)
    hubspot.portal.associate(other, second)
    merged = hubspot.portal.merge("companies", first, second)
    assert set(hubspot.portal.associations()) == {(person, merged, frozenset({1, 279})), (other, merged, frozenset({1, 279}))}
    hubspot.post(f"{ASSOCIATIONS}/contacts/companies/batch/create", {"inputs": [pair(person, first, 279)]}, expect=207)


def test_a_merged_contact_keeps_the_primary_company_of_the_first(hubspot: Served) -> None:
    first, second = (hubspot.portal.add("contacts", {"email": f"{name}@example.com"}) for name in "ab")
    acme, beta = (hubspot.portal.add("companies", {"name": name}) for name in ("Acme", "Beta"))
    hubspot.portal.associate(first, acme)
    hubspot.portal.associate(second, beta)
    merged = hubspot.portal.merge("contacts", first, second)
    assert set(hubspot.portal.associations()) == {(merged, acme, frozenset({1, 279})), (merged, beta, frozenset({279}))}


def test_a_record_is_not_restored_over_a_value_that_is_taken(hubspot: Served) -> None:
    gone = hubspot.portal.add("contacts", {"email": "ada@example.com"})
    hubspot.portal.archive("contacts", gone)
    hubspot.portal.add("contacts", {"email": "ada@example.com"})
    with pytest.raises(ValueError, match="unique value"):
        hubspot.portal.restore("contacts", gone)


def test_users_cannot_store_what_the_api_would_refuse(hubspot: Served) -> None:
    with pytest.raises(ValueError, match="industry INVALID_OPTION"):
        hubspot.portal.add("companies", {"name": "Acme", "industry": "none"})
