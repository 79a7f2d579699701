"""Which versions an hour means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from crm_pipeline.errors import ConfigurationError
from crm_pipeline.store.staging import Window
from crm_pipeline.sync.hours import partition_of, window_between, window_of

START = datetime(2026, 11, 1, tzinfo=UTC)
AT_START = int(START.timestamp())
HOUR = 3_600


def test_first_hour_reaches_back_to_the_beginning_of_time() -> None:
    assert window_of("2026-11-01-00:00", START, overlap_seconds=60) == Window(since=None, until=AT_START + HOUR)


def test_every_later_hour_begins_the_overlap_early() -> None:
    assert window_of("2026-11-01-01:00", START, overlap_seconds=60) == Window(since=AT_START + HOUR - 60, until=AT_START + 2 * HOUR)


def test_range_of_hours_is_one_window() -> None:
    found = window_between(START, START + timedelta(hours=3), START, overlap_seconds=60)
    assert found == Window(since=None, until=AT_START + 3 * HOUR)


@pytest.mark.parametrize("key", ["2026-11-01", "2026-11-01-00:30", "tomorrow", "2026-13-01-00:00"])
def test_key_that_is_no_hour_is_refused_with_an_example(key: str) -> None:
    with pytest.raises(ConfigurationError, match=f"there is no partition {key}; give an hour as 2026-11-01-00:00"):
        window_of(key, START, overlap_seconds=60)


def test_hour_before_the_start_is_refused_with_the_first() -> None:
    with pytest.raises(ConfigurationError, match="lies before the integration's start; the first is 2026-11-01-00:00"):
        window_of("2026-10-31-23:00", START, overlap_seconds=60)


def test_versions_before_the_start_belong_to_the_first_hour() -> None:
    assert [partition_of(AT_START + hours * HOUR, START) for hours in (-5, 0, 2)] == [
        "2026-11-01-00:00",
        "2026-11-01-00:00",
        "2026-11-01-02:00",
    ]
