"""HubSpot's associations: every pair accounted for, whatever the answer's form."""

from __future__ import annotations

from contextlib import closing

import pytest

from crm_pipeline.crms.base import Crm
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.hubspot import HubSpotPortal
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.testing.batches import associations_of, results_by_id, valid
from crm_pipeline.testing.bench import Bench
from crm_pipeline_tests.crms.hubspot_bench import open_bench

ACCOUNT, CONTACT = RecordType.ACCOUNT, RecordType.CONTACT


@pytest.fixture
def bench(sandbox: Sandbox) -> Bench:
    return open_bench(sandbox)


@pytest.fixture
def company(bench: Bench) -> str:
    return bench.add(ACCOUNT, valid(bench, ACCOUNT))


@pytest.fixture
def contacts(bench: Bench) -> list[str]:
    return [bench.add(CONTACT, valid(bench, CONTACT, number)) for number in range(3)]


def test_unknown_company_fails_its_own_pair_and_is_named(crm: Crm, company: str, contacts: list[str]) -> None:
    results = results_by_id(crm.associate(associations_of((1, contacts[0], company), (2, contacts[1], "404"))))
    assert (results[1]["error_type"], results[1]["parent_sent"]) == (None, True)
    assert (results[2]["error_type"], results[2]["error_ids"]) == ("ParentNotFoundException", "404")


def test_unknown_contact_fails_its_own_pair_and_is_named(crm: Crm, company: str, contacts: list[str]) -> None:
    results = results_by_id(crm.associate(associations_of((1, contacts[0], company), (2, "405", company))))
    assert results[1]["error_type"] is None
    assert (results[2]["error_type"], results[2]["error_ids"]) == ("ParentNotFoundException", "405")


def test_new_company_becomes_the_primary_one(bench: Bench, sandbox: Sandbox, crm: Crm, company: str, contacts: list[str]) -> None:
    other = bench.add(ACCOUNT, valid(bench, ACCOUNT, 2))
    sandbox.portal.associate(contacts[0], company)
    crm.associate(associations_of((1, contacts[0], other)))
    assert bench.parent(contacts[0]) == other


@pytest.mark.parametrize("status", [200, 201, 207])
def test_errors_within_any_answer_are_seen(sandbox: Sandbox, crm: Crm, company: str, contacts: list[str], status: int) -> None:
    context = {"fromObjectId": [contacts[0]], "toObjectId": [company]}
    errors = [{"status": "error", "category": "VALIDATION_ERROR", "message": "no", "context": context}]
    body = {"status": "COMPLETE", "results": [], "numErrors": 1, "errors": errors}
    sandbox.faults.add(Fault(path="associations", status=status, body=body))
    results = results_by_id(crm.associate(associations_of((1, contacts[0], company), (2, contacts[1], company))))
    assert (results[1]["error_type"], results[1]["error_code"]) == ("RecordRefusedException", "VALIDATION_ERROR")
    assert results[2]["error_type"] == "UnaccountedException"


def test_error_that_names_ids_without_a_side_means_open_pairs_by_contact_before_by_company(sandbox: Sandbox, crm: Crm) -> None:
    errors = [{"category": "VALIDATION_ERROR", "context": {"ids": [one]}} for one in ("1", "2")]
    body = {"results": [{"fromObjectId": "11", "toObjectId": "1"}], "errors": errors}
    sandbox.faults.add(Fault(path="associations", status=207, body=body))
    rows = associations_of((1, "11", "1"), (2, "12", "1"), (3, "2", "3"), (4, "14", "2"))
    results = results_by_id(crm.associate(rows))
    assert [results[number]["error_type"] for number in (1, 2, 3, 4)] == [
        None,
        "RecordRefusedException",
        "RecordRefusedException",
        "UnaccountedException",
    ]


def test_request_refused_as_a_whole_is_halved_down_to_single_pairs(sandbox: Sandbox, crm: Crm, company: str, contacts: list[str]) -> None:
    sandbox.faults.add(Fault(path="associations", status=400, body={"category": "VALIDATION_ERROR"}, times=2))
    rows = associations_of(*((number, contact, company) for number, contact in enumerate(contacts[:2])))
    results = results_by_id(crm.associate(rows))
    assert [results[number]["error_type"] for number in (0, 1)] == ["RecordRefusedException", None]


def test_pair_asked_for_twice_is_accounted_for_twice(crm: Crm, company: str, contacts: list[str]) -> None:
    results = results_by_id(crm.associate(associations_of((1, contacts[0], company), (2, contacts[0], company))))
    assert [row["error_type"] for row in results.values()] == [None, None]


