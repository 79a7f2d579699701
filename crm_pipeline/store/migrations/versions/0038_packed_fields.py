"""Let normalized records keep the names of their fields once for all: a third of the space.

No row is written anew: a record becomes small when it is normalized next. And as a run of an older version may be under way, which would
take an array for a blank record, that begins a week behind the upgrade of a database that any run has used (0036). Such a run finds
addresses without an index until it ends.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from crm_pipeline.store.tables import SCHEMA

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

ADDRESS, FIRST = "(fields ->> 'email'::text)", "COALESCE((fields ->> 'email'::text), (fields ->> 1))"
BEFORE, AFTER = ("ix_normalized_record_email_hash", ADDRESS), ("ix_normalized_record_exclusive_email", FIRST)
STATISTICS = f"{SCHEMA}.st_normalized_record_email"
BEGIN = f"""
INSERT INTO {SCHEMA}.format (name, since) SELECT 'fields', now() + interval '7 days' WHERE EXISTS (SELECT FROM {SCHEMA}.organization)
"""
BACK = f"""
UPDATE {SCHEMA}.normalized_record AS packed SET fields = (
  SELECT coalesce(jsonb_object_agg(key, value) FILTER (WHERE value <> 'null'), '{{}}')
  FROM jsonb_each({SCHEMA}.unpacked(packed.fields)))
WHERE jsonb_typeof(fields) = 'array'
"""
FORMATS = (
    "packed: records as arrays; attempts: outcomes with their ids",
    "packed, fields: raw, normalized records as arrays; attempts: outcomes with their ids",
)
FIELDS = (
    "normalized field to value, blanks left out",
    "normalized field to value, blanks left out; of an array: field_names, then their values (function unpacked)",
)


def upgrade() -> None:
    """Carry out."""
    op.execute(BEGIN)
    _address(AFTER, before=BEFORE)
    _comment("format", "name", sa.Text(), FORMATS)
    _comment("normalized_record", "fields", JSONB(), FIELDS)


def downgrade() -> None:
    """Take back."""
    op.execute(f"DELETE FROM {SCHEMA}.format WHERE name = 'fields'")
    op.execute(BACK)
    _address(BEFORE, before=AFTER)
    _comment("format", "name", sa.Text(), FORMATS[::-1])
    _comment("normalized_record", "fields", JSONB(), FIELDS[::-1])


def _address(index: tuple[str, str], *, before: tuple[str, str]) -> None:
    name, expression = index
    table, contacts = "normalized_record", sa.text("record_type = 'contact'")
    op.create_index(name, table, [sa.text(expression)], schema=SCHEMA, postgresql_using="hash", postgresql_where=contacts)
    op.drop_index(before[0], table, schema=SCHEMA)
    op.execute(f"DROP STATISTICS {STATISTICS}")
    op.execute(f"CREATE STATISTICS {STATISTICS} ON ({expression}) FROM {SCHEMA}.{table}")
    # Until a tenth of the records has changed nobody else would, and each look for addresses would read all of them.
    op.execute(f"ANALYZE {SCHEMA}.{table}")


def _comment(table: str, column: str, existing_type: sa.types.TypeEngine[Any], comments: tuple[str, str]) -> None:
    before, after = comments
    op.alter_column(
        table, column, existing_type=existing_type, existing_nullable=False, existing_comment=before, comment=after, schema=SCHEMA
    )
