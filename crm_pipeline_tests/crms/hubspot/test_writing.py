"""HubSpot's way of writing: partial failure, answers in no order, merges, conflicts, inline associations."""

from __future__ import annotations

import math
from typing import Any

import pytest

from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.hubspot import COMPANIES, CONTACTS
from crm_pipeline.errors import RequestRefusedError, ServiceUnavailableError
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.hubspot import HubSpotPortal
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.testing.batches import Put, results_by_id, valid, writes_of
from crm_pipeline.testing.bench import Bench
from crm_pipeline_tests.crms.hubspot_bench import open_bench

ACCOUNT, CONTACT = RecordType.ACCOUNT, RecordType.CONTACT


@pytest.fixture
def bench(sandbox: Sandbox) -> Bench:
    return open_bench(sandbox)


def companies(bench: Bench, *, bad: int, size: int) -> list[Put]:
    """Companies to upsert, of which one has an industry that HubSpot does not know."""
    wrong = {bad: {"industry": "ALCHEMY"}}
    return [Put(number, valid(bench, ACCOUNT, number) | wrong.get(number, {}), key=str(number)) for number in range(size)]


# --- partial failure


def test_trace_ids_keep_one_bad_row_from_costing_a_second_call(bench: Bench, crm: Crm) -> None:
    results = results_by_id(crm.write(COMPANIES, writes_of(*companies(bench, bad=30, size=100))))
    assert [number for number, row in results.items() if row["error_type"]] == [30]
    assert crm.calls.snapshot()["write"] == 1
    assert len(bench.records(ACCOUNT)) == 99


def test_batch_refused_as_a_whole_is_halved_down_to_the_bad_row(bench: Bench, portal: HubSpotPortal, crm: Crm) -> None:
    portal.row_errors = frozenset()
    results = results_by_id(crm.write(COMPANIES, writes_of(*companies(bench, bad=5, size=16))))
    assert {number: row["error_type"] for number, row in results.items() if row["error_type"]} == {5: "InvalidOptionException"}
    assert (results[5]["error_code"], results[5]["error_fields"]) == ("INVALID_OPTION", "industry")
    assert len(bench.records(ACCOUNT)) == 15
    assert crm.calls.snapshot()["write"] == 1 + 2 * 4


def test_error_entry_that_names_several_rows_fails_each_of_them(bench: Bench, crm: Crm) -> None:
    ids = [bench.add(ACCOUNT, valid(bench, ACCOUNT, number)) for number in range(4)]
    for crm_id in ids[1:3]:
        bench.delete(ACCOUNT, crm_id)
    results = results_by_id(crm.write(COMPANIES, writes_of(*(Put(n, {"city": "Oslo"}, crm_id=crm_id) for n, crm_id in enumerate(ids)))))
    assert [results[number]["error_type"] for number in range(4)] == [None, "DeletedInCrmException", "DeletedInCrmException", None]


@pytest.mark.parametrize(("exact", "error_type"), [({}, None), ({"objectWriteTraceId": ["qbench-1-0"]}, "RecordRefusedException")])
def test_only_an_error_with_a_trace_id_speaks_against_a_result(
    bench: Bench, sandbox: Sandbox, crm: Crm, *, exact: dict[str, list[str]], error_type: str | None
) -> None:
    errors = [{"category": "VALIDATION_ERROR", "context": {"ids": ["1"], **exact}}]
    body = {"results": [{"id": "1", "properties": {}}], "errors": errors}
    sandbox.faults.add(Fault(path="batch/update", status=207, body=body))
    results = results_by_id(crm.write(COMPANIES, writes_of(*(Put(number, {"city": "Oslo"}, crm_id=str(number)) for number in (1, 2)))))
    assert (results[1]["error_type"], results[1]["crm_id"]) == (error_type, "1")
    assert results[2]["error_type"] == "UnaccountedException"


