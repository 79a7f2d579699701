"""What a CRM's value becomes in QBench: only what would come back the same, and only where it would look different."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_pipeline.mapping.digests import digests
from crm_pipeline.mapping.inverse import Inverse, WayBack
from crm_pipeline.mapping.reading import Reading
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.model import CountryFormat, RecordType
from crm_pipeline.qbench.fields import LONGEST, NEVER_BLANK
from crm_pipeline_tests.mapping.builders import (
    FREE_TEXT,
    account_spec,
    contact,
    contact_spec,
    crm_fields,
    customer,
    listed,
    raw_frame,
)

BOTH = {"direction": "both"}
LOST = "would_not_come_back"


def way_back(
    spec: RecordSpec,
    crm: str = "salesforce",
    fields: pd.DataFrame | None = None,
    *,
    time_zone: str = "UTC",
    country_format: CountryFormat = "auto",
) -> WayBack:
    reading = Reading(default_region="US", time_zone=time_zone)
    return WayBack(
        spec=spec, crm=crm, crm_fields=fields, country_format=country_format, reading=reading, longest={}, never_blank=frozenset()
    )


def shown_in(way: WayBack, *records: dict[str, Any]) -> pd.DataFrame:
    names = [route.target.crm_field for route in way.routes]
    return pd.DataFrame({name: pd.Series([record.get(name) for record in records], dtype=object) for name in names})


def patches(found: Inverse) -> list[dict[str, Any]]:
    """What would be written, per record."""
    return [
        {field: found.values.at[row, field] for field in found.values.columns if found.writes.at[row, field]} for row in found.values.index
    ]


def told(found: Inverse, unit: str) -> list[str | None]:
    return listed(found.reasons[unit])


def brought(way: WayBack, content: dict[str, Any], shown: dict[str, Any]) -> dict[str, Any]:
    """What one CRM record's values make of one QBench record; all of them go in."""
    found = way.inverse(shown_in(way, shown), raw_frame(content))
    assert found.fits.to_numpy().all(), found.reasons.to_dict("records")
    return patches(found)[0]


@dataclass(frozen=True)
class Case:
    """One additional field, mapped to a CRM field of its own: what QBench holds, what the CRM shows, what is written."""

    type: str
    held: Any
    shown: Any
    written: Any = None
    mapping: dict[str, Any] = field(default_factory=dict)
    described: dict[str, Any] = field(default_factory=dict)


def together(cases: Sequence[Case], *, time_zone: str = "UTC") -> tuple[WayBack, pd.DataFrame, pd.DataFrame]:
    """All cases as fields of one record, as many frames cost as one: the way back, what is shown, the raw row."""
    mapping = {f"salesforce.F{number}__c": {"from": f"f{number}", **BOTH, **case.mapping} for number, case in enumerate(cases)}
    fields = crm_fields(**{f"F{number}__c": {"type": case.type, **case.described} for number, case in enumerate(cases)})
    way = way_back(account_spec(mapping), fields=fields, time_zone=time_zone)
    content = customer(**{f"f{number}": case.held for number, case in enumerate(cases)})
    return way, shown_in(way, {f"F{number}__c": case.shown for number, case in enumerate(cases)}), raw_frame(content)


# Kinds of mappings

OPTIONS = {"options": [("FOOD", "Food & Beverage"), ("WATER", "Water")], "restricted": True}
ALIKE = {"options": [("A", "Same"), ("B", "same")], "restricted": True}
WORDS = {"translate": {"nutrition": "Food & Beverage", "n/a": ""}}
TRUTHS = {"translate": {"key account": "true", "other": "false"}}

