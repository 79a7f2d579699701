"""Let raw records keep the names of their fields once for all: a third of the space.

No row is written anew: a record becomes small when it is written next. And as a run of an older version may be under way, which would
take an array for a blank record, that begins a week behind the upgrade of a database that any run has used: before a run stages
anything, it stores where it reads.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from crm_pipeline.store.tables import SCHEMA

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

AFTER = "the record as QBench gave it; of an array: field_names, then their values (function unpacked)"
UNPACKED = f"""
CREATE FUNCTION {SCHEMA}.unpacked(content jsonb) RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT CASE jsonb_typeof(content) WHEN 'array' THEN (
    SELECT jsonb_object_agg(name, value)
    FROM {SCHEMA}.field_names, ROWS FROM (unnest(names), jsonb_array_elements(content - 0)) AS each (name, value)
    WHERE id = CAST(content ->> 0 AS bigint)
  ) ELSE content END
$$
"""
BEGIN = f"""
INSERT INTO {SCHEMA}.format (name, since)
SELECT 'packed', now() + interval '7 days' WHERE EXISTS (SELECT FROM {SCHEMA}.organization)
"""


def upgrade() -> None:
    """Carry out."""
    op.create_table(
        "format",
        sa.Column("name", sa.Text(), primary_key=True, comment="packed: records as arrays"),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        comment="Ways to keep rows that begin later, once no run of a version from before the upgrade can be under way",
        schema=SCHEMA,
    )
    op.execute(UNPACKED)
    op.execute(BEGIN)
    _comment(AFTER, before=None)


def downgrade() -> None:
    """Take back."""
    op.execute(f"UPDATE {SCHEMA}.raw_record SET content = {SCHEMA}.unpacked(content) WHERE jsonb_typeof(content) = 'array'")
    _comment(None, before=AFTER)
    op.execute(f"DROP FUNCTION {SCHEMA}.unpacked")
    op.drop_table("format", schema=SCHEMA)


def _comment(comment: str | None, *, before: str | None) -> None:
    op.alter_column(
        "raw_record",
        "content",
        existing_type=JSONB(),
        existing_nullable=False,
        existing_comment=before,
        comment=comment,
        schema=SCHEMA,
    )
