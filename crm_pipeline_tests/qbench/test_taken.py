"""Which values count as taken by QBench, and which as lost on the way."""

from __future__ import annotations

import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_pipeline.qbench.taken import not_taken

CHICAGO = ZoneInfo("America/Chicago")


def is_taken(sent: Any, shown: Any) -> bool:
    return not_taken({"field": sent}, {"field": shown}, zone=CHICAGO) == []


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("Eco Labs", "  Eco Labs\n"),
        ("a\r\nb", "a\nb"),
        ("Caf\u00e9", "Cafe\u0301"),
        ("", None),
        (None, ""),
        (None, []),
        (55, "55"),
        ("55", 55.0),
        ("5.50", 5.5),
        (True, "TRUE"),
        ("+1 (512) 555-0101", "+15125550101"),
        ("Ana@Eco.example", "ana@eco.example"),
        ("2026-11-01T10:00:30+00:00", 1793527230),
        ("2026-11-01T10:00:30+00:00", "11/01/2026 04:00 AM"),
        ("2026-11-01", "2026-11-01T00:00:00-05:00"),
    ],
)
def test_value_that_is_only_written_otherwise_is_taken(sent: Any, shown: Any) -> None:
    assert is_taken(sent, shown)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("Eco Labs", None),
        ("Eco Labs", "Eco"),
        ("Eco Labs", "ECO LABS"),
        (None, "Eco"),
        ("02134", 2134),
        (55, 5),
        (True, False),
        ("+15125550101", "+15125550102"),
        ("2026-11-01T10:00:30+00:00", 1793527231),
        ("2026-11-01T10:00:30+00:00", "11/01/2026 10:00 AM"),
        ("2026-11-01", None),
    ],
)
def test_value_that_another_stands_for_is_not_taken(sent: Any, shown: Any) -> None:
    assert not is_taken(sent, shown)


def test_field_that_the_record_lacks_is_not_taken() -> None:
    assert not_taken({"websit": "https://eco.example", "phone": "1"}, {"phone": "1", "website": None}, zone=CHICAGO) == ["websit"]


def test_blank_that_the_record_lacks_is_taken() -> None:
    assert not_taken({"websit": None}, {}, zone=CHICAGO) == []


@settings(max_examples=60, deadline=None)
@given(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30))
def test_whatever_comes_back_as_it_was_sent_is_taken(value: Any) -> None:
    assert is_taken(value, json.loads(json.dumps(value)))
