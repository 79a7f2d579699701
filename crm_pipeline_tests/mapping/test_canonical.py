"""Values in the form in which two systems are compared: the vendors' spellings do not count, what people correct does."""

from __future__ import annotations

import unicodedata
from typing import Any, get_args

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipeline.mapping.canonical import CanonicalKind, canonical, canonical_kinds
from crm_pipeline.mapping.digests import NO_DIGEST, digests
from crm_pipeline.mapping.targets import targets
from crm_pipeline.model import RecordType
from crm_pipeline_tests.mapping.builders import FREE_TEXT, JSON_VALUES, account_spec, contact_spec, crm_fields, in_frames, listed

KINDS: tuple[CanonicalKind, ...] = get_args(CanonicalKind)
WRITTEN = (
    FREE_TEXT
    | JSON_VALUES
    | st.sampled_from(
        ["+1 (512) 555-0101 ext. 3", "0049 30 123456", "USA", "Österreich", "2026-11-01T06:00:00.000+0000", "11/01/2026 5:00 PM"]
    )
    | st.sampled_from(["Ana@X.EXAMPLE ", "a;c;b", " ; ", "1.50", "1e3", "-0.0", "Yes", "\r\n", "e\u0301\r"])
)


def one(value: Any, kind: CanonicalKind, region: str = "US") -> str | None:
    found: str | None = listed(canonical(pd.Series([value], dtype=object), kind, regions=pd.Series([region], dtype="str")))[0]
    return found


@given(st.lists(WRITTEN, min_size=30, max_size=60), st.sampled_from(KINDS))
@in_frames
def test_canonical_form_of_a_canonical_form_is_itself(values: list[Any], kind: CanonicalKind) -> None:
    regions = pd.Series(["US"] * len(values), dtype="str")
    once = canonical(pd.Series(values, dtype=object), kind, regions=regions)
    assert once.dtype == "str"
    assert listed(canonical(once, kind, regions=regions)) == listed(once)


@given(
    st.lists(FREE_TEXT, min_size=30, max_size=60), st.sampled_from(["", " ", "\n", "\t ", "\u00a0"]), st.sampled_from(["\n", "\r\n", "\r"])
)
@in_frames
def test_blanks_around_line_ends_and_unicode_forms_do_not_count(values: list[str], around: str, line_end: str) -> None:
    one_way = [unicodedata.normalize("NFC", text.replace("\r", "")) for text in values]
    other = [around + unicodedata.normalize("NFD", text).replace("\n", line_end) + around for text in one_way]
    forms = (listed(canonical(pd.Series(texts, dtype=object), "text")) for texts in (one_way, other))
    assert next(forms) == next(forms)


@pytest.mark.parametrize(
    ("kind", "values", "form"),
    [
        ("text", ["a\r\nb", " a\nb ", "a\rb"], "a\nb"),
        ("text", ["Zoe\u0308 Lab", "Zoë Lab"], "Zoë Lab"),
        ("email", ["Ana@Ecolabs.Example", " ana@ecolabs.example"], "ana@ecolabs.example"),
        ("phone", ["(512) 555-0101", "+1 512 555 0101", "15125550101"], "+15125550101"),
        ("phone", ["(512) 555-0101 ext. 12", "+15125550101 x12"], "+15125550101 x12"),
        ("number", [5, 5.0, "5", "5.00", "+5"], "5"),
        ("number", [1.125, "1.125", "1.1250", "1125e-3"], "1.125"),
        ("number", [0, "0.00", "-0"], "0"),
        ("country", ["US", "USA", "United States", "united states"], "US"),
        ("boolean", [True, "true", "Yes", 1], "true"),
        ("boolean", [False, "False", "no", 0], "false"),
        ("date", ["2026-11-01", "2026-11-01T00:00:00Z", "11/01/2026"], "2026-11-01"),
        ("datetime", ["2026-11-01T06:00:00Z", "2026-11-01T06:00:00.000+0000", "2026-11-01T01:00:00-05:00"], "2026-11-01T06:00:00Z"),
        ("options", ["Water;Food", "Food;Water", "Food; Water;Food"], "Food;Water"),
    ],
)
def test_what_vendors_write_in_several_ways_has_one_form(kind: CanonicalKind, values: list[Any], form: str) -> None:
    assert {one(value, kind) for value in values} == {form}


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("text", "eco labs", "Eco Labs"),
        ("text", "McDonald", "Mcdonald"),
        ("text", "Eco  Labs", "Eco Labs"),
        ("text", "Muller", "Müller"),
        ("phone", "+15125550101", "+15125550102"),
        ("phone", "+15125550101", "+15125550101 x1"),
        ("number", "5", "5.01"),
        ("options", "Food", "food"),
    ],
)
def test_what_people_correct_is_another_form(kind: CanonicalKind, before: str, after: str) -> None:
    assert one(before, kind) != one(after, kind)


@pytest.mark.parametrize(
    ("kind", "value"),
    [("phone", "ask Bob"), ("number", "about 5"), ("country", "Nowhere"), ("boolean", "maybe"), ("date", "soon"), ("datetime", "noon")],
)
def test_what_its_kind_cannot_read_stays_as_written(kind: CanonicalKind, value: str) -> None:
    assert one(f" {value}\r\n", kind) == value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("blank", [None, "", " \r\n", "\u200b", float("nan"), pd.NA])
def test_blank_has_no_form_and_no_digest(kind: CanonicalKind, blank: Any) -> None:
    formed = canonical(pd.Series([blank], dtype=object), kind)
    assert listed(formed) == [None]
    assert listed(digests(formed.to_frame("f"))["f"]) == [NO_DIGEST]


def test_phone_is_read_in_its_own_records_region() -> None:
    assert one("020 7946 0000", "phone", region="GB") == "+442079460000"
    assert one("020 7946 0000", "phone", region="US") == "020 7946 0000"


def test_kind_is_that_of_the_normalized_field_then_of_the_crms_type() -> None:
    contact = targets(contact_spec({"last_name": "last_name", "address": {"country": "c"}}), crm="hubspot", crm_fields=None)
    of_contact = canonical_kinds(contact, crm_fields(email={"type": "text"}), record_type=RecordType.CONTACT)
    assert of_contact == {"email": "email", "lastname": "text", "country": "country"}
    direct = {f"salesforce.{name}": "f" for name in ("Fax", "Since__c", "Tests__c", "Kinds__c", "Unknown__c")}
    fields = crm_fields(
        Fax={"type": "phone"},
        Since__c={"type": "date"},
        Tests__c={"type": "number"},
        Kinds__c={"type": "multi_choice"},
        Name={"type": "url"},
    )
    of_account = canonical_kinds(targets(account_spec(direct), crm="salesforce", crm_fields=fields), fields, record_type=RecordType.ACCOUNT)
    expected = {"Fax": "phone", "Since__c": "date", "Tests__c": "number", "Kinds__c": "options", "Unknown__c": "text", "Name": "text"}
    assert of_account == expected
