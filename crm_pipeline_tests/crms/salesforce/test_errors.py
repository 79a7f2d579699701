"""What Salesforce's codes and messages become."""

from __future__ import annotations

from typing import Any

import pytest

from crm_pipeline.crms.salesforce.errors import RowProblem, read_problem, record_error
from crm_pipeline.errors import (
    CrmFailsOnRecordException,
    DeletedInCrmException,
    DuplicateRecordException,
    ExistingRecordException,
    InvalidOptionException,
    InvalidValueException,
    MappingRefusedException,
    NoAccessToObjectException,
    NoAccessToRecordException,
    ParentNotFoundException,
    RecordError,
    RecordHeldException,
    RecordLockedException,
    RecordRefusedException,
    RequiredFieldException,
    ValueTooLongException,
)

SHORT_ID, LONG_ID = "001Qb00000000aB", "001Qb00000000aBIAQ"


def row_error(code: str, message: str = "", *fields: str, **more: Any) -> list[dict[str, Any]]:
    return [{"statusCode": code, "message": message, "fields": list(fields), **more}]


@pytest.mark.parametrize("fields", [None, 1, True, "Name", {"Name": 1}, [1, None, ["Name"]]])
def test_fields_in_another_form_than_salesforces_are_none_and_cost_the_row_no_more(fields: object) -> None:
    entry = {"statusCode": "STRING_TOO_LONG", "message": "", "fields": fields}
    assert read_problem([entry]) == RowProblem("STRING_TOO_LONG")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("UNABLE_TO_LOCK_ROW", RecordLockedException),
        ("ENTITY_IS_LOCKED", RecordHeldException),
        ("RECORD_IN_USE_BY_WORKFLOW", RecordHeldException),
        ("UNKNOWN_EXCEPTION", CrmFailsOnRecordException),
        ("SERVER_UNAVAILABLE", CrmFailsOnRecordException),
        ("REQUEST_RUNNING_TOO_LONG", CrmFailsOnRecordException),
        ("QUERY_TIMEOUT", CrmFailsOnRecordException),
        ("REQUIRED_FIELD_MISSING", RequiredFieldException),
        ("STRING_TOO_LONG", ValueTooLongException),
        ("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", InvalidOptionException),
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION", InvalidValueException),
        ("INVALID_FIELD_FOR_INSERT_UPDATE", MappingRefusedException),
        ("INVALID_TYPE_FOR_OPERATION", NoAccessToObjectException),
        ("CHILD_SHARE_FAILS_PARENT", NoAccessToRecordException),
        ("A_CODE_OF_NEXT_YEAR", RecordRefusedException),
    ],
)
def test_status_code_decides_the_record_error(code: str, expected: type[RecordError]) -> None:
    assert record_error(RowProblem(code), crm_id=None, parent_sent=False) is expected


@pytest.mark.parametrize(
    ("code", "fields", "parent_sent", "expected"),
    [
        ("INSUFFICIENT_ACCESS_OR_READONLY", (), False, NoAccessToRecordException),
        ("INSUFFICIENT_ACCESS_OR_READONLY", (), True, NoAccessToRecordException),
        ("INSUFFICIENT_ACCESS_OR_READONLY", ("Rating",), False, MappingRefusedException),
        ("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", (), False, NoAccessToRecordException),
        ("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", ("OwnerId",), True, NoAccessToRecordException),
        ("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", (), True, ParentNotFoundException),
        ("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", ("AccountId",), True, ParentNotFoundException),
    ],
)
@pytest.mark.parametrize("crm_id", [None, LONG_ID])
def test_a_right_that_the_user_lacks_is_the_fields_the_accounts_or_the_records(
    code: str, fields: tuple[str, ...], crm_id: str | None, expected: type[RecordError], *, parent_sent: bool
) -> None:
    assert record_error(RowProblem(code, fields), crm_id=crm_id, parent_sent=parent_sent) is expected


@pytest.mark.parametrize(("code", "expected"), [("UNABLE_TO_LOCK_ROW", RecordLockedException), ("ENTITY_IS_LOCKED", RecordHeldException)])
def test_record_that_automation_finds_locked_is_locked(code: str, expected: type[RecordError]) -> None:
    message = f"AccountTrigger: execution of AfterInsert caused by: System.DmlException: first error: {code}, unable to obtain"
    problem = read_problem(row_error("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", message))
    assert record_error(problem, crm_id=None, parent_sent=False) is expected


