"""The staged readings of records that changed in a CRM: the newest of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import pandas as pd
from sqlalchemy import Connection, text

from crm_pipeline.frames import plain
from crm_pipeline.schemas import CHANGED, CRM_RECORDS, EXAMINED
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.rows import execute_rows, fetch, json_column, locked_in_order, time_column
from crm_pipeline.store.staging import FRAME_ROWS

_KEY = "integration = :integration AND crm = :crm AND record_type = :record_type"
_COLUMNS = ", ".join(CRM_RECORDS.names)

_STAGE = """
INSERT INTO crm_pipeline.crm_record AS staged
  (integration, crm, record_type, object, read_at, crm_id, stamp, edited_at, edited_by, key, parent_crm_id, fields, error_type)
SELECT :integration, :crm, :record_type, :object, :read_at, *
FROM unnest(CAST(:ids AS text[]), CAST(:stamps AS timestamptz[]), CAST(:edited_at AS timestamptz[]), CAST(:edited_by AS text[]),
            CAST(:keys AS text[]), CAST(:parents AS text[]), CAST(:fields AS jsonb[]), CAST(:errors AS text[])) AS row (crm_id)
ORDER BY crm_id
ON CONFLICT (integration, crm, record_type, crm_id) DO UPDATE
SET object = excluded.object, stamp = coalesce(excluded.stamp, staged.stamp), read_at = excluded.read_at,
    edited_at = CASE WHEN excluded.stamp IS NULL THEN staged.edited_at ELSE excluded.edited_at END,
    edited_by = CASE WHEN excluded.stamp IS NULL THEN staged.edited_by ELSE excluded.edited_by END,
    key = CASE WHEN excluded.stamp IS NULL THEN staged.key ELSE excluded.key END,
    parent_crm_id = CASE WHEN excluded.error_type IS NULL THEN excluded.parent_crm_id ELSE staged.parent_crm_id END,
    fields = CASE WHEN excluded.error_type IS NULL THEN excluded.fields ELSE staged.fields END, error_type = excluded.error_type,
    -- What was refused at a stamp is left alone as long as it stands: another edit of the same second has to be looked at all the same.
    pending = staged.pending OR coalesce(excluded.stamp = staged.stamp, false) AND excluded.error_type IS NULL
      AND (excluded.fields, excluded.parent_crm_id) IS DISTINCT FROM (staged.fields, staged.parent_crm_id)
WHERE staged.read_at IS NULL OR staged.read_at <= excluded.read_at
"""

_STAGE_SEEN = """
INSERT INTO crm_pipeline.crm_record AS staged (integration, crm, record_type, object, read_at, crm_id, parent_crm_id, fields, pending)
SELECT :integration, :crm, :record_type, :object, :read_at, crm_id, parent_crm_id, fields, true
FROM unnest(CAST(:ids AS text[]), CAST(:parents AS text[]), CAST(:fields AS jsonb[])) AS row (crm_id, parent_crm_id, fields)
ORDER BY crm_id
ON CONFLICT (integration, crm, record_type, crm_id) DO UPDATE
SET object = excluded.object, read_at = excluded.read_at, parent_crm_id = excluded.parent_crm_id, fields = excluded.fields,
    error_type = NULL, pending = true
