"""What became of changes of a CRM's records on their way into QBench: the latest of each record, and the history."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd
from sqlalchemy import Connection, text

from crm_pipeline.errors import AmbiguousMatchException, DuplicateEmailException, LinkConflictException
from crm_pipeline.frames import plain
from crm_pipeline.model import WaitsOn
from crm_pipeline.schemas import CHANGE_OUTCOMES
from crm_pipeline.store.crm_state import GIVEN_UP, Attempt, CrmState
from crm_pipeline.store.ledger import OpenRecords, told_open
from crm_pipeline.store.rows import fetch, time_column
from crm_pipeline.store.staging import Window

_KEY = "integration = :integration AND crm = :crm AND record_type = :record_type"
_COLUMNS = ", ".join(CHANGE_OUTCOMES.names)

_SAVE = f"""
WITH row AS (
  SELECT row.*, coalesce(CAST(CAST(:own_first_seconds AS jsonb) ->> row.error_type AS double precision), :first_seconds) AS first_seconds,
    CASE WHEN latest.stamp IS NOT DISTINCT FROM row.stamp THEN coalesce(latest.attempts, 0) ELSE 0 END AS before,
    row.error_type = ANY(CAST(:never_given_up AS text[])) AS is_patient,
    row.outcome IN ('unchanged', 'skipped', 'deferred', 'failed') AND NOT row.retryable
      AND (latest.stamp, latest.outcome, latest.error_type, latest.reason, latest.waits_on, latest.waits_for, latest.retryable)
        IS NOT DISTINCT FROM (row.stamp, row.outcome, row.error_type, row.reason, row.waits_on, row.waits_for, row.retryable) AS repeated
  FROM unnest(CAST(:crm_ids AS text[]), CAST(:qbench_ids AS bigint[]), CAST(:stamps AS timestamptz[]), CAST(:outcomes AS text[]),
    CAST(:error_types AS text[]), CAST(:reasons AS text[]), CAST(:waits_on AS text[]), CAST(:waits_for AS text[]),
    CAST(:retryable AS boolean[]))
  AS row (crm_id, qbench_id, stamp, outcome, error_type, reason, waits_on, waits_for, retryable)
  LEFT JOIN crm_pipeline.change_outcome AS latest ON latest.integration = :integration AND latest.crm = :crm
    AND latest.record_type = :record_type AND latest.crm_id = row.crm_id
), judged AS (
  SELECT *, retryable AND before + 1 >= :attempts AND NOT coalesce(is_patient, false) AS given_up,
    CASE WHEN retryable THEN coalesce(before, 0) + 1 ELSE 0 END AS attempt FROM row
), settled AS (
  SELECT crm_id, qbench_id, stamp, outcome, error_type,
    CASE WHEN given_up THEN concat_ws('; ', reason, {GIVEN_UP}) ELSE reason END AS reason,
    CASE WHEN given_up THEN '{WaitsOn.RECORD}' ELSE waits_on END AS waits_on, CASE WHEN NOT given_up THEN waits_for END AS waits_for,
    retryable AND NOT given_up AS retryable, attempt AS attempts, first_seconds, given_up, repeated
  FROM judged
), history AS (
  INSERT INTO crm_pipeline.change_history
    (integration, crm, record_type, run_id, partition_key, crm_id, qbench_id, stamp, outcome, error_type, reason, waits_on, waits_for,
     retryable)
  SELECT :integration, :crm, :record_type, :run_id, :partition_key, crm_id, qbench_id, stamp, outcome, error_type, reason, waits_on,
    waits_for, retryable
  FROM settled WHERE outcome <> 'unchanged' AND NOT repeated
), saved AS (
  INSERT INTO crm_pipeline.change_outcome
    (integration, crm, record_type, run_id, partition_key, crm_id, qbench_id, stamp, outcome, error_type, reason, waits_on, waits_for,
     retryable, attempts, next_attempt_at)
  SELECT :integration, :crm, :record_type, :run_id, :partition_key, crm_id, qbench_id, stamp, outcome, error_type, reason, waits_on,
    waits_for, retryable, attempts,
    CASE WHEN retryable THEN now() + make_interval(
      secs => least(greatest(:longest_seconds, first_seconds), first_seconds * power(:factor, least(attempts, 50) - 1))) END
  FROM settled
  ON CONFLICT (integration, crm, record_type, crm_id) DO UPDATE
  SET qbench_id = excluded.qbench_id, stamp = excluded.stamp, outcome = excluded.outcome, error_type = excluded.error_type,
      reason = excluded.reason, waits_on = excluded.waits_on, waits_for = excluded.waits_for, retryable = excluded.retryable,
      attempts = excluded.attempts, next_attempt_at = excluded.next_attempt_at, run_id = excluded.run_id,
      partition_key = excluded.partition_key, at = now()
)
SELECT crm_id FROM settled WHERE given_up
"""

_DUE = f"SELECT crm_id FROM crm_pipeline.change_outcome WHERE {_KEY} AND next_attempt_at <= now() ORDER BY crm_id"

_ON_A_LINK = """
SELECT waiting.crm_id FROM crm_pipeline.change_outcome AS waiting
JOIN crm_pipeline.link AS changed
  ON changed.integration = waiting.integration AND changed.crm = waiting.crm AND changed.record_type = waiting.record_type
 AND changed.crm_id = waiting.crm_id
