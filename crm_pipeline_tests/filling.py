"""Makes a large state database of a small one: every staged, linked and decided record many times, under other ids.

In the database alone: neither QBench nor a CRM knows the copies, and an hour in which they did not change asks nobody for them.
"""

from __future__ import annotations

import psycopg
from psycopg.sql import SQL, Composed, Identifier

from crm_pipeline.store.tables import SCHEMA

STRIDE = 1_000_000
"""How far the ids of two copies of a record lie apart."""

_CRM_ID = "left(crm_id, 1) || lpad(CAST(copy AS text), 5, '0') || substr(crm_id, 7)"
"""As long as the CRM's own."""

_LONG_AGO = "{} - interval '1 year'"
_QBENCH_ID = {"qbench_id": f"qbench_id + copy * {STRIDE}"}
_EMAIL = "to_jsonb(copy || '.' || (fields ->> 1))"
"""The copy's address: the first of a contact's packed fields."""
COPIED = {
    "raw_record": _QBENCH_ID | {"read_at": _LONG_AGO.format("read_at")},
    "normalized_record": _QBENCH_ID
    | {
        "customer_id": f"customer_id + copy * {STRIDE}",
        "fields": f"CASE WHEN record_type = 'contact' THEN jsonb_set(fields, '{{1}}', {_EMAIL}) ELSE fields END",
    },
    "link": _QBENCH_ID
    | {"updated_at": _LONG_AGO.format("updated_at"), "crm_id": _CRM_ID, "parent_qbench_id": f"parent_qbench_id + copy * {STRIDE}"},
    "outcome": _QBENCH_ID | {"at": _LONG_AGO.format("at")},
    "crm_record": {"crm_id": _CRM_ID},
    "change_outcome": _QBENCH_ID | {"crm_id": _CRM_ID},
}
"""The tables, and what of a row differs from copy to copy."""

_COLUMNS = """
SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
"""
_SEEN_IN_CRMS = """
INSERT INTO crm_pipeline.crm_record (integration, crm, record_type, object, crm_id, stamp, read_at, fields)
SELECT integration, crm, record_type, object, crm_id, now() - interval '90 days', now() - interval '90 days', '{}' FROM crm_pipeline.link
ON CONFLICT DO NOTHING
"""
_SETTLED = """
INSERT INTO crm_pipeline.change_outcome
  (integration, crm, record_type, crm_id, qbench_id, stamp, outcome, retryable, run_id, attempts)
SELECT integration, crm, record_type, crm_id, qbench_id, now() - interval '90 days', 'unchanged', false, 'run', 0 FROM crm_pipeline.link
ON CONFLICT DO NOTHING
"""
_WRONG = """
UPDATE crm_pipeline.outcome AS latest
SET outcome = 'skipped', waits_on = kind.waits_on, waits_for = CASE WHEN kind.waits_on IN ('customer', 'email', 'holder') THEN '1' END,
    error_type = kind.error_type, retryable = kind.waits_on = 'time', attempts = CASE kind.waits_on WHEN 'time' THEN 1 ELSE 0 END,
    next_attempt_at = CASE kind.waits_on WHEN 'time' THEN now() + interval '1 day' END
FROM (VALUES (0, 'record', 'InvalidEmailException'), (1, 'customer', 'CustomerNotSyncedException'),
  (2, 'email', 'DuplicateEmailException'), (3, 'link', 'DeletedInCrmException'), (4, 'time', 'RecordLockedException'),
  (5, 'holder', 'LinkConflictException'))
  AS kind (number, waits_on, error_type)
WHERE record_type = 'contact' AND qbench_id >= %(stride)s AND (qbench_id / %(stride)s) %% %(one_in)s = kind.number
"""


def fill(url: str, *, copies: int, seen_in_crms: bool = False, wrong_one_in: int = 1_000) -> dict[str, int]:
    """Put so many copies beside each record, every so many of which wait for something; returns how many rows each table has then.

    ``seen_in_crms``: all linked CRM records were read too, and nothing of them is to come back.
    """
    with psycopg.connect(url) as connection:
        if seen_in_crms:
            connection.execute(_SEEN_IN_CRMS)
            connection.execute(_SETTLED)
        for table, differs in COPIED.items():
            connection.execute(_copies(connection, table, differs), {"copies": copies})
        connection.execute(_WRONG, {"stride": STRIDE, "one_in": wrong_one_in})
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        counts = {table: connection.execute(SQL("SELECT count(*) FROM {}").format(Identifier(SCHEMA, table))) for table in COPIED}
        return {table: row[0] for table, cursor in counts.items() if (row := cursor.fetchone())}


def _copies(connection: psycopg.Connection, table: str, differs: dict[str, str]) -> Composed:
    columns = [name for (name,) in connection.execute(_COLUMNS, [f"{SCHEMA}.{table}"])]
    # What differs is written above.
    values = SQL(", ").join(SQL(differs[column]) if column in differs else Identifier(column) for column in columns)
    named = SQL(", ").join(map(Identifier, columns))
    return SQL("INSERT INTO {table} ({named}) SELECT {values} FROM {table}, generate_series(1, CAST(%(copies)s AS bigint)) AS copy").format(
        table=Identifier(SCHEMA, table), named=named, values=values
    )
