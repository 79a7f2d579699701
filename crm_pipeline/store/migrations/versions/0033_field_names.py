"""Keep the names of the fields that links have digests of once for all links, and the digests as numbers: a third of the space.

No row is written anew: a link becomes small when it is written next.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from crm_pipeline.store.tables import SCHEMA

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

BEFORE, AFTER = "CRM field to digest of the value last wanted", "as an older version keeps it: CRM field to digest; {}: see field_digests"
UNPACK = f"""
UPDATE {SCHEMA}.link SET digests = (
  SELECT coalesce(jsonb_object_agg(name, digest) FILTER (WHERE digest <> 0), '{{}}')
  FROM {SCHEMA}.field_names, unnest(names, field_digests[2:]) AS each (name, digest) WHERE id = field_digests[1])
WHERE digests = '{{}}' AND field_digests IS NOT NULL
"""


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "field_names",
        sa.Column("id", sa.BigInteger(), autoincrement=False, primary_key=True, comment="digest of the names"),
        sa.Column("names", ARRAY(sa.Text()), nullable=False),
        comment="Names of fields that many rows have in common and refer to by one number",
        schema=SCHEMA,
    )
    numbers = "field_names, then of each CRM field the digest of the value last wanted, 0 without; null without any"
    op.add_column("link", sa.Column("field_digests", ARRAY(sa.BigInteger()), comment=numbers), schema=SCHEMA)
    _alter(server_default=sa.text("'{}'"), existing_comment=BEFORE, comment=AFTER)


def downgrade() -> None:
    """Take back."""
    op.execute(UNPACK)
    _alter(server_default=None, existing_comment=AFTER, comment=BEFORE)
    op.drop_column("link", "field_digests", schema=SCHEMA)
    op.drop_table("field_names", schema=SCHEMA)


def _alter(*, server_default: sa.TextClause | None, existing_comment: str, comment: str) -> None:
    op.alter_column(
        "link",
        "digests",
        existing_type=JSONB(),
        existing_nullable=False,
        server_default=server_default,
        existing_comment=existing_comment,
        comment=comment,
        schema=SCHEMA,
    )
