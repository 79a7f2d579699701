from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipeline.errors import ConfigurationError
from crm_pipeline.mapping.payload import build_payload
from crm_pipeline.mapping.targets import routes
from crm_pipeline.model import CountryFormat
from crm_pipeline_tests.mapping.builders import (
    JSON_VALUES,
    account_spec,
    contact,
    contact_spec,
    crm_fields,
    customer,
    in_frames,
    listed,
    normalized,
    payload,
    problem_rows,
)

ADDRESS = {"street_1": "street", "street_2": "street2", "city": "city", "state": "state", "postal_code": "zip", "country": "country"}
AUSTIN = {"street": "12 Mill Rd", "street2": "Floor 2", "city": "Austin", "state": "Texas", "zip": "78701", "country": "USA"}
CODE_FIELDS = crm_fields(
    BillingCountryCode={"type": "choice", "restricted": True, "options": [("US", "United States"), ("DE", "Germany")]},
    BillingStateCode={"type": "choice", "restricted": True, "options": [("TX", "Texas"), ("BY", "Some Other State")]},
)


def sent(result: Any, row: int = 0) -> dict[str, Any]:
    """What a row would send, blanks left out."""
    return {name: listed(column)[row] for name, column in result.values.items() if listed(column)[row] is not None}


def targets_of(result: Any) -> dict[str, Any]:
    return {target.crm_field: target for target in result.targets}


def test_only_mapped_fields_appear() -> None:
    assert list(payload(account_spec(), customer(industry="Food")).values.columns) == ["Name"]


def test_unknown_crm_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="pipedrive"):
        payload(account_spec(), customer(), crm="pipedrive")


def test_salesforce_billing_address_joins_the_street_lines() -> None:
    result = payload(account_spec({"address": ADDRESS}), customer(**AUSTIN))
    assert sent(result) == {
        "Name": "Eco Labs",
        "BillingStreet": "12 Mill Rd\nFloor 2",
        "BillingCity": "Austin",
        "BillingState": "Texas",
        "BillingPostalCode": "78701",
        "BillingCountry": "United States",
    }


def test_salesforce_street_of_one_line_stays_one_line() -> None:
    result = payload(account_spec({"address": ADDRESS}), customer(street2="Floor 2"), customer(street="12 Mill Rd"))
    assert listed(result.values["BillingStreet"]) == ["Floor 2", "12 Mill Rd"]


def test_hubspot_takes_the_only_address_whatever_its_type_and_of_two_billing() -> None:
    addresses = [{"street_1": "a1", "city": "c1", "address_type": {"constant": "SHIPPING"}}, {"street_1": "a2"}]
    result = payload(
        account_spec({"address": addresses}), customer(a1="1 Mill Rd", c1="Austin"), customer(a1="1 Mill Rd", c1="Austin", a2="2 Oak St"),
        crm="hubspot",
    )  # fmt: skip
    assert listed(result.values["address"]) == ["1 Mill Rd", "2 Oak St"]
    assert listed(result.values["city"]) == ["Austin", None]


def test_hubspot_contact_street_is_one_line() -> None:
    spec = contact_spec({"address": {"street": "street", "country": "country"}})
    result = payload(spec, contact(street="12 Mill Rd \r\n Floor 2", country="KR"), crm="hubspot")
    assert sent(result) == {"email": "ana@ecolabs.example", "address": "12 Mill Rd, Floor 2", "country": "South Korea"}


@pytest.mark.parametrize(("country_format", "wanted"), [("auto", "Germany"), ("name", "Germany"), ("code", "DE")])
def test_country_goes_out_in_the_form_asked_for(country_format: CountryFormat, wanted: str) -> None:
    result = payload(account_spec({"address": ADDRESS}), customer(country="Deutschland"), country_format=country_format)
    assert listed(result.values["BillingCountry"]) == [wanted]


