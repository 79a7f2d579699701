"""From when on something is an incident, and what it is called."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crm_pipeline.alerts.incidents import Facts, FailureKind, Failures, RecordCounts, Subject, open_incidents
from crm_pipeline.alerts.settings import AlertSettings

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def incidents(facts: Facts, **thresholds: Any) -> dict[str, str]:
    """Key and summary of each incident of the integration ``acme``."""
    settings = AlertSettings.model_validate({"slack": {"env": "SLACK"}, **thresholds})
    return {incident.key: incident.summary for incident in open_incidents("acme", facts, settings=settings)}


def failing(kind: FailureKind, name: str, *, times: int) -> Facts:
    return Facts(now=NOW, failures=[Failures(Subject(kind, name), times, "r1")])


def records(failed: int, total: int) -> Facts:
    return Facts(now=NOW, records={"hubspot": RecordCounts(failed, total)})


def test_one_failed_run_is_an_incident_of_its_asset() -> None:
    facts = failing(FailureKind.RUN, "acme/hubspot/companies", times=1)
    assert incidents(facts) == {"run acme/hubspot/companies": "a run failed at acme/hubspot/companies"}


def test_run_that_failed_outside_its_steps_is_an_incident_of_the_integration() -> None:
    assert "its worker died" in incidents(failing(FailureKind.RUN, "acme", times=1))["run acme"]


def test_failed_tick_is_an_incident_of_its_schedule_or_sensor() -> None:
    assert incidents(failing(FailureKind.TICK, "acme__schedule", times=2)) == {
        "tick acme__schedule": "a tick of acme__schedule failed (2 times)"
    }


@pytest.mark.parametrize("kind", list(FailureKind))
def test_fewer_consecutive_failures_than_configured_are_no_incident(kind: FailureKind) -> None:
    counted = [len(incidents(failing(kind, "acme/x", times=times), consecutive_failures=3)) for times in (2, 3)]
    assert counted == [0, 1]


def test_so_many_failed_records_in_one_crm_are_an_incident() -> None:
    assert incidents(records(49, 10_000), failed_records=50) == {}
    assert incidents(records(50, 10_000), failed_records=50) == {"records hubspot": "50 of 10000 records failed in hubspot"}


def test_such_a_share_of_failed_records_is_an_incident() -> None:
    assert incidents(records(4, 100), failed_share=0.05) == {}
    assert list(incidents(records(5, 100), failed_share=0.05)) == ["records hubspot"]


def test_no_record_failed_is_never_an_incident() -> None:
    assert incidents(records(0, 0), failed_share=0.05, failed_records=1) == {}


def test_failed_records_are_no_incident_without_a_threshold() -> None:
    assert incidents(records(100, 100)) == {}


def test_records_that_are_stuck_on_their_way_are_an_incident_of_their_crm() -> None:
    facts = Facts(now=NOW, stuck={"hubspot": 2})
    assert incidents(facts, stuck_after_tries=4) == {
        "stuck hubspot": "records are stuck on their way to hubspot: 2 failed 4 times or more, or were given up"
    }


def test_crm_not_synced_for_so_long_is_an_incident() -> None:
    def silent(for_: timedelta) -> dict[str, str]:
        return incidents(Facts(now=NOW, last_loads={"salesforce": NOW - for_}), silent_hours=6)

    assert silent(timedelta(hours=5, minutes=59)) == {}
    assert silent(timedelta(hours=6)) == {"silence salesforce": "nothing was synced to salesforce since 2026-11-01 06:00 UTC"}
