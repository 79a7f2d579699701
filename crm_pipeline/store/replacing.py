"""Writes of fields that come back, until the CRM's history has told what they replaced (docs/rules.md, 50).

One is stored before its call, so that a run that breaks off leaves it to the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

import pandas as pd
from sqlalchemy import Connection, text

from crm_pipeline.frames import plain
from crm_pipeline.schemas import REPLACING
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.rows import execute_rows, fetch, json_column, time_column

_KEY = "integration = :integration AND crm = :crm AND record_type = :record_type"
_COLUMNS = ", ".join(name for name in REPLACING.names if name != "id")

_SAVE = f"""
INSERT INTO crm_pipeline.replacing (integration, crm, record_type, open_until, {_COLUMNS})
SELECT :integration, :crm, :record_type, :open_until, *
FROM unnest(CAST(:ids AS bigint[]), CAST(:objects AS text[]), CAST(:crm_ids AS text[]), CAST(:fields AS text[]),
            CAST(:shown AS jsonb[]), CAST(:sent AS jsonb[]), CAST(:qbench_values AS jsonb[]), CAST(:qbench_digests AS bigint[]),
            CAST(:qbench_since AS timestamptz[]), CAST(:read_at AS timestamptz[]), CAST(:began_at AS timestamptz[]))
"""

_ANSWERED = f"""
UPDATE crm_pipeline.replacing SET open_until = NULL, sent = sent || row.kept
FROM unnest(CAST(:crm_ids AS text[]), CAST(:kept AS jsonb[])) AS row (crm_id, kept)
WHERE {_KEY} AND began_at = :began AND replacing.crm_id = row.crm_id
"""

_REFUSED = f"DELETE FROM crm_pipeline.replacing WHERE {_KEY} AND began_at = :began AND crm_id = ANY(:crm_ids)"

_OVER = f"""
SELECT id, {_COLUMNS} FROM crm_pipeline.replacing AS earlier
WHERE {_KEY} AND (open_until IS NULL OR open_until < now() OR EXISTS (
  SELECT FROM crm_pipeline.replacing AS later
  WHERE {_KEY} AND crm_id = earlier.crm_id AND open_until IS NULL AND began_at > earlier.began_at))
ORDER BY crm_id, id LIMIT :most
"""

_TELL = f"""
WITH row AS (
  SELECT * FROM unnest(CAST(:ids AS bigint[]), CAST(:notes AS text[]), CAST(:began_at AS timestamptz[])) AS row (qbench_id, note, began_at)
), latest AS (
  UPDATE crm_pipeline.outcome AS latest SET reason = concat_ws('; ', reason, row.note)
  FROM row WHERE {_KEY} AND latest.qbench_id = row.qbench_id
)
UPDATE crm_pipeline.outcome_history AS told SET reason = concat_ws('; ', reason, row.note)
FROM row WHERE told.id = (
  SELECT max(id) FROM crm_pipeline.outcome_history WHERE {_KEY} AND qbench_id = row.qbench_id AND at >= row.began_at
) AND NOT EXISTS (
  SELECT FROM crm_pipeline.outcome WHERE {_KEY} AND qbench_id = row.qbench_id AND outcome <> 'unchanged' AND in_history IS NOT TRUE)
"""


def save_replacing(connection: Connection, state: CrmState, *, writes: pd.DataFrame, open_until: datetime) -> int:
    """Store writes (schemas.REPLACING) before their call, which may be carried out until then."""
    return execute_rows(
        connection,
        _SAVE,
        len(REPLACING.check(writes)),
        **asdict(state),
        open_until=open_until,
        ids=plain(writes["qbench_id"]),
        objects=plain(writes["object"]),
        crm_ids=plain(writes["crm_id"]),
        fields=plain(writes["field"]),
        shown=json_column(writes["shown"]),
        sent=json_column(writes["sent"]),
        qbench_values=json_column(writes["qbench_value"]),
        qbench_digests=plain(writes["qbench_digest"]),
        qbench_since=time_column(writes["qbench_since"]),
        read_at=time_column(writes["read_at"]),
        began_at=time_column(writes["began_at"]),
    )


def replaced(connection: Connection, state: CrmState, *, began: datetime, crm_ids: pd.Series, kept: pd.Series) -> int:
    """Store that the call which ``began`` then wrote these records; ``kept``: dict of field to what the CRM holds instead, or null."""
    values = pd.Series([one if isinstance(one, dict) else {} for one in kept], dtype=object)
    return execute_rows(connection, _ANSWERED, len(crm_ids), **asdict(state), began=began, crm_ids=plain(crm_ids), kept=json_column(values))


def not_replaced(connection: Connection, state: CrmState, *, began: datetime, crm_ids: Sequence[str]) -> int:
    """Forget the writes of these records by the call which ``began`` then: the CRM refused them."""
    return execute_rows(connection, _REFUSED, len(crm_ids), **asdict(state), began=began, crm_ids=list(crm_ids))


def over_by_now(connection: Connection, state: CrmState, *, most: int) -> pd.DataFrame:
    """The writes (schemas.REPLACING) that were answered, or cannot be carried out any more; those of one record in their order."""
    return fetch(connection, _OVER, {**asdict(state), "most": most}, REPLACING)


def tell(connection: Connection, state: CrmState, *, writes: pd.DataFrame, notes: Sequence[str]) -> None:
    """Note behind the outcome of each of these writes (schemas.REPLACING) what it replaced, and with what the history says of the write."""
    ids, began_at = plain(writes["qbench_id"]), time_column(writes["began_at"])
    execute_rows(connection, _TELL, len(writes), **asdict(state), ids=ids, notes=list(notes), began_at=began_at)


def forget_replacing(connection: Connection, writes: pd.DataFrame) -> None:
    """Forget writes (schemas.REPLACING) of which the history was asked."""
    connection.execute(text("DELETE FROM crm_pipeline.replacing WHERE id = ANY(:ids)"), {"ids": plain(writes["id"])})