WRITTEN = [
    Case("text", "Old", " New\r\nline ", "New\nline"),
    Case("text", "eco labs", "Eco Labs", "Eco Labs"),
    Case("text", "Old", None, None),
    Case("email", "a@x.example", "B@X.Example", "B@X.Example"),
    Case("phone", "+1 512 555 0101", "(512) 555-0199", "(512) 555-0199"),
    Case("url", "https://a.example", "https://b.example", "https://b.example"),
    Case("number", 5, "7.50", 7.5),
    Case("number", None, 7.0, 7),
    Case("number", "5", 1250, "1250"),
    Case("number", 5, 1.125, 1.125),
    Case("integer", 5, 6.0, 6),
    Case("boolean", True, False, False),
    Case("boolean", None, "true", True),
    Case("boolean", "Yes", "false", "No"),
    Case("boolean", "N", True, "Y"),
    Case("boolean", 0, True, 1),
    Case("date", "11/01/2026", "2026-11-02", "2026-11-02"),
    Case("multi_choice", "Water", "Water;Food", "Food; Water"),
    # An option by its label, but by its value where QBench holds values, or where others have the label too.
    Case("choice", None, "WATER", "Water", described=OPTIONS),
    Case("choice", "Food & Beverage", "WATER", "Water", described=OPTIONS),
    Case("choice", "FOOD", "WATER", "WATER", described=OPTIONS),
    Case("choice", "unknown", "WATER", "Water", described=OPTIONS),
    Case("choice", None, "B", "B", described=ALIKE),
    # A word that the mapping translates comes back as QBench's own.
    Case("text", None, "Food & Beverage", "nutrition", WORDS),
    Case("choice", None, "FOOD", "nutrition", WORDS, OPTIONS),
    Case("choice", "nutrition", "WATER", "Water", WORDS, OPTIONS),
    Case("text", "nutrition", None, None, WORDS),
    Case("boolean", "other", True, "key account", TRUTHS),
]


def test_value_is_written_as_qbench_holds_values_of_its_kind() -> None:
    way, shown, raw = together(WRITTEN)
    found = way.inverse(shown, raw)
    assert found.fits.to_numpy().all(), found.reasons.to_dict("records")
    [patch] = patches(found)
    due = {f"f{number}": case.written for number, case in enumerate(WRITTEN)}
    assert patch == due
    assert {name: type(value) for name, value in patch.items()} == {name: type(value) for name, value in due.items()}


SAME = [
    Case("text", "a\nb", "a\r\nb "),
    Case("text", None, " "),
    Case("phone", "+1 (512) 555-0101", "15125550101"),
    Case("email", "Ana@X.Example", "ana@x.example"),
    Case("number", "1,200", 1200.0),
    Case("boolean", "yes", True),
    Case("date", "11/01/2026 10:00 AM", "2026-11-01"),
    Case("multi_choice", "b; a", "a;b"),
    Case("choice", "Water", "WATER", described=OPTIONS),
    Case("text", "n/a", None, mapping=WORDS),
]


def test_what_looks_the_same_in_the_crm_is_not_written() -> None:
    way, shown, raw = together(SAME)
    assert patches(way.inverse(shown, raw)) == [{}]


LOSING = [
    Case("number", None, "many"),
    Case("date", None, "soon"),
    Case("datetime", None, "soon"),
    Case("boolean", None, "maybe"),
    Case("text", None, "nan"),
    Case("text", None, "x" * 300, described={"length": 255}, mapping={"on_invalid": "truncate"}),
    # It would be translated into another.
    Case("text", "Water", "Food", mapping={"translate": {"Food": "Food & Beverage"}}),
    # A default would take its place.
    Case("text", "Gold", None, mapping={"default": "none", "default_when": "always"}),
]


def test_value_that_would_not_come_back_does_not_go_in() -> None:
    way, shown, raw = together(LOSING)
    found = way.inverse(shown, raw)
    assert found.reasons.iloc[0].tolist() == [LOST] * len(LOSING)
    assert patches(found) == [{}]


def test_moment_is_written_in_the_tenants_zone() -> None:
    case = Case("datetime", "11/01/2026 5:00 PM", "2026-11-02T06:30:00.000+0000")
    way, shown, raw = together([case], time_zone="America/Chicago")
    assert patches(way.inverse(shown, raw)) == [{"f0": "2026-11-02T00:30:00-06:00"}]


def test_shortened_text_is_no_change_of_the_crm() -> None:
    case = Case("text", "x" * 300, "x" * 255, mapping={"on_invalid": "truncate"}, described={"length": 255})
    way, shown, raw = together([case])
    wanted = way.wanted(raw)
    assert (listed(wanted.forms["F0__c"]), listed(wanted.whole["F0__c"])) == (["x" * 255], [False])
    assert patches(way.inverse(shown, raw)) == [{}]