@pytest.mark.parametrize("echo", [True, False])
def test_rows_are_recognized_with_and_without_trace_ids_in_the_answer(
    bench: Bench, portal: HubSpotPortal, keyless: Crm, *, echo: bool
) -> None:
    portal.echo_trace_ids = echo
    rows = [Put(number, valid(bench, CONTACT, number) | {"email": f"Person{number}@Example.com"}) for number in range(20)]
    results = results_by_id(keyless.write(CONTACTS, writes_of(*rows)))
    ids = {record["email"]: record["id"] for record in bench.records(CONTACT)}
    assert {number: row["crm_id"] for number, row in results.items()} == {
        number: ids[f"person{number}@example.com"] for number in range(20)
    }


def test_companies_of_one_name_are_created_and_told_apart(bench: Bench, keyless: Crm) -> None:
    rows = [Put(number, {"name": "Central Laboratory", "city": city}) for number, city in enumerate(("Oslo", "Bergen"))]
    results = results_by_id(keyless.write(COMPANIES, writes_of(*rows)))
    cities = {record["id"]: record["city"] for record in bench.records(ACCOUNT)}
    assert [cities[results[number]["crm_id"]] for number in (0, 1)] == ["Oslo", "Bergen"]


def test_record_that_two_rows_update_is_written_by_both_and_none_is_lost(bench: Bench, crm: Crm) -> None:
    crm_id = bench.add(ACCOUNT, valid(bench, ACCOUNT))
    rows = [Put(1, {"city": "Oslo"}, crm_id=crm_id), Put(2, {"phone": "123"}, crm_id=crm_id)]
    results = results_by_id(crm.write(COMPANIES, writes_of(*rows)))
    assert [results[number]["error_type"] for number in (1, 2)] == [None, None]
    assert {name: bench.records(ACCOUNT)[0][name] for name in ("city", "phone")} == {"city": "Oslo", "phone": "123"}


# --- when a call fails


def test_upsert_repeated_after_a_lost_answer_does_not_say_whether_it_created(bench: Bench, sandbox: Sandbox, crm: Crm) -> None:
    sandbox.faults.add(Fault(path="batch/upsert", kind="drop_after"))
    result = results_by_id(crm.write(COMPANIES, writes_of(Put(1, valid(bench, ACCOUNT), key="1"))))[1]
    assert (result["error_type"], result["created"]) == (None, None)


def test_create_without_a_key_is_not_repeated_after_a_lost_answer(bench: Bench, sandbox: Sandbox, keyless: Crm) -> None:
    sandbox.faults.add(Fault(path="batch/create", kind="drop_after"))
    with pytest.raises(ServiceUnavailableError):
        keyless.write(COMPANIES, writes_of(Put(1, valid(bench, ACCOUNT))))
    assert len(bench.records(ACCOUNT)) == 1


def test_rows_stored_before_a_call_fails_keep_their_results(bench: Bench, sandbox: Sandbox, crm: Crm) -> None:
    crm_id = bench.add(ACCOUNT, valid(bench, ACCOUNT, 1))
    sandbox.faults.add(Fault(path="batch/upsert|account-info", kind="html", times=None))
    rows = [Put(1, {"city": "Oslo"}, crm_id=crm_id), Put(2, valid(bench, ACCOUNT, 2), key="2")]
    results = results_by_id(crm.write(COMPANIES, writes_of(*rows)))
    assert [results[number]["error_type"] for number in (1, 2)] == [None, "ServiceFailedException"]


def test_path_that_hubspot_does_not_know_is_no_deleted_record(bench: Bench, sandbox: Sandbox, crm: Crm) -> None:
    crm_id = bench.add(ACCOUNT, valid(bench, ACCOUNT))
    sandbox.faults.add(Fault(path="batch/update", status=404, body={"category": "OBJECT_NOT_FOUND"}, times=None))
    alone = results_by_id(crm.write(COMPANIES, writes_of(Put(1, {"city": "Oslo"}, crm_id=crm_id))))[1]
    assert (alone["error_type"], alone["error_code"]) == ("CrmFailsOnRecordException", "OBJECT_NOT_FOUND")
    with pytest.raises(RequestRefusedError):
        crm.write(COMPANIES, writes_of(*(Put(number, {"city": "Oslo"}, crm_id=f"{crm_id}{number}") for number in range(9))))


def nameless(*, errors: int) -> dict[str, Any]:
    return {"status": "COMPLETE", "results": [], "numErrors": errors, "errors": [{"category": "VALIDATION_ERROR"}] * errors}


