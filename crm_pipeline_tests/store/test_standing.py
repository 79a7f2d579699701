"""The counts of all records: they follow every write of an outcome, and know how it was a day ago."""

from __future__ import annotations

from typing import get_args

import pandas as pd
from sqlalchemy import text

from crm_pipeline.errors import record_errors
from crm_pipeline.model import Outcome, RecordType
from crm_pipeline.schemas import CHANGE_OUTCOMES
from crm_pipeline.store.change_outcomes import save_change_outcomes
from crm_pipeline.store.crm_state import Attempt, CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.standing import Condition, Direction, Standing, Total, by_condition, by_error, fold, settled_errors, standings
from crm_pipeline_tests.conftest import own_database
from crm_pipeline_tests.store.test_ledger import BACKOFF, STATE, decide
from crm_pipeline_tests.store.test_upgrading import DECIDED, of_version

BEFORE_STANDING = "0024"
COUNTED = """
SELECT crm, record_type, outcome, error_type, retryable, count(*) FROM crm_pipeline.outcome WHERE integration = 'acme'
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4
"""


def told(store: Store, integration: str = "acme") -> list[Standing]:
    with store.transaction() as connection:
        return standings(connection, integration)


def execute(store: Store, statement: str) -> None:
    with store.transaction() as connection:
        connection.execute(text(statement))


def every_kind() -> list[Standing]:
    """Every error of accounts, contacts and leads in three CRMs and on the way home, of a million records each."""
    return [
        Standing(direction, crm, record_type, error.outcome, name, retryable=error.retryable, records=1_000_000, day_before=900_000)
        for direction in get_args(Direction)
        for crm in ("salesforce", "hubspot", "sugarcrm")
        for record_type in RecordType
        for name, error in record_errors().items()
    ]


def yesterday(store: Store) -> None:
    """Let all that was counted have been counted 30 hours ago."""
    # By way of another century: an hour must not come upon one that is still to be moved.
    for change in ("- interval '100 years'", "+ interval '100 years' - interval '30 hours'"):
        execute(store, f"UPDATE crm_pipeline.standing SET hour = hour {change}")


def test_the_counts_are_those_of_the_rows_whatever_wrote_or_removed_them(store: Store) -> None:
    decide(store, (1, 10, "created", None, False), (2, 10, "skipped", "InvalidEmailException", False), (3, 10, "created", None, False))
    decide(store, (4, 10, "failed", "RecordLockedException", True), state=CrmState("acme", "hubspot", RecordType.CONTACT))
    decide(store, (5, 10, "created", None, False), state=CrmState("beta", "salesforce", RecordType.ACCOUNT))
    decide(store, (1, 9, "failed", "RecordLockedException", True), (2, 11, "updated", None, False), (3, 11, "unchanged", None, False))
    execute(store, "DELETE FROM crm_pipeline.outcome WHERE qbench_id = 3")
    with store.transaction() as connection:
        rows = [tuple(row) for row in connection.execute(text(COUNTED))]
    found = {(each.crm, each.record_type, each.outcome, each.error_type, each.retryable, each.records) for each in told(store)}
    assert found == set(rows)
    assert [each.records for each in told(store, "beta")] == [1]


def test_what_ceased_within_a_day_is_told_beside_what_came(store: Store) -> None:
    decide(store, *((number, 10, "skipped", "InvalidEmailException", False) for number in (1, 2, 3)), (4, 10, "created", None, False))
    yesterday(store)
    decide(store, (1, 11, "updated", None, False), (2, 11, "updated", None, False), (5, 11, "failed", "RecordLockedException", True))
    assert by_condition(told(store)) == {
        Condition.SYNCED: Total(3, 1),
        Condition.WAITING: Total(1, 0),
        Condition.FAILED: Total(1, 3),
        Condition.LEFT_OUT: Total(),
    }
    assert {name: total.change for name, total in by_error(told(store)).items()} == {
        "InvalidEmailException": -2,
        "RecordLockedException": 1,
    }
    assert settled_errors(told(store)) == {"InvalidEmailException": 1}