def test_country_and_state_go_out_as_codes_where_the_org_has_code_fields() -> None:
    result = payload(account_spec({"address": ADDRESS}), customer(**AUSTIN), crm_fields=CODE_FIELDS)
    assert {"BillingCountryCode": "US", "BillingStateCode": "TX"}.items() <= sent(result).items()
    assert not {"BillingCountry", "BillingState"} & set(result.values.columns)


def test_country_goes_out_by_its_name_if_asked_for_even_where_the_org_has_code_fields() -> None:
    result = payload(account_spec({"address": ADDRESS}), customer(**AUSTIN), crm_fields=CODE_FIELDS, country_format="name")
    assert {"BillingCountry": "United States", "BillingState": "Texas"}.items() <= sent(result).items()
    assert not {"BillingCountryCode", "BillingStateCode"} & set(result.values.columns)


def test_state_without_its_country_is_dropped_where_the_org_has_code_fields() -> None:
    result = payload(account_spec({"address": ADDRESS}), customer(**{**AUSTIN, "country": None}), crm_fields=CODE_FIELDS)
    assert "BillingStateCode" not in sent(result)
    assert sent(result)["BillingCity"] == "Austin"


@pytest.mark.parametrize(("crm", "state"), [("salesforce", "BillingState"), ("hubspot", "state")])
@pytest.mark.parametrize("country", [{}, {"country": "country"}], ids=["no country mapped", "no country given"])
def test_state_without_its_country_is_not_sent(crm: str, state: str, country: dict[str, str]) -> None:
    mapped = {"city": "city", "state": "state", **country}
    result = payload(account_spec({"address": mapped}), customer(city="Austin", state="TX"), crm=crm)
    assert "Austin" in sent(result).values()
    assert state not in sent(result)
    assert problem_rows(result.problems) == [(0, state, "InvalidOptionException", "omitted")]


def test_state_goes_with_a_country_that_is_a_default() -> None:
    mapped = {"state": "state", "country": {"from": "country", "default": "US"}}
    result = payload(account_spec({"address": mapped}), customer(state="TX"))
    assert {"BillingState": "TX", "BillingCountry": "United States"}.items() <= result.create_values().iloc[0].to_dict().items()
    assert problem_rows(result.problems) == []


def test_state_goes_with_a_country_that_is_mapped_directly() -> None:
    mapped = {"address": {"state": "state"}, "salesforce.BillingCountry": "country"}
    assert sent(payload(account_spec(mapped), customer(state="TX", country="USA")))["BillingState"] == "TX"


def test_code_of_another_countrys_state_is_never_sent() -> None:
    result = payload(account_spec({"address": ADDRESS}), customer(city="Munich", state="BY", country="DE"), crm_fields=CODE_FIELDS)
    assert sent(result) == {"Name": "Eco Labs", "BillingCity": "Munich", "BillingCountryCode": "DE"}
    assert problem_rows(result.problems) == [(0, "BillingStateCode", "InvalidOptionException", "omitted")]


def test_country_that_the_crm_does_not_know_takes_the_whole_address_along() -> None:
    result = payload(account_spec({"address": ADDRESS}), customer(**{**AUSTIN, "country": "FR"}), crm_fields=CODE_FIELDS)
    assert sent(result) == {"Name": "Eco Labs"}


def test_phone_goes_to_the_field_of_its_type() -> None:
    spec = contact_spec({"phone": "phone", "phone_number_type": "kind"})
    contents = [contact(phone="512 555 0101", kind=kind) for kind in ("MOBILE", "FAX", "PIGEON")]
    salesforce = payload(spec, *contents)
    assert [list(sent(salesforce, row))[1] for row in range(3)] == ["MobilePhone", "Fax", "Phone"]
    hubspot = payload(spec, *contents, crm="hubspot")
    assert [list(sent(hubspot, row))[1:] for row in range(3)] == [["mobilephone"], [], ["phone"]]


def test_phone_of_a_fixed_type_has_one_field() -> None:
    assert list(payload(contact_spec({"phone": "phone"}), contact()).values.columns) == ["Email", "Phone"]