@pytest.mark.parametrize("verb", ["upsert", "create"])
def test_error_that_names_no_row_is_asked_again_in_halves_until_it_finds_its_row(
    bench: Bench, sandbox: Sandbox, crm: Crm, verb: str
) -> None:
    for rows in (6, 3, 2, 1):
        sandbox.faults.add(Fault(path=f"batch/{verb}", holding='"Laboratory 2"', status=207, body=nameless(errors=rows)))
    puts = [Put(number, valid(bench, ACCOUNT, number), key=str(number) if verb == "upsert" else None) for number in range(6)]
    results = results_by_id(crm.write(COMPANIES, writes_of(*puts)))
    assert {number: row["error_code"] for number, row in results.items()} == {**dict.fromkeys(range(6)), 2: "VALIDATION_ERROR"}
    assert len(bench.records(ACCOUNT)) == 5


def test_error_that_names_no_row_in_every_answer_is_not_asked_for_each_row(bench: Bench, sandbox: Sandbox, crm: Crm) -> None:
    sandbox.faults.add(Fault(path="batch/upsert", status=207, body=nameless(errors=1), times=None))
    puts = [Put(number, valid(bench, ACCOUNT, number), key=str(number)) for number in range(100)]
    results = results_by_id(crm.write(COMPANIES, writes_of(*puts)))
    assert {row["error_code"] for row in results.values()} == {"VALIDATION_ERROR"}
    assert crm.calls.snapshot()["write"] - 1 <= 2 * math.log2(100) + 2


def test_creates_of_which_some_may_have_been_made_are_not_sent_again(bench: Bench, sandbox: Sandbox, keyless: Crm) -> None:
    sandbox.faults.add(Fault(path="batch/create", status=207, body=nameless(errors=1)))
    results = results_by_id(keyless.write(COMPANIES, writes_of(*(Put(number, valid(bench, ACCOUNT, number)) for number in range(3)))))
    assert {row["error_type"] for row in results.values()} == {"UnaccountedException"}
    assert keyless.calls.snapshot() == {"write": 1}


# --- merged records


def test_update_of_a_merged_away_record_is_unaccounted_and_changes_nothing(bench: Bench, portal: HubSpotPortal, crm: Crm) -> None:
    kept, lost = (bench.add(ACCOUNT, valid(bench, ACCOUNT, number) | {bench.key: str(number)}) for number in (1, 2))
    portal.merge("companies", kept, lost)
    rows = [Put(1, {"city": "Oslo"}, crm_id=kept, key="1"), Put(2, {"city": "Bergen"}, crm_id=lost, key="2")]
    results = results_by_id(crm.write(COMPANIES, writes_of(*rows)))
    assert [row["error_type"] for row in results.values()] == ["UnaccountedException"] * 2
    assert bench.records(ACCOUNT)[0].get("city") is None


def test_update_left_out_of_the_answer_for_no_reason_is_unaccounted(bench: Bench, sandbox: Sandbox, crm: Crm) -> None:
    crm_id = bench.add(ACCOUNT, valid(bench, ACCOUNT))
    sandbox.faults.add(Fault(path="batch/update", status=200, body={"status": "COMPLETE", "results": []}))
    result = results_by_id(crm.write(COMPANIES, writes_of(Put(1, {"city": "Oslo"}, crm_id=crm_id))))[1]
    assert result["error_type"] == "UnaccountedException"


# --- conflicts and refusals


def test_upsert_with_the_email_of_another_contact_names_it_and_writes_nothing(bench: Bench, crm: Crm) -> None:
    owner = bench.add(CONTACT, valid(bench, CONTACT, 1))
    result = results_by_id(crm.write(CONTACTS, writes_of(Put(2, valid(bench, CONTACT, 1) | {"firstname": "Eve"}, key="2"))))[2]
    assert (result["error_type"], result["error_ids"]) == ("ExistingRecordException", owner)
    assert [record.get("firstname") for record in bench.records(CONTACT)] == [None]


def test_update_with_the_email_of_another_contact_names_it(bench: Bench, crm: Crm) -> None:
    owner, other = (bench.add(CONTACT, valid(bench, CONTACT, number)) for number in (1, 2))
    result = results_by_id(crm.write(CONTACTS, writes_of(Put(2, valid(bench, CONTACT, 1), crm_id=other))))[2]
    assert (result["error_type"], result["error_ids"]) == ("EmailTakenException", owner)


