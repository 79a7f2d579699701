from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipeline.mapping.numbers import integer_form, number_form
from crm_pipeline_tests.mapping.builders import FREE_TEXT, quickly

GROUPED = {".": ",", ",": ".", " ": ".", "'": "."}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("55", 55),
        ("55.0", 55),
        ("-3", -3),
        ("+5", 5),
        ("1,200", 1200),
        ("1 200 000", 1_200_000),
        ("1\u202f000", 1000),
        ("1’000", 1000),
        ("1.000.000", 1_000_000),
        ("1,234.56", 1234.56),
        ("1.234,56", 1234.56),
        ("1 000,5", 1000.5),
        ("1,000.0", 1000),
        ("0.500", 0.5),
        ("1234.500", 1234.5),
        ("1.2345", 1.2345),
        ("١٢٣", 123),
        ("١٬٢٣٤", 1234),
        ("２５０", 250),
        (str(2**53), 2**53),
    ],
)
def test_a_number_written_in_one_clear_way_is_read(text: str, number: float) -> None:
    assert number_form(text) == number


@pytest.mark.parametrize("text", ["1.000", "10.000", "250.000", "1.200", "-1.000", "1.125"])
def test_a_number_that_may_mean_two_things_is_none(text: str) -> None:
    assert number_form(text) is None


WORDS = ["", "about 50", "12 employees", "50-100", "~50", "50+", "nan", "Infinity"]
OTHER_NOTATIONS = ["1e3", "0x10", "1_000", "10²", "½", "①", "0,123", "1,5", "1,000 000"]


@pytest.mark.parametrize("text", WORDS + OTHER_NOTATIONS)
def test_what_writes_no_single_number_is_none(text: str) -> None:
    assert number_form(text) is None


def test_a_number_that_no_float_holds_is_none_rather_than_its_neighbour() -> None:
    assert [number_form(text) for text in (str(2**53 + 1), "0.1234567890123456789", "1" * 200)] == [None, None, None]


def test_an_integer_has_no_fraction() -> None:
    assert [integer_form(text) for text in ("55.0", "55.5", "1.234,56")] == [55, None, None]


@quickly
@given(st.integers(0, 10**9), st.sampled_from(sorted(GROUPED)), st.integers(0, 99))
def test_thousands_and_decimals_of_any_country_are_never_another_number(whole: int, mark: str, cents: int) -> None:
    written = f"{whole:,}".replace(",", mark)
    assert integer_form(written) in ({None, whole} if mark == "." else {whole})
    exact = float(Decimal(whole) + Decimal(cents) / 100)
    read = number_form(f"{written}{GROUPED[mark]}{cents:02}")
    assert read == exact or (read is None and written.isdigit())


@quickly
@given(FREE_TEXT)
def test_a_number_has_the_digits_of_its_text(text: str) -> None:
    number = number_form(text)
    if number is not None:
        digits = [character for character in str(abs(number)) if character.isdigit()]
        assert len(digits) <= sum(character.isdecimal() for character in text)