def test_normalized_fields_come_back_from_each_crms_own_fields() -> None:
    spec = account_spec(
        {
            "name": {"from": "customer_name", **BOTH},
            "website": {"from": "website", "direction": {"hubspot": "from_crm"}},
            "number_of_employees": {"from": "employees", "direction": "from_crm"},
        }
    )
    salesforce, hubspot = way_back(spec), way_back(spec, "hubspot")
    assert (list(salesforce.units), list(hubspot.units)) == (["Name", "NumberOfEmployees"], ["name", "website", "numberofemployees"])
    held = customer(employees=5, website="https://a.example")
    assert brought(salesforce, held, {"Name": "ECO Labs", "NumberOfEmployees": 12}) == {"customer_name": "ECO Labs", "employees": 12}
    assert brought(hubspot, held, {"name": "Eco Labs", "website": "https://b.example", "numberofemployees": "5"}) == {
        "website": "https://b.example"
    }


def test_value_that_qbench_cannot_take_does_not_go_in() -> None:
    names = {"customer_name": "name", "comments": "description", "city_name": "hubspot.town"}
    spec = account_spec({field: {"from": name, **BOTH} for name, field in names.items()})
    way = replace(way_back(spec, "hubspot"), longest=LONGEST[RecordType.ACCOUNT], never_blank=NEVER_BLANK[RecordType.ACCOUNT])
    shown = shown_in(
        way, {"name": None, "description": "x" * 2000, "town": "x" * 101}, {"name": "x" * 251, "description": "x" * 2001, "town": None}
    )
    found = way.inverse(shown, raw_frame(*[customer(comments="a", city_name="b")] * 2))
    assert found.reasons.to_numpy(dtype=object, na_value=None).tolist() == [
        ["never_blank", None, "too_long"],
        ["too_long", "too_long", None],
    ]
    assert patches(found) == [{"comments": "x" * 2000}, {"city_name": None}]


def test_what_qbench_holds_already_is_not_refused() -> None:
    way, shown, raw = together([Case("text", "x" * 300, "x" * 300)])
    limited = replace(way, longest={"f0": 100}, never_blank={"f0"})
    assert limited.inverse(shown, raw).fits.to_numpy().all()


# Addresses

PLACE = {"street_1": "address", "city": "city_name", "state": "state_name", "postal_code": "zip", "country": "country_name"}
IN_AUSTIN = {"address": "12 Mill Rd", "city_name": "Austin", "state_name": "TX", "zip": "78701", "country_name": "US"}
BILLING = {"BillingStreet": "12 Mill Rd", "BillingCity": "Austin", "BillingState": "TX", "BillingPostalCode": "78701"}


def test_address_is_one_value_of_which_only_parts_that_changed_are_written() -> None:
    way = way_back(account_spec({"address": {**PLACE, **BOTH}}))
    assert list(way.units) == ["group:billing_address"]
    shown = {**BILLING, "BillingCountry": "United States"}
    assert brought(way, customer(**IN_AUSTIN), shown) == {}
    moved = {**shown, "BillingCity": "Dallas", "BillingPostalCode": "75201"}
    assert brought(way, customer(**IN_AUSTIN), moved) == {"city_name": "Dallas", "zip": "75201"}


def test_country_is_written_by_code_where_qbench_holds_a_code() -> None:
    way = way_back(account_spec({"address": {"city": "city_name", "country": "country_name", **BOTH}}))
    raw = raw_frame(*(customer(city_name="Berlin", country_name=held) for held in ("US", "USA", "United States", None)))
    shown = shown_in(way, *[{"BillingCity": "Berlin", "BillingCountry": "Germany"}] * 4)
    assert patches(way.inverse(shown, raw)) == [{"country_name": written} for written in ("DE", "Germany", "Germany", "Germany")]


