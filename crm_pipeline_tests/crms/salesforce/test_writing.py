"""Writing to Salesforce: what its answers become, row by row."""

from __future__ import annotations

import math
from contextlib import closing
from typing import Any

import pytest

from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.salesforce import ACCOUNTS, CONTACTS, KIND
from crm_pipeline.errors import LimitReachedError, RequestRefusedError, ServiceUnavailableError, UnexpectedAnswerError
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.obstacles import Obstacle
from crm_pipeline.sandbox.salesforce import DuplicateRule
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.testing.batches import Put, associations_of, results_by_id, writes_of
from crm_pipeline_tests.crms.salesforce_bench import KEY, connect_salesforce, open_bench

ACCOUNT, CONTACT = RecordType.ACCOUNT, RecordType.CONTACT
UPSERT: dict[str, Any] = {"method": "PATCH", "path": f"/composite/sobjects/Account/{KEY}$"}
UPDATE: dict[str, Any] = {"method": "PATCH", "path": "/composite/sobjects$"}
CREATE: dict[str, Any] = {"method": "POST", "path": "/composite/sobjects$"}
RETRIEVE: dict[str, Any] = {"method": "POST", "path": "/composite/sobjects/(Account|Contact)$"}


def account(number: int, **values: Any) -> Put:
    return Put(number, {"Name": f"Laboratory {number}", **values}, key=str(number))


def errors_of(crm: Crm, *rows: Put, record_type: RecordType = ACCOUNT) -> dict[int, str | None]:
    results = results_by_id(crm.write(KIND.usual(record_type), writes_of(*rows)))
    return {number: result["error_type"] for number, result in results.items()}


def refuse_row(sandbox: Sandbox, request: dict[str, Any], code: str, message: str = "", *, rows: int = 1, **fault: Any) -> None:
    """Let the next such request answer the same refusal for each of its rows."""
    refusal = {"success": False, "errors": [{"statusCode": code, "message": message, "fields": []}]}
    sandbox.faults.add(Fault(**request, kind="status", status=200, body=[refusal] * rows, **fault))


def refuse(sandbox: Sandbox, request: dict[str, Any], status: int, code: str, **fault: Any) -> None:
    sandbox.faults.add(Fault(**request, kind="status", status=status, body=[{"errorCode": code, "message": "no"}], **fault))


# --- records that are already there


def key_is_taken(sandbox: Sandbox, crm_id: str) -> None:
    """Let an upsert miss the record that has its key, as one in production did (reference: 209 of 2,463 rows)."""
    refuse_row(sandbox, UPSERT, "DUPLICATE_VALUE", f"duplicate value found: {KEY} duplicates value on record with id: {crm_id[:15]}")


def test_record_with_a_taken_key_that_is_ours_is_named_and_gets_nothing_of_a_create(sandbox: Sandbox, crm: Crm) -> None:
    crm_id = sandbox.org.add("Account", {"Name": "Old name", KEY: "7"})
    key_is_taken(sandbox, crm_id)
    result = results_by_id(crm.write(ACCOUNTS, writes_of(account(7))))[7]
    assert (result["error_type"], result["crm_id"]) == ("ExistingRecordException", crm_id)
    assert sandbox.org.record("Account", crm_id)["Name"] == "Old name"


def test_taken_key_of_a_record_that_has_another_is_not_adopted(sandbox: Sandbox, crm: Crm) -> None:
    crm_id = sandbox.org.add("Account", {"Name": "Old name", KEY: "8"})
    key_is_taken(sandbox, crm_id)
    result = results_by_id(crm.write(ACCOUNTS, writes_of(account(7))))[7]
    assert (result["error_type"], result["error_ids"], result["crm_id"]) == ("ExistingRecordException", crm_id, None)
    assert sandbox.org.record("Account", crm_id)["Name"] == "Old name"


UNNAMED = "duplicate value found: <unknown> duplicates value on record with id: <unknown>"


def test_record_with_a_taken_key_that_the_message_does_not_name_is_found_by_it(sandbox: Sandbox, crm: Crm) -> None:
    crm_id = sandbox.org.add("Account", {"Name": "Old name", KEY: "7"})
    refuse_row(sandbox, UPSERT, "DUPLICATE_VALUE", UNNAMED)
    result = results_by_id(crm.write(ACCOUNTS, writes_of(account(7))))[7]
    assert (result["error_type"], result["crm_id"], result["error_ids"]) == ("ExistingRecordException", crm_id, crm_id)


