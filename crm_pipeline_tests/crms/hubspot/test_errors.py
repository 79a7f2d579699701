"""What HubSpot's errors mean, and that nothing of a record gets through them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crm_pipeline.crms.hubspot.errors import RECORD_ERRORS, Problem, read_problem, record_error
from crm_pipeline.errors import (
    DeletedInCrmException,
    DuplicateRecordException,
    EmailTakenException,
    InvalidValueException,
    RecordRefusedException,
    record_errors,
)


def meaning(error: dict[str, Any], *, sends_email: bool = True) -> str:
    found = record_error(read_problem(error), not_found=DeletedInCrmException, email_taken=EmailTakenException, sends_email=sends_email)
    return found.__name__


def embedded(code: str, name: str = "email", message: str = "no") -> dict[str, Any]:
    """An error whose message holds the validation results, as HubSpot writes them."""
    results = json.dumps([{"isValid": False, "message": message, "error": code, "name": name}])
    return {"status": "error", "category": "VALIDATION_ERROR", "message": f"Property values were not valid: {results}"}


def nested(code: str, name: str = "email") -> dict[str, Any]:
    """An error that lists its parts in ``errors``."""
    return {"category": "VALIDATION_ERROR", "errors": [{"message": "no", "code": code, "context": {"propertyName": [name]}}]}


@pytest.mark.parametrize("shape", [embedded, nested])
@pytest.mark.parametrize("code", list(RECORD_ERRORS))
def test_code_of_the_table_is_understood_in_either_shape(code: str, shape: Any) -> None:
    assert meaning(shape(code)) == RECORD_ERRORS[code].__name__
    assert read_problem(shape(code, "industry")).properties == {"industry"}


def test_every_error_of_the_table_is_one_of_ours() -> None:
    assert {error.__name__ for error in RECORD_ERRORS.values()} <= set(record_errors())


def test_unknown_validation_code_is_an_invalid_value() -> None:
    assert meaning(embedded("INVALID_MOON_PHASE")) == InvalidValueException.__name__


@pytest.mark.parametrize("error", [{}, {"category": "SOMETHING_NEW"}, {"errors": None, "context": None, "message": None}])
def test_error_without_a_known_code_is_a_refused_record(error: dict[str, Any]) -> None:
    assert meaning(error) == RecordRefusedException.__name__


@pytest.mark.parametrize("error", [None, "text", ["list"], 5])
def test_error_that_is_no_object_says_nothing(error: object) -> None:
    assert read_problem(error) == Problem()


def test_conflict_names_the_owner_by_message_or_context() -> None:
    by_message = {"category": "CONFLICT", "message": "Contact already exists. Existing ID: 123"}
    by_context = {"category": "CONFLICT", "context": {"existingId": ["123"]}}
    assert read_problem(by_message).owners == read_problem(by_context).owners == ("123",)


@pytest.mark.parametrize(
    "shape",
    [
        lambda named: {"context": {name: [one] for name, one in named.items()}},
        lambda named: {"context": dict(named)},
        lambda named: {"errors": [{"context": {name: [one] for name, one in named.items()}}]},
    ],
    ids=["lists", "text", "nested"],
)
def test_what_an_error_speaks_of_is_read_in_any_shape(shape: Any) -> None:
    problem = read_problem(shape({"objectWriteTraceId": "row-1", "ids": "1", "fromObjectId": "2", "toObjectId": "3"}))
    assert problem == Problem(traces=frozenset({"row-1"}), ids=frozenset({"1"}), from_ids=frozenset({"2"}), to_ids=frozenset({"3"}))


def test_trace_id_may_stand_beside_the_context() -> None:
    assert read_problem({"objectWriteTraceId": "row-1", "context": {}}).traces == {"row-1"}


def test_conflict_is_about_the_email_only_where_one_is_sent() -> None:
    error = {"category": "CONFLICT", "message": "Company already exists. Existing ID: 123"}
    assert meaning(error, sends_email=True) == EmailTakenException.__name__
    assert meaning(error, sends_email=False) == DuplicateRecordException.__name__


def test_error_that_names_the_owner_of_a_value_is_a_conflict_without_a_code() -> None:
    error = {"status": "error", "message": "Contact already exists. Existing ID: 123"}
    assert meaning(error, sends_email=True) == EmailTakenException.__name__
    assert meaning(error, sends_email=False) == DuplicateRecordException.__name__


@pytest.mark.parametrize(
    "error",
    [
        embedded("INVALID_EMAIL", message="Email address zaphod@example.com is invalid"),
        embedded("INVALID_OPTION", name="zaphod@example.com"),
        {"message": 'Property values were not valid: [{"error":"ZAPHOD b', "category": "VALIDATION_ERROR"},
        {"message": "zaphod", "category": "zaphod", "subCategory": "zaphod", "errors": [{"code": "zaphod", "in": "Zaphod B"}]},
        {"context": {"existingId": ["zaphod"], "fromObjectId": ["zaphod"], "zaphod": ["zaphod"]}},
    ],
)
def test_nothing_of_a_record_gets_through(error: dict[str, Any]) -> None:
    assert "zaphod" not in repr(read_problem(error)).lower()
