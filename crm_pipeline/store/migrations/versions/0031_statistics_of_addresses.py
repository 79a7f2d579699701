"""Let PostgreSQL know how seldom contacts share an address: it keeps no statistics of what a partial index is about."""

from __future__ import annotations

from alembic import op

from crm_pipeline.store.tables import SCHEMA

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

STATISTICS = f"{SCHEMA}.st_normalized_record_email"


def upgrade() -> None:
    """Carry out. They are gathered when the table is next analyzed."""
    op.execute(f"CREATE STATISTICS {STATISTICS} ON (fields ->> 'email') FROM {SCHEMA}.normalized_record")


def downgrade() -> None:
    """Take back."""
    op.execute(f"DROP STATISTICS {STATISTICS}")