def test_state_of_a_picklist_is_written_as_qbench_holds_states() -> None:
    picklists = crm_fields(
        Name={},
        BillingCity={},
        BillingCountryCode={"type": "choice", "options": [("US", "United States"), ("DE", "Germany")], "restricted": True},
        BillingStateCode={"type": "choice", "options": [("TX", "Texas"), ("CA", "California")], "restricted": True},
    )
    parts = {"city": "city_name", "state": "state_name", "country": "country_name", **BOTH}
    way = way_back(account_spec({"address": parts}), fields=picklists)
    raw = raw_frame(
        *(customer(city_name="Austin", country_name=country, state_name=state) for country, state in (("US", "TX"), ("USA", "Texas")))
    )
    shown = shown_in(way, *[{"BillingCity": "Austin", "BillingCountryCode": "US", "BillingStateCode": "CA"}] * 2)
    assert patches(way.inverse(shown, raw)) == [{"state_name": "CA"}, {"state_name": "California"}]


def test_address_does_not_go_in_by_halves() -> None:
    way = way_back(account_spec({"address": {**PLACE, **BOTH}}))
    # Without its country QBench's state is not sent: it would not come back.
    shown = {**BILLING, "BillingCity": "Dallas", "BillingCountry": None}
    found = way.inverse(shown_in(way, shown), raw_frame(customer(**IN_AUSTIN)))
    assert (told(found, "group:billing_address"), patches(found)) == ([LOST], [{}])


def test_emptied_address_empties_every_part() -> None:
    way = way_back(account_spec({"address": {**PLACE, **BOTH}}), "hubspot")
    assert brought(way, customer(**IN_AUSTIN), {}) == dict.fromkeys(IN_AUSTIN)


# Phones


def test_phone_of_a_fixed_type_comes_back_from_its_field() -> None:
    way = way_back(contact_spec({"phone": {"from": "mobile", **BOTH}, "phone_number_type": {"constant": "MOBILE"}}))
    assert [route.target.crm_field for route in way.units["group:phone"]] == ["MobilePhone"]
    assert brought(way, contact(mobile="512 555 0101"), {"MobilePhone": "(512) 555-0102"}) == {"mobile": "(512) 555-0102"}


PHONE_BY_TYPE = {
    "phone": {"from": "phone", **BOTH},
    "phone_number_type": {"from": "kind", "translate": {"office": "WORK", "cell": "MOBILE"}},
}
TYPED = contact_spec(PHONE_BY_TYPE)
HELD = contact(phone="512 555 0101", kind="office")


def test_phone_comes_back_from_the_field_of_its_type_whatever_else_there_is() -> None:
    way = way_back(TYPED)
    assert brought(way, HELD, {"Phone": "512 555 0102", "MobilePhone": "512 555 0999"}) == {"phone": "512 555 0102"}
    assert brought(way, HELD, {"Phone": "+15125550101", "MobilePhone": "512 555 0999"}) == {}


def test_phone_that_moved_to_another_field_brings_its_type_along() -> None:
    assert brought(way_back(TYPED), HELD, {"MobilePhone": "(512) 555 0101"}) == {"kind": "cell"}


def test_first_phone_of_a_record_brings_its_type_along() -> None:
    assert brought(way_back(TYPED), contact(kind="cell"), {"Phone": "512 555 0102"}) == {"phone": "512 555 0102", "kind": "office"}


def test_other_phone_in_another_field_is_none_of_the_records() -> None:
    fax = contact(phone="512 555 0101", kind="FAX")
    for way, shown in ((way_back(TYPED), {"Phone": "512 555 0199"}), (way_back(TYPED, "hubspot"), {"phone": "512 555 0199"})):
        raw = raw_frame(fax)
        assert listed(way.forms(shown_in(way, shown), raw)["group:phone"]) == [None]
        found = way.inverse(shown_in(way, shown), raw)
        assert patches(found) in ([{"phone": None}], [{}]), "at most that its own field is empty, and only where it has one"


