"""What became of changes of a CRM's records on their way into QBench."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from crm_pipeline.schemas import CHANGE_OUTCOMES
from crm_pipeline.store.change_outcomes import (
    change_outcomes,
    due_crm_ids,
    open_change_hours,
    open_changes,
    save_change_outcomes,
)
from crm_pipeline.store.crm_records import pend
from crm_pipeline.store.crm_state import Attempt, Backoff
from crm_pipeline.store.database import Store
from crm_pipeline.store.staging import Window
from crm_pipeline_tests.store.test_crm_records import reading, stage
from crm_pipeline_tests.store.test_crm_state import ACCOUNTS, BACKOFF, BETA, link, query

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
AT_ONCE = replace(BACKOFF, first_seconds=0, longest_seconds=0)


def outcome(crm_id: str, word: str, stamp: datetime = NOON, **more: Any) -> pd.DataFrame:
    row = {"crm_id": crm_id, "qbench_id": 7, "stamp": stamp, "outcome": word, "retryable": False, **more}
    frame = pd.DataFrame([row])
    return CHANGE_OUTCOMES.build(frame.assign(stamp=pd.to_datetime(frame["stamp"], utc=True).dt.as_unit("us")))


def report(store: Store, outcomes: pd.DataFrame, *, backoff: Backoff = BACKOFF) -> list[str]:
    with store.transaction() as connection:
        return save_change_outcomes(connection, ACCOUNTS, outcomes=outcomes, attempt=Attempt("run", "2026-11-01-12:00", backoff))


def latest(store: Store, crm_id: str = "001A") -> Any:
    with store.transaction() as connection:
        [row] = change_outcomes(connection, ACCOUNTS, crm_ids=[crm_id]).itertuples()
    return row


def history(store: Store) -> list[str]:
    return [word for (word,) in query(store, "SELECT outcome FROM crm_pipeline.change_history ORDER BY id")]


def test_the_latest_stands_and_the_history_has_all_but_what_changed_nothing(store: Store) -> None:
    for word in ("updated", "unchanged", "skipped"):
        report(store, outcome("001A", word))
    assert latest(store).outcome == "skipped"
    assert history(store) == ["updated", "skipped"]


def test_what_says_the_same_again_is_no_history(store: Store) -> None:
    refused: dict[str, Any] = {"error_type": "NotTakenException", "reason": "Website", "waits_on": "record"}
    report(store, outcome("001A", "failed", **refused))
    report(store, outcome("001A", "failed", **refused))
    report(store, outcome("001A", "failed", NOON + timedelta(hours=1), **refused))
    assert history(store) == ["failed", "failed"]


def test_what_failed_for_a_passing_cause_is_due_after_a_while(store: Store) -> None:
    passing: dict[str, Any] = {"error_type": "RecordLockedException", "retryable": True}
    report(store, outcome("001A", "failed", **passing))
    report(store, outcome("001B", "failed", **passing), backoff=AT_ONCE)
    with store.transaction() as connection:
        assert due_crm_ids(connection, ACCOUNTS) == ["001B"]
        assert due_crm_ids(connection, BETA) == []
    report(store, outcome("001B", "updated"))
    with store.transaction() as connection:
        assert due_crm_ids(connection, ACCOUNTS) == []


def test_it_is_given_up_at_the_last_try_and_not_once_the_record_changed(store: Store) -> None:
    passing: dict[str, Any] = {"error_type": "RecordLockedException", "retryable": True}
    tries = [report(store, outcome("001A", "failed", **passing), backoff=AT_ONCE) for _ in range(BACKOFF.attempts)]
    assert tries == [[], [], ["001A"]]
    row = latest(store)
    assert (row.retryable, row.waits_on, row.reason) == (False, "record", "given up after 3 attempts")
    assert report(store, outcome("001A", "failed", NOON + timedelta(hours=1), **passing), backoff=AT_ONCE) == []
    assert latest(store).retryable


def test_a_service_that_is_down_uses_up_no_try_for_good(store: Store) -> None:
    down: dict[str, Any] = {"error_type": "ServiceFailedException", "retryable": True}
    assert [report(store, outcome("001A", "failed", **down), backoff=AT_ONCE) for _ in range(5)] == [[]] * 5


def test_errors_that_pass_are_counted_apart_with_the_next_try(store: Store) -> None:
    report(store, outcome("001A", "failed", error_type="B", retryable=True))
    report(store, outcome("001B", "failed", error_type="A"))
    with store.transaction() as connection:
        found = open_changes(connection, ACCOUNTS)
    assert (dict(found.errors), found.most_attempts, found.next_attempt_at is not None) == ({"B": 1}, 1, True)


def test_hours_are_open_in_which_a_linked_record_is_not_settled_as_it_stands(store: Store) -> None:
    """By the hour that they were read in: settled, of an older stamp, to be tried again, wanted again, never looked at, and no link."""
    stamps = {f"001{letter}": NOON + timedelta(hours=number, minutes=59) for number, letter in enumerate("ABCDEF")}
    stage(store, *(reading(crm_id, stamp) for crm_id, stamp in stamps.items()))
    with store.transaction() as connection:
        for number, crm_id in enumerate(["001A", "001B", "001C", "001D", "001E"]):
            ACCOUNTS.save_links(connection, org_id="org", links=link(number, crm_id))
    report(store, outcome("001A", "updated", stamps["001A"]))
    report(store, outcome("001B", "updated", NOON))
    report(store, outcome("001C", "failed", stamps["001C"], error_type="B", retryable=True))
    report(store, outcome("001D", "updated", stamps["001D"]))
    with store.transaction() as connection:
        pend(connection, ACCOUNTS, crm_ids=["001D"])
        noon = int(NOON.timestamp())
        assert open_change_hours(connection, ACCOUNTS, window=Window(None, 2**32)) == [noon + 3_600 * hour for hour in (1, 2, 3, 4)]
        assert open_change_hours(connection, ACCOUNTS, window=Window(noon + 7_200, noon + 10_800)) == [noon + 7_200]
