"""Which notes of calls are forgotten, and when."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Connection

from crm_pipeline.model import RecordType
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.open_calls import (
    NO_CONTENT,
    begin_calls,
    end_calls,
    forget_accounts,
    forget_calls,
    open_accounts,
    open_calls,
    untold_accounts,
)

STATE = CrmState("acme", "hubspot", RecordType.CONTACT)
UNDER_WAY = """
INSERT INTO crm_pipeline.open_call (integration, crm, record_type, qbench_ids, contents, parents, over_at)
SELECT 'acme', 'hubspot', 'contact', '{1}', '{7}', ARRAY[repeat('0', 1500)], now() FROM generate_series(1, 1000)
"""


@pytest.fixture
def noted(store: Store) -> Iterator[Connection]:
    """Contacts 1 and 2, of each of which a call is over, and the account is still to be sent."""
    with store.transaction() as connection:
        begin_calls(connection, STATE, calls=[0, 0], ids=[1, 2], contents=[7, 7], parents=[None, None], lasts=timedelta(0))
        open_accounts(connection, STATE, ids=[1, 2])
        yield connection


def left(connection: Connection) -> list[tuple[int, int]]:
    """QBench id and content of what is noted."""
    calls = open_calls(connection, STATE, ids=[1, 2])
    return sorted(zip(calls["qbench_id"].tolist(), calls["content"].tolist(), strict=True))


def fails(store: Store, *, content: int, parent: str | None = None, lasts: timedelta = timedelta(0)) -> None:
    """A call of contacts 1 and 2 that leaves 1 in doubt, and lasts so long yet."""
    with store.transaction() as connection:
        calls = begin_calls(
            connection, STATE, calls=[0, 0], ids=[1, 2], contents=[content, content], parents=[parent, parent], lasts=timedelta(0)
        )
        end_calls(connection, STATE, calls=calls, doubtful=[1], over_after=lasts)


def test_call_that_fails_each_hour_is_noted_once(store: Store) -> None:
    for _ in range(3):
        fails(store, content=7)
    with store.transaction() as connection:
        assert left(connection) == [(1, 7)]


def test_of_what_calls_may_have_made_two_contents_are_kept_with_each_account(store: Store) -> None:
    for content in (7, 8, 9, 8):
        for parent in ("5", "6"):
            fails(store, content=content, parent=parent)
    with store.transaction() as connection:
        assert left(connection) == [(1, 8), (1, 8), (1, 9), (1, 9)]


def test_call_that_may_still_be_carried_out_stays_beside_those_that_failed_later(store: Store) -> None:
    fails(store, content=7, lasts=timedelta(hours=1))
    for content in (8, 9):
        fails(store, content=content)
    with store.transaction() as connection:
        assert left(connection) == [(1, 7), (1, 8), (1, 9)]


def test_account_that_is_still_to_be_sent_stays_noted_while_calls_fail(noted: Connection) -> None:
    for _ in range(2):
        calls = begin_calls(noted, STATE, calls=[0], ids=[1], contents=[7], parents=[None], lasts=timedelta(0))
        end_calls(noted, STATE, calls=calls, doubtful=[1], over_after=timedelta(0))
    assert left(noted) == [(1, NO_CONTENT), (1, 7), (2, NO_CONTENT), (2, 7)]


def test_reading_a_record_says_nothing_of_its_account_that_is_still_to_be_sent(noted: Connection) -> None:
    forget_calls(noted, STATE, ids=[1], with_accounts=False)
    assert left(noted) == [(1, NO_CONTENT), (2, NO_CONTENT), (2, 7)]


def test_writing_a_record_with_its_account_leaves_nothing_open(noted: Connection) -> None:
    forget_calls(noted, STATE, ids=[1], with_accounts=True)
    assert left(noted) == [(2, NO_CONTENT), (2, 7)]


def test_account_that_is_not_to_come_is_forgotten_beside_what_calls_made_of_the_record(noted: Connection) -> None:
    forget_accounts(noted, STATE, ids=[1])
    assert (left(noted), untold_accounts(noted, STATE)) == ([(1, 7), (2, NO_CONTENT), (2, 7)], [2])


def test_postgresql_gives_the_room_of_calls_back_once_the_last_few_are_over(store: Store) -> None:
    with store.statements() as connection:
        connection.execute(UNDER_WAY)
        for over in ("id <= (SELECT max(id) - 4 FROM crm_pipeline.open_call)", "true"):
            connection.execute(f"DELETE FROM crm_pipeline.open_call WHERE {over}")
            connection.execute("VACUUM crm_pipeline.open_call")
        assert connection.execute("SELECT pg_relation_size('crm_pipeline.open_call')").fetchall() == [(0,)]