def test_direct_mapping_takes_the_presets_place() -> None:
    spec = account_spec({"phone_number": "phone", "salesforce.Phone": "switchboard", "hubspot.fax": "fax"})
    result = payload(spec, customer(phone="512 555 0101", switchboard="9"))
    assert sent(result) == {"Name": "Eco Labs", "Phone": "9"}
    assert targets_of(result)["Phone"].source == "salesforce.Phone"
    assert targets_of(result)["Phone"].editable


def test_host_of_a_website_is_sent_where_mapped() -> None:
    spec = account_spec({"website": "website", "hubspot.domain": {"from": "website", "as": "host"}})
    result = payload(spec, customer(website="https://www.ecolabs.example/x"), crm="hubspot")
    assert sent(result) == {"name": "Eco Labs", "website": "https://www.ecolabs.example/x", "domain": "ecolabs.example"}


def test_account_phone_and_address_are_create_only() -> None:
    result = payload(account_spec({"phone_number": "phone", "address": ADDRESS}), customer())
    assert {name: (target.editable, target.policy) for name, target in targets_of(result).items() if not target.editable}.keys() == {
        "Phone", "BillingStreet", "BillingCity", "BillingState", "BillingPostalCode", "BillingCountry",
    }  # fmt: skip
    assert targets_of(result)["Phone"].policy == "create_only"


def test_contact_phone_is_editable_and_its_address_is_not() -> None:
    found = targets_of(payload(contact_spec({"phone": "phone", "address": {"city": "city"}}), contact()))
    assert (found["Phone"].editable, found["MailingCity"].editable) == (True, False)


def test_policies_stand_in_the_targets_and_never_leaves_a_field_out() -> None:
    spec = account_spec(
        {
            "industry": {"from": "industry", "policy": "if_blank"},
            "website": {"from": "website", "policy": "never"},
            "description": {"from": "comments", "policy": "create_only"},
            "phone_number": {"from": "phone", "policy": "if_blank"},
            "address": {**ADDRESS, "policy": "if_blank"},
        }
    )
    found = targets_of(payload(spec, customer()))
    assert "Website" not in found
    assert {name: (found[name].editable, found[name].policy) for name in ("Industry", "Description", "Phone", "BillingCity")} == {
        "Industry": (True, "if_blank"),
        "Description": (False, "create_only"),
        "Phone": (False, "if_blank"),
        "BillingCity": (False, "if_blank"),
    }


def test_address_fields_form_a_group() -> None:
    found = targets_of(payload(account_spec({"address": ADDRESS}), customer()))
    assert {target.group for name, target in found.items() if name.startswith("Billing")} == {"billing_address"}


def test_create_default_is_used_by_creates_only() -> None:
    spec = contact_spec({"last_name": {"from": "last_name", "default": "Unknown"}})
    result = payload(spec, contact(), contact(last_name="Ruiz"))
    assert listed(result.values["LastName"]) == [None, "Ruiz"]
    assert listed(result.create_defaults["LastName"]) == ["Unknown", None]
    assert listed(result.create_values()["LastName"]) == ["Unknown", "Ruiz"]


def test_create_default_inside_a_joined_field_counts_in_creates() -> None:
    spec = account_spec({"address": {"street_1": "street", "street_2": {"from": "street2", "default": "Attn: Lab"}}})
    result = payload(spec, customer(street="12 Mill Rd"), customer())
    assert listed(result.values["BillingStreet"]) == ["12 Mill Rd", None]
    assert listed(result.create_values()["BillingStreet"]) == ["12 Mill Rd\nAttn: Lab", None]


def test_blank_clears_only_where_the_mapping_says_so() -> None:
    spec = account_spec({"industry": {"from": "industry", "clear": True}, "website": "website"})
    result = payload(spec, customer(), customer(industry="Food"))
    assert result.clears.to_dict("list") == {"Name": [False, False], "Industry": [True, False], "Website": [False, False]}


