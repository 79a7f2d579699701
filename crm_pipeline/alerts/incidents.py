"""Which incidents are open? Decided from facts; knows neither Dagster nor the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from crm_pipeline.alerts.settings import AlertSettings
from crm_pipeline.counting import counted


class FailureKind(StrEnum):
    """What can fail as a whole."""

    RUN = "run"
    TICK = "tick"


@dataclass(frozen=True, slots=True)
class Subject:
    """What fails and recovers: an asset, a schedule or a sensor by its name; the integration where a run failed outside its steps."""

    kind: FailureKind
    name: str


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed run or tick (``occurrence`` is its id) of a subject."""

    subject: Subject
    occurrence: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Failures:
    """How often a subject failed since it was last well; ``latest`` is the id of its latest failed run or tick."""

    subject: Subject
    count: int
    latest: str


@dataclass(frozen=True, slots=True)
class RecordCounts:
    """The records of one CRM by their latest outcomes."""

    failed: int
    total: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What incidents are decided from. ``records``, ``stuck`` and ``last_loads`` are by CRM; a CRM not loaded yet has no last load.

    ``stuck``: the records that failed for a passing cause in as many tries as the settings say, or were given up.
    """

    now: datetime
    failures: Sequence[Failures] = ()
    records: Mapping[str, RecordCounts] | None = None
    stuck: Mapping[str, int] | None = None
    last_loads: Mapping[str, datetime] | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """Something wrong: ``key`` is the same for as long as it is the same, ``summary`` says it with names and counts."""

    key: str
    summary: str
    run_id: str | None = None


def open_incidents(integration: str, facts: Facts, *, settings: AlertSettings) -> list[Incident]:
    """The incidents that these facts are, by the integration's thresholds."""
    return [
        *(_failing(integration, failures) for failures in facts.failures if failures.count >= settings.consecutive_failures),
        *_too_many_failed_records(facts, settings),
        *_stuck(facts, settings),
        *_silent(facts, settings),
    ]


def _failing(integration: str, failures: Failures) -> Incident:
    kind, name = failures.subject.kind, failures.subject.name
    times = "" if failures.count == 1 else f" ({failures.count} times)"
    if kind is FailureKind.TICK:
        return Incident(f"tick {name}", f"a tick of {name} failed{times}")
    where = "outside its steps: it could not start, or its worker died" if name == integration else f"at {name}"
    return Incident(f"run {name}", f"a run failed {where}{times}", run_id=failures.latest)


def _too_many_failed_records(facts: Facts, settings: AlertSettings) -> Iterator[Incident]:
    for crm, counts in sorted((facts.records or {}).items()):
        many = settings.failed_records is not None and counts.failed >= settings.failed_records
        large = settings.failed_share is not None and counts.failed > 0 and counts.failed >= settings.failed_share * counts.total
        if many or large:
            yield Incident(f"records {crm}", f"{counts.failed} of {counted(counts.total, 'record')} failed in {crm}")


def _stuck(facts: Facts, settings: AlertSettings) -> Iterator[Incident]:
    for crm, count in sorted((facts.stuck or {}).items()):
        often = counted(settings.stuck_after_tries, "time")
        summary = f"records are stuck on their way to {crm}: {count} failed {often} or more, or were given up"
        yield Incident(f"stuck {crm}", summary)


def _silent(facts: Facts, settings: AlertSettings) -> Iterator[Incident]:
    if settings.silent_hours is not None:
        for crm, last in sorted((facts.last_loads or {}).items()):
            if facts.now - last >= timedelta(hours=settings.silent_hours):
                yield Incident(f"silence {crm}", f"nothing was synced to {crm} since {last:%Y-%m-%d %H:%M} UTC")
