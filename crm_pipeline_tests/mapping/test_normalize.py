from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipeline.errors import ConfigurationError
from crm_pipeline.mapping.normalize import customer_ids_of, is_unusable, live_customers, normalize, with_create_defaults
from crm_pipeline.schemas import CUSTOMERS_UNKNOWN, normalized_schema
from crm_pipeline_tests.mapping.builders import (
    JSON_VALUES,
    account_spec,
    contact,
    contact_spec,
    customer,
    in_frames,
    listed,
    normalized,
    raw_frame,
)

FULL_CONTACT = contact_spec(
    {
        "first_name": "first_name",
        "last_name": {"from": "last_name", "default": "Unknown"},
        "phone": {"from": "phone", "take": "first"},
        "phone_number_type": "kind",
        "address": {"street": "street", "city": "city", "country": "country"},
        "salesforce.Tags__c": {"from": "tags", "clear": True},
    },
    sync_on=[{"field": "code", "in": {"salesforce": "Code__c"}}],
    only={"field": "status", "is_not": "TEST"},
)
FULL_ACCOUNT = account_spec(
    {
        "number_of_employees": "employees",
        "phone_number": "phone",
        "industry": {"from": "industry", "translate": {"food": "Food & Beverage"}},
        "address": [{"street_1": "a1", "country": "c1", "address_type": "t1"}, {"street_1": "a2", "address_type": "t2"}],
    }
)


def error_of(spec: Any, content: dict[str, Any], unreadable: str | None = None) -> tuple[Any, Any]:
    frame = normalize(raw_frame(content, unreadable=[unreadable]), spec=spec).frame
    return listed(frame["error_type"])[0], listed(frame["error_fields"])[0]


def value(spec: Any, content: dict[str, Any], column: str) -> Any:
    return listed(normalized(spec, content, default_region="US").frame[column])[0]


def test_customer_without_a_name_is_refused_with_its_named_error() -> None:
    assert error_of(account_spec(), {"customer_name": "  "}) == ("NoNameForCustomerException", "customer_name")


def test_contact_without_email_is_refused_with_its_named_error() -> None:
    assert error_of(contact_spec(), contact(email_address=None)) == ("NoEmailForContactException", "email_address")


@pytest.mark.parametrize("default_when", ["always", "create"])
def test_address_longer_than_any_can_be_is_invalid_and_not_kept(default_when: str) -> None:
    spec = contact_spec({"email": {"from": "notes", "default": "a@b.example", "default_when": default_when}})
    endless = contact(notes="a" * 250 + "@b.example")
    assert error_of(spec, endless) == ("InvalidEmailException", "notes")
    assert value(spec, endless, "email") is None


def test_contact_with_two_addresses_in_its_email_is_refused() -> None:
    assert error_of(contact_spec(), contact(email_address="a@b.example; c@d.example")) == ("InvalidEmailException", "email_address")


def test_contact_with_two_addresses_takes_the_first_where_the_mapping_says_so() -> None:
    spec = contact_spec({"email": {"from": "email_address", "take": "first"}})
    assert value(spec, contact(email_address="A@b.example; c@d.example"), "email") == "a@b.example"


def test_contact_with_two_customers_is_refused_and_names_them() -> None:
    refused = contact(customers=[{"id": 41}, {"id": 7}])
    assert error_of(contact_spec(), refused) == ("ContactWithMoreThanOneCustomerException", "41, 7")
    assert value(contact_spec(), refused, "customer_id") is None


def test_contact_with_one_customer_named_twice_has_one() -> None:
    assert value(contact_spec(), contact(customers=[{"id": 41}, {"id": 41}]), "customer_id") == 41


def test_contact_without_customer_is_refused() -> None:
    assert error_of(contact_spec(), contact(customers=[])) == ("NoCustomerForContactException", None)


@pytest.mark.parametrize("only", [None, {"field": "customer.status", "is": "ACTIVE"}], ids=["no rules", "rules on its customer"])
def test_contact_whose_customers_are_unknown_is_not_taken_for_one_without(only: Any) -> None:
    raw = raw_frame({"email_address": "ana@ecolabs.example"}, unreadable=[CUSTOMERS_UNKNOWN])
    frame = normalize(raw, spec=contact_spec(only=only), customers=pd.Series([{}], dtype=object)).frame
    assert listed(frame["error_type"]) == ["CustomersUnknownException"]


def test_unreadable_record_names_its_field() -> None:
    assert error_of(account_spec(), customer(), "last_updated") == ("UnreadableRecordException", "last_updated")