def test_taken_key_that_no_record_is_seen_to_carry_is_to_be_tried_again(sandbox: Sandbox, crm: Crm) -> None:
    refuse_row(sandbox, UPSERT, "DUPLICATE_VALUE", UNNAMED)
    assert errors_of(crm, account(7)) == {7: "RecordLockedException"}


def test_adoption_that_fails_is_tried_again_later(sandbox: Sandbox, crm: Crm) -> None:
    crm_id = sandbox.org.add("Account", {"Name": "Old name", KEY: "7"})
    key_is_taken(sandbox, crm_id)
    refuse(sandbox, {"path": "/composite/sobjects/Account$|/query"}, 503, "SERVER_UNAVAILABLE", times=None)
    assert errors_of(crm, account(7)) == {7: "ServiceFailedException"}


def test_record_that_has_a_taken_key_and_cannot_be_read_is_tried_again_by_itself(sandbox: Sandbox, crm: Crm) -> None:
    crm_id = sandbox.org.add("Account", {"Name": "Old name", KEY: "7"})
    key_is_taken(sandbox, crm_id)
    refuse(sandbox, RETRIEVE, 503, "SERVER_UNAVAILABLE", times=None)
    assert errors_of(crm, account(7)) == {7: "CrmFailsOnRecordException"}


def test_taken_value_of_another_unique_field_is_an_existing_record(sandbox: Sandbox, crm: Crm) -> None:
    sandbox.org.add_field("Account", name="Tax_Id__c", type="string", length=20, unique=True)
    crm_id = sandbox.org.add("Account", {"Name": "Old name", "Tax_Id__c": "T1"})
    result = results_by_id(crm.write(ACCOUNTS, writes_of(account(7, Tax_Id__c="T1"))))[7]
    assert (result["error_type"], result["error_fields"], result["error_ids"]) == ("ExistingRecordException", "Tax_Id__c", crm_id)
    assert "read" not in crm.calls.snapshot()


def test_linked_record_whose_key_another_one_carries_is_a_duplicate(sandbox: Sandbox, crm: Crm) -> None:
    holder = sandbox.org.add("Account", {"Name": "Clone", KEY: "7"})
    linked = sandbox.org.add("Account", {"Name": "Original"})
    result = results_by_id(crm.write(ACCOUNTS, writes_of(Put(7, {"Name": "New"}, crm_id=linked, key="7"))))[7]
    assert (result["error_type"], result["error_ids"]) == ("DuplicateRecordException", holder)


def test_duplicate_rule_refuses_a_create_and_names_the_match(sandbox: Sandbox, crm: Crm) -> None:
    sandbox.org.duplicates_named_in_collections = True
    sandbox.org.add_duplicate_rule(DuplicateRule("Account", ("Name",)))
    crm_id = sandbox.org.add("Account", {"Name": "Laboratory 7"})
    result = results_by_id(crm.write(ACCOUNTS, writes_of(account(7))))[7]
    assert (result["error_type"], result["error_ids"]) == ("ExistingRecordException", crm_id)


@pytest.mark.parametrize(
    ("allowed", "update", "create"),
    [
        ("none", "DuplicateRecordException", "ExistingRecordException"),
        ("updates", None, "ExistingRecordException"),
        ("all", None, None),
    ],
)
def test_allow_duplicates_decides_which_writes_pass_alert_rules(
    sandbox: Sandbox, allowed: str, update: str | None, create: str | None
) -> None:
    open_bench(sandbox)
    sandbox.org.add("Account", {"Name": "Laboratory 7"})
    linked = sandbox.org.add("Account", {"Name": "Other"})
    sandbox.org.add_duplicate_rule(DuplicateRule("Account", ("Name",)))
    with closing(connect_salesforce(sandbox, allow_duplicates=allowed)) as crm:
        assert errors_of(crm, Put(6, {"Name": "Laboratory 7"}, crm_id=linked)) == {6: update}
        assert errors_of(crm, account(7)) == {7: create}


def test_allowed_duplicates_stay_allowed_after_a_new_session(sandbox: Sandbox) -> None:
    open_bench(sandbox)
    sandbox.org.add("Account", {"Name": "Laboratory 7"})
    sandbox.org.add_duplicate_rule(DuplicateRule("Account", ("Name",)))
    with closing(connect_salesforce(sandbox, allow_duplicates="all")) as crm:
        crm.organization()
        sandbox.org.expire_sessions()
        assert errors_of(crm, account(7)) == {7: None}


