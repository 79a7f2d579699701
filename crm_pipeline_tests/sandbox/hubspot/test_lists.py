"""Lists (segments): how they are found, who is in them and from when on, and what happens to deleted ones, rule by rule."""

from __future__ import annotations

from typing import Any

import pytest

from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.hubspot.settings import LIST_SCOPES, SCOPES
from crm_pipeline_tests.sandbox.hubspot.conftest import OBJECTS, Serve, Served, reading

LISTS = "/crm/v3/lists"
FAMILIES = (LISTS, "/crm/lists/2026-03")
NAMED = f"{LISTS}/object-type-id"
DAY = 86_400


@pytest.fixture
def lab(served_portal: Serve) -> Served:
    """A portal whose token may read and change lists."""
    return served_portal(scopes=SCOPES | LIST_SCOPES)


def companies(served: Served, count: int, **properties: str) -> list[str]:
    """Companies, and their ids."""
    return [served.portal.add("companies", {"name": str(number), **properties}) for number in range(count)]


def member_ids(served: Served, list_id: str, **query: str) -> list[str]:
    """The records on a page of a list."""
    answer = served.http.get(f"{LISTS}/{list_id}/memberships", params=query)
    assert answer.status_code == 200, answer.text
    return [row["recordId"] for row in answer.json()["results"]]


@pytest.mark.parametrize("lists", FAMILIES)
def test_a_list_is_read_by_id_and_by_name(lab: Served, lists: str) -> None:
    made = lab.portal.lists.add("Lab customers", "companies")
    by_id, by_name = lab.get(f"{lists}/{made}"), lab.get(f"{lists}/object-type-id/0-2/name/Lab customers")
    assert by_id == by_name
    expected = {"listId": made, "name": "Lab customers", "objectTypeId": "0-2", "processingType": "MANUAL", "processingStatus": "COMPLETE"}
    assert expected.items() <= by_id["list"].items()
    assert not {"deletedAt", "filterBranch", "size"} & by_id["list"].keys()


@pytest.mark.parametrize("name", ["lab CUSTOMERS", "Lab customers"])
def test_a_name_is_found_whatever_its_case(lab: Served, name: str) -> None:
    made = lab.portal.lists.add("Lab customers", "companies")
    assert lab.get(f"{NAMED}/0-2/name/{name}")["list"]["listId"] == made


def test_a_name_may_hold_a_slash(lab: Served) -> None:
    made = lab.portal.lists.add("Labs / active", "companies")
    assert lab.get(f"{NAMED}/0-2/name/Labs%20%2F%20active")["list"]["listId"] == made


@pytest.mark.parametrize(
    ("type_id", "name", "status"), [("0-1", "Lab customers", 404), ("0-2", "Lab", 404), ("companies", "Lab customers", 400)]
)
def test_a_name_is_looked_for_among_the_lists_of_one_object_by_its_type_id(lab: Served, type_id: str, name: str, status: int) -> None:
    lab.portal.lists.add("Lab customers", "companies")
    lab.get(f"{NAMED}/{type_id}/name/{name}", expect=status)


def test_a_renamed_list_is_found_by_its_new_name_only(lab: Served) -> None:
    made = lab.portal.lists.add("Lab customers", "companies")
    lab.portal.lists.rename(made, "Customers")
    lab.get(f"{NAMED}/0-2/name/Lab customers", expect=404)
    assert lab.get(f"{LISTS}/{made}")["list"]["name"] == "Customers"
    with pytest.raises(ValueError, match="has this name"):
        lab.portal.lists.add("customers", "contacts")


