"""The staged records: raw as QBench gave them and normalized, the newest state of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from typing import Any

import pandas as pd
from sqlalchemy import Connection, text

from crm_pipeline.frames import Column, FrameSchema, FrameStream, plain
from crm_pipeline.model import MODELS, RecordType, children
from crm_pipeline.schemas import CUSTOMERS_UNKNOWN, HELD, NORMALIZED_META, RAW, normalized_schema
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.packing import KEPT, fetch_contents, pack, unpack
from crm_pipeline.store.rows import ANY_OF_IDS, execute_rows, fetch, json_column, json_or_null

FRAME_ROWS = 5_000
"""Rows per frame of a stream: a multiple of every CRM's batch size, small enough for flat memory."""

HELD_AT_ONCE = 1_000
"""Rows that are read at once of which little is kept."""

LARGEST_STATEMENT = 1_000_000
"""About as many characters of raw contents go in one statement: on its way it stands in memory several times."""


@dataclass(frozen=True, slots=True)
class Window:
    """Versions from ``since`` (None: the beginning of time) up to, not including, ``until``; Unix seconds."""

    since: int | None
    until: int

    @property
    def bounds(self) -> dict[str, int]:
        """Both ends as numbers, to be bound to a statement."""
        return {"since": _lower(self), "until": self.until}

    def covers(self, versions: pd.Series) -> pd.Series:
        """Which of these versions lie in the window."""
        return versions.ge(_lower(self)) & versions.lt(self.until)


EVERYTHING = Window(since=None, until=2**62)
"""From the beginning of time to its end."""

_STAGED, _READ = "crm_pipeline.unpacked(staged.content)", "crm_pipeline.unpacked(excluded.content)"

_STAGE_RAW = f"""
INSERT INTO crm_pipeline.raw_record AS staged (integration, record_type, qbench_id, version, content, unreadable, deleted, since, late)
SELECT :integration, :record_type, qbench_id, version, {KEPT}, unreadable, deleted, since, :late
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

_STAGE_NORMALIZED = """
WITH made AS (
  SELECT qbench_id, version, customer_id, error_type, error_fields, fields, CAST(customers AS bigint[]) AS customers, revision,
    customer_revision, hashtextextended(
      CAST(ROW(CAST(:mapping_digest AS text), row.customer_id, row.error_type, row.error_fields, row.fields) AS text), 0) AS state_digest
  FROM unnest(CAST(:ids AS bigint[]), CAST(:versions AS bigint[]), CAST(:customer_ids AS bigint[]), CAST(:error_types AS text[]),
              CAST(:error_fields AS text[]), CAST(:fields AS jsonb[]), CAST(:customers AS text[]),
              CAST(:revisions AS integer[]), CAST(:customer_revisions AS integer[]))
    AS row (qbench_id, version, customer_id, error_type, error_fields, fields, customers, revision, customer_revision)
), known AS (
  -- Rows and outcomes of before an upgrade carry no digest. One that speaks of the same version and content speaks of this state.
  SELECT told.crm, told.qbench_id, made.state_digest FROM made
  JOIN crm_pipeline.normalized_record AS before
    ON before.integration = :integration AND before.record_type = :record_type AND before.qbench_id = made.qbench_id
   AND before.state_digest IS NULL
   AND (before.version, before.customer_id, before.error_type, before.error_fields, before.fields)
     IS NOT DISTINCT FROM (made.version, made.customer_id, made.error_type, made.error_fields, made.fields)
  JOIN crm_pipeline.outcome AS told
    ON told.integration = before.integration AND told.record_type = before.record_type AND told.qbench_id = before.qbench_id
   AND told.version = before.version AND told.state_digest IS NULL
  -- A load that is writing one will say of which state; the two would wait for each other.
  FOR UPDATE OF told SKIP LOCKED
), said AS (
  UPDATE crm_pipeline.outcome AS told SET state_digest = known.state_digest FROM known
  WHERE told.integration = :integration AND told.record_type = :record_type AND told.crm = known.crm AND told.qbench_id = known.qbench_id
)
INSERT INTO crm_pipeline.normalized_record AS staged
  (integration, record_type, qbench_id, version, customer_id, error_type, error_fields, fields, customers, revision,
   customer_revision, mapping_digest, state_digest)
SELECT :integration, :record_type, qbench_id, version, customer_id, error_type, error_fields, fields, customers, revision,
  customer_revision, :mapping_digest, state_digest
