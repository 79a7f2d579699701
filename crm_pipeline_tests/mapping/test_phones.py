from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipeline.mapping.phones import phone_form
from crm_pipeline_tests.mapping.builders import FREE_TEXT, quickly


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("(512) 555-0101", "US", "+15125550101"),
        ("1 (512) 555-0101", "US", "+15125550101"),
        ("512/555-0101", "US", "+15125550101"),
        ("Tel.: 512.555.0101", "US", "+15125550101"),
        ("512.555.0101 ext 12", "US", "+15125550101 x12"),
        ("512-555-0101x12", "US", "+15125550101 x12"),
        ("+1-512-555-0101;ext=012", None, "+15125550101 x012"),
        ("+15125550101 x12", None, "+15125550101 x12"),
        ("+44 20 7946 0958", None, "+442079460958"),
        ("+44 (0)20 7946 0958", "US", "+442079460958"),
        ("030 901820", "DE", "+4930901820"),
        ("030/901820-21", "DE", "+493090182021"),
        ("+49 (0) 30/901820", "US", "+4930901820"),
        ("8 (495) 123-45-67 доб. 12", "RU", "+74951234567 x12"),
        ("٥١٢٥٥٥٠١٠١", "US", "+15125550101"),
        ("512–555–0101", "US", "+15125550101"),
    ],
)
def test_a_phone_takes_e164_with_its_extension(text: str, region: str | None, number: str) -> None:
    assert phone_form(text, region) == number


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("555-0101 Bob", "US"),
        ("512-5550 lab", "US"),
        ("512 555 0101 office", "US"),
        ("512 555 0101 after 5pm", "US"),
        ("512 555 0101 x12 or x13", "US"),
        ("ask for Jane 512 555 0101", "US"),
        ("030 901820 Labor", "DE"),
        ("030 901820 App. 12", "DE"),
        ("01 58801 DW 12", "AT"),
        ("1-800-FLOWERS", "US"),
        ("512 555 0101²", "US"),
    ],
)
def test_words_beside_a_phone_are_no_digits(text: str, region: str) -> None:
    assert phone_form(text, region) is None


@pytest.mark.parametrize(
    "text",
    [
        "030 901820 / 901821",
        "030 901820/21",
        "089 12345/12346",
        "030 901820; 030 901821",
        "030 901820\n030 901821",
        "030 901820, 21",
        "030 901820 (2)",
        "Raum 5, 030 901820",
    ],
)
def test_several_phones_are_not_one(text: str) -> None:
    assert phone_form(text, "DE") is None


@pytest.mark.parametrize(
    ("text", "region"), [("512 555 0101", None), ("555 0101", "US"), ("ask Bob", "US"), ("512 555 0101", "ZZ"), ("", "US")]
)
def test_what_cannot_be_dialled_is_no_phone(text: str, region: str | None) -> None:
    assert phone_form(text, region) is None


NUMBERS = st.sampled_from(["512 555 0101", "030 901820", "01 23 45 67 89", "555-0101"])
WORDS = st.text(st.characters(categories=["L"]), min_size=2, max_size=10)


@quickly
@given(NUMBERS, WORDS | FREE_TEXT, st.sampled_from(["US", "DE", "FR"]))
def test_a_phone_never_holds_digits_that_its_text_does_not(number: str, beside: str, region: str) -> None:
    for text in (f"{number} {beside}", f"{beside} {number}", number + beside):
        formed = phone_form(text, region)
        dialled = "".join(character for character in (formed or "").partition(" x")[0] if character.isdigit())
        given_digits = "".join(character for character in text if character.isdecimal())
        assert formed is None or len(dialled) <= len(given_digits) + 2, (text, formed)
