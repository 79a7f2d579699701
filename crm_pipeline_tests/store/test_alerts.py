"""Incidents and who was told of them, as the state database keeps them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from crm_pipeline.alerts.incidents import Failure, FailureKind, Incident, RecordCounts, Subject
from crm_pipeline.store import alerts
from crm_pipeline.store.database import Store
from crm_pipeline_tests.store.test_change_outcomes import outcome, report

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
BROKEN = Incident("run acme/x", "a run failed at acme/x", "r1")


class CrashError(Exception):
    """The process dies."""


def save(store: Store, *incidents: Incident, channels: tuple[str, ...] = ("slack",)) -> None:
    with store.transaction() as connection:
        alerts.save_incidents(connection, "acme", incidents, channels=channels, now=NOW)


def tell(store: Store, channel: str = "slack", *, crashes: bool = False) -> list[tuple[str, bool]]:
    """Tell the channel what it was not told: each incident, and whether it ended."""
    with store.transaction() as connection:
        notices = alerts.untold(connection, "acme", channel)
        alerts.save_told(connection, "acme", channel, notices=notices, now=NOW)
        if crashes:
            raise CrashError
        return [(notice.incident, notice.cleared_at is not None) for notice in notices]


def impatient(store: Store) -> None:
    """Ask for the position, and give up where another holds it."""
    with store.transaction() as connection:
        connection.execute(text("SET LOCAL lock_timeout = '20ms'"))
        alerts.locked_position(connection, "acme")


def test_each_channel_is_told_of_each_incident_once(store: Store) -> None:
    save(store, BROKEN, channels=("slack", "email"))
    assert [tell(store, channel) for channel in ("slack", "slack", "email")] == [[(BROKEN.key, False)], [], [(BROKEN.key, False)]]


def test_crash_between_telling_and_storing_tells_again(store: Store) -> None:
    save(store, BROKEN)
    with pytest.raises(CrashError):
        tell(store, crashes=True)
    assert tell(store) == [(BROKEN.key, False)]


def test_what_one_sensor_is_telling_another_does_not_tell(store: Store) -> None:
    save(store, BROKEN)
    with store.transaction() as first:
        assert len(alerts.untold(first, "acme", "slack")) == 1
        assert tell(store) == []


def test_second_search_of_dagster_s_records_waits_for_the_first(store: Store) -> None:
    with store.transaction() as first:
        assert alerts.locked_position(first, "acme") == {}
        alerts.save_position(first, "acme", {"runs": 7})
        with pytest.raises(OperationalError, match="lock timeout"):
            impatient(store)
    with store.transaction() as second:
        assert alerts.locked_position(second, "acme") == {"runs": 7}


def test_incident_that_ended_and_came_back_before_anyone_was_told_goes_on(store: Store) -> None:
    save(store, BROKEN)
    tell(store)
    save(store)
    save(store, BROKEN)
    assert tell(store) == []


def test_channel_that_is_no_more_is_forgotten(store: Store) -> None:
    save(store, BROKEN, channels=("slack", "email"))
    save(store, BROKEN, channels=("slack",))
    assert tell(store, "email") == []


def test_failure_met_twice_counts_once_and_the_latest_is_named(store: Store) -> None:
    subject = Subject(FailureKind.RUN, "acme/x")
    failures = [Failure(subject, "r2", NOW), Failure(subject, "r1", NOW - timedelta(hours=1))]
    with store.transaction() as connection:
        alerts.add_failures(connection, "acme", [*failures, *failures])
        [stored] = alerts.stored_failures(connection, "acme")
        assert (stored.subject, stored.count, stored.latest) == (subject, 2, "r2")
        alerts.forget_failures(connection, "acme", subject)
        assert alerts.stored_failures(connection, "acme") == []


def test_changes_that_come_back_are_counted_as_a_way_of_their_own(store: Store) -> None:
    report(store, outcome("001A", "failed", error_type="A", retryable=True))
    report(store, outcome("001B", "updated"))
    with store.transaction() as connection:
        assert alerts.record_counts(connection, "acme") == {"qbench from salesforce": RecordCounts(failed=1, total=2)}
        assert alerts.stuck_records(connection, "acme", tries=1) == {"qbench from salesforce": 1}
        assert alerts.stuck_records(connection, "acme", tries=2) == {}