WHERE waiting.integration = :integration AND waiting.crm = :crm AND waiting.record_type = :record_type
  AND waiting.waits_on = 'link' AND changed.updated_at > waiting.at
"""

_ON_ITS_RECORD = """
SELECT waiting.crm_id FROM crm_pipeline.change_outcome AS waiting
JOIN crm_pipeline.normalized_record AS staged
  ON staged.integration = waiting.integration AND staged.record_type = waiting.record_type AND staged.qbench_id = waiting.qbench_id
WHERE waiting.integration = :integration AND waiting.crm = :crm AND waiting.record_type = :record_type
  AND waiting.waits_on IS NOT NULL AND waiting.error_type = ANY(:errors) AND staged.error_type IS DISTINCT FROM waiting.error_type
"""

_NAMESAKES = ", ".join(f"'{error.__name__}'" for error in (AmbiguousMatchException, DuplicateEmailException, LinkConflictException))

_ON_NAMESAKES = f"""
SELECT waiting.crm_id FROM crm_pipeline.change_outcome AS waiting
WHERE waiting.integration = :integration AND waiting.crm = :crm AND waiting.record_type = :record_type
  AND waiting.waits_on IS NOT NULL AND waiting.error_type IN ({_NAMESAKES}) AND waiting.waits_for IS NOT NULL AND EXISTS (
    SELECT FROM crm_pipeline.normalized_record AS staged
    WHERE staged.integration = waiting.integration AND staged.record_type = waiting.record_type
      -- Of several new records it is a CRM id.
      AND staged.qbench_id = ANY(
        CASE WHEN waiting.waits_on <> '{WaitsOn.TIME}' THEN CAST(string_to_array(waiting.waits_for, ', ') AS bigint[]) END)
      AND staged.normalized_at > waiting.at)
"""

_OFTEN_WRITTEN = f"""
WITH often AS (
  SELECT crm_id, jsonb_object_agg(unit, times) AS sent FROM (
    SELECT crm_id, unit.key AS unit, count(*) AS times
    FROM crm_pipeline.link, jsonb_each(link.sent) AS unit, jsonb_array_elements_text(unit.value) AS moment
    WHERE {_KEY} AND crm_id = ANY(:crm_ids) AND CAST(moment AS bigint) > extract(epoch FROM now()) - :hours * 3600
    GROUP BY crm_id, unit.key HAVING count(*) >= :times
  ) AS of_unit GROUP BY crm_id
)
SELECT crm_id, often.sent, told.reason FROM often JOIN crm_pipeline.change_history AS told USING (crm_id)
WHERE {_KEY} AND told.at > now() - make_interval(hours => :hours) AND told.reason IS NOT NULL
"""

_OPEN = f"""
SELECT error_type, count(*) AS records, max(attempts) AS most_attempts, min(next_attempt_at) AS next_attempt_at
FROM crm_pipeline.change_outcome WHERE {_KEY} AND next_attempt_at IS NOT NULL
GROUP BY error_type ORDER BY records DESC, error_type
"""

_OPEN_HOURS = """
SELECT DISTINCT CAST(extract(epoch FROM date_trunc('hour', staged.stamp, 'UTC')) AS bigint) AS hour
FROM crm_pipeline.crm_record AS staged
JOIN crm_pipeline.link USING (integration, crm, record_type, crm_id)
LEFT JOIN crm_pipeline.change_outcome AS latest USING (integration, crm, record_type, crm_id)
WHERE integration = :integration AND crm = :crm AND record_type = :record_type AND link.status = 'live'
  AND (CAST(:since AS bigint) IS NULL OR staged.stamp >= to_timestamp(CAST(:since AS bigint))) AND staged.stamp < to_timestamp(:until)
  AND (staged.pending OR latest.crm_id IS NULL OR latest.retryable OR latest.stamp IS DISTINCT FROM staged.stamp)