@pytest.mark.parametrize(
    ("method", "path", "missing"),
    [
        ("GET", f"{LISTS}/41", "crm.lists.read"),
        ("GET", f"{NAMED}/0-2/name/x", "crm.lists.read"),
        ("GET", f"{LISTS}/41/memberships", "crm.lists.read"),
        ("POST", f"{LISTS}/search", "crm.lists.read"),
        ("POST", f"{LISTS}/records/memberships/batch/read", "crm.lists.read"),
        ("POST", LISTS, "crm.lists.write"),
    ],
)
def test_lists_need_scopes_of_their_own_which_the_refusal_names(hubspot: Served, method: str, path: str, missing: str) -> None:
    answer = hubspot.http.request(method, path, json={} if method == "POST" else None)
    assert answer.status_code == 403
    assert answer.json()["errors"][0]["context"]["requiredGranularScopes"] == [missing]


def test_changing_a_list_needs_both_scopes(served_portal: Serve) -> None:
    served = served_portal(scopes=SCOPES | {"crm.lists.read"})
    made = served.portal.lists.add("Lab customers", "companies")
    for method, path in (("PUT", "/memberships/add"), ("DELETE", ""), ("PUT", "/restore")):
        assert served.http.request(method, f"{LISTS}/{made}{path}", json=[]).status_code == 403
    served.get(f"{LISTS}/{made}")


def test_members_are_paged_in_the_order_of_their_ids(lab: Served) -> None:
    ids = companies(lab, 260)
    made = lab.portal.lists.add("Lab customers", "companies")
    lab.portal.lists.join(made, *reversed(ids))
    first = lab.get(f"{LISTS}/{made}/memberships", limit="250")
    after = first["paging"]["next"]["after"]
    second = lab.get(f"{LISTS}/{made}/memberships", limit="250", after=after)
    assert [row["recordId"] for row in first["results"] + second["results"]] == ids
    assert "paging" not in second
    assert (first["total"], second["total"]) == (260, 260)
    assert len(member_ids(lab, made)) == 100
    lab.get(f"{LISTS}/{made}/memberships", limit="251", expect=400)


def test_members_before_an_id_come_in_descending_order(lab: Served) -> None:
    ids = companies(lab, 4)
    made = lab.portal.lists.add("Lab customers", "companies")
    lab.portal.lists.join(made, *ids)
    assert member_ids(lab, made, before=ids[3], limit="2") == [ids[2], ids[1]]
    assert member_ids(lab, made, before=ids[3], after=ids[0], limit="2") == [ids[1], ids[2]], "after takes precedence"


def test_a_member_that_leaves_between_two_pages_hides_no_other(lab: Served) -> None:
    ids = companies(lab, 4)
    made = lab.portal.lists.add("Lab customers", "companies")
    lab.portal.lists.join(made, *ids)
    after = lab.get(f"{LISTS}/{made}/memberships", limit="2")["paging"]["next"]["after"]
    lab.portal.lists.leave(made, ids[1])
    assert member_ids(lab, made, after=after) == ids[2:]


def test_by_join_order_the_newest_member_comes_first(lab: Served) -> None:
    ids = companies(lab, 3)
    made = lab.portal.lists.add("Lab customers", "companies")
    for one in (ids[1], ids[2], ids[0]):
        lab.clock.now += 1
        lab.portal.lists.join(made, one)
    path = f"{LISTS}/{made}/memberships/join-order"
    first = lab.get(path, limit="2")
    second = lab.get(path, limit="2", after=first["paging"]["next"]["after"])
    assert [row["recordId"] for row in first["results"] + second["results"]] == [ids[0], ids[2], ids[1]]


def test_a_static_list_holds_what_is_put_into_it(lab: Served) -> None:
    ids = companies(lab, 2)
    made = lab.post(LISTS, {"name": "Lab customers", "objectTypeId": "0-2", "processingType": "MANUAL"})["list"]["listId"]
    added = lab.http.put(f"{LISTS}/{made}/memberships/add", json=[*ids, "404"]).json()
    assert added == {"recordsIdsAdded": ids, "recordIdsRemoved": [], "recordIdsMissing": ["404"]}
    both = {"recordIdsToAdd": [ids[1]], "recordIdsToRemove": [ids[0]]}
    changed = lab.http.put(f"{LISTS}/{made}/memberships/add-and-remove", json=both).json()
    assert (changed["recordsIdsAdded"], changed["recordIdsRemoved"]) == ([], [ids[0]])
    assert member_ids(lab, made) == [ids[1]]
    assert lab.http.delete(f"{LISTS}/{made}/memberships").status_code == 204
    assert member_ids(lab, made) == []