def test_an_error_that_nobody_has_any_more_is_told_until_it_is_a_day_ago(store: Store) -> None:
    decide(store, (1, 10, "skipped", "InvalidEmailException", False))
    yesterday(store)
    decide(store, (1, 11, "updated", None, False))
    assert by_error(told(store)) == {"InvalidEmailException": Total(0, 1)}
    assert settled_errors(told(store)) == {}
    yesterday(store)
    assert by_error(told(store)) == {}


def test_what_is_long_ago_is_folded_into_one_sum_and_changes_no_total(store: Store) -> None:
    for version in range(1, 4):
        decide(store, (1, version, "skipped", "InvalidEmailException", False), (version + 1, version, "created", None, False))
        execute(store, "UPDATE crm_pipeline.standing SET hour = hour - interval '40 days' WHERE hour > to_timestamp(0)")
        decide(store, (1, version, "updated", None, False))
        before = told(store)
        for _ in range(2):
            with store.transaction() as connection:
                fold(connection)
        assert told(store) == before
    with store.transaction() as connection:
        hours = connection.execute(text("SELECT DISTINCT extract(epoch FROM hour) FROM crm_pipeline.standing ORDER BY 1")).scalars().all()
    assert (hours[0], len(hours)) == (0, 2), "long ago, and this hour"


def test_changes_on_their_way_home_are_counted_apart(store: Store) -> None:
    outcomes = CHANGE_OUTCOMES.build(
        {
            "crm_id": pd.Series(["001A", "001B"]),
            "outcome": pd.Series(["skipped", "updated"]),
            "error_type": pd.Series(["InvalidEmailException", None], dtype="str"),
            "retryable": pd.Series([False, False]),
        }
    )
    decide(store, (1, 10, "created", None, False))
    with store.transaction() as connection:
        save_change_outcomes(connection, STATE, outcomes=outcomes, attempt=Attempt("run", None, BACKOFF))
        back = standings(connection, "acme", direction="from_crm", crm="salesforce", record_type=RecordType.ACCOUNT)
    assert [(each.outcome, each.records) for each in back] == [("updated", 1), ("skipped", 1)]
    assert [each.direction for each in told(store)] == ["to_crm", "from_crm", "from_crm"]


CONDITIONS = [
    ("unchanged", None, False, Condition.SYNCED),
    ("deferred", "CustomerNotYetSyncedException", False, Condition.WAITING),
    ("failed", "RecordLockedException", True, Condition.WAITING),
    ("failed", "RecordLockedException", False, Condition.FAILED),
    ("skipped", "NoEmailForContactException", False, Condition.FAILED),
    ("skipped", "FilteredOutException", False, Condition.LEFT_OUT),
    ("skipped", "NotInListException", True, Condition.LEFT_OUT),
]


def test_a_record_stands_in_one_of_four_conditions() -> None:
    for outcome, error_type, retryable, condition in CONDITIONS:
        assert error_type is None or error_type in record_errors()
        standing = Standing("to_crm", "hubspot", RecordType.ACCOUNT, Outcome(outcome), error_type, retryable, records=1, day_before=0)
        assert standing.condition is condition, standing


def test_records_of_a_database_of_an_earlier_version_are_counted(postgres: str) -> None:
    with own_database(postgres) as url:
        with of_version(url, BEFORE_STANDING) as connection:
            for number in range(3):
                connection.execute(text(DECIDED), {"id": number, "crm": "salesforce"})
        store = Store(url)
        store.open()
        assert [each.records for each in told(store)] == [3]
        execute(store, "DELETE FROM crm_pipeline.outcome WHERE qbench_id = 1")
        assert [each.records for each in told(store)] == [2]
        store.close()
