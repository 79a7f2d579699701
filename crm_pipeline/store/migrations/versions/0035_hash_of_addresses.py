"""Let the index of addresses keep a hash of each, instead of the address and its integration: half of its space."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from crm_pipeline.store.tables import SCHEMA

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

BEFORE, AFTER = "ix_normalized_record_email", "ix_normalized_record_email_hash"
ADDRESS: sa.ColumnElement[str] = sa.literal_column("(fields ->> 'email'::text)")
CONTACTS = sa.text("record_type = 'contact'")


def upgrade() -> None:
    """Carry out."""
    op.create_index(AFTER, "normalized_record", [ADDRESS], schema=SCHEMA, postgresql_using="hash", postgresql_where=CONTACTS)
    op.drop_index(BEFORE, "normalized_record", schema=SCHEMA)


def downgrade() -> None:
    """Take back."""
    op.create_index(BEFORE, "normalized_record", ["integration", ADDRESS], schema=SCHEMA, postgresql_where=CONTACTS)
    op.drop_index(AFTER, "normalized_record", schema=SCHEMA)
