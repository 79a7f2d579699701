"""The staged records as QBench gave them, the newest state of each."""

from __future__ import annotations

import math
from collections.abc import Collection
from functools import partial
from typing import Any

import pandas as pd
from sqlalchemy import Connection, text

from crm_pipeline.frames import Column, FrameSchema, FrameStream, plain
from crm_pipeline.model import RecordType, children
from crm_pipeline.schemas import CUSTOMERS_UNKNOWN, HELD, RAW
from crm_pipeline.store.database import Store
from crm_pipeline.store.packing import KEPT, fetch_contents, pack, unpack
from crm_pipeline.store.rows import execute_rows, json_column, json_or_null, locked_in_order
from crm_pipeline.store.staging import BY_ID, PAGE, Window, pages

HELD_AT_ONCE = 1_000
"""Rows that are read at once of which little is kept."""

RAW_FRAME_ROWS = 2_000
"""Rows per frame of raw records: while they are read each takes twenty times the room of a normalized one."""

LARGEST_STATEMENT = 1_000_000
"""About as many characters of raw contents go in one statement: on its way it stands in memory several times."""

_STAGED, _READ = "crm_pipeline.unpacked(staged.content)", "crm_pipeline.unpacked(excluded.content)"

_STAGE_RAW = f"""
INSERT INTO crm_pipeline.raw_record AS staged (integration, record_type, qbench_id, version, content, unreadable, deleted, since, late)
SELECT :integration, :record_type, qbench_id, version, {KEPT}, unreadable, deleted, since, nullif(:late, false)
FROM unnest(CAST(:ids AS bigint[]), CAST(:versions AS bigint[]), CAST(:contents AS jsonb[]), CAST(:unreadable AS text[]),
            CAST(:deleted AS boolean[]), CAST(:since AS jsonb[])) AS row (qbench_id, version, content, unreadable, deleted, since)
ON CONFLICT (integration, record_type, qbench_id) DO UPDATE
SET version = excluded.version, content = excluded.content, unreadable = excluded.unreadable, deleted = excluded.deleted, read_at = now(),
    revision = staged.revision + 1, late = excluded.late, since = excluded.since, bringing = NULL,
    returned = :has_children AND (staged.deleted OR staged.returned) AND NOT excluded.deleted
WHERE staged.version < excluded.version
   OR (staged.version = excluded.version
       AND (staged.content, staged.deleted) IS DISTINCT FROM (excluded.content, excluded.deleted)
       AND ({_STAGED}, staged.deleted) IS DISTINCT FROM ({_READ}, excluded.deleted)
       AND NOT (excluded.unreadable IS NOT DISTINCT FROM :customers_unknown AND NOT staged.deleted
                AND {_STAGED} - 'customers' = {_READ}))
"""

_HELD = BY_ID.format(columns=", ".join(HELD.names), table="raw_record")

_OF_THESE = "integration = :integration AND record_type = :record_type AND qbench_id = ANY(CAST(:ids AS bigint[]))"
_BRINGING = f"""
{locked_in_order("raw_record", "qbench_id", which=_OF_THESE)}
UPDATE crm_pipeline.raw_record AS staged SET bringing = row.bringing
FROM locked JOIN unnest(CAST(:ids AS bigint[]), CAST(:bringing AS jsonb[])) AS row (qbench_id, bringing) USING (qbench_id)
WHERE staged.integration = :integration AND staged.record_type = :record_type AND staged.qbench_id = locked.qbench_id
"""

STAGED_RAW = FrameSchema(
    "staged_raw",
    (*RAW.columns, Column("revision", "int64", "counts the states that the record was staged in")),
)
"""A raw row as it is staged."""


