"""The association endpoints, rule by rule."""

from __future__ import annotations

import pytest

from crm_pipeline_tests.sandbox.hubspot.conftest import ASSOCIATIONS, Serve, Served, pair

PAIRS = f"{ASSOCIATIONS}/contacts/companies/batch"
DATED = "/crm/associations/2026-03/contacts/companies/batch"


def _people(served: Served, number: int = 1) -> list[str]:
    return [served.portal.add("contacts", {"email": f"p{n}@example.com"}) for n in range(number)]


def _company(served: Served, name: str = "Acme") -> str:
    return served.portal.add("companies", {"name": name})


@pytest.mark.parametrize("path", [PAIRS, DATED])
def test_a_typed_create_associates_under_its_labels(hubspot: Served, path: str) -> None:
    [person], company = _people(hubspot), _company(hubspot)
    row = hubspot.post(f"{path}/create", {"inputs": [pair(person, company, 279, 1)]}, expect=201)["results"][0]
    assert (row["fromObjectId"], row["toObjectId"], row["labels"]) == (person, company, ["Primary"])
    assert hubspot.portal.associations() == [(person, company, frozenset({1, 279}))]


def test_associating_again_changes_nothing(hubspot: Served) -> None:
    [person], company = _people(hubspot), _company(hubspot)
    for _ in range(2):
        hubspot.post(f"{PAIRS}/create", {"inputs": [pair(person, company, 279)]}, expect=201)
    assert hubspot.portal.associations() == [(person, company, frozenset({279}))]


def test_companies_associate_with_their_own_type_ids(hubspot: Served) -> None:
    [person], company = _people(hubspot), _company(hubspot)
    hubspot.post(f"{ASSOCIATIONS}/companies/contacts/batch/create", {"inputs": [pair(company, person, 280, 2)]}, expect=201)
    assert hubspot.portal.associations() == [(person, company, frozenset({1, 279}))]


def test_a_type_of_the_other_direction_is_refused(hubspot: Served) -> None:
    [person], company = _people(hubspot), _company(hubspot)
    error = hubspot.post(f"{PAIRS}/create", {"inputs": [pair(person, company, 280)]}, expect=207)["errors"][0]
    assert "INVALID_ASSOCIATION_TYPE_ID" in error["context"]


def test_a_contact_has_one_primary_company(hubspot: Served) -> None:
    [person], first, second = _people(hubspot), _company(hubspot), _company(hubspot, "Other")
    for company in (first, second):
        hubspot.post(f"{PAIRS}/create", {"inputs": [pair(person, company, 1)]}, expect=201)
    assert {company: types for _, company, types in hubspot.portal.associations()} == {
        first: frozenset({279}),
        second: frozenset({1, 279}),
    }


def test_unknown_ids_are_errors_in_a_207_beside_the_good_rows(hubspot: Served) -> None:
    people, company = _people(hubspot, 2), _company(hubspot)
    inputs = [pair(people[0], company, 279), pair("404", company, 279), pair(people[1], "405", 279)]
    answer = hubspot.post(f"{PAIRS}/create", {"inputs": inputs}, expect=207)
    assert [row["fromObjectId"] for row in answer["results"]] == [people[0]]
    refused = {error["context"]["INVALID_OBJECT_IDS"][0] for error in answer["errors"]}
    assert refused == {"CONTACT=404 is not valid", "COMPANY=405 is not valid"}


def test_the_default_association_is_a_200_with_its_errors_inside(hubspot: Served) -> None:
    [person], company = _people(hubspot), _company(hubspot)
    inputs = [{"from": {"id": number}, "to": {"id": company}} for number in (person, "404")]
    answer = hubspot.post(f"{PAIRS}/associate/default", {"inputs": inputs}, expect=200)
    assert (answer["numErrors"], hubspot.portal.associations()) == (1, [(person, company, frozenset({279}))])


@pytest.mark.parametrize("limit", [2_000, 1_000])
def test_the_number_of_inputs_is_limited(served_portal: Serve, limit: int) -> None:
    served = served_portal(association_inputs=limit)
    company = _company(served)
    answer = served.post(f"{PAIRS}/create", {"inputs": [pair("1", company, 279)] * (limit + 1)}, expect=400)
    assert str(limit) in answer["message"]