def test_value_that_cannot_be_sent_never_clears() -> None:
    spec = account_spec({"industry": {"from": "industry", "clear": True}, "number_of_employees": {"from": "employees", "clear": True}})
    industry = {"type": "choice", "restricted": True, "options": [("FOOD", "Food")]}
    described = crm_fields(Name={}, Industry=industry, NumberOfEmployees={"type": "integer"})
    result = payload(spec, customer(industry="Pigeons", employees="about 50"), crm_fields=described)
    assert sent(result) == {"Name": "Eco Labs"}
    assert not result.clears.any(axis=None)


def test_phone_whose_type_changes_does_not_clear_the_other_field() -> None:
    spec = contact_spec({"phone": {"from": "phone", "clear": True}, "phone_number_type": "kind"})
    assert not payload(spec, contact(phone="512 555 0101", kind="MOBILE")).clears.any(axis=None)


FIELDS = ("customer_name", "phone", "kind", "street", "state", "country", "tags")
CONTENTS = st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON_VALUES)), min_size=1, max_size=12)
SPEC = account_spec(
    {
        "phone_number": "phone",
        "phone_number_type": "kind",
        "address": {"street_1": "street", "state": "state", "country": {"from": "country", "default": "US"}},
        "salesforce.Tags__c": "tags",
        "hubspot.tags": "tags",
    }
)
SALESFORCE_FIELDS = crm_fields(Name={"length": 5}, BillingStreet={"length": 3}, Phone={"length": 8}, Tags__c={"type": "number"})


