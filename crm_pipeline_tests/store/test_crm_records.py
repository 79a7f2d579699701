"""The staged readings of records that changed in a CRM."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from crm_pipeline.schemas import CHANGED
from crm_pipeline.store.crm_records import changed_stream, looked_at, pend, pending_crm_ids, stage_changed, staged_readings
from crm_pipeline.store.database import Store
from crm_pipeline_tests.store.test_crm_state import ACCOUNTS, BETA

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def reading(crm_id: str | None, stamp: datetime | None, **more: Any) -> dict[str, Any]:
    return {"crm_id": crm_id, "stamp": stamp, "Website": "acme.test", **more}


def stage(store: Store, *rows: dict[str, Any], read_at: datetime = NOON) -> int:
    frame = pd.DataFrame(list(rows), dtype=object)
    fields = {name: frame[name] for name in frame.columns if name not in CHANGED.names}
    known = {name: frame[name] for name in frame.columns if name in CHANGED.names}
    known["stamp"] = pd.to_datetime(known["stamp"], utc=True).dt.as_unit("us")
    built = CHANGED.build({**known, **fields})
    with store.transaction() as connection:
        return stage_changed(connection, ACCOUNTS, frame=built, read_at=read_at, object_name=None)


def held(store: Store, crm_id: str = "001A") -> Any:
    with store.transaction() as connection:
        [row] = staged_readings(connection, ACCOUNTS, crm_ids=[crm_id]).itertuples()
    return row


def in_window(store: Store, since: datetime | None, until: datetime, *, rows: int = 5_000) -> list[list[str]]:
    return [frame["crm_id"].tolist() for frame in changed_stream(store, ACCOUNTS, since=since, until=until, frame_rows=rows)]


def test_the_fields_are_kept_as_the_crm_gave_them(store: Store) -> None:
    assert stage(store, reading("001A", NOON, Employees=5, Active=False, Website=None, parent_crm_id="001P", edited_by="005X")) == 1
    row = held(store)
    assert row.fields == {"Website": None, "Employees": 5, "Active": False}
    assert (row.stamp, row.read_at, row.parent_crm_id, row.edited_by) == (NOON, NOON, "001P", "005X")


def test_the_later_reading_counts_whatever_comes_last(store: Store) -> None:
    stage(store, reading("001A", NOON, Website="new"), read_at=NOON + MINUTE)
    assert stage(store, reading("001A", NOON, Website="old"), read_at=NOON) == 0
    assert held(store).fields == {"Website": "new"}


def test_a_later_reading_counts_though_its_stamp_is_older(store: Store) -> None:
    """As of a transaction that ended late, behind our own write."""
    stage(store, reading("001A", NOON, Website="ours"))
    assert stage(store, reading("001A", NOON - MINUTE, Website="late"), read_at=NOON + MINUTE) == 1
    assert (held(store).fields, held(store).stamp) == ({"Website": "late"}, NOON - MINUTE)


def test_a_reading_by_id_tells_values_and_no_stamp(store: Store) -> None:
    stage(store, reading("001A", NOON, edited_by="005X"))
    assert stage(store, reading("001A", None, Website="newer"), read_at=NOON + MINUTE) == 1
    row = held(store)
    assert (row.fields, row.stamp, row.edited_by) == ({"Website": "newer"}, NOON, "005X")


def test_of_a_record_that_is_not_shown_what_is_known_stays(store: Store) -> None:
    stage(store, reading("001A", NOON, parent_crm_id="001P"))
    stage(store, {"crm_id": "001A", "stamp": None, "error_type": "CrmFailsOnRecordException"}, read_at=NOON + MINUTE)
    row = held(store)
    assert (row.fields, row.parent_crm_id, row.error_type) == ({"Website": "acme.test"}, "001P", "CrmFailsOnRecordException")


def test_records_that_are_not_told_by_id_are_left_out(store: Store) -> None:
    assert stage(store, reading(None, None), reading("001A", NOON)) == 1


def test_a_window_has_the_records_whose_stamps_lie_in_it_each_once(store: Store) -> None:
    stamps = {f"001{number:02}": NOON + (number % 3) * HOUR for number in range(12)}
    stage(store, *(reading(crm_id, stamp) for crm_id, stamp in stamps.items()))
    for since, until in ((None, NOON + HOUR), (NOON + HOUR, NOON + 2 * HOUR), (None, NOON + 3 * HOUR)):
        expected = {crm_id for crm_id, stamp in stamps.items() if (since is None or stamp >= since) and stamp < until}
        for rows in (1, 3, 4, 100):
            frames = in_window(store, since, until, rows=rows)
            assert sorted(crm_id for frame in frames for crm_id in frame) == sorted(expected)
            assert all(frames)


def test_a_pending_record_is_so_until_it_was_looked_at(store: Store) -> None:
    stage(store, reading("001A", NOON))
    with store.transaction() as connection:
        pend(connection, ACCOUNTS, crm_ids=["001A", "001Z"], objects=[None, "Lead"])
        assert pending_crm_ids(connection, ACCOUNTS) == ["001A", "001Z"]
        assert pending_crm_ids(connection, BETA) == []
        looked_at(connection, ACCOUNTS, crm_ids=["001A"])
        assert pending_crm_ids(connection, ACCOUNTS) == ["001Z"]
    assert held(store).fields == {"Website": "acme.test"}
    unread = held(store, "001Z")
    assert (unread.object, unread.fields, pd.isna(unread.read_at)) == ("Lead", {}, True)


def test_a_record_that_was_never_read_takes_any_reading(store: Store) -> None:
    with store.transaction() as connection:
        pend(connection, ACCOUNTS, crm_ids=["001A"])
    assert stage(store, reading("001A", None)) == 1
    assert in_window(store, None, NOON + HOUR) == []
    assert stage(store, reading("001A", NOON)) == 1
    assert in_window(store, None, NOON + HOUR) == [["001A"]]
