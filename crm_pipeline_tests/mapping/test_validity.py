from __future__ import annotations

from typing import Any

import pytest

from crm_pipeline_tests.mapping.builders import account_spec, contact, contact_spec, crm_fields, customer, listed, payload, problem_rows

INDUSTRY = {"type": "choice", "restricted": True, "options": [("BIOTECH", "Biotechnology"), ("Food", "Food & Beverage")]}
FIELD = "salesforce.Field__c"


def sent_as(value: Any, **described: Any) -> Any:
    """What a directly mapped field of the described type sends for a value."""
    result = payload(account_spec({FIELD: "x"}), customer(x=value), crm_fields=crm_fields(Field__c=described))
    return listed(result.values["Field__c"])[0], [row[2:] for row in problem_rows(result.problems)]


@pytest.mark.parametrize(
    ("value", "type_", "form"),
    [
        ("1,200", "integer", 1200),
        ("1.5", "number", 1.5),
        ("5", "number", 5),
        ("Yes", "boolean", True),
        (False, "boolean", False),
        (1793491200, "date", "2026-11-01"),
        ("1793491200000", "date", "2026-11-01"),
        ("20261101", "date", "2026-11-01"),
        ("11/01/2026 03:30:05 PM", "datetime", "2026-11-01T15:30:05Z"),
        ("11/01/2026 03:30 PM", "datetime", "2026-11-01T15:30:00Z"),
        ("2026-11-01T03:00:00+02:00", "datetime", "2026-11-01T01:00:00Z"),
        (42, "text", "42"),
    ],
)
def test_value_takes_the_form_of_the_fields_type(value: Any, type_: str, form: Any) -> None:
    assert sent_as(value, type=type_) == (form, [])


@pytest.mark.parametrize(
    ("value", "type_"), [("many", "integer"), ("1.5", "integer"), ("maybe", "boolean"), ("soon", "date"), ("2026", "date"), ("x", "number")]
)
def test_value_without_that_form_is_omitted(value: str, type_: str) -> None:
    assert sent_as(value, type=type_) == (None, [("InvalidValueException", "omitted")])


@pytest.mark.parametrize(("value", "option"), [("biotech", "BIOTECH"), ("Biotechnology", "BIOTECH"), ("food & beverage", "Food")])
def test_option_is_told_by_value_then_by_label(value: str, option: str) -> None:
    assert sent_as(value, **INDUSTRY) == (option, [])


def test_value_outside_a_restricted_list_is_omitted() -> None:
    assert sent_as("Pigeons", **INDUSTRY) == (None, [("InvalidOptionException", "omitted")])


def test_value_outside_an_open_list_is_sent_as_it_is() -> None:
    assert sent_as("Pigeons", **{**INDUSTRY, "restricted": False}) == ("Pigeons", [])


def test_label_of_two_options_means_neither() -> None:
    options = [("a", "Same"), ("b", "Same")]
    assert sent_as("Same", type="choice", restricted=True, options=options)[0] is None


def test_every_one_of_several_options_must_be_known() -> None:
    several = {**INDUSTRY, "type": "multi_choice"}
    assert sent_as(["biotech", "food & beverage"], **several) == ("BIOTECH;Food", [])
    assert sent_as(["biotech", "pigeons"], **several) == (None, [("InvalidOptionException", "omitted")])


def test_of_several_choices_of_an_open_list_the_known_ones_are_told_and_the_others_stay() -> None:
    several = {**INDUSTRY, "type": "multi_choice", "restricted": False}
    assert sent_as("Biotechnology; Pigeons ;biotech", **several) == ("BIOTECH;Pigeons", [])


@pytest.mark.parametrize(
    ("on_invalid", "value", "action"), [("omit", None, "omitted"), ("truncate", "Eco", "truncated"), ("fail", "Eco Labs", "failed")]
)
def test_too_long_value_follows_on_invalid(on_invalid: str, value: str | None, action: str) -> None:
    spec = account_spec({"description": {"from": "comments", "on_invalid": on_invalid}})
    result = payload(spec, customer(comments="Eco Labs"), crm_fields=crm_fields(Name={}, Description={"length": 4}))
    assert listed(result.values["Description"]) == [value]
    assert problem_rows(result.problems) == [(0, "Description", "ValueTooLongException", action)]


@pytest.mark.parametrize("on_invalid", ["omit", "truncate", "fail"])
def test_name_that_is_too_long_fails_whatever_the_mapping_says(on_invalid: str) -> None:
    spec = account_spec({"name": {"from": "customer_name", "on_invalid": on_invalid}})
    result = payload(spec, customer(), crm_fields=crm_fields(Name={"length": 3}))
    assert problem_rows(result.problems) == [(0, "Name", "ValueTooLongException", "failed")]


def test_email_and_last_name_fail_too() -> None:
    described = crm_fields(Email={"length": 5, "type": "email"}, LastName={"length": 2})
    result = payload(contact_spec({"last_name": "last_name"}), contact(last_name="Ruiz"), crm_fields=described)
    assert [row[1::2] for row in problem_rows(result.problems)] == [("Email", "failed"), ("LastName", "failed")]


def test_phone_that_is_too_long_is_omitted_not_truncated() -> None:
    spec = contact_spec({"phone": {"from": "phone", "on_invalid": "truncate"}})
    result = payload(spec, contact(phone="512 555 0101 ext 1234567"), crm_fields=crm_fields(Phone={"type": "phone", "length": 15}))
    assert listed(result.values["Phone"]) == [None]


def test_omitting_never_splits_an_address() -> None:
    spec = account_spec({"address": {"street_1": "street", "city": "city"}, "industry": "industry"})
    contents = [customer(street="12 Mill Rd", city="Austin", industry="Food"), customer(street="12 Mill Rd", city="Rome")]
    described = crm_fields(Name={}, Industry={}, BillingStreet={}, BillingCity={"length": 4})
    result = payload(spec, *contents, crm_fields=described)
    assert listed(result.values["BillingStreet"]) == [None, "12 Mill Rd"]
    assert listed(result.values["Industry"]) == ["Food", None]
    assert problem_rows(result.problems) == [(0, "BillingCity", "ValueTooLongException", "omitted")]


def test_blank_in_a_required_field_is_a_problem_of_creates_alone() -> None:
    spec = contact_spec({"last_name": "last_name"})
    result = payload(spec, contact(), contact(last_name="Ruiz"), crm_fields=crm_fields(Email={}, LastName={"required": True}))
    assert problem_rows(result.problems) == []
    assert problem_rows(result.create_problems) == [(0, "LastName", "RequiredFieldException", "failed")]


def test_create_default_fills_a_required_field() -> None:
    spec = contact_spec({"last_name": {"from": "last_name", "default": "Unknown"}})
    result = payload(spec, contact(), crm_fields=crm_fields(Email={}, LastName={"required": True}))
    assert problem_rows(result.create_problems) == []


def test_create_default_that_the_crm_refuses_is_a_problem_of_creates_alone() -> None:
    spec = account_spec({"industry": {"from": "industry", "default": "Pigeons"}})
    result = payload(spec, customer(), customer(industry="Food"), crm_fields=crm_fields(Name={}, Industry=INDUSTRY))
    assert problem_rows(result.problems) == []
    assert problem_rows(result.create_problems) == [(0, "Industry", "InvalidOptionException", "omitted")]


def test_nothing_is_checked_without_the_crms_fields() -> None:
    result = payload(account_spec(), customer(customer_name="x" * 1000))
    assert problem_rows(result.problems) == []
