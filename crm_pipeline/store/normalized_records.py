"""The staged records as they were normalized, the newest state of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import pandas as pd
from sqlalchemy import Connection, text

from crm_pipeline.frames import Column, FrameSchema, FrameStream, plain
from crm_pipeline.model import RecordType
from crm_pipeline.schemas import NORMALIZED_META, normalized_schema
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.field_names import NAMED
from crm_pipeline.store.normalized_fields import DOCUMENT, KEPT, joined, pack, unpacked, value_of
from crm_pipeline.store.rows import ANY_OF_IDS, execute_rows, fetch
from crm_pipeline.store.staging import BY_ID, EVERYTHING, FRAME_ROWS, PAGE, Window, pages

_STAGE_NORMALIZED = f"""
WITH {NAMED}, made AS (
  SELECT qbench_id, version, customer_id, error_type, error_fields, document, packed, CAST(customers AS bigint[]) AS customers, revision,
    customer_revision, hashtextextended(
      CAST(ROW(CAST(:mapping_digest AS text), row.customer_id, row.error_type, row.error_fields, document) AS text), 0) AS state_digest
  FROM unnest(CAST(:ids AS bigint[]), CAST(:versions AS bigint[]), CAST(:customer_ids AS bigint[]), CAST(:error_types AS text[]),
              CAST(:error_fields AS text[]), CAST(:packed AS jsonb[]), CAST(:customers AS text[]),
              CAST(:revisions AS integer[]), CAST(:customer_revisions AS integer[]))
    AS row (qbench_id, version, customer_id, error_type, error_fields, packed, customers, revision, customer_revision),
  LATERAL {DOCUMENT} AS unpacked,
  -- One at a time: what counts the states locks its rows by new records and by changed ones, and two could wait for each other there.
  (SELECT pg_advisory_xact_lock(hashtextextended(CAST(:integration AS text) || ': staging normalized ' || :record_type, 0))) AS turn
), known AS (
  -- Rows and outcomes of before an upgrade carry no digest. One that speaks of the same version and content speaks of this state.
  SELECT told.crm, told.qbench_id, made.state_digest FROM made
  JOIN crm_pipeline.normalized_record AS before
    ON before.integration = :integration AND before.record_type = :record_type AND before.qbench_id = made.qbench_id
   AND before.state_digest IS NULL
   AND (before.version, before.customer_id, before.error_type, before.error_fields, before.fields)
     IS NOT DISTINCT FROM (made.version, made.customer_id, made.error_type, made.error_fields, made.document)
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
SELECT :integration, :record_type, qbench_id, version, customer_id, error_type, error_fields, {KEPT}, customers, revision,
  customer_revision, :mapping_digest, state_digest
FROM made ORDER BY qbench_id
ON CONFLICT (integration, record_type, qbench_id) DO UPDATE
SET version = excluded.version, customer_id = excluded.customer_id, error_type = excluded.error_type,
    error_fields = excluded.error_fields, fields = excluded.fields, customers = excluded.customers,
    revision = excluded.revision, customer_revision = excluded.customer_revision,
    mapping_digest = excluded.mapping_digest, state_digest = excluded.state_digest, normalized_at = now()
WHERE (staged.version, staged.revision) <= (excluded.version, excluded.revision)
"""

_UNLINKED_VALUES = f"""
SELECT staged.qbench_id, {value_of("staged", ":source")} AS value FROM crm_pipeline.normalized_record AS staged {joined("staged")}
WHERE staged.integration = :integration AND staged.record_type = :record_type AND staged.qbench_id > :last
  AND staged.error_type IS NULL AND {value_of("staged", ":source")} IS NOT NULL
  AND NOT EXISTS (
    SELECT FROM crm_pipeline.link
    WHERE link.integration = staged.integration AND link.crm = :crm AND link.record_type = staged.record_type
      AND link.qbench_id = staged.qbench_id)
ORDER BY staged.qbench_id LIMIT :rows
"""

_STORED = FrameSchema("stored_normalized", (*NORMALIZED_META, Column("fields", "object", "as they are kept (normalized_fields)")))
_COLUMNS = {"columns": ", ".join(_STORED.names), "table": "normalized_record"}

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
    normalized_schema(record_type).check(frame)
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
        **pack(record_type, frame)._asdict(),
        customers=[None if ids is None else f"{{{','.join(map(str, ids))}}}" for ids in customers or [None] * len(frame)],
        revisions=[0] * len(frame) if revisions is None else list(revisions),
        customer_revisions=[None] * len(frame) if customer_revisions is None else list(customer_revisions),
        mapping_digest=mapping_digest,
    )


def normalized_stream(
    store: Store, integration: str, record_type: RecordType, *, window: Window, frame_rows: int = FRAME_ROWS
) -> FrameStream:
    """The staged normalized rows of a window, in the order of their versions (schemas.normalized_schema)."""
    page, schema = PAGE.format(**_COLUMNS), normalized_schema(record_type)
    read = partial(
        pages, store, integration, record_type, window=window, statement=page, schema=schema, frame_rows=frame_rows, fetch=_fetch
    )
    return FrameStream(schema, read)


def normalized_by_id(connection: Connection, integration: str, record_type: RecordType, *, ids: list[int]) -> pd.DataFrame:
    """The staged normalized rows of these QBench ids (schemas.normalized_schema)."""
    parameters = {"integration": integration, "record_type": record_type, "ids": ids}
    return _fetch(connection, BY_ID.format(**_COLUMNS), parameters, normalized_schema(record_type))


def staged_ids(connection: Connection, integration: str, record_type: RecordType, *, ids: Sequence[int]) -> set[int]:
    """Which of these QBench ids have a staged normalized row."""
    statement = (
        "SELECT qbench_id FROM crm_pipeline.normalized_record "
        f"WHERE integration = :integration AND record_type = :record_type AND qbench_id = {ANY_OF_IDS}"
    )
    return set(connection.execute(text(statement), {"integration": integration, "record_type": record_type, "ids": list(ids)}).scalars())


def staged_errors(connection: Connection, integration: str, record_type: RecordType, *, ids: list[int]) -> pd.Series:
    """The record errors that the staged normalized rows of these QBench ids carry, by id; one without an error is missing."""
    statement = (
        "SELECT qbench_id, error_type FROM crm_pipeline.normalized_record "
        f"WHERE integration = :integration AND record_type = :record_type AND error_type IS NOT NULL AND qbench_id = {ANY_OF_IDS}"
    )
    found = fetch(connection, statement, {"integration": integration, "record_type": record_type, "ids": ids}, STAGED_ERRORS)
    return found["error_type"].set_axis(found["qbench_id"])


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
    bounds = (window or EVERYTHING).bounds
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


def _fetch(connection: Connection, statement: str, parameters: Mapping[str, Any], schema: FrameSchema) -> pd.DataFrame:
    found = fetch(connection, statement, parameters, _STORED)
    fields = FrameSchema(schema.name, schema.columns[len(NORMALIZED_META) :])
    return pd.concat([found, unpacked(connection, found.pop("fields").tolist(), fields)], axis=1)
