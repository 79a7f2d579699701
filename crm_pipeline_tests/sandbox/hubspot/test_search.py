"""The search endpoint, rule by rule."""

from __future__ import annotations

from typing import Any

import pytest

from crm_pipeline_tests.sandbox.hubspot.conftest import OBJECTS, Serve, Served, create_row, searching

CONTACTS = f"{OBJECTS}/contacts/search"
COMPANIES = f"{OBJECTS}/companies/search"


def _where(name: str, operator: str, **members: Any) -> dict[str, Any]:
    return {"propertyName": name, "operator": operator, **members}


@pytest.fixture
def filled(hubspot: Served) -> Served:
    """Three companies: Acme (5), Beta (50) and one with a domain only."""
    hubspot.portal.search_calls = None
    hubspot.portal.add("companies", {"name": "Acme", "numberofemployees": "5", "industry": "BANKING", "qbench_id": "1"})
    hubspot.portal.add("companies", {"name": "Beta Labs", "numberofemployees": "50"})
    hubspot.portal.add("companies", {"domain": "gamma.example"})
    return hubspot


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (_where("name", "EQ", value="ACME"), ["Acme"]),
        (_where("name", "NEQ", value="Acme"), ["Beta Labs", None]),
        (_where("name", "IN", values=["acme"]), ["Acme"]),
        (_where("name", "IN", values=["Acme"]), []),
        (_where("industry", "IN", values=["BANKING"]), ["Acme"]),
        (_where("qbench_id", "HAS_PROPERTY"), ["Acme"]),
        (_where("name", "NOT_HAS_PROPERTY"), [None]),
        (_where("numberofemployees", "GT", value="5"), ["Beta Labs"]),
        (_where("numberofemployees", "GTE", value="5"), ["Acme", "Beta Labs"]),
        (_where("numberofemployees", "LT", value="50"), ["Acme"]),
        (_where("numberofemployees", "LTE", value="50"), ["Acme", "Beta Labs"]),
        (_where("numberofemployees", "BETWEEN", value="4", highValue="6"), ["Acme"]),
        (_where("name", "CONTAINS_TOKEN", value="lab*"), ["Beta Labs"]),
        (_where("createdate", "GTE", value="1794999999000"), ["Acme", "Beta Labs", None]),
        (_where("createdate", "GT", value="2027-01-01T00:00:00Z"), []),
    ],
)
def test_each_operator_finds_what_it_says(filled: Served, where: dict[str, Any], found: list[str | None]) -> None:
    answer = filled.post(COMPANIES, searching(where, properties=["name"]))
    assert [row["properties"]["name"] for row in answer["results"]] == found
    assert answer["total"] == len(found)


def test_filters_of_a_group_are_all_met_and_groups_are_alternatives(filled: Served) -> None:
    groups = [
        {"filters": [_where("name", "EQ", value="acme"), _where("numberofemployees", "GT", value="5")]},
        {"filters": [_where("domain", "HAS_PROPERTY")]},
    ]
    assert [row["properties"]["name"] for row in filled.post(COMPANIES, searching(filterGroups=groups))["results"]] == [None]


def test_results_are_sorted_and_paged(filled: Served) -> None:
    sorts = [{"propertyName": "numberofemployees", "direction": "DESCENDING"}]
    first = filled.post(COMPANIES, searching(sorts=sorts, limit=2))
    second = filled.post(COMPANIES, searching(sorts=sorts, limit=2, after=first["paging"]["next"]["after"]))
    assert [row["properties"]["name"] for row in first["results"] + second["results"]] == ["Beta Labs", "Acme", None]
    assert "paging" not in second


@pytest.mark.parametrize("member", ["after", "filterGroups", "limit", "properties", "sorts"])
def test_every_member_is_required(hubspot: Served, member: str) -> None:
    body = searching()
    del body[member]
    assert hubspot.post(COMPANIES, body, expect=400)["errors"][0]["in"] == member


@pytest.mark.parametrize(
    "body",
    [
        searching(limit=201),
        searching(limit=100, after="9901"),
        searching(filterGroups=[{"filters": []}] * 6),
        searching(*[_where("name", "HAS_PROPERTY")] * 7),
        searching(filterGroups=[{"filters": [_where("name", "HAS_PROPERTY")] * 5}] * 4),
        searching(_where("name", "IN", values=["x" * 3_000])),
        searching(_where("nosuch", "HAS_PROPERTY")),
        searching(_where("name", "LIKE", value="x")),
        searching(_where("name", "IN", value="x")),
        searching(_where("numberofemployees", "EQ", value="many")),
        searching(sorts=["name", "domain"]),
    ],
    ids=["page", "result", "groups", "filters in group", "filters", "body", "property", "operator", "values", "number", "sorts"],
)
def test_what_is_over_a_limit_or_unknown_is_refused(hubspot: Served, body: dict[str, Any]) -> None:
    hubspot.post(COMPANIES, body, expect=400)


def test_new_and_changed_records_are_found_only_after_the_lag(hubspot: Served) -> None:
    created = hubspot.post(f"{OBJECTS}/companies/batch/create", {"inputs": [create_row(name="Acme")]}, expect=201)["results"][0]
    is_acme = searching(_where("name", "EQ", value="Acme"))
    assert hubspot.post(COMPANIES, is_acme)["total"] == 0
    hubspot.clock.now += 3
    assert hubspot.post(COMPANIES, is_acme)["total"] == 1
    hubspot.post(f"{OBJECTS}/companies/batch/update", {"inputs": [{"id": created["id"], "properties": {"name": "Beta"}}]})
    assert hubspot.post(COMPANIES, is_acme)["total"] == 1
    hubspot.clock.now += 3
    assert hubspot.post(COMPANIES, is_acme)["total"] == 0


def test_what_users_do_is_found_at_once_and_stays(hubspot: Served) -> None:
    created = hubspot.post(f"{OBJECTS}/companies/batch/create", {"inputs": [create_row(name="Acme")]}, expect=201)["results"][0]
    hubspot.portal.update("companies", created["id"], {"name": "Beta"})
    is_beta = searching(_where("name", "EQ", value="Beta"))
    assert hubspot.post(COMPANIES, is_beta)["total"] == 1
    hubspot.clock.now += 3
    assert hubspot.post(COMPANIES, is_beta)["total"] == 1


def test_archived_and_merged_away_records_are_not_found(hubspot: Served) -> None:
    first, second, third = (hubspot.portal.add("companies", {"name": name}) for name in "abc")
    merged = hubspot.portal.merge("companies", first, second)
    hubspot.portal.archive("companies", third)
    assert [row["id"] for row in hubspot.post(COMPANIES, searching())["results"]] == [merged]
    assert hubspot.post(COMPANIES, searching(_where("hs_merged_object_ids", "HAS_PROPERTY")))["total"] == 1


def test_five_searches_a_second_are_answered_over_all_objects(served_portal: Serve) -> None:
    served = served_portal()
    for number in range(5):
        served.post(CONTACTS if number % 2 else COMPANIES, searching())
    answer = served.http.post(CONTACTS, json=searching())
    assert (answer.status_code, answer.json()["policyName"]) == (429, "SECONDLY")
    served.clock.now += 1
    served.post(CONTACTS, searching())


def test_search_answers_carry_no_rate_headers(hubspot: Served) -> None:
    answer = hubspot.http.post(COMPANIES, json=searching())
    assert not [name for name in answer.headers if name.startswith("x-hubspot-ratelimit")]