def test_reading_tells_labels_and_names_what_has_none(hubspot: Served) -> None:
    people, company = _people(hubspot, 2), _company(hubspot)
    hubspot.portal.associate(people[0], company)
    answer = hubspot.post(f"{PAIRS}/read", {"inputs": [{"id": number} for number in people]}, expect=207)
    assert answer["results"] == [
        {
            "from": {"id": people[0]},
            "to": [
                {
                    "toObjectId": company,
                    "associationTypes": [
                        {"category": "HUBSPOT_DEFINED", "typeId": 1, "label": "Primary"},
                        {"category": "HUBSPOT_DEFINED", "typeId": 279, "label": None},
                    ],
                }
            ],
        }
    ]
    assert [error["context"]["fromObjectId"] for error in answer["errors"]] == [[people[1]]]


def test_reading_takes_a_thousand_ids(hubspot: Served) -> None:
    ids = [{"id": str(number)} for number in range(1_001)]
    hubspot.post(f"{PAIRS}/read", {"inputs": ids}, expect=400)
    hubspot.post(f"{PAIRS}/read", {"inputs": ids[1:]}, expect=207)


def test_a_company_with_many_contacts_is_read_in_pages(hubspot: Served) -> None:
    people, company = _people(hubspot, 501), _company(hubspot)
    for person in people:
        hubspot.portal.associate(person, company)
    path = f"{ASSOCIATIONS}/companies/contacts/batch/read"
    first = hubspot.post(path, {"inputs": [{"id": company}]})["results"][0]
    after = first["paging"]["next"]["after"]
    second = hubspot.post(path, {"inputs": [{"id": company, "after": after}]})["results"][0]
    assert [end["toObjectId"] for end in first["to"] + second["to"]] == people


@pytest.mark.parametrize(("path", "status"), [(PAIRS, 204), (DATED, 200)])
def test_removing_a_pair_removes_every_label(hubspot: Served, path: str, status: int) -> None:
    [person], company = _people(hubspot), _company(hubspot)
    own = hubspot.portal.add_association_label("Billing contact").contact_to_company
    hubspot.portal.associate(person, company, types=(1, own))
    hubspot.post(f"{path}/archive", {"inputs": [{"from": {"id": person}, "to": [{"id": company}]}]}, expect=status)
    assert hubspot.portal.associations() == []


@pytest.mark.parametrize(("path", "status"), [(PAIRS, 204), (DATED, 200)])
@pytest.mark.parametrize(("removed", "left"), [(1, True), (279, False)])
def test_removing_the_unlabelled_type_removes_the_users_own_labels_too(
    hubspot: Served, path: str, status: int, removed: int, left: object
) -> None:
    [person], company = _people(hubspot), _company(hubspot)
    own = hubspot.portal.add_association_label("Billing contact").contact_to_company
    hubspot.portal.associate(person, company, types=(1, own))
    hubspot.post(f"{path}/labels/archive", {"inputs": [pair(person, company, removed)]}, expect=status)
    assert hubspot.portal.associations() == ([(person, company, frozenset({279, own}))] if left else [])


def test_the_labels_of_a_direction_are_listed(hubspot: Served) -> None:
    own = hubspot.portal.add_association_label("Billing contact")
    listed = hubspot.get(f"{ASSOCIATIONS}/companies/contacts/labels")["results"]
    assert [(label["typeId"], label["label"]) for label in listed] == [(280, None), (2, "Primary"), (own.company_to_contact, own.label)]


def test_an_object_that_has_no_associations_here_is_refused(hubspot: Served) -> None:
    hubspot.post(f"{ASSOCIATIONS}/contacts/deals/batch/read", {"inputs": []}, expect=400)


def test_deleted_records_are_not_associated_until_they_are_restored(hubspot: Served) -> None:
    [person], company = _people(hubspot), _company(hubspot)
    hubspot.portal.associate(person, company)
    hubspot.portal.archive("companies", company)
    assert hubspot.portal.associations() == []
    hubspot.post(f"{PAIRS}/create", {"inputs": [pair(person, company, 279)]}, expect=207)
    hubspot.portal.restore("companies", company)
    assert hubspot.portal.associations() == [(person, company, frozenset({1, 279}))]