def test_first_reason_that_applies_wins() -> None:
    spec = contact_spec(only={"field": "status", "is": "ACTIVE"})
    broken = {"email_address": "x", "customers": [{"id": 1}, {"id": 2}], "status": "TEST"}
    steps = [
        ({}, "last_updated", "UnreadableRecordException"),
        ({}, None, "FilteredOutException"),
        ({"status": "ACTIVE", "email_address": ""}, None, "NoEmailForContactException"),
        ({"status": "ACTIVE"}, None, "InvalidEmailException"),
        ({"status": "ACTIVE", "email_address": "a@b.example"}, None, "ContactWithMoreThanOneCustomerException"),
    ]
    assert [error_of(spec, broken | change, unreadable)[0] for change, unreadable, _ in steps] == [error for *_, error in steps]


def test_contact_filter_on_its_customer_needs_the_customers() -> None:
    spec = contact_spec(only={"field": "customer.status", "is": "ACTIVE"})
    raw = raw_frame(contact(), contact())
    with pytest.raises(ConfigurationError, match=r"customer\.status"):
        normalize(raw, spec=spec)
    customers = pd.Series([{"status": "ACTIVE"}, {"status": "CLOSED"}], dtype=object)
    assert listed(normalize(raw, spec=spec, customers=customers).frame["error_type"]) == [None, "FilteredOutException"]


def test_email_is_trimmed_and_lower_cased() -> None:
    assert value(contact_spec(), contact(email_address="  Ana@EcoLabs.Example "), "email") == "ana@ecolabs.example"


def test_phone_region_is_the_records_country_before_the_default() -> None:
    german = contact(phone="030 901820", country="Germany")
    american = contact(phone="(512) 555-0101")
    frame = normalized(FULL_CONTACT, german, american, default_region="us").frame
    assert listed(frame["phone"]) == ["+4930901820", "+15125550101"]


def test_unparsable_phone_is_kept_as_given_and_counted() -> None:
    result = normalized(FULL_CONTACT, contact(phone="ask Bob"), default_region="US")
    assert listed(result.frame["phone"]) == ["ask Bob"]
    assert result.counts["unparsable_phones"] == 1


def test_unclear_country_is_kept_as_given_and_counted() -> None:
    result = normalized(FULL_CONTACT, contact(country="Atlantis"), contact(country="U.K."))
    assert listed(result.frame["mailing_country"]) == ["Atlantis", "GB"]
    assert result.counts["unclear_countries"] == 1


def test_unparsable_number_is_left_out_and_counted() -> None:
    result = normalized(FULL_ACCOUNT, customer(employees="about 50"), customer(employees=55.0))
    assert listed(result.frame["number_of_employees"]) == [None, 55]
    assert result.counts["unparsable_numbers"] == 1


def test_object_where_text_is_expected_is_blank_and_counted() -> None:
    result = normalized(FULL_ACCOUNT, customer(industry={"id": 3}))
    assert listed(result.frame["industry"]) == [None]
    assert result.counts["unreadable_values"] == 1


def test_contact_phone_is_of_type_work_unless_it_says_otherwise() -> None:
    frame = normalized(FULL_CONTACT, contact(phone="1"), contact(phone="1", kind="mobile"), contact(kind="mobile")).frame
    assert listed(frame["phone_number_type"]) == ["WORK", "MOBILE", None]


def test_default_of_the_phone_type_holds_always() -> None:
    spec = contact_spec({"phone": "phone", "phone_number_type": {"from": "kind", "default": "mobile"}})
    assert value(spec, contact(phone="1"), "phone_number_type") == "MOBILE"


def test_address_type_defaults_to_billing_and_unknown_types_count_as_billing() -> None:
    result = normalized(FULL_ACCOUNT, customer(a1="1 Mill Rd"), customer(a1="1 Mill Rd", t1="HEADQUARTERS"))
    assert listed(result.frame["billing_street_1"]) == ["1 Mill Rd"] * 2
    assert result.counts["unknown_address_types"] == 1


def test_addresses_go_to_the_columns_of_their_types() -> None:
    frame = normalized(FULL_ACCOUNT, customer(a1="1 Mill Rd", t1="shipping", a2="2 Oak St", t2="BILLING")).frame
    assert (listed(frame["billing_street_1"]), listed(frame["shipping_street_1"])) == (["2 Oak St"], ["1 Mill Rd"])