def test_phone_is_read_the_same_by_what_alone_is_kept_of_a_record() -> None:
    spec = contact_spec({**PHONE_BY_TYPE, "address": {"country": "land"}})
    records = [contact(phone="030 901820", kind="cell", land="DE", other="x"), contact(phone="512 555 0101", kind="office", land="US")]
    way, raw = way_back(spec), raw_frame(*records)
    shown = shown_in(way, {"Phone": "030 901821", "MobilePhone": "030 901820"}, {"Phone": "512 555 0101", "MobilePhone": "512 555 0999"})
    kept, read = way.read_by(raw), ['{"MobilePhone": "+4930901820"}', '{"Phone": "+15125550101"}']
    assert listed(way.forms(shown, kept)["group:phone"]) == listed(way.forms(shown, raw)["group:phone"]) == read
    assert "other" not in kept["content"][0]


def test_several_phones_of_a_record_without_one_do_not_go_in() -> None:
    way = way_back(TYPED)
    raw = raw_frame(contact(kind="office"), contact(kind="cell"))
    found = way.inverse(shown_in(way, *[{"Fax": "512 555 0102", "MobilePhone": "512 555 0103"}] * 2), raw)
    assert told(found, "group:phone") == ["several_phones", None]
    assert patches(found) == [{}, {"phone": "512 555 0103"}]


def test_blank_empties_qbench_where_the_mapping_says_clear() -> None:
    emptied = {"clear": True, **BOTH}
    parts = {"city": {"from": "city_name", "clear": True}, "country": {"from": "country_name", "clear": True}}
    mapping = {
        "description": {"from": "comments", **emptied},
        "website": {"from": "website", **BOTH},
        "phone_number": {"from": "phone", **emptied},
        "address": [{**parts, **BOTH}, {**parts, "state": "s", "address_type": {"constant": "SHIPPING"}, **BOTH}],
    }
    way = way_back(account_spec(mapping))
    assert way.clears == {
        "Description": True,
        "Website": False,
        "group:phone": True,
        "group:billing_address": True,
        "group:shipping_address": False,
    }
    assert {unit for unit, clears in way.clears_crm.items() if clears} == {"Description"}, "a create alone sends the others"


def test_blank_phone_empties_qbench_and_no_field_of_the_crm_where_qbench_says_its_type() -> None:
    way = way_back(contact_spec({"phone": {"from": "phone", "clear": True, **BOTH}, "phone_number_type": "kind"}))
    assert (way.clears, way.clears_crm) == ({"group:phone": True}, {"group:phone": False})


def test_wanted_value_is_whole_where_the_crm_holds_all_of_qbenchs() -> None:
    way = way_back(TYPED, "hubspot")
    wanted = way.wanted(raw_frame(HELD, contact(kind="FAX"), contact(phone="512 555 0101", kind="FAX")))
    assert listed(wanted.whole["group:phone"]) == [True, True, False], "HubSpot has no field for a fax number"


def test_group_is_never_taken_for_a_field_of_its_name() -> None:
    spec = contact_spec(
        {"phone": {"from": "mobile", **BOTH}, "phone_number_type": {"constant": "MOBILE"}, "hubspot.phone": {"from": "office", **BOTH}}
    )
    way = way_back(spec, "hubspot")
    assert {unit: [route.target.crm_field for route in members] for unit, members in way.units.items()} == {
        "group:phone": ["mobilephone"],
        "phone": ["phone"],
    }


def test_phone_is_read_in_the_country_that_comes_back_with_it() -> None:
    way = way_back(contact_spec({"phone": {"from": "phone", **BOTH}, "address": {"city": "city", "country": "country", **BOTH}}))
    content = contact(phone="512 555 0101", city="Austin", country="US")
    shown = {"Phone": "020 7946 0000", "MailingCity": "London", "MailingCountry": "United Kingdom"}
    assert brought(way, content, shown) == {"phone": "020 7946 0000", "city": "London", "country": "GB"}
    forms = way.forms(shown_in(way, shown), raw_frame({**content, "country": "GB"}))
    assert listed(forms["group:phone"]) == ["+442079460000"]


def test_phone_is_read_in_the_country_of_an_address_that_does_not_come_back() -> None:
    way = way_back(contact_spec({"phone": {"from": "phone", **BOTH}, "address": {"city": "city", "country": "country"}}))
    wanted = way.wanted(raw_frame(contact(phone="020 7946 0000", city="London", country="GB")))
    assert listed(wanted.values["Phone"]) == ["+442079460000"]
    assert listed(wanted.forms["group:phone"]) == ["+442079460000"]