def test_associations_go_in_calls_of_the_set_size(bench: Bench, sandbox: Sandbox, company: str, contacts: list[str]) -> None:
    with closing(bench.connect(association_batch_size=2)) as crm:
        crm.associate(associations_of(*((number, contact, company) for number, contact in enumerate(contacts))))
    assert [call.rows for call in sandbox.journal.calls("hubspot")] == [2, 1]


def test_lost_answer_is_asked_for_again(portal: HubSpotPortal, sandbox: Sandbox, crm: Crm, company: str, contacts: list[str]) -> None:
    sandbox.faults.add(Fault(path="associations", kind="drop_after"))
    results = results_by_id(crm.associate(associations_of((1, contacts[0], company))))
    assert results[1]["error_type"] is None
    assert len(portal.associations()) == 1


def companies_of(portal: HubSpotPortal, contact: str) -> dict[str, frozenset[int]]:
    return {company: types for held, company, types in portal.associations() if held == contact}


def test_contact_that_moves_leaves_its_former_company(
    bench: Bench, portal: HubSpotPortal, crm: Crm, company: str, contacts: list[str]
) -> None:
    other = bench.add(ACCOUNT, valid(bench, ACCOUNT, 2))
    crm.associate(associations_of((1, contacts[0], company)))
    results = results_by_id(crm.associate(associations_of((1, contacts[0], other), leaving=company)))
    assert (results[1]["error_type"], results[1]["note"]) == (None, None)
    assert companies_of(portal, contacts[0]) == {other: {279, 1}}


def test_labels_of_the_users_own_keep_the_former_company_which_the_note_names(
    bench: Bench, portal: HubSpotPortal, crm: Crm, company: str, contacts: list[str]
) -> None:
    label = portal.add_association_label("Lab manager").contact_to_company
    other = bench.add(ACCOUNT, valid(bench, ACCOUNT, 2))
    portal.associate(contacts[0], company, types=(1, label))
    results = results_by_id(crm.associate(associations_of((1, contacts[0], other), leaving=company)))
    assert results[1]["error_type"] is None
    assert results[1]["note"] == f"not_pushed: account {company} is kept beside the new one, for its labels"
    assert companies_of(portal, contacts[0]) == {company: {279, label}, other: {279, 1}}


def test_company_added_beside_the_primary_one_takes_no_place(
    bench: Bench, portal: HubSpotPortal, crm: Crm, company: str, contacts: list[str]
) -> None:
    other = bench.add(ACCOUNT, valid(bench, ACCOUNT, 2))
    portal.associate(contacts[0], company, types=(1,))
    crm.associate(associations_of((1, contacts[0], other), beside=True))
    assert companies_of(portal, contacts[0]) == {company: {279, 1}, other: {279}}


def test_only_contacts_that_leave_a_company_cost_more_than_the_association(
    bench: Bench, sandbox: Sandbox, crm: Crm, company: str, contacts: list[str]
) -> None:
    other = bench.add(ACCOUNT, valid(bench, ACCOUNT, 2))
    crm.associate(associations_of(*((number, contact, company) for number, contact in enumerate(contacts))))
    assert len(sandbox.journal.calls("hubspot")) == 1
    crm.associate(associations_of(*((number, contact, other) for number, contact in enumerate(contacts)), leaving=company))
    assert [call.path.rsplit("/", 1)[1] for call in sandbox.journal.calls("hubspot")[1:]] == ["create", "read", "archive"]


NOT_THERE = {"category": "OBJECT_NOT_FOUND", "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND"}


@pytest.mark.parametrize("status", [200, 207])
def test_association_that_stays_fails_its_move_and_one_that_is_not_there_is_as_good_as_removed(
    bench: Bench, portal: HubSpotPortal, sandbox: Sandbox, crm: Crm, company: str, contacts: list[str], *, status: int
) -> None:
    other = bench.add(ACCOUNT, valid(bench, ACCOUNT, 2))
    for contact in contacts:
        portal.associate(contact, company)
    errors = [
        {**said, "context": {"fromObjectId": [contact], "toObjectId": [company]}}
        for said, contact in zip(({"category": "VALIDATION_ERROR"}, NOT_THERE), contacts, strict=False)
    ]
    sandbox.faults.add(Fault(path="/archive", status=status, body={"results": [], "numErrors": 2, "errors": errors}))
    rows = associations_of(*((number, contact, other) for number, contact in enumerate(contacts)), leaving=company)
    results = results_by_id(crm.associate(rows))
    assert [results[number]["error_type"] for number in range(3)] == ["RecordRefusedException", None, None]
    assert (results[0]["parent_sent"], results[0]["crm_id"]) == (False, contacts[0])