def test_of_two_addresses_of_one_type_the_first_is_taken_whole() -> None:
    frame = normalized(FULL_ACCOUNT, customer(a1="1 Mill Rd", a2="2 Oak St"), customer(c1=None, a2="2 Oak St")).frame
    assert listed(frame["billing_street_1"]) == ["1 Mill Rd", "2 Oak St"]
    assert frame["shipping_street_1"].isna().all()


def test_constant_country_alone_makes_no_address() -> None:
    spec = account_spec({"address": {"street_1": "address", "country": {"constant": "US"}}})
    frame = normalized(spec, customer(), customer(address="1 Mill Rd")).frame
    assert listed(frame["billing_country"]) == [None, "US"]


def test_translated_value_is_sent_whatever_its_case() -> None:
    result = normalized(FULL_ACCOUNT, customer(industry=" FOOD "), customer(industry="Water"))
    assert listed(result.frame["industry"]) == ["Food & Beverage", "Water"]
    assert result.counts["translated"] == 1


def test_constant_is_every_records_value() -> None:
    spec = account_spec({"industry": {"constant": "Laboratory"}})
    assert listed(normalized(spec, customer(), customer()).frame["industry"]) == ["Laboratory"] * 2


def test_default_for_always_fills_blanks() -> None:
    spec = account_spec({"industry": {"from": "industry", "default": "Lab", "default_when": "always"}})
    assert listed(normalized(spec, customer(industry=" "), customer(industry="Food")).frame["industry"]) == ["Lab", "Food"]


def test_default_for_creates_stands_beside_the_blank() -> None:
    frame = normalized(FULL_CONTACT, contact(), contact(last_name="Ruiz")).frame
    assert listed(frame["last_name"]) == [None, "Ruiz"]
    assert listed(frame["default.last_name"]) == ["Unknown", None]
    assert listed(with_create_defaults(frame)["last_name"]) == ["Unknown", "Ruiz"]


def test_direct_and_match_fields_stand_behind_the_declared_columns() -> None:
    frame = normalized(FULL_CONTACT, contact(tags=["food", "water"], code=17)).frame
    assert listed(frame["salesforce.Tags__c"]) == ["food; water"]
    assert listed(frame["qbench.code"]) == ["17"]


def test_number_with_a_fraction_stays_one_whatever_text_stands_beside_it() -> None:
    frame = normalized(FULL_CONTACT, contact(tags=1.125), contact(tags="1.125"), contact(tags="a\ud800"), contact(tags=float("inf"))).frame
    assert listed(frame["salesforce.Tags__c"]) == [1.125, "1.125", "a", None]


def test_value_that_cannot_be_sent_is_told_from_a_blank() -> None:
    frame = normalized(FULL_CONTACT, contact(tags={"a": 1}), contact(tags=[])).frame
    assert listed(frame["unusable"]) == [["salesforce.Tags__c"], None]
    assert is_unusable(frame, "salesforce.Tags__c").tolist() == [True, False]


def test_record_with_every_field_null_ends_in_its_named_error() -> None:
    assert error_of(FULL_CONTACT, dict.fromkeys(["email_address", "customers", "phone", "country"]))[0] == "NoEmailForContactException"


def test_no_records_make_an_empty_frame() -> None:
    assert normalized(FULL_ACCOUNT).counts["rows"] == 0


CONTACT_FIELDS = ("email_address", "first_name", "last_name", "phone", "kind", "street", "country", "tags", "code", "status", "customers")
CUSTOMER_FIELDS = ("customer_name", "employees", "phone", "industry", "a1", "c1", "t1", "a2", "t2")
CONTACT_CONTENTS = st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(CONTACT_FIELDS, JSON_VALUES)), max_size=12)
CUSTOMER_CONTENTS = st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(CUSTOMER_FIELDS, JSON_VALUES)), max_size=12)


@in_frames
@given(CONTACT_CONTENTS, CUSTOMER_CONTENTS)
def test_any_records_normalize_to_the_declared_frame_with_one_row_each(contacts: list[Any], customers: list[Any]) -> None:
    for spec, contents in ((FULL_CONTACT, contacts), (FULL_ACCOUNT, customers)):
        frame = normalized(spec, *contents, default_region="US").frame
        normalized_schema(spec.record_type).check(frame)
        assert frame["qbench_id"].tolist() == list(range(1, len(contents) + 1))


