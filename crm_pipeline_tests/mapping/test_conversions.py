from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipeline.mapping.conversions import convert
from crm_pipeline_tests.mapping.builders import JSON_VALUES, listed, quickly

ZONES = st.sampled_from([UTC, ZoneInfo("America/Chicago"), ZoneInfo("Pacific/Auckland")])
OFFSETS = st.none() | st.integers(-14 * 4, 14 * 4).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))
TIMES = st.times().map(lambda at: at.replace(microsecond=0))
MOMENTS = st.builds(datetime.combine, st.dates(date(1000, 1, 1), date(9999, 12, 30)), TIMES, OFFSETS)


def converted(value: Any, type_: str, zone: Any = UTC) -> Any:
    (found,) = listed(convert(pd.Series([value], dtype=object), type_=type_, options=[], restricted=False, zone=zone).values)
    return found


@quickly
@given(MOMENTS, ZONES)
def test_a_date_is_the_day_that_its_text_shows_in_whatever_zone(moment: datetime, zone: Any) -> None:
    day = moment.date().isoformat()
    assert converted(moment.isoformat(), "date", zone) == day
    assert converted(day, "date", zone) == day
    assert converted(moment.strftime("%m/%d/%Y %I:%M %p"), "date", zone) == day


@quickly
@given(MOMENTS, ZONES)
def test_a_moment_is_the_one_that_its_text_means_or_none(moment: datetime, zone: Any) -> None:
    found = converted(moment.isoformat(), "datetime", zone)
    meant = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    assert found is None or datetime.fromisoformat(found) == meant.astimezone(UTC)


@pytest.mark.parametrize(
    ("seconds", "moment"), [(1_793_514_600, "2026-11-01T06:30:00Z"), (1_793_518_200, "2026-11-01T07:30:00Z")], ids=["first", "second"]
)
def test_a_unix_time_is_told_in_the_hour_that_comes_twice_too(seconds: int, moment: str) -> None:
    chicago = ZoneInfo("America/Chicago")
    assert converted(seconds, "datetime", chicago) == converted(seconds * 1000, "datetime", chicago) == moment
    assert converted(seconds, "date", chicago) == "2026-11-01"
    assert converted("2026-11-01 01:30", "datetime", chicago) is None


@quickly
@given(JSON_VALUES, st.sampled_from(["integer", "number", "date", "datetime", "boolean"]))
def test_whatever_json_holds_is_converted_or_invalid(value: Any, type_: str) -> None:
    converted(value, type_)


@pytest.mark.parametrize(
    "given",
    [
        *(1_760_000_123, 1_760_000_123.9, "1760000123999", "2025-10-09T08:55:23z", "2025-10-09 10:55:23 +0200"),
        *("10/09/2025 08:55:23 AM", "10/9/2025, 8:55:23 am", "10/09/2025 8:55:23AM", "2025-10-09t08:55:23.750"),
    ],
)
def test_every_form_of_date_that_tenants_were_seen_to_give_is_read_where_it_is_mapped(given: object) -> None:
    assert converted(given, "datetime") == "2025-10-09T08:55:23Z"
    assert converted(given, "date") == "2025-10-09"


def test_midnight_is_in_the_tenants_zone_where_a_field_takes_a_time() -> None:
    assert converted("2026-11-01", "datetime", ZoneInfo("America/Chicago")) == "2026-11-01T05:00:00Z"
    assert converted(datetime.combine(date(2026, 11, 1), time(), UTC).isoformat(), "datetime") == "2026-11-01T00:00:00Z"