@in_frames
@given(CONTENTS, st.sampled_from([("hubspot", None), ("salesforce", SALESFORCE_FIELDS)]))
def test_any_record_has_a_payload_that_does_not_depend_on_the_rows_around(contents: list[Any], crm: Any) -> None:
    name, described = crm
    frame = normalized(SPEC, *contents, default_region="US").frame
    mapping = routes(SPEC, crm=name, crm_fields=described)
    whole = build_payload(frame, mapping, crm_fields=described)
    halves = [build_payload(frame.iloc[half::2], mapping, crm_fields=described) for half in range(2)]
    assert [sent(whole, row) for row in range(len(frame))] == [sent(halves[row % 2], row // 2) for row in range(len(frame))]
    assert len(whole.problems) == sum(len(half.problems) for half in halves)
    assert isinstance(whole.values.index, pd.RangeIndex)


def test_a_number_that_may_mean_two_things_is_left_out_and_named() -> None:
    spec = account_spec({"number_of_employees": "employees", "salesforce.Size__c": "size"})
    fields = crm_fields(Name={}, NumberOfEmployees={"type": "integer"}, Size__c={"type": "number"})
    result = payload(spec, customer(employees="1.000", size="2.500"), crm_fields=fields)
    assert listed(result.values["NumberOfEmployees"]) == listed(result.values["Size__c"]) == [None]
    expected = [(0, field, "InvalidValueException", "omitted") for field in ("NumberOfEmployees", "Size__c")]
    assert problem_rows(result.problems) == expected


def test_an_unclear_number_fails_the_record_where_the_mapping_says_so() -> None:
    spec = account_spec({"number_of_employees": {"from": "employees", "on_invalid": "fail"}})
    result = payload(spec, customer(employees="1.000"))
    assert problem_rows(result.problems) == [(0, "NumberOfEmployees", "InvalidValueException", "failed")]


def test_a_number_of_json_is_what_it_is() -> None:
    spec = account_spec({"salesforce.Size__c": "size", "salesforce.Text__c": "size"})
    fields = crm_fields(Name={}, Size__c={"type": "number"}, Text__c={})
    result = payload(spec, *(customer(size=size) for size in (1.125, 1000, "2.5", 3.0)), crm_fields=fields)
    assert listed(result.values["Size__c"]) == [1.125, 1000, 2.5, 3]
    assert listed(result.values["Text__c"]) == ["1.125", "1000", "2.5", "3"]
    assert result.problems.empty


DATES = {"2026-11-01T00:00:00+02:00": "2026-11-01", "2026-11-01T23:30:00-05:00": "2026-11-01", "2026-11-01": "2026-11-01",
         "2026-11-01T02:00:00Z": "2026-11-01", "11/01/2026": "2026-11-01", "03/04/2026 08:00 AM": "2026-03-04", "1968-02-29": "1968-02-29",
         "9999-12-31": "9999-12-31", 1793505600: "2026-10-31",
         "0001-01-01": None, "2026-02-30": None, "13/04/2026": None, "2027-02-29": None, "soon": None}  # fmt: skip


@pytest.mark.parametrize(("given", "day"), DATES.items())
def test_a_date_keeps_the_day_that_qbench_shows(given: object, day: str | None) -> None:
    spec, fields = account_spec({"salesforce.On__c": "on"}), crm_fields(On__c={"type": "date"})
    result = payload(spec, customer(on=given), crm_fields=fields, time_zone="America/Chicago")
    assert listed(result.values["On__c"]) == [day]


@pytest.mark.parametrize(
    ("given", "moment"),
    [
        ("11/01/2026 08:00 AM", "2026-11-01T14:00:00Z"),
        ("2026-07-01 08:00", "2026-07-01T13:00:00Z"),
        ("2026-07-01T08:00:00Z", "2026-07-01T08:00:00Z"),
        ("2026-07-01T08:00:00+02:00", "2026-07-01T06:00:00Z"),
        (1793505600, "2026-11-01T04:00:00Z"),
        ("2026-07-01", "2026-07-01T05:00:00Z"),
        ("2026-11-01 01:30", None),
        ("2026-03-08 02:30", None),
        ("9999-12-31T23:59:59", None),
    ],
)
def test_a_moment_without_a_zone_is_in_the_tenants(given: object, moment: str | None) -> None:
    spec, fields = account_spec({"salesforce.At__c": "at"}), crm_fields(At__c={"type": "datetime"})
    result = payload(spec, customer(at=given), crm_fields=fields, time_zone="America/Chicago")
    assert listed(result.values["At__c"]) == [moment]


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("country_format", ["auto", "name"])
@pytest.mark.parametrize("country", ["Kosovo", "XK", "Unites States", "Korea", "no", "us of x"])
def test_a_country_that_the_crm_does_not_list_leaves_the_address_out_and_named(
    country: str, country_format: CountryFormat, *, restricted: bool
) -> None:
    fields = CODE_FIELDS.assign(restricted=restricted)
    result = payload(
        account_spec({"address": ADDRESS}), customer(**AUSTIN | {"country": country}), crm_fields=fields, country_format=country_format
    )
    assert sent(result) == {"Name": "Eco Labs"}
    field = "BillingCountryCode" if country_format == "auto" else "BillingCountry"
    assert (0, field, "InvalidOptionException", "omitted") in problem_rows(result.problems)


@pytest.mark.parametrize(
    ("option", "country"),
    [(("XK", "Kosovo"), "Kosovo"), (("XK", "Kosovo"), "XK"), (("K1", "Kosovo"), "XK"), (("Z1", "Zanzibar"), "Zanzibar")],
)
def test_a_country_goes_out_by_the_crms_own_code(option: tuple[str, str], country: str) -> None:
    fields = crm_fields(
        BillingCity={},
        BillingCountryCode={"type": "choice", "options": [("US", "United States"), option]},
        BillingStateCode={"type": "choice", "options": []},
    )
    result = payload(
        account_spec({"address": {"city": "city", "country": "country"}}), customer(city="X", country=country), crm_fields=fields
    )
    assert sent(result) == {"Name": "Eco Labs", "BillingCity": "X", "BillingCountryCode": option[0]}


def test_a_country_that_the_crm_does_not_list_fails_the_record_where_the_mapping_says_so() -> None:
    spec = account_spec({"address": {"city": "city", "country": {"from": "country", "on_invalid": "fail"}}})
    result = payload(spec, customer(city="X", country="Korea"), crm_fields=CODE_FIELDS)
    assert problem_rows(result.problems) == [(0, "BillingCountryCode", "InvalidOptionException", "failed")]