# --- a request refused for one row's sake


@pytest.mark.parametrize("verb", ["upsert", "create"])
def test_request_refused_for_one_row_is_bisected_and_loses_no_other(sandbox: Sandbox, crm: Crm, verb: str) -> None:
    rows = [account(number, **({"NumberOfEmployees": "many"} if number == 5 else {})) for number in range(9)]
    rows = rows if verb == "upsert" else [Put(row.qbench_id, row.values) for row in rows]
    assert errors_of(crm, *rows) == {number: "InvalidValueException" if number == 5 else None for number in range(9)}
    assert len(sandbox.org.records("Account")) == 8


def test_request_refused_by_a_gateway_fails_no_record(sandbox: Sandbox, crm: Crm) -> None:
    sandbox.faults.add(Fault(path="/services/data/", kind="html", status=400, times=None))
    with pytest.raises(UnexpectedAnswerError):
        crm.write(ACCOUNTS, writes_of(account(1), account(2)))


def test_request_too_large_is_sent_in_halves(sandbox: Sandbox, crm: Crm) -> None:
    sandbox.faults.add(Fault(**UPSERT, kind="html", status=413))
    assert errors_of(crm, account(1), account(2)) == {1: None, 2: None}
    assert crm.calls.snapshot()["write"] == 3


def test_automation_out_of_limits_gets_smaller_requests(sandbox: Sandbox, crm: Crm) -> None:
    refuse_row(sandbox, UPSERT, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "System.LimitException: Apex CPU time limit exceeded", rows=4)
    assert errors_of(crm, *(account(number) for number in range(4))) == dict.fromkeys(range(4))
    assert crm.calls.snapshot()["write"] == 3


def fail_alike(sandbox: Sandbox, code: str, message: str = "", **fault: Any) -> None:
    """Let each upsert answer the same refusal for all of its rows."""
    refusal = {"success": False, "errors": [{"statusCode": code, "message": message, "fields": []}]}
    sandbox.faults.add(Fault(**UPSERT, kind="rows", body=refusal, times=None, **fault))


TOGETHER = [
    ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "RecordRefusedException"),
    ("CANNOT_EXECUTE_FLOW_TRIGGER", "RecordRefusedException"),
    ("ALL_OR_NONE_OPERATION_ROLLED_BACK", "RecordRefusedException"),
    ("A_CODE_OF_TOMORROW", "RecordRefusedException"),
]


@pytest.mark.parametrize(("code", "error"), TOGETHER)
def test_rows_that_fail_for_anothers_sake_arrive(sandbox: Sandbox, crm: Crm, code: str, error: str) -> None:
    fail_alike(sandbox, code, holding='"Laboratory 5"')
    assert errors_of(crm, *(account(number) for number in range(50))) == {**dict.fromkeys(range(50)), 5: error}
    assert crm.calls.snapshot()["write"] <= 1 + 2 * 6


def test_creates_without_a_key_that_certainly_failed_arrive_once(sandbox: Sandbox, crm: Crm) -> None:
    refusal = {"success": False, "errors": [{"statusCode": "UNKNOWN_EXCEPTION", "message": "", "fields": []}]}
    sandbox.faults.add(Fault(**CREATE, kind="rows", body=refusal, holding='"Laboratory 5"', times=None))
    errors = errors_of(crm, *(Put(number, {"Name": f"Laboratory {number}"}) for number in range(9)))
    assert [number for number, error in errors.items() if error] == [5]
    assert sorted(record["Name"] for record in sandbox.org.records("Account")) == [
        f"Laboratory {number}" for number in range(9) if number != 5
    ]