@in_frames
@given(CUSTOMER_CONTENTS)
def test_normalizing_does_not_depend_on_how_rows_are_framed(contents: list[Any]) -> None:
    raw = raw_frame(*contents)
    whole = normalize(raw, spec=FULL_ACCOUNT, default_region="US")
    parts = [normalize(raw.iloc[half::2], spec=FULL_ACCOUNT, default_region="US") for half in range(2)]
    together = pd.concat([part.frame for part in parts]).sort_values("qbench_id", ignore_index=True)
    pd.testing.assert_frame_equal(whole.frame, together)
    assert all(count == sum(part.counts.get(name, 0) for part in parts) for name, count in whole.counts.items())


@pytest.mark.parametrize(
    ("status", "error"),
    [("ACTIVE", None), (" active", None), (None, None), ("INACTIVE", "InactiveCustomerException"), (0, "InactiveCustomerException")],
)
def test_with_active_only_a_customer_of_another_status_is_left_out(status: object, error: str | None) -> None:
    assert listed(normalized(account_spec(active_only=True), customer(status=status)).frame["error_type"]) == [error]
    assert listed(normalized(account_spec(), customer(status=status)).frame["error_type"]) == [None]


def test_contact_that_is_inactive_is_left_out_where_such_contacts_are_deleted() -> None:
    rule = {"field": "state", "is": "inactive"}
    raw = raw_frame(contact(state="Inactive"), contact(state="active"), contact())
    left_out = normalize(raw, spec=contact_spec(inactive=rule, delete_inactive=True)).frame["error_type"]
    assert listed(left_out) == ["InactiveContactException", None, None]
    assert listed(normalize(raw, spec=contact_spec(inactive=rule)).frame["error_type"]) == [None, None, None]


def test_a_deleted_customer_is_not_counted_and_the_first_one_named_where_all_are_deleted() -> None:
    raw = raw_frame(*(contact(customers=[{"id": number} for number in ids]) for ids in ((41, 42), (42, 43), (42,), (41, 44))))
    live = [live_customers(customer_ids_of(content["customers"]), frozenset({42, 43})) for content in raw["content"]]
    frame = normalize(raw, spec=contact_spec(), customer_ids=live).frame
    assert frame["customer_id"].astype(object).where(frame["customer_id"].notna(), None).tolist() == [41, 42, 42, None]
    assert listed(frame["error_type"]) == [None, None, None, "ContactWithMoreThanOneCustomerException"]


def test_customer_with_an_id_beyond_64_bits_does_not_count() -> None:
    assert error_of(contact_spec(), contact(customers=[{"id": 2**63}])) == ("NoCustomerForContactException", None)
    assert error_of(contact_spec(), contact(customers=[{"id": 10**30}, {"id": 41}])) == (None, None)


NO_VALUES = [float("nan"), float("inf"), float("-inf"), "nan", "NaN", "NAN", "-Infinity", "inf", "null", "NULL", "None", "<NA>"]


@pytest.mark.parametrize("given", NO_VALUES)
def test_no_number_and_its_words_are_no_value_of_any_field(given: object) -> None:
    content = dict.fromkeys(("customer_name", "employees", "phone", "industry", "a1", "c1"), given)
    row = normalized(FULL_ACCOUNT, content, default_region="US").frame.drop(columns=["qbench_id", "version", "error_fields"]).iloc[0]
    assert row.pop("error_type") == "NoNameForCustomerException"
    assert row.dropna().to_dict().keys() <= {"billing_state", "default.industry"}


@pytest.mark.parametrize("name", ["Nan Labs", "Nan", "Null", "Infinity Labs", "Inf", "N.A.N. GmbH"])
def test_names_that_only_look_like_no_value_stay(name: str) -> None:
    assert listed(normalized(account_spec(), customer(customer_name=name)).frame["name"]) == [name]


def test_a_word_for_no_value_can_be_translated() -> None:
    spec = account_spec({"industry": {"from": "industry", "translate": {"None": "Other"}}})
    assert listed(normalized(spec, customer(industry="None")).frame["industry"]) == ["Other"]


def test_no_answer_in_the_country_leaves_it_blank_and_the_phone_to_the_default_region() -> None:
    spec = account_spec({"phone_number": "phone", "address": {"street_1": "street", "country": "country"}})
    made = normalized(spec, customer(phone="(512) 555-0101", street="1 Main St", country="N.A."), default_region="US")
    assert made.frame.loc[0, ["phone_number", "billing_street_1"]].tolist() == ["+15125550101", "1 Main St"]
    assert listed(made.frame["billing_country"]) == [None]
    assert made.counts["unclear_countries"] == 1
