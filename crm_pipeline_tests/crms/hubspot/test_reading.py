"""HubSpot's way of reading: merged ids, additional emails, sensitive properties, the lag of search."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.examining import examined
from crm_pipeline.crms.hubspot import COMPANIES, CONTACTS
from crm_pipeline.errors import RequestRefusedError
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.hubspot import HubSpotPortal
from crm_pipeline.sandbox.hubspot.properties import Property
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.testing.batches import intents_of, valid
from crm_pipeline.testing.bench import Bench
from crm_pipeline_tests.crms.hubspot_bench import open_bench

ACCOUNT, CONTACT = RecordType.ACCOUNT, RecordType.CONTACT


@pytest.fixture
def bench(sandbox: Sandbox) -> Bench:
    return open_bench(sandbox)


def test_merged_record_is_read_under_the_ids_that_were_asked_for(bench: Bench, portal: HubSpotPortal, crm: Crm) -> None:
    first, second = (bench.add(CONTACT, valid(bench, CONTACT, number)) for number in (1, 2))
    company = bench.add(ACCOUNT, valid(bench, ACCOUNT))
    merged = portal.merge("contacts", first, second)
    portal.associate(merged, company)
    found = crm.read(CONTACTS, [first, second], ["email"])
    assert found.drop(columns="error_type").to_dict("records") == [
        {"crm_id": crm_id, "parent_crm_id": company, "email": "person1@example.com"} for crm_id in (first, second)
    ]


def test_contact_is_found_by_an_additional_email(bench: Bench, portal: HubSpotPortal, crm: Crm) -> None:
    first, second = (bench.add(CONTACT, valid(bench, CONTACT, number)) for number in (1, 2))
    merged = portal.merge("contacts", first, second)
    found = crm.find(CONTACTS, "email", ["Person2@example.com"])
    assert found[["value", "crm_id"]].to_dict("records") == [{"value": "Person2@example.com", "crm_id": merged}]


def test_batch_read_refused_for_another_reason_than_a_missing_record_is_no_empty_answer(bench: Bench, sandbox: Sandbox, crm: Crm) -> None:
    errors = [{"category": "VALIDATION_ERROR", "message": "ada@example.com"}]
    sandbox.faults.add(Fault(path="batch/read", status=207, body={"results": [], "numErrors": 1, "errors": errors}, times=None))
    with pytest.raises(RequestRefusedError) as raised:
        crm.find(CONTACTS, "email", ["ada@example.com"])
    assert "ada" not in str(raised.value)


@pytest.mark.parametrize("code", ["INTERNAL_ERROR", "VALIDATION_ERROR", "SOMETHING_NEW"])
@pytest.mark.parametrize("times", [None, 1])
def test_ids_that_an_error_of_a_batch_read_names_are_asked_for_once_more_and_fail_by_themselves(
    bench: Bench, sandbox: Sandbox, crm: Crm, code: str, times: int | None
) -> None:
    emails = [f"person{number}@example.com" for number in range(8)]
    ids = [bench.add(CONTACT, valid(bench, CONTACT, number)) for number in range(8)]
    body = {"status": "COMPLETE", "results": [], "errors": [{"category": code, "context": {"ids": emails}}]}
    sandbox.faults.add(Fault(path="batch/read", status=207, body=body, times=times))
    found = crm.find(CONTACTS, "email", emails)
    assert crm.calls.snapshot() == {"read": 2}
    if times:
        assert dict(zip(found["value"], found["crm_id"], strict=True)) == dict(zip(emails, ids, strict=True))
    else:
        assert found["error_type"].tolist() == ["CrmFailsOnRecordException"] * 8


def test_ids_that_a_batch_read_refuses_without_a_code_are_missing_if_they_were_asked_for(sandbox: Sandbox, crm: Crm) -> None:
    for named in (["1", "2"], ["1", "3"]):
        times = 1 if named == ["1", "2"] else None
        sandbox.faults.add(Fault(path="batch/read", status=207, body={"results": [], "errors": [{"context": {"ids": named}}]}, times=times))
    assert len(crm.read(COMPANIES, ["1", "2"], ["name"])) == 0
    with pytest.raises(RequestRefusedError):
        crm.read(COMPANIES, ["1", "2"], ["name"])


def test_sensitive_properties_are_listed_where_they_are_asked_for(bench: Bench, portal: HubSpotPortal, crm: Crm) -> None:
    portal.add_property("contacts", Property(name="allergies", label="Allergies", sensitivity="sensitive"))
    portal.scopes |= {"crm.objects.contacts.sensitive.read.v2", "crm.objects.contacts.highly_sensitive.read.v2"}
    with closing(bench.connect(sensitive_properties=True)) as asking:
        assert "allergies" in asking.fields(CONTACTS)["name"].tolist()
    assert "allergies" not in crm.fields(CONTACTS)["name"].tolist()


def test_portal_without_a_key_is_not_asked_for_keyed_records(bench: Bench) -> None:
    with closing(bench.connect(external_key=None)) as crm:
        assert not crm.has_keyed_records(COMPANIES)
        assert crm.calls.snapshot() == {}


def test_interrupted_create_is_decided_once_it_is_over_and_a_company_is_in_the_search_index(bench: Bench) -> None:
    with closing(bench.connect(external_key=None, search_lag_seconds=30, timeout_seconds=60, late_seconds=600)) as crm:
        assert crm.settles_after(COMPANIES) == timedelta(seconds=690)
        assert crm.settles_after(COMPANIES, answered=True) == timedelta(seconds=30), "search lags"
        assert crm.settles_after(CONTACTS) == timedelta(seconds=660), "it is read by email, which is exact"
        assert crm.settles_after(CONTACTS, answered=True) == timedelta(0)


def test_contact_that_was_there_before_the_intent_is_not_its_create(bench: Bench, sandbox: Sandbox) -> None:
    now = sandbox.portal.clock()
    sandbox.portal.clock = lambda: now - 3600
    bench.add(CONTACT, valid(bench, CONTACT))
    with closing(bench.connect(external_key=None)) as crm:
        assert crm.resolve_intents(CONTACTS, intents_of((7, valid(bench, CONTACT)))).empty


@pytest.mark.parametrize("milliseconds", ["4102444800000", "1763122500000"])
def test_creation_time_in_milliseconds_is_read_from_the_record_itself(bench: Bench, sandbox: Sandbox, milliseconds: str) -> None:
    values = valid(bench, ACCOUNT)
    company = {"id": "7", "properties": {**values, "createdate": milliseconds}, "createdAt": "2100-01-01T00:00:00Z"}
    sandbox.faults.add(Fault(path="companies/search", status=200, body={"total": 1, "results": [company]}))
    with closing(bench.connect(external_key=None)) as crm:
        assert crm.resolve_intents(COMPANIES, intents_of((1, values)))["crm_id"].tolist() == ["7"]


def test_more_companies_than_a_search_page_are_all_considered(bench: Bench) -> None:
    ids = [bench.add(ACCOUNT, valid(bench, ACCOUNT, number)) for number in range(450)]
    with closing(bench.connect(external_key=None)) as crm:
        found = crm.resolve_intents(COMPANIES, intents_of(*((number, valid(bench, ACCOUNT, number)) for number in (0, 230, 449))))
        assert crm.calls.snapshot() == {"read": 3}
    assert dict(zip(found["qbench_id"], found["crm_id"], strict=True)) == {0: ids[0], 230: ids[230], 449: ids[449]}


def test_values_beyond_ascii_are_searched_for_in_as_many_calls_as_their_letters_need(bench: Bench, crm: Crm, sandbox: Sandbox) -> None:
    wanted = bench.add(ACCOUNT, {"name": "試験所株式会社 0"})
    found = crm.find(COMPANIES, "name", [f"試験所株式会社 {number}" for number in range(100)])
    assert found["crm_id"].tolist() == [wanted]
    assert {call.status for call in sandbox.journal.calls("hubspot")} == {200}


def test_search_page_that_is_not_full_is_followed_by_the_next_one_it_names(bench: Bench, sandbox: Sandbox) -> None:
    ids = [bench.add(ACCOUNT, valid(bench, ACCOUNT, number)) for number in range(3)]
    first = {"id": ids[0], "properties": valid(bench, ACCOUNT, 0), "createdAt": "2100-01-01T00:00:00Z"}
    body = {"total": 3, "results": [first], "paging": {"next": {"after": "1"}}}
    sandbox.faults.add(Fault(path="companies/search", status=200, body=body))
    with closing(bench.connect(external_key=None)) as crm:
        found = crm.resolve_intents(COMPANIES, intents_of(*((number, valid(bench, ACCOUNT, number)) for number in range(3))))
    assert dict(zip(found["qbench_id"], found["crm_id"], strict=True)) == dict(enumerate(ids))


def test_record_page_is_known_without_a_call(crm: Crm) -> None:
    assert crm.record_url(COMPANIES, "1", org_id="7") == "https://app.hubspot.com/contacts/7/record/0-2/1"
    assert crm.record_url(CONTACTS, "1", org_id="7") == "https://app.hubspot.com/contacts/7/record/0-1/1"
    assert not crm.calls.snapshot()


def test_merged_record_is_no_deleted_one_though_it_is_in_the_bin(bench: Bench, sandbox: Sandbox, portal: HubSpotPortal, crm: Crm) -> None:
    portal.batch_read_follows_merges = False
    winner, loser = (bench.add(CONTACT, valid(bench, CONTACT, number)) for number in (1, 2))
    merged = portal.merge("contacts", winner, loser)
    body = {"results": [{"id": loser, "properties": {}, "archived": True}]}
    sandbox.faults.add(Fault(path="batch/read", status=200, body=body, skip=1))
    assert examined(crm, CONTACTS, [loser], key=None)[["state", "leads_to"]].to_numpy().tolist() == [["merged", merged]]


def test_merged_record_that_names_only_its_latest_merge_is_read_under_the_id_that_leads_to_it(sandbox: Sandbox, crm: Crm) -> None:
    leads_to = {"id": "9", "properties": {"name": "Lab", "hs_merged_object_ids": "7;8"}}
    missing = [{"category": "OBJECT_NOT_FOUND", "context": {"ids": ["2"]}}]
    for results, errors in (([leads_to], missing), ([leads_to], []), ([], missing)):
        sandbox.faults.add(Fault(path="batch/read", status=207, body={"results": results, "errors": errors}))
    assert crm.read(COMPANIES, ["1", "2"], ["name"])[["crm_id", "name"]].to_numpy().tolist() == [["1", "Lab"]]
    assert crm.calls.snapshot()["read"] == 3


def test_merged_record_is_examined_though_batch_reads_do_not_follow_merges(bench: Bench, portal: HubSpotPortal, crm: Crm) -> None:
    portal.batch_read_follows_merges = False
    first, second, gone = (bench.add(CONTACT, valid(bench, CONTACT, number)) for number in (1, 2, 3))
    merged = portal.merge("contacts", first, second)
    portal.archive("contacts", gone)
    found = examined(crm, CONTACTS, [first, second, gone], key=None).set_index("crm_id")
    assert found["state"].to_dict() == {first: "merged", second: "merged", gone: "deleted"}
    assert found.loc[[first, second], "leads_to"].tolist() == [merged, merged]


@pytest.mark.parametrize("way", [{"status": 500}, {"kind": "drop_before"}])
def test_merged_record_that_cannot_be_shown_leaves_open_what_may_be_part_of_it_and_nothing_else(
    bench: Bench, portal: HubSpotPortal, sandbox: Sandbox, crm: Crm, way: dict[str, Any]
) -> None:
    portal.batch_read_follows_merges, portal.search_calls = False, None
    ids = [bench.add(CONTACT, valid(bench, CONTACT, number)) for number in range(6)]
    hidden, shown = portal.merge("contacts", ids[0], ids[1]), portal.merge("contacts", ids[2], ids[3])
    portal.archive("contacts", ids[4])
    sandbox.faults.add(Fault(returning=f'"{hidden}"', times=None, **way))
    found = examined(crm, CONTACTS, ids, key=None)
    assert dict(zip(found["crm_id"], found["leads_to"], strict=True)) == {ids[2]: shown, ids[3]: shown, ids[5]: ids[5]}
    sandbox.faults.clear()
    assert set(examined(crm, CONTACTS, ids, key=None)["crm_id"]) == set(ids)


def test_company_that_does_not_say_when_it_was_made_leaves_the_create_of_its_name_open_and_no_other(bench: Bench, sandbox: Sandbox) -> None:
    sent = {number: valid(bench, ACCOUNT, number) for number in (1, 2)}
    ids = {number: bench.add(ACCOUNT, values) for number, values in sent.items()}

    def without(answer: Any) -> Any:
        for record in answer["results"]:
            if record["id"] == ids[1]:
                del record["properties"]["createdate"], record["createdAt"]
        return answer

    sandbox.faults.add(Fault(path="companies/search", kind="bend", bend=without))
    with closing(bench.connect(external_key=None)) as crm:
        found = crm.resolve_intents(COMPANIES, intents_of(*sent.items())).astype(object)
    assert dict(zip(found["qbench_id"], found["crm_id"].where(found["crm_id"].notna(), None), strict=True)) == {1: None, 2: ids[2]}


def test_answer_with_a_number_beyond_measure_is_read_all_the_same(sandbox: Sandbox, crm: Crm) -> None:
    body = '{"status": "COMPLETE", "results": [{"id": "7", "properties": {"name": "Laboratory", "size": 1e999, "rate": NaN}}]}'
    sandbox.faults.add(Fault(path="batch/read", status=200, body=body))
    assert crm.read(COMPANIES, ["7"], ["name"])["name"].tolist() == ["Laboratory"]