def test_rows_left_by_too_many_batch_retries_arrive_without_the_one_that_is_wrong(sandbox: Sandbox, crm: Crm) -> None:
    wrong = {"success": False, "errors": [{"statusCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION", "message": "", "fields": ["Name"]}]}
    left = {"success": False, "errors": [{"statusCode": "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "message": "", "fields": []}]}
    sandbox.faults.add(Fault(**UPSERT, status=200, body=[left, wrong, left, left]))
    assert errors_of(crm, *(account(number) for number in range(4))) == {0: None, 1: "InvalidValueException", 2: None, 3: None}
    assert crm.calls.snapshot()["write"] == 2


def test_automation_that_refuses_one_record_among_saved_ones_is_not_asked_again(sandbox: Sandbox, crm: Crm) -> None:
    crm_id = sandbox.org.add("Account", {"Name": "Saved"})
    saved = {"id": crm_id, "success": True, "errors": [], "created": True}
    refused = {"success": False, "errors": [{"statusCode": "CANNOT_EXECUTE_FLOW_TRIGGER", "message": "", "fields": []}]}
    sandbox.faults.add(Fault(**UPSERT, status=200, body=[saved, refused]))
    assert errors_of(crm, account(1), account(2)) == {1: None, 2: "RecordRefusedException"}
    assert crm.calls.snapshot()["write"] == 1


def test_automation_that_refuses_every_record_is_not_asked_for_each(sandbox: Sandbox, crm: Crm) -> None:
    fail_alike(sandbox, "CANNOT_EXECUTE_FLOW_TRIGGER")
    errors = errors_of(crm, *(account(number) for number in range(200)))
    assert set(errors.values()) == {"RecordRefusedException", "CrmFailsOnRecordException"}
    assert crm.calls.snapshot()["write"] - 1 <= 2 * math.log2(200) + 2


def test_data_refused_in_every_row_is_not_asked_again(sandbox: Sandbox, crm: Crm) -> None:
    fail_alike(sandbox, "FIELD_CUSTOM_VALIDATION_EXCEPTION")
    assert set(errors_of(crm, *(account(number) for number in range(9))).values()) == {"InvalidValueException"}
    assert crm.calls.snapshot()["write"] == 1


def test_key_field_that_is_not_there_stops_the_load(sandbox: Sandbox) -> None:
    with closing(connect_salesforce(sandbox, external_key="Nope__c")) as crm, pytest.raises(RequestRefusedError, match="Nope__c"):
        crm.write(ACCOUNTS, writes_of(*(account(number) for number in range(9))))
    assert len(sandbox.journal.calls("salesforce")) == 2


# --- busy, locked, full


def test_locked_row_is_to_be_tried_again(sandbox: Sandbox, crm: Crm) -> None:
    sandbox.org.lock("Account", "7")
    assert errors_of(crm, account(6), account(7)) == {6: None, 7: "RecordLockedException"}
    assert errors_of(crm, account(7)) == {7: None}


def test_full_storage_stops_the_load_when_nothing_was_saved(sandbox: Sandbox, crm: Crm) -> None:
    refuse_row(sandbox, UPSERT, "STORAGE_LIMIT_EXCEEDED", "storage limit exceeded", rows=2)
    with pytest.raises(LimitReachedError, match="STORAGE_LIMIT_EXCEEDED"):
        crm.write(ACCOUNTS, writes_of(account(1), account(2)))


def test_full_storage_keeps_what_was_saved_and_stops_the_next_write(sandbox: Sandbox, crm: Crm) -> None:
    crm_id = sandbox.org.add("Account", {"Name": "Old"})
    refuse_row(sandbox, UPSERT, "STORAGE_LIMIT_EXCEEDED")
    assert errors_of(crm, Put(1, {"Name": "New"}, crm_id=crm_id), account(2)) == {1: None, 2: "ServiceFailedException"}
    with pytest.raises(LimitReachedError):
        crm.write(ACCOUNTS, writes_of(account(3)))


@pytest.mark.parametrize("code", ["STORAGE_LIMIT_EXCEEDED", "REQUEST_LIMIT_EXCEEDED"])
def test_limit_that_takes_one_row_of_a_call_is_that_rows_own_and_stops_nothing(sandbox: Sandbox, crm: Crm, code: str) -> None:
    sandbox.org.obstacles.append(Obstacle("Account", lambda row: row["Name"] == "Laboratory 2", code))
    assert errors_of(crm, account(1), account(2)) == {1: None, 2: "CrmFailsOnRecordException"}
    assert errors_of(crm, account(3)) == {3: None}


def test_service_that_fails_halfway_keeps_what_was_written(sandbox: Sandbox, crm: Crm) -> None:
    crm_id = sandbox.org.add("Account", {"Name": "Old"})
    refuse(sandbox, CREATE, 503, "SERVER_UNAVAILABLE", times=None)
    rows = [Put(1, {"Name": "New"}, crm_id=crm_id), Put(2, {"Name": "Second"}), Put(3, {"Name": "Third"})]
    assert errors_of(crm, *rows) == {1: None, 2: "ServiceFailedException", 3: "ServiceFailedException"}


def test_service_that_fails_at_once_is_a_service_error(sandbox: Sandbox, crm: Crm) -> None:
    refuse(sandbox, {"path": "/services/data/"}, 503, "SERVER_UNAVAILABLE", times=None)
    with pytest.raises(ServiceUnavailableError, match="SERVER_UNAVAILABLE"):
        crm.write(ACCOUNTS, writes_of(account(1)))


@pytest.mark.parametrize("listed", [0, 3])
def test_answers_that_do_not_fit_the_rows_are_trusted_for_none(sandbox: Sandbox, crm: Crm, listed: int) -> None:
    answer = {"id": "001Qb00000000aBIAQ", "success": True, "errors": [], "created": True}
    sandbox.faults.add(Fault(**UPSERT, kind="status", status=200, body=[answer] * listed, times=None))
    assert set(errors_of(crm, account(1), account(2)).values()) == {"CrmFailsOnRecordException"}


@pytest.mark.parametrize("answer", [None, {}, {"success": True, "errors": []}, "saved"])
def test_answer_that_says_nothing_of_the_record_leaves_it_unaccounted(sandbox: Sandbox, crm: Crm, answer: object) -> None:
    sandbox.faults.add(Fault(**UPSERT, kind="status", status=200, body=[answer]))
    assert errors_of(crm, account(1)) == {1: "UnaccountedException"}


def test_upsert_made_again_does_not_claim_to_know_who_created_the_record(sandbox: Sandbox, crm: Crm) -> None:
    sandbox.faults.add(Fault(**UPSERT, kind="drop_after"))
    result = results_by_id(crm.write(ACCOUNTS, writes_of(account(7))))[7]
    assert (result["error_type"], result["created"]) == (None, None)


# --- contacts and their account


def test_account_goes_with_the_contact(sandbox: Sandbox, crm: Crm) -> None:
    parent = sandbox.org.add("Account", {"Name": "Laboratory"})
    result = results_by_id(crm.write(CONTACTS, writes_of(Put(7, {"LastName": "Lovelace"}, key="7", parent=parent))))[7]
    assert result["parent_sent"]
    assert sandbox.org.record("Contact", result["crm_id"])["AccountId"] == parent


@pytest.mark.parametrize("verb", ["update", "create"])
def test_account_that_is_gone_is_the_parents_error(sandbox: Sandbox, crm: Crm, verb: str) -> None:
    parent = sandbox.org.add("Account", {"Name": "Laboratory"})
    contact = sandbox.org.add("Contact", {"LastName": "Lovelace"}) if verb == "update" else None
    sandbox.org.delete("Account", parent)
    row = Put(7, {"LastName": "Lovelace"}, crm_id=contact, parent=parent)
    result = results_by_id(crm.write(CONTACTS, writes_of(row)))[7]
    assert (result["error_type"], result["parent_sent"]) == ("ParentNotFoundException", False)


@pytest.mark.parametrize(("gone", "expected"), [("Contact", "DeletedInCrmException"), ("Account", "ParentNotFoundException")])
def test_answer_that_does_not_say_which_record_is_gone_is_looked_into(sandbox: Sandbox, crm: Crm, gone: str, expected: str) -> None:
    records = {"Account": sandbox.org.add("Account", {"Name": "Laboratory"}), "Contact": sandbox.org.add("Contact", {"LastName": "L"})}
    sandbox.org.delete(gone, records[gone])
    refuse_row(sandbox, UPDATE, "ENTITY_IS_DELETED", "entity is deleted")
    row = Put(7, {"LastName": "Lovelace"}, crm_id=records["Contact"], parent=records["Account"])
    assert errors_of(crm, row, record_type=CONTACT) == {7: expected}


def test_associations_are_counted_apart(sandbox: Sandbox, crm: Crm) -> None:
    parent = sandbox.org.add("Account", {"Name": "Laboratory"})
    contacts = [sandbox.org.add("Contact", {"LastName": str(number)}) for number in range(crm.capabilities.association_batch_size)]
    rows = associations_of(*((number, contact, parent) for number, contact in enumerate(contacts)))
    assert results_by_id(crm.associate(rows))[0]["parent_sent"]
    assert {record["AccountId"] for record in sandbox.org.records("Contact")} == {parent}
    assert crm.calls.snapshot() == {"sign_in": 1, "associate": 1}
