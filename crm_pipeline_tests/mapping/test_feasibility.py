"""Whether a mapping can work in a CRM at all, and what is told of each of its fields."""

from __future__ import annotations

import re
from typing import Any

import pytest

from crm_pipeline.mapping.feasibility import mapping_findings, mapping_problems
from crm_pipeline.mapping.targets import targets
from crm_pipeline_tests.mapping.builders import account_spec, crm_fields

FIELD = "salesforce.Field__c"


def problems_of(mapping: dict[str, Any], described: Any, *, external_key: str | None = None, **rest: Any) -> list[str]:
    spec = account_spec(mapping, **rest)
    mapped = targets(spec, crm="salesforce", crm_fields=None)
    return mapping_problems(mapped, described, spec=spec, crm="salesforce", external_key=external_key)


def test_mapping_that_can_work_has_no_problems() -> None:
    key = {"unique": True, "external_key": True}
    assert problems_of({"salesforce.OwnerId": {"constant": "005"}}, crm_fields(Name={}, OwnerId={"type": "reference"}, Key__c=key)) == []
    assert problems_of({}, crm_fields(Name={}, Key__c=key), external_key="Key__c") == []


@pytest.mark.parametrize(
    ("mapping", "described", "said"),
    [
        ({FIELD: "x"}, {}, r"Field__c \(mapped from salesforce\.Field__c\) does not exist .* or is not visible"),
        ({FIELD: "x"}, {"field__c": {}}, "its name is field__c"),
        ({FIELD: "x"}, {"Field__c": {"creatable": False, "updatable": False}}, "Field__c .* cannot be written"),
        ({FIELD: "x"}, {"Field__c": {"updatable": False}}, "Field__c .* cannot be written"),
        ({"salesforce.ParentId": "parent"}, {"ParentId": {"type": "reference"}}, "ParentId .* only a constant id"),
        ({FIELD: {"from": "x", "clear": True}}, {"Field__c": {"required": True}}, "Field__c .* cannot be emptied"),
    ],
)
def test_mapping_that_can_never_work_is_told(mapping: dict[str, Any], described: dict[str, Any], said: str) -> None:
    (problem,) = problems_of(mapping, crm_fields(Name={}, **described))
    assert re.search(said, problem), problem


FORMULA = {"creatable": False, "updatable": False}
BACK = {"from": "x", "direction": "from_crm"}


def test_formula_may_come_back_and_nothing_more() -> None:
    assert problems_of({FIELD: BACK}, crm_fields(Name={}, Field__c=FORMULA)) == []
    (problem,) = problems_of({FIELD: {"from": "x", "direction": "both"}}, crm_fields(Name={}, Field__c=FORMULA))
    assert re.search(r"Field__c .* cannot be written .*; let it come back only, with `direction: from_crm`", problem), problem


@pytest.mark.parametrize(
    ("mapping", "described", "said"),
    [
        (BACK, {}, r"Field__c .* does not exist .* or is not visible"),
        (BACK, {"Field__c": {"required": True}}, "Field__c .* is required .* must be sent; write `direction: both`"),
        (BACK, {"Field__c": {"type": "other"}}, "Field__c .* shows no plain value"),
        (BACK | {"direction": "both"}, {"Field__c": {"type": "other"}}, "Field__c .* shows no plain value"),
        (BACK, {"Field__c": {"type": "reference"}}, "Field__c .* only a constant id"),
    ],
)
def test_field_that_cannot_come_back_is_told(mapping: dict[str, Any], described: dict[str, Any], said: str) -> None:
    (problem,) = problems_of({FIELD: mapping}, crm_fields(Name={}, **described))
    assert re.search(said, problem), problem


def test_external_key_does_not_come_back_either() -> None:
    key = {"unique": True, "external_key": True}
    (problem,) = problems_of({"salesforce.Key__c": BACK}, crm_fields(Name={}, Key__c=key), external_key="Key__c")
    assert "take it out of the mapping" in problem


@pytest.mark.parametrize(
    ("match_key", "said"),
    [
        (
            {"name": {"salesforce": "Nmae"}},
            r"Nmae \(match key for name\) does not exist .* or is not visible to the .* user; did you mean Name\?",
        ),
        ({"name": {"salesforce": "name"}}, r"name \(match key for name\) does not exist .*; its name is Name$"),
        ({"field": "code", "in": {"salesforce": "Code"}}, r"Code \(match key for qbench\.code\) does not exist"),
    ],
)
def test_match_key_that_the_crm_does_not_have_is_told(match_key: dict[str, Any], said: str) -> None:
    (problem,) = problems_of({}, crm_fields(Name={}), sync_on=[match_key])
    assert re.search(said, problem), problem


def test_match_key_of_another_crm_or_one_that_cannot_be_written_is_no_problem() -> None:
    sync_on = [{"name": {"salesforce": "Number", "hubspot": "nmae"}}, {"name": {"hubspot": "nmae"}}]
    assert problems_of({}, crm_fields(Name={}, Number={"creatable": False, "updatable": False}), sync_on=sync_on) == []


def test_create_only_field_need_not_be_updatable() -> None:
    assert problems_of({"phone_number": "phone"}, crm_fields(Name={}, Phone={"updatable": False})) == []


@pytest.mark.parametrize(
    ("described", "said"),
    [
        ({}, "does not exist"),
        ({"Key__c": {}}, "is not unique"),
        ({"Key__c": {"unique": True}}, "cannot serve"),
        ({"Key__c": {"unique": True, "external_key": True, "type": "number"}}, "must be a text field"),
        ({"Key__c": {"unique": True, "external_key": True, "updatable": False}}, "cannot be written"),
    ],
)
def test_external_key_must_be_usable(described: dict[str, Any], said: str) -> None:
    (problem,) = problems_of({}, crm_fields(Name={}, **described), external_key="Key__c")
    assert said in problem


def test_mapping_onto_the_external_key_is_refused() -> None:
    key = {"unique": True, "external_key": True}
    (problem,) = problems_of({"salesforce.Key__c": "id"}, crm_fields(Name={}, Key__c=key), external_key="Key__c")
    assert "take it out of the mapping" in problem


def test_every_problem_is_told_at_once() -> None:
    assert len(problems_of({FIELD: "x", "industry": "industry"}, crm_fields(Name={}), external_key="Key__c")) == 3


def test_where_nothing_is_known_of_the_fields_nothing_is_wrong() -> None:
    assert problems_of({FIELD: "x"}, None, external_key="Key__c") == []


def test_what_a_field_takes_is_told_of_each_that_works() -> None:
    spec = account_spec({"industry": "industry", FIELD: "tier"}, sync_on=[{"name": {"salesforce": "Name"}}])
    described = crm_fields(
        Name={"length": 255, "required": True},
        Industry={"type": "choice", "length": 40, "options": [("A", "A"), ("B", "B")], "restricted": False},
        Field__c={"type": "multi_choice", "options": [("A", "A")], "restricted": True, "updatable": False, "creatable": False},
    )
    mapped = targets(spec, crm="salesforce", crm_fields=described)
    found = list(mapping_findings(mapped, described, spec=spec, crm="salesforce", external_key=None))
    assert [(one.level, one.subject, one.text) for one in found if one.level == "ok"] == [
        ("ok", "account: Name", "text of up to 255 characters that is required, from name"),
        ("ok", "account: Industry", "choice of 2 options, and other values, from industry"),
        ("ok", "account: Name", "text of up to 255 characters that is required, match key for name"),
    ]
    assert [(one.level, one.subject) for one in found if one.level == "problem"] == [("problem", "account: Field__c")]