FROM made
ON CONFLICT (integration, record_type, qbench_id) DO UPDATE
SET version = excluded.version, customer_id = excluded.customer_id, error_type = excluded.error_type,
    error_fields = excluded.error_fields, fields = excluded.fields, customers = excluded.customers,
    revision = excluded.revision, customer_revision = excluded.customer_revision,
    mapping_digest = excluded.mapping_digest, state_digest = excluded.state_digest, normalized_at = now()
WHERE (staged.version, staged.revision) <= (excluded.version, excluded.revision)
"""

_PAGE = """
SELECT {columns} FROM crm_pipeline.{table}
WHERE integration = :integration AND record_type = :record_type
  AND version >= :since AND version < :until AND (version, qbench_id) > (:last_version, :last_id)
ORDER BY version, qbench_id LIMIT :rows
"""

_BY_ID = """
SELECT {columns} FROM crm_pipeline.{table}
WHERE integration = :integration AND record_type = :record_type AND qbench_id = ANY(:ids)
ORDER BY version, qbench_id
"""

_HELD = _BY_ID.format(columns=", ".join(HELD.names), table="raw_record")

_BRINGING = """
UPDATE crm_pipeline.raw_record AS staged SET bringing = row.bringing
FROM unnest(CAST(:ids AS bigint[]), CAST(:bringing AS jsonb[])) AS row (qbench_id, bringing)
WHERE staged.integration = :integration AND staged.record_type = :record_type AND staged.qbench_id = row.qbench_id
"""

_UNLINKED_VALUES = """
SELECT staged.qbench_id, staged.fields ->> :source AS value FROM crm_pipeline.normalized_record AS staged
WHERE staged.integration = :integration AND staged.record_type = :record_type AND staged.qbench_id > :last
  AND staged.error_type IS NULL AND staged.fields ->> :source IS NOT NULL
  AND NOT EXISTS (
    SELECT FROM crm_pipeline.link
    WHERE link.integration = staged.integration AND link.crm = :crm AND link.record_type = staged.record_type
      AND link.qbench_id = staged.qbench_id)
