from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_pipeline.crms.hubspot.echoes import kept


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("5", "5.0"),
        ("Ana@Labs.example", "ana@labs.example"),
        (" Eco  Labs", "Eco Labs"),
        ("two\nlines", "two\r\nlines"),
        ("Cafe\u0301", "Caf\u00e9"),
        ("2026-11-01", "1793491200000"),
        ("2026-11-01T14:00:00Z", "2026-11-01T14:00:00.000Z"),
        ("2026-11-01T14:00:00Z", "1793541600000"),
        ("food;water", "water;food"),
        ("+15125550101", "+1 512-555-0101"),
        ("+15125550101 x12", "+1 (512) 555-0101 x12"),
        ("https://labs.example/", "labs.example"),
        ("true", "True"),
        ("", None),
    ],
)
def test_values_that_mean_the_same_were_not_kept(sent: str, shown: object) -> None:
    assert kept({"field": sent}, {"field": shown}) == []


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("lead", "customer"),
        ("Eco Labs", "Eco Lab"),
        ("5", "6"),
        ("5", None),
        ("", "old"),
        ("1.5", "15"),
        ("2026-11-01", "2026-11-02"),
        ("+15125550101", "+15125550102"),
        ("a;b", "a"),
        ("A long text", "A long"),
    ],
)
def test_another_value_than_was_sent_was_kept(sent: str, shown: object) -> None:
    assert kept({"other": "x", "field": sent}, {"other": "x", "field": shown}) == ["field"]


def test_what_an_answer_does_not_show_is_not_judged() -> None:
    assert kept({"name": "Eco Labs", "city": "Austin"}, {"name": "Eco Labs", "hs_object_id": "1"}) == []


@settings(max_examples=20)
@given(st.text(max_size=30))
def test_a_value_that_comes_back_as_it_was_is_never_kept(text: str) -> None:
    assert kept({"field": text}, {"field": text}) == []
    assert kept({"field": text}, {"field": text.strip()}) == []
