"""Which failures and incidents are open, and which channel was told of them.

A channel is told inside the transaction that stores it: after a crash in between it is told again, so at least once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from crm_pipeline.alerts.incidents import Failure, FailureKind, Failures, Incident, RecordCounts, Subject
from crm_pipeline.alerts.messages import Notice

_FIRST_POSITION = """
INSERT INTO crm_pipeline.alert_position (integration, position) VALUES (:integration, '{}') ON CONFLICT (integration) DO NOTHING
"""
_LOCK_POSITION = "SELECT position FROM crm_pipeline.alert_position WHERE integration = :integration FOR UPDATE"
_SAVE_POSITION = "UPDATE crm_pipeline.alert_position SET position = CAST(:position AS jsonb) WHERE integration = :integration"

_ADD_FAILURES = """
INSERT INTO crm_pipeline.failure (integration, kind, subject, occurrence, at)
VALUES (:integration, :kind, :subject, :occurrence, :at) ON CONFLICT DO NOTHING
"""
_FAILURES = """
SELECT kind, subject, count(*) AS times, (array_agg(occurrence ORDER BY at DESC, occurrence DESC))[1] AS latest
FROM crm_pipeline.failure WHERE integration = :integration GROUP BY kind, subject ORDER BY kind, subject
"""
_FORGET = "DELETE FROM crm_pipeline.failure WHERE integration = :integration AND kind = :kind AND subject = :subject"

BACK_FROM = "qbench from "
"""Before a CRM's name: what comes back from it."""

_BOTH_WAYS = f"""
SELECT crm AS way, outcome, attempts, retryable FROM crm_pipeline.outcome WHERE integration = :integration
UNION ALL
SELECT '{BACK_FROM}' || crm, outcome, attempts, retryable FROM crm_pipeline.change_outcome WHERE integration = :integration
"""

_RECORD_COUNTS = f"""
SELECT CASE direction WHEN 'to_crm' THEN crm ELSE '{BACK_FROM}' || crm END AS way,
  CAST(coalesce(sum(records) FILTER (WHERE outcome = 'failed'), 0) AS bigint) AS failed, CAST(sum(records) AS bigint) AS total
FROM crm_pipeline.standing WHERE integration = :integration GROUP BY way HAVING sum(records) > 0
"""

_STUCK = f"""
SELECT way, count(*) AS stuck FROM ({_BOTH_WAYS}) AS latest
WHERE attempts > 0 AND (attempts >= :tries OR NOT retryable) GROUP BY way
"""

_SAVE_OPEN = """
INSERT INTO crm_pipeline.alert AS stored (integration, channel, incident, summary, run_id, opened_at, last_seen_at)
SELECT :integration, channel, :incident, :summary, :run_id, :now, :now FROM unnest(CAST(:channels AS text[])) AS channel
ON CONFLICT (integration, channel, incident) DO UPDATE
SET summary = excluded.summary, last_seen_at = excluded.last_seen_at, cleared_at = NULL,
    run_id = CASE WHEN stored.announced_at IS NULL THEN excluded.run_id ELSE stored.run_id END
"""
_CLEAR_OTHERS = """
UPDATE crm_pipeline.alert SET cleared_at = :now
WHERE integration = :integration AND cleared_at IS NULL AND NOT incident = ANY(CAST(:incidents AS text[]))
"""
_DROP_CHANNELS = "DELETE FROM crm_pipeline.alert WHERE integration = :integration AND NOT channel = ANY(CAST(:channels AS text[]))"

_UNTOLD = """
SELECT incident, summary, run_id, opened_at, announced_at IS NOT NULL AS announced, cleared_at FROM crm_pipeline.alert
WHERE integration = :integration AND channel = :channel AND (announced_at IS NULL OR cleared_at IS NOT NULL)
ORDER BY opened_at, incident FOR UPDATE SKIP LOCKED
"""
_OURS = "integration = :integration AND channel = :channel AND incident = ANY(CAST(:incidents AS text[]))"
_FORGET_CLEARED = f"DELETE FROM crm_pipeline.alert WHERE {_OURS} AND cleared_at IS NOT NULL"
_SAVE_ANNOUNCED = f"UPDATE crm_pipeline.alert SET announced_at = :now WHERE {_OURS} AND announced_at IS NULL"


