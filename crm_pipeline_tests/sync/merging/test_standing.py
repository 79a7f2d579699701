"""Since when the values stand that were read from QBench (docs/rules.md, 49)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from crm_pipeline.schemas import HELD, RAW
from crm_pipeline.sync.merging.standing import brought, dated, standing_of

MINUTE, HOUR = 60, 3600
NINE = 1_793_523_600
"""Nine o'clock of 1 November 2026, in Unix seconds."""


def clock(hour: int, minute: int, second: int = 0) -> int:
    return NINE + (hour - 9) * HOUR + minute * MINUTE + second


def written(seconds: int) -> str:
    return str(pd.Timestamp(seconds, unit="s", tz="UTC").isoformat())


def stands(
    content: dict[str, Any],
    before: dict[str, Any] | None,
    *,
    version: int,
    read: int = NINE,
    since: int | None = None,
    times: dict[str, Any] | None = None,
    bringing: dict[str, Any] | None = None,
    ahead: int = 0,
) -> dict[str, Any] | None:
    """Since when a record's phone and comments stand. ``before``: as it was staged, at the version ``read``."""
    found = RAW.build({"qbench_id": pd.Series([1]), "version": pd.Series([version]), "content": pd.Series([content], dtype=object)})
    held = HELD.empty()
    if before is not None:
        held = HELD.build(
            {
                "qbench_id": pd.Series([1]),
                "version": pd.Series([read]),
                "content": pd.Series([before], dtype=object),
                "since": pd.Series([times], dtype=object),
                "bringing": pd.Series([bringing], dtype=object),
            }
        )
    kept = {"last_updated", "contacts"}
    [told] = dated(found, held, fields=["phone", "comments"], kept=kept, since=since, ahead=timedelta(seconds=ahead))
    assert told is None or isinstance(told, dict)
    return told


def test_the_only_field_that_changed_has_the_date_of_the_record() -> None:
    old = {"phone": "1", "comments": "a", "last_updated": 1}

    assert stands({**old, "comments": "b", "last_updated": 2}, old, version=clock(10, 5, 7)) == {"comments": (written(clock(10, 5, 7)), 1)}


@pytest.mark.parametrize("other", ["phone", "fax"])
def test_of_several_fields_that_changed_each_is_as_old_as_the_reading_before_also_where_the_others_never_come_back(other: str) -> None:
    old = {"phone": "1", "comments": "a", "fax": "2"}
    found = stands({**old, "comments": "b", other: "3"}, old, version=clock(10, 45), read=clock(9, 30), since=clock(10, 0))

    assert found is not None
    assert found["comments"] == (written(clock(10, 0)), MINUTE)


def test_a_record_that_was_staged_in_this_window_was_read_then() -> None:
    old = {"phone": "1", "comments": "a"}
    found = stands({"phone": "2", "comments": "b"}, old, version=clock(10, 45), read=clock(10, 30, 1), since=clock(10, 0))

    assert found == dict.fromkeys(("phone", "comments"), (written(clock(10, 30, 1)), MINUTE))


def test_what_did_not_change_keeps_its_time() -> None:
    times = {"phone": [written(clock(8, 0)), 1]}
    found = stands({"phone": "1", "comments": "b"}, {"phone": "1", "comments": "a"}, version=clock(10, 5, 1), times=times)

    assert found == {"phone": (written(clock(8, 0)), 1), "comments": (written(clock(10, 5, 1)), 1)}


def test_what_we_brought_stands_since_the_persons_edit_and_hides_no_other_edit() -> None:
    [bringing] = brought([{"phone": "2"}], [{"phone": pd.Timestamp("2026-11-01T08:40:00.250Z")}])
    found = stands({"phone": "2", "comments": "b"}, {"phone": "1", "comments": "a"}, version=clock(10, 5, 1), bringing=bringing)

    assert found == {"phone": standing_of(pd.Timestamp("2026-11-01T08:40:00.250Z")), "comments": (written(clock(10, 5, 1)), 1)}


def test_times_are_by_our_clock_and_a_whole_minute_may_be_one_of_whole_minutes() -> None:
    old = {"phone": "1", "comments": "a"}

    assert stands({**old, "phone": "2"}, old, version=clock(10, 5), ahead=90) == {"phone": (written(clock(10, 3, 30)), MINUTE)}


def test_of_a_record_that_was_never_read_before_only_the_window_says_how_old_it_can_be() -> None:
    new = {"phone": "1", "comments": None}

    assert stands(new, None, version=clock(10, 5), since=clock(10, 0)) == {"phone": (written(clock(10, 0)), MINUTE)}
    assert stands(new, None, version=clock(10, 5)) is None


def test_no_value_is_older_than_the_record() -> None:
    old = {"phone": "1", "comments": "a"}
    found = stands({"phone": "2", "comments": "b"}, old, version=clock(9, 50, 1), read=clock(8, 0), since=clock(10, 0))

    assert found == dict.fromkeys(("phone", "comments"), (written(clock(9, 50, 1)), 1))


def test_the_same_value_in_another_json_type_is_no_edit() -> None:
    times = {"phone": [written(clock(8, 0)), 1]}

    assert stands({"phone": "5"}, {"phone": 5}, version=clock(10, 5), times=times) == times_of(times)


def times_of(times: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(one) for name, one in times.items()}