def stage_raw(connection: Connection, integration: str, record_type: RecordType, *, frame: pd.DataFrame, late: bool = False) -> int:
    """Stage raw rows (schemas.RAW); an older state never replaces a newer one. Returns how many rows changed.

    ``late``: rows that no window of a run holds, which the next runs take up all the same. A column ``since`` (schemas.HELD) is kept
    where there is one; what was about to be written into QBench is there by then, or is not.
    Where QBench did not tell a contact's customers this time, those that are known of the same state stay.
    By id, as everybody stages them: two who stage the same records in another order wait for each other.
    """
    newest = RAW.check(frame)
    if not newest["qbench_id"].is_unique:
        newest = newest.sort_values("version", kind="stable").drop_duplicates("qbench_id", keep="last")
    newest = newest.sort_values("qbench_id")
    key = {"integration": integration, "record_type": record_type}
    said = {"customers_unknown": CUSTOMERS_UNKNOWN, "has_children": bool(children(record_type)), "late": late}
    columns = {
        "ids": plain(newest["qbench_id"]),
        "versions": plain(newest["version"]),
        "contents": json_column(pack(connection, newest["content"])),
        "unreadable": plain(newest["unreadable"]),
        "deleted": plain(newest["deleted"]),
        "since": json_or_null(newest["since"]) if "since" in newest else [None] * len(newest),
    }
    statements = 1 + sum(map(len, columns["contents"])) // LARGEST_STATEMENT
    rows = math.ceil(len(newest) / statements) or 1
    parts = ({name: values[start : start + rows] for name, values in columns.items()} for start in range(0, len(newest), rows))
    return sum(execute_rows(connection, _STAGE_RAW, len(part["ids"]), **key, **said, **part) for part in parts)


def raw_stream(store: Store, integration: str, record_type: RecordType, *, window: Window) -> FrameStream:
    """The staged raw rows of a window, in the order of their versions (STAGED_RAW)."""
    page = PAGE.format(columns=", ".join(STAGED_RAW.names), table="raw_record")
    read = partial(
        pages,
        store,
        integration,
        record_type,
        window=window,
        statement=page,
        schema=STAGED_RAW,
        frame_rows=RAW_FRAME_ROWS,
        fetch=fetch_contents,
    )
    return FrameStream(STAGED_RAW, read)


def raw_by_id(connection: Connection, integration: str, record_type: RecordType, *, ids: list[int]) -> pd.DataFrame:
    """The staged raw rows of these QBench ids (STAGED_RAW)."""
    statement = BY_ID.format(columns=", ".join(STAGED_RAW.names), table="raw_record")
    return fetch_contents(connection, statement, {"integration": integration, "record_type": record_type, "ids": ids}, STAGED_RAW)


def held(connection: Connection, integration: str, record_type: RecordType, *, ids: list[int]) -> pd.DataFrame:
    """What is staged of these QBench ids, with the times of their values (schemas.HELD)."""
    parameters = {"integration": integration, "record_type": record_type, "ids": ids}
    return fetch_contents(connection, _HELD, parameters, HELD)


def held_fields(
    connection: Connection, integration: str, record_type: RecordType, *, ids: list[int], fields: Collection[str]
) -> pd.DataFrame:
    """The same, of contents these fields alone: whatever else records hold, no more than ``HELD_AT_ONCE`` of them stand in memory."""
    key = {"integration": integration, "record_type": record_type}
    parts = [
        fetch_contents(connection, _HELD, {**key, "ids": ids[start : start + HELD_AT_ONCE]}, HELD, fields=fields)
        for start in range(0, len(ids), HELD_AT_ONCE)
    ]
    return pd.concat(parts, ignore_index=True) if parts else HELD.empty()


def save_bringing(connection: Connection, integration: str, record_type: RecordType, *, ids: pd.Series, bringing: pd.Series) -> int:
    """Store what is about to be written into QBench's records (schemas.HELD, ``bringing``), row by row."""
    parameters = {"integration": integration, "record_type": record_type, "ids": plain(ids), "bringing": json_or_null(bringing)}
    return execute_rows(connection, _BRINGING, len(ids), **parameters)


def raw_contents(connection: Connection, integration: str, record_type: RecordType, *, ids: list[int]) -> dict[int, Any]:
    """The staged raw contents of these QBench ids, by id; one that is not staged is missing."""
    statement = text(BY_ID.format(columns="qbench_id, content", table="raw_record"))
    rows = connection.execute(statement, {"integration": integration, "record_type": record_type, "ids": ids}).all()
    return dict(zip((row.qbench_id for row in rows), unpack(connection, [row.content for row in rows]), strict=True))


def deleted_ids(connection: Connection, integration: str, record_type: RecordType, *, ids: list[int]) -> frozenset[int]:
    """Which of these QBench ids are deleted in QBench."""
    statement = text(
        "SELECT qbench_id FROM crm_pipeline.raw_record "
        "WHERE integration = :integration AND record_type = :record_type AND deleted AND qbench_id = ANY(:ids)"
    )
    return frozenset(connection.execute(statement, {"integration": integration, "record_type": record_type, "ids": ids}).scalars())
