"""What is open? The one definition, by which loads, checks, the schedule and the retry sensor go (docs/rules.md, 40).

A staged row is open in a CRM while no outcome there speaks of its state as it is now (of its version, content and mapping),
or while its outcome is to be tried again. States are compared by their digests, not by clocks: a load may run for hours
after it read a row, and one that is normalized again without a change is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd
from sqlalchemy import Connection, text

from crm_pipeline.frames import Column, FrameSchema
from crm_pipeline.model import RecordType
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.rows import fetch
from crm_pipeline.store.staging import EVERYTHING, Window

HOUR_SECONDS = 3_600

OPEN_ROWS = FrameSchema(
    "open_rows",
    (
        Column("hour", "int64", "start of the hour in which the rows' versions lie, Unix seconds"),
        Column("later_hour", "int64", "start of the hour whose overlap holds the rows too; the same hour where none does"),
        Column("undecided", "int64", "rows of whose version no outcome speaks"),
        Column("renewed", "int64", "other rows that were normalized to another state since their outcome"),
        Column("retryable", "int64", "all other open rows: they are tried again by themselves"),
    ),
)
"""The open rows of one CRM and record type, counted by hour."""

WAITING_HOURS = FrameSchema(
    "waiting_hours",
    (
        Column("crm", "str", "the CRM's name"),
        Column("hour", "int64", "start of the hour in which the rows' versions lie, Unix seconds"),
        Column("due", "bool", "the time of at least one row's next attempt has come"),
        Column("attempt", "str", "changes with every attempt of one of the rows"),
        Column("hours_due", "int64", "whole hours since the first of the rows was due"),
    ),
)
"""The hours with rows that are tried again by themselves, per CRM over all record types."""


def of_another_state(outcome: str) -> str:
    """The condition that an outcome does not speak of its row's state as it is now; the row is ``staged`` in the statement."""
    return (
        f"({outcome}.version < staged.version"
        f" OR {outcome}.version = staged.version AND {outcome}.state_digest IS DISTINCT FROM staged.state_digest)"
    )


_UNDECIDED = "(latest.qbench_id IS NULL OR latest.version < staged.version)"
_RENEWED = f"(NOT {_UNDECIDED} AND {of_another_state('latest')})"
_OPEN = f"({_UNDECIDED} OR {_RENEWED} OR latest.retryable)"
_WAITS = f"(NOT {_UNDECIDED} AND NOT {_RENEWED} AND coalesce(latest.next_attempt_at > now(), false))"

_STAGED = """
FROM crm_pipeline.normalized_record AS staged
LEFT JOIN crm_pipeline.outcome AS latest
  ON latest.integration = staged.integration AND latest.crm = :crm AND latest.record_type = staged.record_type
 AND latest.qbench_id = staged.qbench_id
WHERE staged.integration = :integration AND staged.record_type = :record_type
"""

DOUBTED_BLOCKS = """
FROM (
  SELECT of_staged.block FROM crm_pipeline.tally AS of_staged
  LEFT JOIN crm_pipeline.tally AS of_outcomes
    ON of_outcomes.integration = of_staged.integration AND of_outcomes.crm = :crm AND of_outcomes.record_type = of_staged.record_type
   AND of_outcomes.block = of_staged.block
  WHERE of_staged.integration = :integration AND of_staged.crm = '' AND of_staged.record_type = :record_type
    AND of_staged.digest IS DISTINCT FROM of_outcomes.digest
  OFFSET 0) AS doubted
"""
"""The blocks of ids (table tally) in which an outcome speaks of another state than is staged. OFFSET has them found first."""

_IN_DOUBT = f"""
SELECT staged.qbench_id {DOUBTED_BLOCKS}
CROSS JOIN LATERAL (
  SELECT record.qbench_id FROM crm_pipeline.normalized_record AS record
  WHERE record.integration = :integration AND record.record_type = :record_type
    AND record.qbench_id >= doubted.block << 12 AND record.qbench_id < (doubted.block + 1) << 12
  OFFSET 0) AS staged
UNION
SELECT qbench_id FROM crm_pipeline.outcome
WHERE integration = :integration AND crm = :crm AND record_type = :record_type AND retryable
"""
"""The rows of which some may be open, and no other one is: those of doubted blocks, and the retryable ones.

OFFSET keeps PostgreSQL from joins that read all records, here and below: few rows are looked up."""

