"""What does the ledger of one CRM and record type say as a whole? Counts only, one query each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, text

from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.statistics import refresh_statistics

LinkFault = Literal["synced_without_link", "links_of_no_organization", "intents_older_than_a_day"]


@dataclass(frozen=True, slots=True)
class OpenRecords:
    """Records that are tried again by themselves: how many by error, the most tries of one so far, and when the next one is due."""

    errors: Mapping[str, int]
    most_attempts: int
    next_attempt_at: datetime | None

    @property
    def records(self) -> int:
        """How many there are."""
        return sum(self.errors.values())


_OURS = "integration = :integration AND crm = :crm AND record_type = :record_type"

_OPEN_RECORDS = f"""
SELECT error_type, count(*) AS records, max(attempts) AS most_attempts, min(next_attempt_at) AS next_attempt_at
FROM crm_pipeline.outcome WHERE {_OURS} AND next_attempt_at IS NOT NULL
GROUP BY error_type ORDER BY records DESC, error_type
"""

_NOT_UNLINKED = """
DELETE FROM crm_pipeline.unlinked AS doubted WHERE integration = :integration AND crm = :crm AND record_type = :record_type
  AND (EXISTS (SELECT FROM crm_pipeline.link WHERE link.integration = doubted.integration AND link.crm = doubted.crm
      AND link.record_type = doubted.record_type AND link.qbench_id = doubted.qbench_id)
    OR NOT EXISTS (SELECT FROM crm_pipeline.outcome AS latest WHERE latest.integration = doubted.integration
      AND latest.crm = doubted.crm AND latest.record_type = doubted.record_type AND latest.qbench_id = doubted.qbench_id
      AND latest.outcome IN ('created', 'updated', 'linked', 'unchanged')))
"""

_LINK_FAULTS = f"""
SELECT
  (SELECT count(*) FROM crm_pipeline.unlinked WHERE {_OURS}) AS synced_without_link,
  (SELECT CAST(coalesce(sum(links), 0) AS bigint) FROM crm_pipeline.linked WHERE {_OURS} AND org_id NOT IN (
    SELECT org_id FROM crm_pipeline.organization WHERE integration = :integration AND service = :crm)) AS links_of_no_organization,
  (SELECT count(*) FROM crm_pipeline.intent WHERE {_OURS} AND created_at < now() - interval '1 day') AS intents_older_than_a_day
"""

_RECENT = f"""
SELECT CAST(extract(epoch FROM date_trunc('hour', at, 'UTC')) AS bigint) AS hour, outcome, count(*) AS records
FROM crm_pipeline.every_outcome
WHERE {_OURS} AND at >= date_trunc('hour', now(), 'UTC') - make_interval(hours => :hours - 1)
GROUP BY 1, 2 ORDER BY 1, 2
"""


def open_records(connection: Connection, state: CrmState) -> OpenRecords:
    """The records that failed for a passing cause and are to be tried again by themselves."""
    return told_open(connection.execute(text(_OPEN_RECORDS), asdict(state)).all())


def told_open(rows: Sequence[Row[Any]]) -> OpenRecords:
    """The records that are tried again, from a row per error: ``error_type``, ``records``, ``most_attempts``, ``next_attempt_at``."""
    return OpenRecords(
        errors={row.error_type: row.records for row in rows},
        most_attempts=max((row.most_attempts for row in rows), default=0),
        next_attempt_at=min((row.next_attempt_at.astimezone(UTC) for row in rows), default=None),
    )


def link_faults(connection: Connection, state: CrmState) -> dict[LinkFault, int]:
    """How often the links break a promise, by promise: all zero when none is broken."""
    # Of tables that a first load has just filled, the planner would join each row with every other one.
    refresh_statistics(connection)
    connection.execute(text(_NOT_UNLINKED), asdict(state))
    row = connection.execute(text(_LINK_FAULTS), asdict(state)).one()
    return dict(row._mapping)


def recent_outcomes(connection: Connection, state: CrmState, *, hours: int) -> list[tuple[int, str, int]]:
    """The outcomes of the last hours: ``(hour as Unix seconds, outcome, records)``; those ``unchanged`` have no history."""
    rows = connection.execute(text(_RECENT), {**asdict(state), "hours": hours})
    return [(row.hour, row.outcome, row.records) for row in rows]