@pytest.mark.parametrize("code", ["ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY"])
@pytest.mark.parametrize(
    ("fields", "crm_id", "parent", "expected"),
    [
        ((), LONG_ID, None, DeletedInCrmException),
        (("Id",), LONG_ID, "sent", DeletedInCrmException),
        (("AccountId",), LONG_ID, "sent", ParentNotFoundException),
        (("AccountId",), None, "sent", ParentNotFoundException),
        ((), None, "sent", ParentNotFoundException),
        (("OwnerId",), LONG_ID, "sent", InvalidValueException),
    ],
)
def test_what_is_gone_is_the_record_or_its_account(
    code: str, fields: tuple[str, ...], crm_id: str | None, parent: str | None, expected: type[RecordError]
) -> None:
    assert record_error(RowProblem(code, fields), crm_id=crm_id, parent_sent=parent is not None) is expected


@pytest.mark.parametrize(("crm_id", "expected"), [(None, ExistingRecordException), (LONG_ID, DuplicateRecordException)])
@pytest.mark.parametrize("code", ["DUPLICATE_VALUE", "DUPLICATES_DETECTED"])
def test_duplicate_is_an_existing_record_for_a_create_only(code: str, crm_id: str | None, expected: type[RecordError]) -> None:
    assert record_error(RowProblem(code), crm_id=crm_id, parent_sent=False) is expected


def test_taken_unique_value_names_its_field_and_the_holder_in_long_form() -> None:
    message = f"duplicate value found: QBench_Id__c duplicates value on record with id: {SHORT_ID}"
    problem = read_problem(row_error("DUPLICATE_VALUE", message))
    assert (problem.fields, problem.ids) == (("QBench_Id__c",), (LONG_ID,))


def test_records_that_share_a_key_are_named() -> None:
    message = f"QBench_Id__c: more than one record found for external id field: [{SHORT_ID}, {LONG_ID}]"
    assert read_problem(row_error("DUPLICATE_EXTERNAL_ID", message)).ids == (LONG_ID,)


@pytest.mark.parametrize("member", ["duplicateResult", "duplicateResut"])
def test_duplicate_rule_names_the_matching_records(member: str) -> None:
    found = {"matchResults": [{"matchRecords": [{"record": {"Id": LONG_ID, "attributes": {"type": "Account"}}}]}]}
    assert read_problem(row_error("DUPLICATES_DETECTED", "Use one of these?", **{member: found}), sobject="Account").ids == (LONG_ID,)


@pytest.mark.parametrize(
    ("record", "result"), [({"attributes": {"type": "Lead"}}, {}), ({}, {"entityType": "Lead"})], ids=["by its type", "by its match"]
)
def test_record_of_another_object_that_a_duplicate_rule_names_is_told_with_its_object(
    record: dict[str, Any], result: dict[str, Any]
) -> None:
    lead, contact = {"Id": "00Q5g000001aaaaEAA", **record}, {"Id": "0035g000001aaaaAAA", "attributes": {"type": "Contact"}}
    found = {"matchResults": [{"matchRecords": [{"record": lead}, {"record": contact}], **result}]}
    problem = read_problem(row_error("DUPLICATES_DETECTED", duplicateResult=found), sobject="Contact")
    assert (problem.ids, problem.others) == (("0035g000001aaaaAAA",), ("Lead 00Q5g000001aaaaEAA",))


def test_unknown_column_is_named_from_the_message() -> None:
    assert read_problem(row_error("INVALID_FIELD", "No such column 'Nope__c' on sobject of type Account")).fields == ("Nope__c",)


@pytest.mark.parametrize(
    "message",
    [
        "Name: data value too large: record with id: Zaphod Beeblebrox (max length=40)",
        "Email: invalid email address: ZaphodBeeblebro",
        "bad value for restricted picklist field: column 'of Zaphod'",
    ],
)
def test_values_in_messages_are_dropped(message: str) -> None:
    assert "Zaphod" not in repr(read_problem(row_error("STRING_TOO_LONG", message, "Name")))


@pytest.mark.parametrize("code", ["UNKNOWN_EXCEPTION", "APEX_ERROR", "invalid_client", "unsupported_grant_type", "API_DISABLED_FOR_ORG"])
@pytest.mark.parametrize("member", ["statusCode", "errorCode", "error"])
def test_code_is_read_from_whichever_member_holds_it(member: str, code: str) -> None:
    assert read_problem([{member: code}]).code == code


@pytest.mark.parametrize(
    "text", ["Beeblebrox", "3MVG9lKcPoNINVBIPJjdw1J9LLM82Hn", "zaphod", "S3cretOfZaphod", "Zaphod Beeblebrox", "Z" * 81]
)
@pytest.mark.parametrize("member", ["statusCode", "errorCode", "error"])
def test_what_stands_for_a_code_without_its_form_is_dropped(member: str, text: str) -> None:
    assert read_problem([{member: text}]).code is None


@pytest.mark.parametrize("entries", [None, [], "refused", [None], {"statusCode": "X"}])
def test_refusal_without_a_reason_is_refused_without_a_code(entries: object) -> None:
    problem = read_problem(entries)
    assert problem == RowProblem(None)
    assert record_error(problem, crm_id=None, parent_sent=False) is RecordRefusedException
