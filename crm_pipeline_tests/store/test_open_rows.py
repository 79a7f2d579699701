"""Which staged rows are open in a CRM, and which of these are due."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from sqlalchemy import text

from crm_pipeline.model import RecordType
from crm_pipeline.schemas import OUTCOMES, normalized_schema
from crm_pipeline.store.crm_state import Attempt, Backoff, CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.normalized_records import normalized_by_id, stage_normalized
from crm_pipeline.store.open_rows import due_ids, only_wait, open_rows, waiting_hours
from crm_pipeline.store.staging import EVERYTHING, Window

STATE = CrmState("acme", "salesforce", RecordType.ACCOUNT)
HOUR = 3_600
BACKOFF = Backoff(first_seconds=600, factor=2, longest_seconds=6_000, attempts=10, own_first_seconds={}, never_given_up=[])


def stage(store: Store, versions: dict[int, int], *, name: str = "Acme", mapping: str = "now") -> None:
    """Stage these ids with these versions."""
    rows = pd.DataFrame(versions.items(), columns=["qbench_id", "version"]).assign(name=name)
    with store.transaction() as connection:
        frame = normalized_schema(RecordType.ACCOUNT).build(rows)
        stage_normalized(connection, "acme", RecordType.ACCOUNT, frame=frame, mapping_digest=mapping)


def read(store: Store, *ids: int) -> pd.DataFrame:
    """The staged rows, as a load reads them."""
    with store.transaction() as connection:
        return normalized_by_id(connection, "acme", RecordType.ACCOUNT, ids=list(ids))


def decide(store: Store, rows: pd.DataFrame, outcome: str = "created", *, state: CrmState = STATE) -> None:
    """Store the outcome of rows that were read; a failed one is to be tried again."""
    told = rows.assign(outcome=outcome, retryable=outcome == "failed")
    told["error_type"] = "RecordLockedException" if outcome == "failed" else None
    with store.transaction() as connection:
        frame = OUTCOMES.build(told[[name for name in OUTCOMES.names if name in told]])
        state.save_outcomes(connection, outcomes=frame, attempt=Attempt("run", None, BACKOFF))


def let_time_pass(store: Store, *ids: int) -> None:
    """As if the next attempt of these had been due for a minute."""
    with store.transaction() as connection:
        statement = text("UPDATE crm_pipeline.outcome SET next_attempt_at = now() - interval '1 minute' WHERE qbench_id = ANY(:ids)")
        connection.execute(statement, {"ids": list(ids)})


def counted(store: Store, **how: int) -> list[tuple[int, ...]]:
    with store.transaction() as connection:
        return list(open_rows(connection, STATE, **how).itertuples(index=False, name=None))  # type: ignore[arg-type]


def due(store: Store, window: Window = EVERYTHING) -> list[int]:
    with store.transaction() as connection:
        return due_ids(connection, STATE, window=window)


def test_row_is_open_until_an_outcome_speaks_of_its_version(store: Store) -> None:
    stage(store, {1: 10, 2: 9, 3: HOUR - 5})
    decide(store, read(store, 1, 2))
    stage(store, {2: 10})
    assert counted(store, overlap_seconds=60) == [(0, 0, 1, 0, 0), (0, HOUR, 1, 0, 0)]
    assert due(store) == [2, 3]


@pytest.mark.parametrize("change", [{"name": "Acme Labs"}, {"mapping": "another"}], ids=["content", "mapping"])
def test_row_that_is_normalized_to_another_state_is_open_until_that_is_planned(store: Store, change: dict[str, str]) -> None:
    stage(store, {1: 10})
    before = read(store, 1)
    decide(store, before)
    stage(store, {1: 10}, **change)
    assert counted(store) == [(0, 0, 0, 1, 0)]
    assert due(store) == [1]
    decide(store, read(store, 1), "unchanged")
    assert counted(store) == []


def test_what_a_load_had_read_before_the_row_was_normalized_again_leaves_it_open(store: Store) -> None:
    stage(store, {1: 10})
    before = read(store, 1)
    stage(store, {1: 10}, name="Acme Labs")
    decide(store, before)
    assert due(store) == [1]


def test_row_that_is_normalized_again_to_the_same_is_not_open(store: Store) -> None:
    stage(store, {1: 10})
    decide(store, read(store, 1))
    stage(store, {1: 10})
    assert counted(store) == []


def test_rows_and_outcomes_from_before_their_states_were_kept_are_not_open(store: Store) -> None:
    stage(store, {1: 10})
    decide(store, read(store, 1))
    with store.transaction() as connection:
        for table in ("normalized_record", "outcome"):
            connection.execute(text(f"UPDATE crm_pipeline.{table} SET state_digest = NULL"))
    assert counted(store) == []


def test_row_to_be_tried_again_is_open_and_due_once_its_time_has_come(store: Store) -> None:
    stage(store, {1: 10, 2: 20})
    decide(store, read(store, 1, 2), "failed")
    assert counted(store) == [(0, 0, 0, 0, 2)]
    assert due(store) == []
    let_time_pass(store, 2)
    assert due(store) == [2]


def test_open_rows_are_those_of_the_window_in_one_crm(store: Store) -> None:
    stage(store, {1: 10, 2: HOUR, 3: 2 * HOUR})
    decide(store, read(store, 1, 2, 3), state=replace(STATE, crm="hubspot"))
    decide(store, read(store, 1))
    assert due(store, Window(since=None, until=2 * HOUR)) == [2]
    assert [hour for hour, *_ in counted(store)] == [HOUR, 2 * HOUR]


def test_window_only_waits_while_all_its_open_rows_do(store: Store) -> None:
    windows = [Window(since=None, until=HOUR), Window(since=HOUR, until=2 * HOUR), Window(since=2 * HOUR, until=3 * HOUR)]
    stage(store, {1: 10, 2: 20, 3: HOUR, 4: HOUR + 1, 5: 2 * HOUR})
    decide(store, read(store, 1, 2, 3, 5), "failed")
    let_time_pass(store, 5)
    with store.transaction() as connection:
        assert only_wait(connection, "acme", "salesforce", record_types=list(RecordType), windows=windows) == [True, False, False]
        assert only_wait(connection, "acme", "salesforce", record_types=list(RecordType), windows=[]) == []


def test_hours_with_waiting_rows_say_whether_one_is_due_and_which_attempt_it_is(store: Store) -> None:
    stage(store, {1: 10, 2: HOUR, 3: 3 * HOUR})
    decide(store, read(store, 1, 2), "failed")
    let_time_pass(store, 2)
    with store.transaction() as connection:
        found = waiting_hours(connection, "acme")
    assert found[["crm", "hour", "due"]].to_numpy().tolist() == [["salesforce", 0, False], ["salesforce", HOUR, True]]
    decide(store, read(store, 1), "failed")
    with store.transaction() as connection:
        again = waiting_hours(connection, "acme")
    assert found["attempt"].eq(again["attempt"]).tolist() == [False, True]


def test_rows_of_record_types_that_do_not_sync_any_more_make_no_hour_due(store: Store) -> None:
    stage(store, {1: 10})
    decide(store, read(store, 1), "failed")
    with store.transaction() as connection:
        assert len(waiting_hours(connection, "acme", record_types=[RecordType.ACCOUNT])) == 1
        assert waiting_hours(connection, "acme", record_types=[RecordType.CONTACT]).empty


def test_attempt_of_a_row_counts_though_another_row_of_its_hour_waits_for_longer(store: Store) -> None:
    stage(store, {1: 10, 2: 20})
    decide(store, read(store, 2), "failed")
    decide(store, read(store, 2), "failed")
    marks = set()
    for _ in range(2):
        decide(store, read(store, 1), "failed")
        with store.transaction() as connection:
            marks.update(waiting_hours(connection, "acme")["attempt"])
    assert len(marks) == 2


def test_hours_that_a_row_is_due_for_are_counted(store: Store) -> None:
    stage(store, {1: 10})
    decide(store, read(store, 1), "failed")
    counts = []
    for minutes in (-5, 5, 65):
        with store.transaction() as connection:
            at = text("UPDATE crm_pipeline.outcome SET next_attempt_at = now() - make_interval(mins => :minutes)")
            connection.execute(at, {"minutes": minutes})
            counts += waiting_hours(connection, "acme")["hours_due"].tolist()
    assert counts == [0, 0, 1]


def tallies(store: Store) -> tuple[object, object]:
    """What is tallied, and what is to be, of all that stands now."""
    states = " UNION ALL ".join(
        f"SELECT integration, {crm} AS crm, record_type, qbench_id >> 12 AS block, "
        f"hashint8extended(qbench_id, hashint8extended(version, coalesce(state_digest, 0))) AS digest FROM crm_pipeline.{table}"
        for table, crm in (("normalized_record", "''"), ("outcome", "crm"))
    )
    counted = f"SELECT integration, crm, record_type, block, bit_xor(digest) FROM ({states}) AS one GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
    with store.transaction() as connection:
        kept = connection.execute(text("SELECT * FROM crm_pipeline.tally WHERE digest <> 0 ORDER BY 1, 2, 3, 4")).all()
        return kept, connection.execute(text(counted)).all()


def test_tallies_follow_whatever_writes_or_removes_states(store: Store) -> None:
    stage(store, {1: 10, 2: 20, 5_000: 30})
    decide(store, read(store, 1, 2))
    decide(store, read(store, 5_000), state=replace(STATE, crm="hubspot"))
    stage(store, {1: 10, 2: 21}, name="Acme Labs")
    decide(store, read(store, 2), "failed")
    with store.transaction() as connection:
        connection.execute(text("DELETE FROM crm_pipeline.outcome WHERE qbench_id = 5000"))
    kept, counted = tallies(store)
    assert kept == counted


def test_rows_of_many_blocks_are_found_beside_those_that_are_done(store: Store) -> None:
    far = 3 * 4_096
    stage(store, {1: 10, 4_095: 10, 4_096: 10, far: 10})
    decide(store, read(store, 1, 4_095, 4_096))
    assert due(store) == [far]
    assert counted(store) == [(0, 0, 1, 0, 0)]