WHERE (staged.read_at IS NULL OR staged.read_at <= excluded.read_at) AND staged.fields IS DISTINCT FROM excluded.fields
"""

_PEND = """
INSERT INTO crm_pipeline.crm_record AS staged (integration, crm, record_type, crm_id, object, fields, pending)
SELECT :integration, :crm, :record_type, crm_id, object, '{}', true
FROM unnest(CAST(:ids AS text[]), CAST(:objects AS text[])) AS row (crm_id, object)
ORDER BY crm_id
ON CONFLICT (integration, crm, record_type, crm_id) DO UPDATE SET pending = true
"""

_LOOKED_AT = f"""
{locked_in_order("crm_record", "crm_id", which=f"{_KEY} AND pending AND crm_id = ANY(:crm_ids)")}
UPDATE crm_pipeline.crm_record SET pending = false WHERE {_KEY} AND crm_id IN (SELECT crm_id FROM locked)
"""

_PAGE = f"""
SELECT {_COLUMNS} FROM crm_pipeline.crm_record
WHERE {_KEY} AND (CAST(:since AS timestamptz) IS NULL OR stamp >= :since) AND stamp < :until AND (stamp, crm_id) > (:stamp, :crm_id)
ORDER BY stamp, crm_id LIMIT :rows
"""

_BEGINNING = datetime(1, 1, 2, tzinfo=UTC)


def stage_changed(connection: Connection, state: CrmState, *, frame: pd.DataFrame, read_at: datetime, object_name: str | None) -> int:
    """Stage readings (schemas.CHANGED, the fields behind it); returns how many were news.

    ``read_at``: when the reading began. A reading replaces one that began earlier, whatever its stamp: a transaction that ends late may
    show an older one. One that shows something else with the same stamp is pending. One without a stamp, by id, leaves the stamp as it
    is. Of a record that the CRM fails to show, what is known stays. Rows without an id are left out.
    """
    frame = CHANGED.check(frame)
    known = frame[frame["crm_id"].notna()]
    fields = [name for name in frame.columns if name not in CHANGED.names]
    return execute_rows(
        connection,
        _STAGE,
        len(known),
        **asdict(state),
        object=object_name,
        read_at=read_at,
        ids=plain(known["crm_id"]),
        stamps=time_column(known["stamp"]),
        edited_at=time_column(known["edited_at"]),
        edited_by=plain(known["edited_by"]),
        keys=plain(known["key"]),
        parents=plain(known["parent_crm_id"]),
        fields=_documents(known, fields),
        errors=plain(known["error_type"]),
    )


def stage_seen(connection: Connection, state: CrmState, *, frame: pd.DataFrame, read_at: datetime, object_name: str | None) -> int:
    """Stage records that were read by their ids and show something else than is staged, and have the next run look at them.

    ``frame``: schemas.EXAMINED of live records, their fields behind it; the fields are all those that come back. Returns how many they are.
    """
    fields = [name for name in frame.columns if name not in EXAMINED.names]
    return execute_rows(
        connection,
        _STAGE_SEEN,
        len(frame),
        **asdict(state),
        object=object_name,
        read_at=read_at,
        ids=plain(frame["crm_id"]),
        parents=plain(frame["parent_crm_id"]),
        fields=_documents(frame, fields),
    )


def changed_stream(
    store: Store, state: CrmState, *, since: datetime | None, until: datetime, frame_rows: int = FRAME_ROWS
) -> Iterator[pd.DataFrame]:
    """The staged readings (schemas.CRM_RECORDS) whose stamps lie in a window, in the order of their stamps; never none in a frame."""
    last: dict[str, object] = {"stamp": _BEGINNING, "crm_id": ""}
    while True:
        with store.transaction() as connection:
            window = {"since": since, "until": until, "rows": frame_rows}
            page = fetch(connection, _PAGE, {**asdict(state), **window, **last}, CRM_RECORDS)
        if len(page):
            yield page
        if len(page) < frame_rows:
            return
        last = {"stamp": page["stamp"].iloc[-1].to_pydatetime(), "crm_id": page["crm_id"].iloc[-1]}


def staged_readings(connection: Connection, state: CrmState, *, crm_ids: Sequence[str]) -> pd.DataFrame:
    """The staged readings of these CRM records (schemas.CRM_RECORDS), whichever their stamps are."""
    statement = f"SELECT {_COLUMNS} FROM crm_pipeline.crm_record WHERE {_KEY} AND crm_id = ANY(:crm_ids) ORDER BY crm_id"
    return fetch(connection, statement, {**asdict(state), "crm_ids": list(crm_ids)}, CRM_RECORDS)


def pend(connection: Connection, state: CrmState, *, crm_ids: Sequence[str], objects: Sequence[str | None] | None = None) -> int:
    """Have the next run look at these CRM records, whatever their stamps; ``objects``: what LINKS calls the object of each."""
    named = list(objects) if objects is not None else [None] * len(crm_ids)
    return execute_rows(connection, _PEND, len(crm_ids), **asdict(state), ids=list(crm_ids), objects=named)


def pending_crm_ids(connection: Connection, state: CrmState) -> list[str]:
    """The CRM records that the next run is to look at, in the order of their ids."""
    statement = text(f"SELECT crm_id FROM crm_pipeline.crm_record WHERE {_KEY} AND pending ORDER BY crm_id")
    return list(connection.execute(statement, asdict(state)).scalars())


def looked_at(connection: Connection, state: CrmState, *, crm_ids: Sequence[str]) -> int:
    """These CRM records are pending no more; belongs in the transaction that stores what was decided about them."""
    return execute_rows(connection, _LOOKED_AT, len(crm_ids), **asdict(state), crm_ids=list(crm_ids))


def _documents(frame: pd.DataFrame, fields: list[str]) -> list[str]:
    """Per row, these fields as a JSON object."""
    if not fields:
        return ["{}"] * len(frame)
    rows = zip(*(plain(frame[name]) for name in fields), strict=True)
    return json_column(pd.Series([dict(zip(fields, row, strict=True)) for row in rows], dtype=object))