ORDER BY staged.qbench_id LIMIT :rows
"""

_OTHER_FIELDS = "other_fields"
"""Column of those fields of a staged normalized row that its model does not have: a dict."""

STAGED_RAW = FrameSchema(
    "staged_raw",
    (*RAW.columns, Column("revision", "int64", "counts the states that the record was staged in")),
)
"""A raw row as it is staged."""

STAGED_ERRORS = FrameSchema(
    "staged_errors",
    (
        Column("qbench_id", "int64", "QBench id"),
        Column("error_type", "str", "name of the record error that keeps the record from syncing anywhere"),
    ),
)

UNLINKED_VALUES = FrameSchema(
    "unlinked_values",
    (
        Column("qbench_id", "int64", "QBench id of a record without a link"),
        Column("value", "str", "the value of the normalized column that was asked for"),
    ),
)


def stage_raw(connection: Connection, integration: str, record_type: RecordType, *, frame: pd.DataFrame, late: bool = False) -> int:
    """Stage raw rows (schemas.RAW); an older state never replaces a newer one. Returns how many rows changed.

    ``late``: rows that no window of a run holds, which the next runs take up all the same. A column ``since`` (schemas.HELD) is kept
    where there is one; what was about to be written into QBench is there by then, or is not.
    Where QBench did not tell a contact's customers this time, those that are known of the same state stay.
    """
    newest = RAW.check(frame)
    if not newest["qbench_id"].is_unique:
        newest = newest.sort_values("version", kind="stable").drop_duplicates("qbench_id", keep="last")
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


def stage_normalized(
    connection: Connection,
    integration: str,
    record_type: RecordType,
    *,
    frame: pd.DataFrame,
    mapping_digest: str,
    customers: Sequence[Sequence[int] | None] | None = None,
    revisions: Sequence[int] | None = None,
    customer_revisions: Sequence[int | None] | None = None,
) -> int:
    """Stage normalized rows (schemas.normalized_schema and undeclared columns); never over a newer state.

    Per row: ``customers``, of a contact with several, their QBench ids, negative where left out as deleted, None for another;
    ``revisions`` of the raw rows that they are made of (STAGED_RAW), by which, and not by the clock, one made of older content is
    told, whoever comes last; ``customer_revisions`` likewise of the customer that rules looked at, None where they did not.
    """
    schema = normalized_schema(record_type)
    schema.check(frame)
    meta = [column_.name for column_ in NORMALIZED_META]
    return execute_rows(
        connection,
        _STAGE_NORMALIZED,
        len(frame),
        integration=integration,
        record_type=record_type,
        ids=plain(frame["qbench_id"]),
        versions=plain(frame["version"]),
        customer_ids=plain(frame["customer_id"]),
        error_types=plain(frame["error_type"]),
        error_fields=plain(frame["error_fields"]),
        fields=json_column(_dicts_without_nulls(frame.drop(columns=meta))),
        customers=[None if ids is None else f"{{{','.join(map(str, ids))}}}" for ids in customers or [None] * len(frame)],
        revisions=[0] * len(frame) if revisions is None else list(revisions),
        customer_revisions=[None] * len(frame) if customer_revisions is None else list(customer_revisions),
        mapping_digest=mapping_digest,
    )


def raw_stream(store: Store, integration: str, record_type: RecordType, *, window: Window) -> FrameStream:
    """The staged raw rows of a window, in the order of their versions (STAGED_RAW)."""
    page = _PAGE.format(columns=", ".join(STAGED_RAW.names), table="raw_record")
    pages = partial(_pages, store, integration, record_type, window=window, statement=page, schema=STAGED_RAW, fetch=fetch_contents)
    return FrameStream(STAGED_RAW, pages)


def raw_by_id(connection: Connection, integration: str, record_type: RecordType, *, ids: list[int]) -> pd.DataFrame:
    """The staged raw rows of these QBench ids (STAGED_RAW)."""
    statement = _BY_ID.format(columns=", ".join(STAGED_RAW.names), table="raw_record")
    return fetch_contents(connection, statement, {"integration": integration, "record_type": record_type, "ids": ids}, STAGED_RAW)


def normalized_stream(
    store: Store, integration: str, record_type: RecordType, *, window: Window, frame_rows: int = FRAME_ROWS
) -> FrameStream:
    """The staged normalized rows of a window, in the order of their versions (schemas.normalized_schema)."""
    page, schema = _normalized_columns(_PAGE, record_type), _staged_normalized(record_type)
    pages = partial(_pages, store, integration, record_type, window=window, statement=page, schema=schema, frame_rows=frame_rows)
    return FrameStream(normalized_schema(record_type), lambda: map(_with_other_fields, pages()))


def normalized_by_id(connection: Connection, integration: str, record_type: RecordType, *, ids: list[int]) -> pd.DataFrame:
    """The staged normalized rows of these QBench ids (schemas.normalized_schema)."""
    parameters = {"integration": integration, "record_type": record_type, "ids": ids}
    return _with_other_fields(fetch(connection, _normalized_columns(_BY_ID, record_type), parameters, _staged_normalized(record_type)))


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
    statement = text(_BY_ID.format(columns="qbench_id, content", table="raw_record"))
    rows = connection.execute(statement, {"integration": integration, "record_type": record_type, "ids": ids}).all()
    return dict(zip((row.qbench_id for row in rows), unpack(connection, [row.content for row in rows]), strict=True))


def staged_errors(connection: Connection, integration: str, record_type: RecordType, *, ids: list[int]) -> pd.Series:
    """The record errors that the staged normalized rows of these QBench ids carry, by id; one without an error is missing."""
    statement = (
        "SELECT qbench_id, error_type FROM crm_pipeline.normalized_record "
        f"WHERE integration = :integration AND record_type = :record_type AND error_type IS NOT NULL AND qbench_id = {ANY_OF_IDS}"
    )
    found = fetch(connection, statement, {"integration": integration, "record_type": record_type, "ids": ids}, STAGED_ERRORS)
    return found.set_index("qbench_id")["error_type"]


def count_in_window(connection: Connection, integration: str, record_type: RecordType, *, window: Window) -> int:
    """How many normalized rows are staged in a window."""
    statement = text(
        "SELECT count(*) FROM crm_pipeline.normalized_record "
        "WHERE integration = :integration AND record_type = :record_type AND version >= :since AND version < :until"
    )
    parameters = {"integration": integration, "record_type": record_type, **window.bounds}
    count: int = connection.execute(statement, parameters).scalar_one()
    return count


def count_of_other_mapping(
    connection: Connection,
    integration: str,
    record_type: RecordType,
    *,
    mapping_digest: str,
    window: Window | None = None,
    ids: Sequence[int] | None = None,
) -> int:
    """How many of the staged normalized rows, of a window or of these QBench ids, another mapping made."""
    statement = text(
        "SELECT count(*) FROM crm_pipeline.normalized_record "
        "WHERE integration = :integration AND record_type = :record_type "
        # Of `<>` the index knows nothing.
        "AND (mapping_digest < :mapping_digest OR mapping_digest > :mapping_digest) "
        "AND (CAST(:ids AS bigint[]) IS NULL OR qbench_id = ANY(:ids)) AND version >= :since AND version < :until"
    )
    bounds = (window or Window(since=None, until=2**62)).bounds
    parameters = {"integration": integration, "record_type": record_type, "mapping_digest": mapping_digest, **bounds}
    count: int = connection.execute(statement, {**parameters, "ids": None if ids is None else list(ids)}).scalar_one()
    return count


def unlinked_values(store: Store, state: CrmState, *, source: str) -> Iterator[pd.DataFrame]:
    """One normalized column of the staged records that may sync and have no link in the CRM, where it has a value (UNLINKED_VALUES)."""
    last = 0
    while True:
        parameters = {**asdict(state), "source": source, "last": last, "rows": FRAME_ROWS}
        with store.transaction() as connection:
            found = fetch(connection, _UNLINKED_VALUES, parameters, UNLINKED_VALUES)
        if len(found):
            yield found
        if len(found) < FRAME_ROWS:
            return
        last = int(found["qbench_id"].iloc[-1])


def deleted_ids(connection: Connection, integration: str, record_type: RecordType, *, ids: list[int]) -> frozenset[int]:
    """Which of these QBench ids are deleted in QBench."""
    statement = text(
        "SELECT qbench_id FROM crm_pipeline.raw_record "
        "WHERE integration = :integration AND record_type = :record_type AND deleted AND qbench_id = ANY(:ids)"
    )
    return frozenset(connection.execute(statement, {"integration": integration, "record_type": record_type, "ids": ids}).scalars())


def _pages(
    store: Store,
    integration: str,
    record_type: RecordType,
    *,
    window: Window,
    statement: str,
    schema: FrameSchema,
    frame_rows: int = FRAME_ROWS,
    fetch: Callable[[Connection, str, Mapping[str, Any], FrameSchema], pd.DataFrame] = fetch,
) -> Iterator[pd.DataFrame]:
    # One short transaction per frame: a load may take hours, and an open snapshot would keep the database from cleaning up.
    bounds = {**window.bounds, "rows": frame_rows}
    last = {"last_version": _lower(window) - 1, "last_id": 0}
    while True:
        with store.transaction() as connection:
            page = fetch(connection, statement, {"integration": integration, "record_type": record_type, **bounds, **last}, schema)
        if page.empty:
            return
        yield page
        if len(page) < frame_rows:
            return
        last = {"last_version": int(page["version"].iloc[-1]), "last_id": int(page["qbench_id"].iloc[-1])}


def _lower(window: Window) -> int:
    return -(2**62) if window.since is None else window.since


@cache
def _staged_normalized(record_type: RecordType) -> FrameSchema:
    other = Column(_OTHER_FIELDS, "object", "dict of another normalized field to value, without nulls")
    return FrameSchema("staged_normalized", (*normalized_schema(record_type).columns, other))


@cache
def _normalized_columns(statement: str, record_type: RecordType) -> str:
    """The statement with a column for each field of the model: to take documents apart row by row is PostgreSQL's to do."""
    kinds = {field.name: "bigint" if field.kind == "integer" else "text" for field in MODELS[record_type].fields}
    meta = [column_.name for column_ in NORMALIZED_META]
    fields = [f"CAST(fields ->> '{name}' AS {kind}) AS {name}" for name, kind in kinds.items()]
    other = f"fields - CAST('{{{', '.join(kinds)}}}' AS text[]) AS {_OTHER_FIELDS}"
    return statement.format(columns=", ".join([*meta, *fields, other]), table="normalized_record")


def _with_other_fields(page: pd.DataFrame) -> pd.DataFrame:
    """The page with a column (object) for each field that the model does not have, behind those that it has."""
    others = page.pop(_OTHER_FIELDS).tolist()
    if not any(others):
        return page
    # As objects: a blank would make floats of the integers beside it.
    return page.assign(**dict(pd.DataFrame(others, index=page.index, dtype=object).items()))


def _dicts_without_nulls(fields: pd.DataFrame) -> list[dict[str, Any]]:
    columns = {name: plain(column) for name, column in fields.items()}
    # A column of nulls has a place in no row.
    filled = {name: column for name, column in columns.items() if column.count(None) < len(column)}
    rows = zip(*filled.values(), strict=True) if filled else [()] * len(fields)
    return [{name: value for name, value in zip(filled, row, strict=True) if value is not None} for row in rows]