def test_a_name_is_given_once(lab: Served) -> None:
    body = {"name": "Lab customers", "objectTypeId": "0-2", "processingType": "MANUAL"}
    lab.post(f"{LISTS}/", body)
    lab.post(LISTS, {**body, "name": "lab customers"}, expect=400)


def test_an_active_list_is_evaluated_after_the_record_changed(lab: Served) -> None:
    customer, other = companies(lab, 2, lifecyclestage="customer")
    made = lab.portal.lists.add("Lab customers", "companies", matching={"lifecyclestage": "customer;evangelist"})
    assert lab.get(f"{LISTS}/{made}")["list"]["processingStatus"] == "PROCESSING"
    lab.clock.now += 5
    assert lab.get(f"{LISTS}/{made}")["list"]["processingStatus"] == "COMPLETE"
    assert member_ids(lab, made) == [customer, other]
    lab.portal.update("companies", customer, {"lifecyclestage": "other", "city": "Paris"})
    shown = lab.post(f"{OBJECTS}/companies/batch/read", reading(customer, properties=["city"]))["results"][0]
    assert shown["properties"]["city"] == "Paris"
    assert member_ids(lab, made) == [customer, other], "the change is there, the membership still is too"
    lab.clock.now += 5
    assert member_ids(lab, made) == [other]
    lab.portal.update("companies", customer, {"lifecyclestage": "evangelist"})
    lab.clock.now += 5
    assert member_ids(lab, made) == [customer, other]


def test_a_static_list_with_filters_is_evaluated_once(lab: Served) -> None:
    first = companies(lab, 1, city="Paris")
    made = lab.portal.lists.add("Paris", "companies", processing="SNAPSHOT", matching={"city": "Paris"})
    companies(lab, 1, city="Paris")
    lab.clock.now += 60
    assert member_ids(lab, made) == first
    assert lab.portal.lists.leave(made, *first) == first


@pytest.mark.parametrize("asked", ["true", "false"])
def test_filters_are_shown_where_asked_for(lab: Served, asked: str) -> None:
    made = lab.portal.lists.add("Paris", "companies", matching={"city": "Paris"})
    assert ("filterBranch" in lab.get(f"{LISTS}/{made}", includeFilters=asked)["list"]) is (asked == "true")


def test_nobody_is_put_into_an_active_list_or_taken_out_of_it(lab: Served) -> None:
    (one,) = companies(lab, 1)
    made = lab.portal.lists.add("Paris", "companies", matching={"city": "Paris"})
    for path in ("add", "remove"):
        assert lab.http.put(f"{LISTS}/{made}/memberships/{path}", json=[one]).status_code == 400
    assert lab.http.delete(f"{LISTS}/{made}/memberships").status_code == 400
    with pytest.raises(ValueError, match="filters"):
        lab.portal.lists.join(made, one)


def test_a_deleted_record_leaves_its_lists_at_once_and_for_good(lab: Served) -> None:
    gone, kept = companies(lab, 2, city="Paris")
    active = lab.portal.lists.add("Paris", "companies", matching={"city": "Paris"})
    static = lab.portal.lists.add("Some", "companies")
    lab.portal.lists.join(static, gone, kept)
    lab.portal.archive("companies", gone)
    assert (member_ids(lab, static), member_ids(lab, active)) == ([kept], []), "the active one is not evaluated yet"
    lab.clock.now += 5
    assert member_ids(lab, active) == [kept]
    lab.portal.restore("companies", gone)
    lab.clock.now += 5
    assert (member_ids(lab, static), member_ids(lab, active)) == ([kept], [gone, kept])