# Many records, many fields

WIDE = account_spec(
    {
        "name": {"from": "customer_name", **BOTH},
        "description": {"from": "comments", "on_invalid": "truncate", **BOTH},
        "industry": {"from": "industry", "translate": {"Food": "Food & Beverage"}, **BOTH},
        "number_of_employees": {"from": "employees", **BOTH},
        "phone_number": {"from": "phone", **BOTH},
        "phone_number_type": "kind",
        "address": {**PLACE, **BOTH},
    }
)
WIDE_FIELDS = crm_fields(
    Description={"length": 20}, Industry={}, NumberOfEmployees={"type": "integer"}, Phone={"type": "phone"}, Fax={"type": "phone"}, Name={}
)
VALUES = ["12", "5.0", "Food", "Food & Beverage", "+1 512 555 0101", "US", "TX", "Germany", "", "N/A", "true", " x ", None]
QBENCH_FIELDS = ("customer_name", "comments", "industry", "employees", "phone", "kind", *IN_AUSTIN)


@given(st.lists(FREE_TEXT, min_size=10, max_size=20), st.integers(0, 2**32))
@settings(max_examples=1)
def test_what_goes_in_is_what_the_crm_showed_and_nothing_else_changes(texts: list[str], seed: int) -> None:
    way = way_back(WIDE, fields=WIDE_FIELDS)
    names = [route.target.crm_field for route in way.routes]
    chance, pool = random.Random(seed), [*texts, *VALUES]
    contents = [{name: chance.choice(pool) for name in QBENCH_FIELDS} for _ in range(100)]
    raw = raw_frame(*contents)
    shown = shown_in(way, *({name: chance.choice(pool) for name in names} for _ in contents))
    found = way.inverse(shown, raw)
    after = raw_frame(*({**content, **patch} for content, patch in zip(contents, patches(found), strict=True)))
    becomes, before = way.wanted(after).forms, way.wanted(raw).forms
    is_shown = way.forms(shown, after)
    for unit in way.units:
        fits = found.fits[unit]
        assert listed(becomes[unit][fits]) == listed(is_shown[unit][fits])
        if unit not in ("group:phone", "group:billing_address"):
            assert listed(becomes[unit][~fits]) == listed(before[unit][~fits])


def test_only_what_is_to_be_brought_is_written() -> None:
    way = way_back(WIDE, fields=WIDE_FIELDS)
    contents = [customer(comments="a", industry="Water"), customer(comments="a", industry="Water")]
    shown = shown_in(way, *[{"Name": "Eco Labs", "Description": "b", "Industry": "Soil"}] * 2)
    bring = pd.DataFrame(False, index=[0, 1], columns=list(way.units))
    bring.loc[0, "Description"] = bring.loc[1, "Industry"] = True
    found = way.inverse(shown, raw_frame(*contents), bring=bring)
    assert patches(found) == [{"comments": "b"}, {"industry": "Soil"}]
    assert found.fits.to_numpy().all()


def test_no_records_have_no_values_to_bring() -> None:
    way = way_back(account_spec({"description": {"from": "comments", **BOTH}}))
    found = way.inverse(shown_in(way), raw_frame())
    assert (len(found.values), list(found.reasons.columns)) == (0, list(way.units))


def test_a_units_form_is_the_same_text_for_both_sides_and_has_a_digest() -> None:
    way = way_back(WIDE, fields=WIDE_FIELDS)
    raw = raw_frame(customer(phone="512 555 0101", kind="FAX", **IN_AUSTIN))
    shown = shown_in(way, {**BILLING, "Name": "Eco Labs ", "BillingCountry": "USA", "Fax": "(512) 555 0101"})
    both = [digests(forms).iloc[0].to_dict() for forms in (way.wanted(raw).forms, way.forms(shown, raw))]
    assert both[0] == both[1]
    assert both[0]["group:phone"]
    assert both[0]["group:billing_address"]
