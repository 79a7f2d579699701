"""Every form of date that tenants were seen to give."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_pipeline.qbench.dates import Moment, parse_date, zone_of

MOMENT = 1_760_000_123  # 2025-10-09 08:55:23 UTC


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (MOMENT, Moment(MOMENT)),
        (float(MOMENT) + 0.9, Moment(MOMENT)),
        (str(MOMENT), Moment(MOMENT)),
        (f" {MOMENT} ", Moment(MOMENT)),
        (MOMENT * 1000 + 999, Moment(MOMENT)),
        (f"{MOMENT}999", Moment(MOMENT)),
        ("2025-10-09T08:55:23Z", Moment(MOMENT)),
        ("2025-10-09T08:55:23.750Z", Moment(MOMENT)),
        ("2025-10-09 08:55:23 +00:00", Moment(MOMENT)),
        ("2025-10-09T10:55:23+02:00", Moment(MOMENT)),
        ("2025-10-09T03:55:23-0500", Moment(MOMENT)),
        ("2025-10-09T08:55:23", Moment(MOMENT, zoned=False)),
        ("2025-10-09T08:55", Moment(MOMENT - 23, 60, zoned=False)),
        ("2025-10-09", Moment(1_759_968_000, 86_400, zoned=False)),
        ("10/09/2025 08:55 AM", Moment(MOMENT - 23, 60, zoned=False)),
        ("10/9/2025 8:55 am", Moment(MOMENT - 23, 60, zoned=False)),
        ("10/09/2025 08:55:23 AM", Moment(MOMENT, zoned=False)),
        ("10/09/2025 12:05 AM", Moment(1_759_968_300, 60, zoned=False)),
        ("10/09/2025 12:05 PM", Moment(1_760_011_500, 60, zoned=False)),
        ("0001-01-01T00:00:00", Moment(0)),
        (-5, Moment(0)),
    ],
)
def test_form_is_read(value: Any, expected: Moment) -> None:
    assert parse_date(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "soon",
        True,
        [MOMENT],
        {"at": MOMENT},
        float("nan"),
        10**400,
        float("inf"),
        10**30,
        "9" * 40,
        "2025-13-41T08:55:23Z",
        "2025-10-09T08:55:23+99:00",
        "13/40/2025 08:55 AM",
        "10/09/2025 13:55 PM",
        "09.10.2025",
        "١٧٦٠٠٠٠١٢٣",
    ],
)
def test_what_nobody_can_read_is_none(value: Any) -> None:
    assert parse_date(value) is None


@pytest.mark.parametrize("value", ["2025-10-09T03:55:23", "10/09/2025 03:55:23 AM"])
def test_date_without_zone_is_in_the_tenants_zone(value: str) -> None:
    assert parse_date(value, zone=zone_of("America/Chicago")) == Moment(MOMENT, zoned=False)


def test_time_that_comes_twice_when_clocks_are_set_back_may_be_either() -> None:
    first = 1_762_063_200
    assert parse_date("2025-11-02T01:00:00", zone=zone_of("America/Chicago")) == Moment(first, 1 + 3_600, zoned=False)
    assert parse_date("2025-11-02T02:00:00", zone=zone_of("America/Chicago")) == Moment(first + 2 * 3_600, zoned=False)


def test_zone_of_a_date_wins_over_the_tenants() -> None:
    assert parse_date("2025-10-09T08:55:23Z", zone=zone_of("America/Chicago")) == Moment(MOMENT)


@settings(max_examples=50)
@given(st.integers(0, 253_402_300_799))
def test_every_second_reads_back_from_iso(seconds: int) -> None:
    shown = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    assert parse_date(shown.isoformat()) == Moment(seconds)


@settings(max_examples=200)
@given(st.text("0123456789-/:.+ TZAPMapm\0\ud800é١", max_size=30) | st.integers() | st.floats() | st.none() | st.lists(st.integers()))
def test_nothing_makes_it_fail(value: Any) -> None:
    parse_date(value)