def test_joining_a_list_moves_no_stamp(lab: Served) -> None:
    (one,) = companies(lab, 1)
    made, before = lab.portal.lists.add("Some", "companies"), lab.portal.record("companies", one)
    lab.clock.now += 60
    lab.portal.lists.join(made, one)
    assert lab.portal.record("companies", one) == before


def test_a_deleted_list_is_found_by_its_id_only(lab: Served) -> None:
    made, kept = (lab.portal.lists.add(name, "companies") for name in ("Lab customers", "Others"))
    assert lab.http.delete(f"{LISTS}/{made}").status_code == 204
    assert lab.get(f"{LISTS}/{made}")["list"]["deletedAt"] == "2026-11-18T11:06:40.000Z"
    lab.get(f"{NAMED}/0-2/name/Lab customers", expect=404)
    assert [one["listId"] for one in lab.http.get(f"{LISTS}?listIds={made}&listIds={kept}").json()["lists"]] == [kept]
    assert [one["listId"] for one in lab.post(f"{LISTS}/search", {"offset": 0, "additionalProperties": []})["lists"]] == [kept]


@pytest.mark.parametrize(("setting", "status", "members"), [("refused", 404, None), ("empty", 200, 0), ("kept", 200, 2)])
def test_what_a_deleted_list_says_of_its_members_is_settable(served_portal: Serve, setting: str, status: int, members: int | None) -> None:
    served = served_portal(scopes=SCOPES | LIST_SCOPES, deleted_list_members=setting)
    made = served.portal.lists.add("Lab customers", "companies")
    served.portal.lists.join(made, *companies(served, 2))
    served.portal.lists.delete(made)
    answer = served.get(f"{LISTS}/{made}/memberships", expect=status)
    assert answer.get("total") == members


def test_a_deleted_list_comes_back_within_ninety_days(lab: Served) -> None:
    made, late = (lab.portal.lists.add(name, "companies") for name in ("Lab customers", "Late"))
    for one in (made, late):
        lab.portal.lists.delete(one)
    lab.clock.now += 89 * DAY
    assert lab.http.put(f"{LISTS}/{made}/restore").status_code == 204
    assert "deletedAt" not in lab.get(f"{NAMED}/0-2/name/Lab customers")["list"]
    lab.clock.now += 2 * DAY
    lab.get(f"{LISTS}/{late}", expect=404)
    assert lab.http.put(f"{LISTS}/{late}/restore").status_code == 404


def test_the_name_of_a_deleted_list_is_free(lab: Served) -> None:
    made = lab.portal.lists.add("Lab customers", "companies")
    lab.portal.lists.delete(made)
    again = lab.portal.lists.add("Lab customers", "companies")
    assert lab.get(f"{NAMED}/0-2/name/Lab customers")["list"]["listId"] == again != made
    assert lab.http.put(f"{LISTS}/{made}/restore").status_code == 400


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"query": "lab"}, ["Lab customers", "Lab contacts"]),
        ({"query": "CUSTOMERS lab"}, ["Lab customers"]),
        ({"objectTypeId": "0-1"}, ["Lab contacts"]),
        ({"processingTypes": ["DYNAMIC"]}, ["Active"]),
        ({"count": 1, "offset": 1}, ["Lab contacts"]),
        ({"listIds": ["43"]}, ["Active"]),
    ],
)
def test_lists_are_searched_by_their_names_and_kinds(lab: Served, body: dict[str, Any], found: list[str]) -> None:
    made = lab.portal.lists.add("Lab customers", "companies")
    lab.portal.lists.add("Lab contacts", "contacts")
    lab.portal.lists.add("Active", "companies", matching={"city": "Paris"})
    lab.portal.lists.join(made, *companies(lab, 2))
    answer = lab.post(f"{LISTS}/search", {"additionalProperties": [], "offset": 0, **body})
    assert [one["name"] for one in answer["lists"]] == found
    sizes = {one["name"]: one["additionalProperties"]["hs_list_size"] for one in answer["lists"]}
    assert sizes.get("Lab customers", "2") == "2"