ORDER BY hour
"""


def save_change_outcomes(connection: Connection, state: CrmState, *, outcomes: pd.DataFrame, attempt: Attempt) -> list[str]:
    """Store outcomes (schemas.CHANGE_OUTCOMES) as the latest, and in the history unless they are ``unchanged`` or say the same again.

    Returns the CRM ids of those that are given up: they failed for a passing cause once too often, and are stored as failed until
    the CRM's record changes.
    """
    if CHANGE_OUTCOMES.check(outcomes).empty:
        return []
    parameters = {
        **asdict(state),
        **asdict(attempt.backoff),
        "own_first_seconds": json.dumps(attempt.backoff.own_first_seconds),
        "run_id": attempt.run_id,
        "partition_key": attempt.partition_key,
        "crm_ids": plain(outcomes["crm_id"]),
        "qbench_ids": plain(outcomes["qbench_id"]),
        "stamps": time_column(outcomes["stamp"]),
        "outcomes": plain(outcomes["outcome"]),
        "error_types": plain(outcomes["error_type"]),
        "reasons": plain(outcomes["reason"]),
        "waits_on": plain(outcomes["waits_on"]),
        "waits_for": plain(outcomes["waits_for"]),
        "retryable": plain(outcomes["retryable"]),
    }
    return list(connection.execute(text(_SAVE), parameters).scalars())


def change_outcomes(connection: Connection, state: CrmState, *, crm_ids: list[str]) -> pd.DataFrame:
    """The latest outcomes of these CRM records (schemas.CHANGE_OUTCOMES)."""
    statement = f"SELECT {_COLUMNS} FROM crm_pipeline.change_outcome WHERE {_KEY} AND crm_id = ANY(:crm_ids)"
    return fetch(connection, statement, {**asdict(state), "crm_ids": crm_ids}, CHANGE_OUTCOMES)


def due_crm_ids(connection: Connection, state: CrmState) -> list[str]:
    """The CRM records that failed for a passing cause and are to be tried again by now."""
    return list(connection.execute(text(_DUE), asdict(state)).scalars())


def awakened_crm_ids(connection: Connection, state: CrmState, *, of_the_record: Sequence[str]) -> list[str]:
    """The CRM records of which what they waited for changed: their link, what was wrong with their record of QBench, or the records
    there that they could be, or that have their email address.

    ``of_the_record``: the record errors of the second kind.
    """
    parameters = {**asdict(state), "errors": list(of_the_record)}
    on_its_record = connection.execute(text(_ON_ITS_RECORD), parameters).scalars()
    others = [
        crm_id for statement in (_ON_A_LINK, _ON_NAMESAKES) for crm_id in connection.execute(text(statement), asdict(state)).scalars()
    ]
    return sorted({*on_its_record, *others})


def often_sent(
    connection: Connection, state: CrmState, *, crm_ids: list[str], times: int, hours: int
) -> dict[str, tuple[frozenset[str], list[str]]]:
    """Of these CRM records those of which a unit was sent there so many times within the last hours: these units, and the reasons of the
    records' changes since then.
    """
    parameters = {**asdict(state), "crm_ids": crm_ids, "times": times, "hours": hours}
    found: dict[str, tuple[frozenset[str], list[str]]] = {}
    for crm_id, sent, reason in connection.execute(text(_OFTEN_WRITTEN), parameters):
        found.setdefault(crm_id, (frozenset(sent), []))[1].append(reason)
    return found


def open_changes(connection: Connection, state: CrmState) -> OpenRecords:
    """The changes that failed for a passing cause and are to be tried again by themselves."""
    return told_open(connection.execute(text(_OPEN), asdict(state)).all())


def open_change_hours(connection: Connection, state: CrmState, *, window: Window) -> list[int]:
    """The hours (their starts in Unix seconds) of a window of stamps with readings of linked records that are not settled."""
    return list(connection.execute(text(_OPEN_HOURS), {**asdict(state), "since": window.since, "until": window.until}).scalars())
