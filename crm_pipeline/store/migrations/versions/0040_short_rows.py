"""Let rows take less: links keep their digests as bytes, what is not the case is null, and calls that are over leave less room behind.

No row is written anew: one becomes small when it is written next. A run of an older version, still under way, finds no digest in what
is written meanwhile, and sends the same once more; nulls mean to it what they mean, but for those of outcomes, which it would leave out
of the history: these begin a week behind the upgrade of a database that any run has used (0036).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from crm_pipeline.store.tables import SCHEMA

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

NUMBERS = "field_names, then of each CRM field the digest of the value last wanted, 0 without"
TOLD = "integration, crm, record_type, qbench_id, version, outcome, error_type, reason, waits_on, waits_for, retryable"
EVERY = f"""
CREATE OR REPLACE VIEW {SCHEMA}.every_outcome AS
SELECT id, {TOLD}, run_id, partition_key, at FROM {SCHEMA}.outcome_history
UNION ALL
SELECT NULL, {TOLD}, coalesce(attempt.run_id, outcome.run_id), coalesce(attempt.partition_key, outcome.partition_key), at
FROM {SCHEMA}.outcome LEFT JOIN {SCHEMA}.attempt ON attempt.id = outcome.run_id
WHERE outcome <> 'unchanged' AND {{is_missing}}
"""
BEGIN = f"""
INSERT INTO {SCHEMA}.format (name, since) SELECT 'told', now() + interval '7 days' WHERE EXISTS (SELECT FROM {SCHEMA}.organization)
"""
BACK = f"""
UPDATE {SCHEMA}.link SET digests = '{{}}', field_digests = (
  SELECT array_agg(CAST(CAST('x' || encode(substr(digest_bytes, place, 8), 'hex') AS bit(64)) AS bigint) ORDER BY place)
  FROM generate_series(1, octet_length(digest_bytes), 8) AS place)
WHERE digests IS NULL
"""
FORMATS = (
    "packed, fields: raw, normalized records as arrays; attempts: outcomes with their ids",
    "packed, fields: raw, normalized records as arrays; attempts: outcomes with their ids; told: in_history as null",
)
DIGESTS = (
    "as an older version keeps it: CRM field to digest; {}: see field_digests",
    "as an older version keeps it: CRM field to digest; {}: see field_digests; null: see digest_bytes",
)
FIELD_DIGESTS = (f"{NUMBERS}; null without any", f"as an older version keeps it: {NUMBERS}")
IN_HISTORY = ("outcome_history tells it already", "outcome_history tells it already; null: it does not")
LATE = ("found where QBench had failed to list it before", "found where QBench had failed to list it before; null: it was not")


def upgrade() -> None:
    """Carry out."""
    numbers = "the same numbers, of eight bytes each, the highest first; null without any"
    op.add_column("link", sa.Column("digest_bytes", sa.LargeBinary(), comment=numbers), schema=SCHEMA)
    op.execute(BEGIN)
    op.execute(EVERY.format(is_missing="in_history IS NOT TRUE"))
    _alter(nullable=True)
    # A load empties the table of calls under way: its pages go back only if the last few rows leave the index, too.
    op.execute(f"ALTER TABLE {SCHEMA}.open_call SET (vacuum_index_cleanup = on)")


def downgrade() -> None:
    """Take back."""
    op.execute(f"ALTER TABLE {SCHEMA}.open_call RESET (vacuum_index_cleanup)")
    op.execute(BACK)
    for table, column in (("outcome", "in_history"), ("raw_record", "late")):
        op.execute(f"UPDATE {SCHEMA}.{table} SET {column} = false WHERE {column} IS NULL")
    _alter(nullable=False)
    op.execute(EVERY.format(is_missing="NOT in_history"))
    op.execute(f"DELETE FROM {SCHEMA}.format WHERE name = 'told'")
    op.drop_column("link", "digest_bytes", schema=SCHEMA)


def _alter(*, nullable: bool) -> None:
    changes: tuple[tuple[str, str, sa.types.TypeEngine[Any], tuple[str, str], bool], ...] = (
        ("link", "digests", JSONB(), DIGESTS, True),
        ("link", "field_digests", ARRAY(sa.BigInteger()), FIELD_DIGESTS, False),
        ("outcome", "in_history", sa.Boolean(), IN_HISTORY, True),
        ("raw_record", "late", sa.Boolean(), LATE, True),
        ("format", "name", sa.Text(), FORMATS, False),
    )
    for table, column, existing_type, comments, has_nulls in changes:
        before, after = comments if nullable else comments[::-1]
        op.alter_column(
            table,
            column,
            existing_type=existing_type,
            nullable=nullable if has_nulls else None,
            existing_comment=before,
            comment=after,
            schema=SCHEMA,
        )
