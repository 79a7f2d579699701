"""Remember up to when the rules of contacts have seen their customers: each hour compared all contacts with theirs.

The first hour after the upgrade looks at all customers once more.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from crm_pipeline.store.tables import SCHEMA

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

INDEX = "ix_raw_record_account_read_at"


def upgrade() -> None:
    """Carry out."""
    op.create_table(
        "customers_seen",
        sa.Column("integration", sa.Text(), primary_key=True),
        sa.Column("record_type", sa.Text(), primary_key=True, comment="of the records whose rules look at customers"),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False, comment="customers that were staged before are seen as they are"),
        comment="Up to when the rules that look at customers have seen them; no row where they look at none",
        schema=SCHEMA,
    )
    accounts = sa.text("record_type = 'account'")
    op.create_index(INDEX, "raw_record", ["integration", "read_at"], schema=SCHEMA, postgresql_where=accounts)


def downgrade() -> None:
    """Take back."""
    op.drop_index(INDEX, "raw_record", schema=SCHEMA)
    op.drop_table("customers_seen", schema=SCHEMA)
