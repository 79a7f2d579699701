from __future__ import annotations

import unicodedata
from typing import Any, get_args

import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crm_pipeline.mapping.values import first_of_several, host_form, normal_form, texts, valid_emails
from crm_pipeline.model import FieldKind
from crm_pipeline_tests.mapping.builders import FREE_TEXT, JSON_VALUES, listed, quickly


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (" Eco  Labs\n", "Eco  Labs"),
        (55, "55"),
        (55.0, "55"),
        (0.5, "0.5"),
        (1e-7, "0.0000001"),
        (True, "true"),
        (["food", None, 3.0], "food; 3"),
        ("a\x00b", "ab"),
        ("a\ud800b", "ab"),
        (" \u2003\x00 ", None),
        ("", None),
        ([], None),
        (None, None),
        (float("nan"), None),
        ({"id": 1}, None),
        ([["nested"]], None),
        (float("inf"), None),
    ],
)
def test_any_json_value_has_its_text(value: Any, text: str | None) -> None:
    assert listed(texts([value]).values) == [text]


def test_value_without_text_form_is_told_from_a_blank() -> None:
    assert texts([{"id": 1}, None, "", [], [{}]]).unreadable.tolist() == [True, False, False, False, True]


def test_number_beyond_measure_is_unreadable() -> None:
    assert texts([10**5000]).unreadable.tolist() == [True]


def test_ten_megabytes_of_text_are_text() -> None:
    assert texts(["x" * 10_000_000]).values.str.len().tolist() == [10_000_000]


@quickly
@given(JSON_VALUES)
def test_text_of_any_value_is_stable_storable_and_trimmed(value: Any) -> None:
    first = texts([value]).values
    assert listed(texts(first).values) == listed(first)
    for text in first.dropna():
        text.encode("utf-8")
        assert text
        assert "\x00" not in text


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("https://www.EcoLabs.example/about?x=1", "ecolabs.example"),
        ("ecolabs.example:8080", "ecolabs.example"),
        ("http://user:pw@www.ecolabs.example", "ecolabs.example"),
        ("//ecolabs.example", "ecolabs.example"),
        ("www.com", "www.com"),
        ("https://", ""),
        ("http://[", "["),
    ],
)
def test_host_of_a_web_address(text: str, host: str) -> None:
    assert host_form(text) == host


@pytest.mark.parametrize(
    ("email", "valid"),
    [
        ("ana@ecolabs.example", True),
        ("ana.o'neil+lab@eco-labs.example.com", True),
        ("jörg@müller.de", True),
        ("a@b.example; c@d.example", False),
        ("a@b.example c@d.example", False),
        ("ana@ecolabs", False),
        ("ana@@ecolabs.example", False),
        (".ana@ecolabs.example", False),
        ("Ana <ana@ecolabs.example>", False),
        ("a" * 65 + "@ecolabs.example", False),
        ("ana@" + "x" * 64 + ".example", False),
        ("ana@-x.example", False),
        ("ana", False),
    ],
)
def test_email_is_one_address_by_its_syntax(email: str, valid: object) -> None:
    assert valid_emails(pd.Series([email], dtype="str")).tolist() == [valid]


def is_valid(email: str) -> bool:
    """What the library says."""
    from email_validator import EmailNotValidError, validate_email

    try:
        validate_email(email, check_deliverability=False, strict=True)
    except EmailNotValidError:
        return False
    return len(email) <= 254


@quickly
@given(st.emails() | st.builds("{}@{}".format, FREE_TEXT, st.sampled_from(["ecolabs.example", "x", "-a.example"])))
def test_quick_email_check_agrees_with_the_library(address: str) -> None:
    email = address.encode("utf-8", "ignore").decode().lower()
    # What only looks like a plain letter the library lets pass.
    assume(not any(unicodedata.normalize("NFKC", letter).isascii() for letter in email if not letter.isascii()))
    assert valid_emails(pd.Series([email], dtype="str")).tolist() == [is_valid(email)]


LABELS = ["a", "0", "-a", "a-", "a--b", "ab--c", "xn--a", "xn--bcher-kva", "x" * 63, "x" * 64, "a_b", ""]


def test_quick_domain_check_agrees_with_the_library() -> None:
    domains = [f"{label}.{ending}" for label in LABELS for ending in ("com", "org", "de", "test", "c0", "c", "a.net", "-.gov")]
    emails = [f"a@{domain}" for domain in domains]
    assert valid_emails(pd.Series(emails, dtype="str")).tolist() == [is_valid(email) for email in emails]


@quickly
@given(FREE_TEXT)
def test_normal_forms_are_stable_whatever_the_text(text: str) -> None:
    values = texts([text]).values
    regions = pd.Series(["US"], dtype="str")
    for kind in get_args(FieldKind):
        once, missed = normal_form(values, kind, regions=regions)
        twice, missed_again = normal_form(texts(once).values, kind, regions=regions)
        assert listed(twice) == listed(once), kind
        assert kind in ("integer", "country") or missed.tolist() == missed_again.tolist(), kind


@quickly
@given(FREE_TEXT)
def test_host_of_a_host_is_itself(text: str) -> None:
    assert host_form(host_form(text)) == host_form(text)


@pytest.mark.parametrize(
    ("value", "kind", "first"),
    [
        ("a@b.example, c@d.example", "email", "a@b.example"),
        ("; a@b.example", "email", "a@b.example"),
        ([None, "a@b.example", "c@d.example"], "email", "a@b.example"),
        ("512 555 0101 or 512 555 0102", "phone", "512 555 0101"),
        ("Acme, Inc.; Other", "text", "Acme, Inc."),
        (5, "text", 5),
        ([], "text", None),
    ],
)
def test_first_of_several_values(value: Any, kind: FieldKind, first: Any) -> None:
    assert first_of_several([value], kind) == [first]