def test_removal_error_that_names_no_pair_is_asked_again_in_halves_until_it_finds_its_pair(
    bench: Bench, portal: HubSpotPortal, sandbox: Sandbox, crm: Crm, company: str, contacts: list[str]
) -> None:
    other = bench.add(ACCOUNT, valid(bench, ACCOUNT, 2))
    for contact in contacts:
        portal.associate(contact, company)
    nameless = {"results": [], "errors": [{"category": "VALIDATION_ERROR"}]}
    sandbox.faults.add(Fault(path="/archive", holding=f'"{contacts[1]}"', status=207, body=nameless, times=None))
    rows = associations_of(*((number, contact, other) for number, contact in enumerate(contacts)), leaving=company)
    results = results_by_id(crm.associate(rows))
    assert [results[number]["error_type"] for number in range(3)] == [None, "RecordRefusedException", None]
    assert [set(companies_of(portal, contact)) for contact in contacts] == [{other}, {company, other}, {other}]


def test_association_error_that_names_no_pair_finds_its_pair(
    portal: HubSpotPortal, sandbox: Sandbox, crm: Crm, company: str, contacts: list[str]
) -> None:
    nameless = {"results": [], "numErrors": 1, "errors": [{"category": "VALIDATION_ERROR"}]}
    sandbox.faults.add(Fault(path="/batch/create", holding=f'"{contacts[1]}"', status=207, body=nameless, times=None))
    results = results_by_id(crm.associate(associations_of(*((number, contact, company) for number, contact in enumerate(contacts)))))
    assert [results[number]["error_type"] for number in range(3)] == [None, "RecordRefusedException", None]
    assert len(portal.associations()) == 2


def test_removal_refused_as_a_whole_is_halved_down_to_single_pairs(
    bench: Bench, portal: HubSpotPortal, sandbox: Sandbox, crm: Crm, company: str, contacts: list[str]
) -> None:
    other = bench.add(ACCOUNT, valid(bench, ACCOUNT, 2))
    for contact in contacts[:2]:
        portal.associate(contact, company)
    sandbox.faults.add(Fault(path="/archive", status=400, body={"category": "VALIDATION_ERROR"}, times=2))
    rows = associations_of(*((number, contact, other) for number, contact in enumerate(contacts[:2])), leaving=company)
    results = results_by_id(crm.associate(rows))
    assert [results[number]["error_type"] for number in (0, 1)] == ["RecordRefusedException", None]
    assert [set(companies_of(portal, contact)) for contact in contacts[:2]] == [{company, other}, {other}]


def test_move_that_broke_off_is_failed_and_may_be_repeated(
    bench: Bench, portal: HubSpotPortal, sandbox: Sandbox, crm: Crm, company: str, contacts: list[str]
) -> None:
    other = bench.add(ACCOUNT, valid(bench, ACCOUNT, 2))
    crm.associate(associations_of((1, contacts[0], company)))
    sandbox.faults.add(Fault(path="/archive|/account-info", status=503, times=3))
    move = associations_of((1, contacts[0], other), leaving=company)
    results = results_by_id(crm.associate(move))
    assert (results[1]["error_type"], results[1]["parent_sent"]) == ("ServiceFailedException", False)
    assert results_by_id(crm.associate(move))[1]["error_type"] is None
    assert companies_of(portal, contacts[0]) == {other: {279, 1}}


def test_contact_associated_before_the_service_fails_is_failed_too_while_it_is_to_leave_its_former_company(
    bench: Bench, portal: HubSpotPortal, sandbox: Sandbox, crm: Crm, company: str, contacts: list[str]
) -> None:
    other = bench.add(ACCOUNT, valid(bench, ACCOUNT, 2))
    crm.associate(associations_of(*((number, contact, company) for number, contact in enumerate(contacts[:2]))))
    sandbox.faults.add(Fault(path="/batch/create", status=400, body={"category": "VALIDATION_ERROR"}))
    sandbox.faults.add(Fault(path="/batch/create", status=401, body={"category": "INVALID_AUTHENTICATION"}, skip=1))
    move = associations_of(*((number, contact, other) for number, contact in enumerate(contacts[:2])), leaving=company)
    results = results_by_id(crm.associate(move))
    assert [(results[number]["error_type"], results[number]["parent_sent"]) for number in (0, 1)] == [("ServiceFailedException", False)] * 2
    assert {row["error_type"] for row in results_by_id(crm.associate(move)).values()} == {None}
    assert [set(companies_of(portal, contact)) for contact in contacts[:2]] == [{other}, {other}]