@pytest.mark.parametrize("body", [{"count": 501}, {"count": 0}, {"offset": -1}, {"processingTypes": ["ACTIVE"]}, []])
def test_a_search_of_lists_that_asks_for_too_much_is_refused(lab: Served, body: Any) -> None:
    lab.post(f"{LISTS}/search", body, expect=400)


def test_pages_of_lists_say_whether_there_are_more(lab: Served) -> None:
    for number in range(3):
        lab.portal.lists.add(str(number), "companies")
    first = lab.post(f"{LISTS}/search", {"count": 2})
    second = lab.post(f"{LISTS}/search", {"count": 2, "offset": first["offset"]})
    assert (first["hasMore"], second["hasMore"], first["total"]) == (True, False, 3)
    assert [one["name"] for one in first["lists"] + second["lists"]] == ["0", "1", "2"]


def test_searching_lists_is_no_search_of_records(lab: Served) -> None:
    headers = [lab.http.post(f"{LISTS}/search", json={}).headers for _ in range(6)]
    assert headers[-1]["X-HubSpot-RateLimit-Remaining"] == "184"


def test_the_lists_of_records_are_read_one_by_one_or_many_at_once(lab: Served) -> None:
    inside, outside = companies(lab, 2)
    made = lab.portal.lists.add("Lab customers", "companies")
    lab.portal.lists.join(made, inside)
    lab.clock.now += 60
    lab.portal.lists.leave(made, inside)
    lab.portal.lists.join(made, inside)
    one = lab.get(f"{LISTS}/records/0-2/{inside}/memberships")["results"]
    assert [(each["listId"], each["firstAddedTimestamp"], each["lastAddedTimestamp"]) for each in one] == [
        (made, "2026-11-18T11:06:40.000Z", "2026-11-18T11:07:40.000Z")
    ]
    inputs = [{"objectTypeId": "0-2", "recordId": each} for each in (inside, outside)]
    answer = lab.post(f"{LISTS}/records/memberships/batch/read", {"inputs": inputs})
    assert {row["recordId"]: row["recordListMemberships"] for row in answer["results"]} == {inside: one, outside: []}


def test_records_that_are_not_there_make_the_answer_a_207(lab: Served) -> None:
    (one,) = companies(lab, 1)
    inputs = [{"objectTypeId": "0-2", "recordId": each} for each in (one, "404")]
    answer = lab.post(f"{LISTS}/records/memberships/batch/read", {"inputs": inputs}, expect=207)
    assert [row["recordId"] for row in answer["results"]] == [one]
    assert answer["errors"][0]["context"]["ids"] == ["404"]
    lab.get(f"{LISTS}/records/0-2/404/memberships", expect=404)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"inputs": [{"recordId": "1"}]},
        {"inputs": [{"objectTypeId": "contacts", "recordId": "1"}]},
        {"inputs": [{"objectTypeId": "0-1", "recordId": "1"}] * 101},
    ],
    ids=["no inputs", "no object", "no type id", "too many"],
)
def test_a_batch_of_records_that_cannot_be_read_is_refused(lab: Served, body: dict[str, Any]) -> None:
    lab.post(f"{LISTS}/records/memberships/batch/read", body, expect=400)


def test_lists_can_be_made_to_fail(lab: Served) -> None:
    made = lab.portal.lists.add("Lab customers", "companies")
    lab.faults.add(Fault(method="GET", path=f"^{LISTS}/"))
    lab.get(f"{LISTS}/{made}", expect=503)
    lab.get(f"{LISTS}/{made}")
