"""Two runs that store the same records at once, each in an order of its own, wait for one another and do not stop each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pandas as pd
import pytest
from sqlalchemy import Connection, text

from crm_pipeline.model import RecordType
from crm_pipeline.schemas import CHANGED, EXAMINED, RAW, normalized_schema
from crm_pipeline.store.crm_records import looked_at, pend, stage_changed, stage_seen
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.normalized_records import stage_normalized
from crm_pipeline.store.raw_records import save_bringing, stage_raw
from crm_pipeline.store.returns import made_without
from crm_pipeline_tests.awaiting import await_that

STATE = CrmState("acme", "salesforce", RecordType.ACCOUNT)
NOW = datetime(2026, 11, 1, tzinfo=UTC)
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
Stage = Callable[[Connection, Sequence[int], int], object]


def raw(connection: Connection, ids: Sequence[int], time: int) -> None:
    frame = RAW.build(pd.DataFrame({"qbench_id": ids, "version": time, "content": [{"name": time}] * len(ids)}))
    stage_raw(connection, "acme", RecordType.ACCOUNT, frame=frame)


def normalized(connection: Connection, ids: Sequence[int], time: int) -> None:
    frame = normalized_schema(RecordType.ACCOUNT).build(pd.DataFrame({"qbench_id": ids, "version": time}))
    stage_normalized(connection, "acme", RecordType.ACCOUNT, frame=frame, mapping_digest="d")


def changed(connection: Connection, ids: Sequence[int], time: int) -> None:
    frame = CHANGED.build({"crm_id": pd.Series(map(str, ids), dtype="str"), "stamp": pd.Series([NOW] * len(ids))}).assign(Name=str(time))
    stage_changed(connection, STATE, frame=frame, read_at=NOW, object_name=None)


def seen(connection: Connection, ids: Sequence[int], time: int) -> None:
    frame = EXAMINED.build({"crm_id": pd.Series(map(str, ids), dtype="str")}).assign(Name=str(time))
    stage_seen(connection, STATE, frame=frame, read_at=NOW, object_name=None)


def pending(connection: Connection, ids: Sequence[int], time: int) -> None:
    pend(connection, STATE, crm_ids=[str(number) for number in ids])


def bringing(connection: Connection, ids: Sequence[int], time: int) -> None:
    save_bringing(connection, "acme", RecordType.ACCOUNT, ids=pd.Series(ids), bringing=pd.Series([{"name": time}] * len(ids)))


def without_a_customer(connection: Connection, ids: Sequence[int], time: int) -> None:
    made_without(connection, "acme", RecordType.ACCOUNT, customer=time, ids=list(ids))


def pending_no_more(connection: Connection, ids: Sequence[int], time: int) -> None:
    looked_at(connection, STATE, crm_ids=[str(number) for number in ids])


@pytest.mark.parametrize(
    ("stage", "table", "key"),
    [
        (raw, "raw_record", "qbench_id"),
        (normalized, "normalized_record", "qbench_id"),
        (changed, "crm_record", "crm_id"),
        (seen, "crm_record", "crm_id"),
        (pending, "crm_record", "crm_id"),
    ],
    ids=["raw records", "normalized records", "readings of changes", "readings by ids", "records to look at"],
)
def test_same_records_are_stored_in_two_orders_at_once(store: Store, stage: Stage, table: str, key: str) -> None:
    def stage_all(ids: Sequence[int], time: int) -> None:
        with store.transaction() as connection:
            stage(connection, ids, time)

    stage_all([1, 2], 1)
    with ThreadPoolExecutor(2) as threads:
        with store.transaction() as connection:
            connection.execute(text(f"SELECT FROM crm_pipeline.{table} WHERE CAST({key} AS text) = '1' FOR UPDATE"))
            both = []
            for ids in ([1, 2], [2, 1]):
                both.append(threads.submit(stage_all, ids, 2))
                await_that(lambda: connection.execute(text(WAITING)).scalar_one() == len(both), "it waits for the first record")
        for one in both:
            one.result()


@pytest.mark.parametrize(
    ("stage", "change", "table", "key"),
    [
        (raw, bringing, "raw_record", "qbench_id"),
        (normalized, without_a_customer, "normalized_record", "qbench_id"),
        (pending, pending_no_more, "crm_record", "crm_id"),
    ],
    ids=["what is about to be written", "a customer that is back", "records that were looked at"],
)
def test_records_are_changed_while_they_are_staged(store: Store, stage: Stage, change: Stage, table: str, key: str) -> None:
    def carry_out(change: Stage) -> None:
        with store.transaction() as connection:
            change(connection, [2, 1], 2)

    # PostgreSQL finds the second record first.
    for number in (2, 1):
        with store.transaction() as connection:
            stage(connection, [number], 1)
    with ThreadPoolExecutor(2) as threads:
        with store.transaction() as connection:
            connection.execute(text(f"SELECT FROM crm_pipeline.{table} WHERE CAST({key} AS text) = '1' FOR UPDATE"))
            both = []
            for each in (stage, change):
                both.append(threads.submit(carry_out, each))
                await_that(lambda: connection.execute(text(WAITING)).scalar_one() == len(both), "it waits for the first record")
        for one in both:
            one.result()


def test_new_and_changed_records_are_normalized_at_once(store: Store) -> None:
    """Each changes a record of one block of the tally and adds one to the other."""

    def stage_both(ids: Sequence[int]) -> None:
        with store.transaction() as connection:
            normalized(connection, ids, 2)

    with store.transaction() as connection:
        normalized(connection, [1, 5_001], 1)
    with ThreadPoolExecutor(2) as threads:
        with store.transaction() as connection:
            connection.execute(text("SELECT FROM crm_pipeline.tally WHERE block = 1 FOR UPDATE"))
            both = []
            for ids in ([2, 5_001], [1, 5_002]):
                both.append(threads.submit(stage_both, ids))
                await_that(lambda: connection.execute(text(WAITING)).scalar_one() == len(both), "it waits")
        for one in both:
            one.result()