def locked_position(connection: Connection, integration: str) -> dict[str, Any]:
    """How far Dagster's records were searched, empty at first; a second search waits until this transaction ends."""
    connection.execute(text(_FIRST_POSITION), {"integration": integration})
    position: dict[str, Any] = connection.execute(text(_LOCK_POSITION), {"integration": integration}).scalar_one()
    return position


def save_position(connection: Connection, integration: str, position: dict[str, Any]) -> None:
    """Store how far Dagster's records were searched; belongs in the transaction that stores what was found."""
    connection.execute(text(_SAVE_POSITION), {"integration": integration, "position": json.dumps(position)})


def add_failures(connection: Connection, integration: str, failures: Sequence[Failure]) -> None:
    """Store failures; one that is there already counts once."""
    for failure in failures:
        row = {"kind": failure.subject.kind, "subject": failure.subject.name, "occurrence": failure.occurrence, "at": failure.at}
        connection.execute(text(_ADD_FAILURES), {"integration": integration, **row})


def stored_failures(connection: Connection, integration: str) -> list[Failures]:
    """What fails, with how often since it was last well."""
    rows = connection.execute(text(_FAILURES), {"integration": integration})
    return [Failures(Subject(FailureKind(row.kind), row.subject), count=row.times, latest=row.latest) for row in rows]


def forget_failures(connection: Connection, integration: str, subject: Subject) -> None:
    """The subject is well again."""
    connection.execute(text(_FORGET), {"integration": integration, "kind": subject.kind, "subject": subject.name})


def record_counts(connection: Connection, integration: str) -> dict[str, RecordCounts]:
    """All records by their latest outcome, per CRM, and what comes back from it (``BACK_FROM``)."""
    rows = connection.execute(text(_RECORD_COUNTS), {"integration": integration})
    return {row.way: RecordCounts(failed=row.failed, total=row.total) for row in rows}


def stuck_records(connection: Connection, integration: str, *, tries: int) -> dict[str, int]:
    """The records that failed that often in a row for a passing cause, in one version, or were given up; as ``record_counts``.

    CRMs without any are left out.
    """
    rows = connection.execute(text(_STUCK), {"integration": integration, "tries": tries})
    return {row.way: row.stuck for row in rows}


def save_incidents(
    connection: Connection, integration: str, incidents: Sequence[Incident], *, channels: Sequence[str], now: datetime
) -> None:
    """Store which incidents are open now, for every channel; all others have ended. Channels that are no more are forgotten."""
    connection.execute(text(_DROP_CHANNELS), {"integration": integration, "channels": list(channels)})
    for incident in incidents:
        row = {"incident": incident.key, "summary": incident.summary, "run_id": incident.run_id}
        connection.execute(text(_SAVE_OPEN), {"integration": integration, "channels": list(channels), "now": now, **row})
    keys = [incident.key for incident in incidents]
    connection.execute(text(_CLEAR_OTHERS), {"integration": integration, "incidents": keys, "now": now})


def untold(connection: Connection, integration: str, channel: str) -> list[Notice]:
    """What the channel is still to be told; nobody else tells it before this transaction ends."""
    rows = connection.execute(text(_UNTOLD), {"integration": integration, "channel": channel})
    return [Notice(**row._mapping) for row in rows]


def save_told(connection: Connection, integration: str, channel: str, *, notices: Sequence[Notice], now: datetime) -> None:
    """The channel took these notices."""
    row = {"integration": integration, "channel": channel, "incidents": [notice.incident for notice in notices], "now": now}
    connection.execute(text(_FORGET_CLEARED), row)
    connection.execute(text(_SAVE_ANNOUNCED), row)