def test_create_of_a_contact_that_exists_names_it(bench: Bench, keyless: Crm) -> None:
    owner = bench.add(CONTACT, valid(bench, CONTACT))
    result = results_by_id(keyless.write(CONTACTS, writes_of(Put(1, valid(bench, CONTACT)))))[1]
    assert (result["error_type"], result["error_ids"]) == ("ExistingRecordException", owner)


def test_update_with_a_key_that_another_record_holds_is_a_duplicate(bench: Bench, crm: Crm) -> None:
    owner = bench.add(CONTACT, valid(bench, CONTACT, 1) | {bench.key: "7"})
    other = bench.add(CONTACT, valid(bench, CONTACT, 2))
    result = results_by_id(crm.write(CONTACTS, writes_of(Put(7, valid(bench, CONTACT, 2), crm_id=other, key="7"))))[7]
    assert (result["error_type"], result["error_fields"], result["error_ids"]) == ("DuplicateRecordException", bench.key, owner)


def test_email_that_a_privacy_deletion_blocks_has_its_own_error(bench: Bench, portal: HubSpotPortal, crm: Crm) -> None:
    portal.block_email("person1@example.com")
    result = results_by_id(crm.write(CONTACTS, writes_of(Put(1, valid(bench, CONTACT, 1), key="1"))))[1]
    assert (result["error_type"], result["error_fields"]) == ("EmailBlockedException", "email")


def test_company_without_what_a_company_needs_names_it(crm: Crm) -> None:
    result = results_by_id(crm.write(COMPANIES, writes_of(Put(1, {"city": "Oslo"}, key="1"))))[1]
    assert (result["error_type"], result["error_fields"]) == ("RequiredFieldException", "domain, name")


def test_read_only_property_is_a_refused_mapping(bench: Bench, crm: Crm) -> None:
    result = results_by_id(crm.write(COMPANIES, writes_of(Put(1, valid(bench, ACCOUNT) | {"createdate": "0"}, key="1"))))[1]
    assert (result["error_type"], result["error_fields"]) == ("MappingRefusedException", "createdate")


# --- the parent and the key


def test_keyless_contact_is_created_with_its_primary_company_in_one_call(bench: Bench, portal: HubSpotPortal, keyless: Crm) -> None:
    account = bench.add(ACCOUNT, valid(bench, ACCOUNT))
    result = results_by_id(keyless.write(CONTACTS, writes_of(Put(1, valid(bench, CONTACT), parent=account))))[1]
    assert (result["error_type"], result["parent_sent"]) == (None, True)
    assert portal.associations() == [(result["crm_id"], account, frozenset({1, 279}))]
    assert keyless.calls.snapshot() == {"write": 1}


def test_keyless_contact_of_an_unknown_company_names_it(bench: Bench, keyless: Crm) -> None:
    rows = [Put(1, valid(bench, CONTACT, 1), parent="404"), Put(2, valid(bench, CONTACT, 2))]
    results = results_by_id(keyless.write(CONTACTS, writes_of(*rows)))
    assert (results[1]["error_type"], results[1]["error_ids"]) == ("ParentNotFoundException", "404")
    assert results[2]["error_type"] is None


def test_row_to_be_linked_with_nothing_else_to_send_gets_its_key(bench: Bench, crm: Crm) -> None:
    crm_id = bench.add(ACCOUNT, valid(bench, ACCOUNT))
    [write] = writes_of(Put(7, crm_id=crm_id, key="7"))
    crm.write(COMPANIES, [write._replace(operation="link")])
    assert bench.records(ACCOUNT)[0][bench.key] == "7"


def test_update_with_nothing_but_its_key_costs_no_call(bench: Bench, crm: Crm) -> None:
    crm_id = bench.add(CONTACT, valid(bench, CONTACT))
    result = results_by_id(crm.write(CONTACTS, writes_of(Put(7, crm_id=crm_id, key="7", parent="1"))))[7]
    assert (result["error_type"], result["parent_sent"]) == (None, False)
    assert crm.calls.snapshot() == {}
