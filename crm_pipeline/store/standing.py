"""How do all records stand? Counts of their latest outcomes, now and a day ago, without looking at the records.

The table ``standing`` is kept by triggers on the outcomes, so whoever tells a total tells the same one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from sqlalchemy import Connection, text

from crm_pipeline.counting import changed
from crm_pipeline.errors import wanted_errors
from crm_pipeline.model import Outcome, RecordType

Direction = Literal["to_crm", "from_crm"]
"""Which way records go: from QBench to a CRM, or what changed there home."""

ARROWS: dict[Direction, str] = {"to_crm": "→", "from_crm": "←"}
"""How a direction is written."""


class Condition(StrEnum):
    """What a person wants to know of a record first."""

    SYNCED = "synced"
    WAITING = "waiting"
    FAILED = "failed"
    LEFT_OUT = "left out"


_SYNCED = {Outcome.CREATED, Outcome.UPDATED, Outcome.LINKED, Outcome.UNCHANGED}


def condition_of(outcome: str, error_type: str | None, *, retryable: bool) -> Condition:
    """Synced; waiting, where it is tried again or follows by itself; left out on purpose; else failed, whatever skipped it."""
    if outcome in _SYNCED:
        return Condition.SYNCED
    if outcome == Outcome.DEFERRED:
        return Condition.WAITING
    if error_type in wanted_errors():
        return Condition.LEFT_OUT
    return Condition.WAITING if retryable else Condition.FAILED


@dataclass(frozen=True, slots=True)
class Standing:
    """So many records stand alike: ``records`` now, ``day_before`` 24 hours ago."""

    direction: Direction
    crm: str
    record_type: RecordType
    outcome: Outcome
    error_type: str | None
    retryable: bool
    records: int
    day_before: int

    @property
    def condition(self) -> Condition:
        """The condition of each of them."""
        return condition_of(self.outcome, self.error_type, retryable=self.retryable)


_STANDING = """
SELECT direction, crm, record_type, outcome, nullif(error_type, '') AS error_type, retryable, CAST(sum(records) AS bigint) AS records,
  CAST(coalesce(sum(records) FILTER (WHERE hour < now() - interval '1 day'), 0) AS bigint) AS day_before
FROM crm_pipeline.standing WHERE integration = :integration
  AND (CAST(:direction AS text) IS NULL OR direction = :direction)
  AND (CAST(:crm AS text) IS NULL OR crm = :crm) AND (CAST(:record_type AS text) IS NULL OR record_type = :record_type)
GROUP BY direction, crm, record_type, outcome, error_type, retryable
HAVING sum(records) <> 0 OR sum(records) FILTER (WHERE hour < now() - interval '1 day') <> 0
ORDER BY direction DESC, crm, record_type, records DESC, error_type NULLS FIRST, outcome, retryable
"""


_LONG_AGO = "hour > to_timestamp(0) AND hour < now() - interval '30 days'"
_FOLD = f"""
INSERT INTO crm_pipeline.standing AS stored (integration, direction, crm, record_type, outcome, error_type, retryable, hour, records)
SELECT integration, direction, crm, record_type, outcome, error_type, retryable, to_timestamp(0), sum(records)
FROM crm_pipeline.standing WHERE {_LONG_AGO}
GROUP BY integration, direction, crm, record_type, outcome, error_type, retryable
ON CONFLICT (integration, direction, crm, record_type, outcome, error_type, retryable, hour)
DO UPDATE SET records = stored.records + excluded.records
"""


def standings(
    connection: Connection,
    integration: str,
    *,
    direction: Direction | None = None,
    crm: str | None = None,
    record_type: RecordType | None = None,
) -> list[Standing]:
    """How the records of an integration stand, of one direction, CRM or record type where it is named; those to CRMs first."""
    parameters = {"integration": integration, "direction": direction, "crm": crm, "record_type": record_type}
    return [
        Standing(
            row.direction,
            row.crm,
            RecordType(row.record_type),
            Outcome(row.outcome),
            row.error_type,
            retryable=row.retryable,
            records=row.records,
            day_before=row.day_before,
        )
        for row in connection.execute(text(_STANDING), parameters)
    ]


def fold(connection: Connection) -> None:
    """Keep what came and went more than 30 days ago as one sum of each kind: a total is the sum over all hours that are left."""
    connection.execute(text(_FOLD))
    connection.execute(text(f"DELETE FROM crm_pipeline.standing WHERE {_LONG_AGO}"))


@dataclass(frozen=True, slots=True)
class Total:
    """How many records, and how many 24 hours before."""

    records: int = 0
    day_before: int = 0

    def __add__(self, other: Total | Standing) -> Total:
        return Total(self.records + other.records, self.day_before + other.day_before)

    @property
    def change(self) -> int:
        """How many more there are since then."""
        return self.records - self.day_before

    def __str__(self) -> str:
        return f"{self.records:,}" + (f" ({changed(self.change)})" if self.change else "")


def by_records(found: Iterable[Standing]) -> dict[str, list[Standing]]:
    """Those of each direction, CRM and record type, by what people call these, in the order of the first: ``→ hubspot contacts``."""
    groups: dict[str, list[Standing]] = {}
    for each in found:
        groups.setdefault(f"{ARROWS[each.direction]} {each.crm} {each.record_type}s", []).append(each)
    return groups


def by_condition(found: Iterable[Standing]) -> dict[Condition, Total]:
    """Their sums by condition, of every one."""
    sums = dict.fromkeys(Condition, Total())
    for each in found:
        sums[each.condition] += each
    return sums


def by_error(found: Iterable[Standing]) -> dict[str, Total]:
    """Their sums by error, most frequent first, behind them the errors of what is left out on purpose."""
    sums: dict[str, Total] = {}
    for each in found:
        if each.error_type is not None:
            sums[each.error_type] = sums.get(each.error_type, Total()) + each
    wanted = wanted_errors()
    return dict(sorted(sums.items(), key=lambda item: (item[0] in wanted, -item[1].records, item[0])))


def settled_errors(found: Iterable[Standing]) -> dict[str, int]:
    """The records that have an error now and are not tried again by themselves, counted by it, most frequent first."""
    sums = by_error(each for each in found if not each.retryable)
    return {error: total.records for error, total in sums.items() if total.records}