_BY_HOUR = f"""
SELECT staged.version - mod(staged.version, :hour) AS hour,
  staged.version + :overlap - mod(staged.version + :overlap, :hour) AS later_hour,
  count(*) FILTER (WHERE {_UNDECIDED}) AS undecided,
  count(*) FILTER (WHERE {_RENEWED}) AS renewed,
  count(*) FILTER (WHERE NOT {_UNDECIDED} AND NOT {_RENEWED}) AS retryable
FROM ({_IN_DOUBT}) AS doubted
CROSS JOIN LATERAL (
  SELECT record.qbench_id, record.version, record.state_digest FROM crm_pipeline.normalized_record AS record
  WHERE record.integration = :integration AND record.record_type = :record_type AND record.qbench_id = doubted.qbench_id
    AND record.version >= :since AND record.version < :until
  OFFSET 0) AS staged
LEFT JOIN LATERAL (
  SELECT outcome.qbench_id, outcome.version, outcome.state_digest, outcome.retryable FROM crm_pipeline.outcome
  WHERE outcome.integration = :integration AND outcome.crm = :crm AND outcome.record_type = :record_type
    AND outcome.qbench_id = doubted.qbench_id
  OFFSET 0) AS latest ON true
WHERE {_OPEN}
GROUP BY 1, 2 ORDER BY 1, 2
"""

_DUE = f"""
SELECT staged.qbench_id {_STAGED} AND staged.version >= :since AND staged.version < :until AND {_OPEN} AND NOT {_WAITS}
ORDER BY staged.version, staged.qbench_id
"""

_WINDOWS_WITHOUT_DUE = f"""
SELECT part.position FROM unnest(CAST(:starts AS bigint[]), CAST(:ends AS bigint[])) WITH ORDINALITY AS part (since, until, position)
WHERE NOT EXISTS (
  SELECT {_STAGED} AND staged.version >= part.since AND staged.version < part.until AND {_OPEN} AND NOT {_WAITS})
"""

_WAITING_HOURS = """
SELECT waiting.crm, staged.version - mod(staged.version, :hour) AS hour, bool_or(waiting.next_attempt_at <= now()) AS due,
       CAST(sum(extract(epoch FROM waiting.next_attempt_at)) AS text) AS attempt,
       greatest(CAST(extract(epoch FROM now() - min(waiting.next_attempt_at)) AS bigint) / :hour, 0) AS hours_due
FROM crm_pipeline.outcome AS waiting
JOIN crm_pipeline.normalized_record AS staged USING (integration, record_type, qbench_id, version)
WHERE waiting.integration = :integration AND waiting.next_attempt_at IS NOT NULL AND waiting.record_type = ANY(:record_types)
GROUP BY 1, 2 ORDER BY 1, 2
"""

_HOURS_OF = """
SELECT DISTINCT version - mod(version, :hour) FROM crm_pipeline.normalized_record
WHERE integration = :integration AND record_type = :record_type AND qbench_id = ANY(:ids)
"""


def open_rows(connection: Connection, state: CrmState, *, window: Window = EVERYTHING, overlap_seconds: int = 0) -> pd.DataFrame:
    """The window's open rows (OPEN_ROWS); hours without one are missing.

    A row belongs to the window of its hour and, near that one's end, to the overlap of the later hour's too.
    """
    parameters = {**asdict(state), **window.bounds, "hour": HOUR_SECONDS, "overlap": overlap_seconds}
    return fetch(connection, _BY_HOUR, parameters, OPEN_ROWS)


def due_ids(connection: Connection, state: CrmState, *, window: Window) -> list[int]:
    """QBench ids of the window's open rows but for those whose next attempt lies ahead, in the order of their versions."""
    return list(connection.execute(text(_DUE), {**asdict(state), **window.bounds}).scalars())


def only_wait(
    connection: Connection, integration: str, crm: str, *, record_types: Sequence[RecordType], windows: Sequence[Window]
) -> list[bool]:
    """Of each window, whether all its open rows, of these record types in this CRM, have their next attempt ahead."""
    starts, ends = [window.bounds["since"] for window in windows], [window.until for window in windows]
    waiting = set(range(1, len(windows) + 1))
    for record_type in record_types:
        parameters = {**asdict(CrmState(integration, crm, record_type)), "starts": starts, "ends": ends}
        waiting &= set(connection.execute(text(_WINDOWS_WITHOUT_DUE), parameters).scalars())
    return [position in waiting for position in range(1, len(windows) + 1)]


def waiting_hours(connection: Connection, integration: str, *, record_types: Sequence[RecordType] = tuple(RecordType)) -> pd.DataFrame:
    """The hours with rows that are tried again by themselves (WAITING_HOURS); a row edited meanwhile belongs to its new hour.

    ``record_types``: those that sync; nobody tries the others again. Found by the outcomes' next attempts alone, however many
    rows are staged.
    """
    parameters = {"integration": integration, "hour": HOUR_SECONDS, "record_types": list(record_types)}
    return fetch(connection, _WAITING_HOURS, parameters, WAITING_HOURS)


def hours_of(connection: Connection, state: CrmState, *, ids: Sequence[int]) -> set[int]:
    """The hours (Unix seconds) in which the staged versions of these QBench ids lie."""
    parameters = {"integration": state.integration, "record_type": state.record_type, "ids": list(ids), "hour": HOUR_SECONDS}
    return set(connection.execute(text(_HOURS_OF), parameters).scalars())
