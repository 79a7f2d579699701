"""Keep what the CRMs say of their objects' fields, so that not every hour has to ask them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

SCHEMA = "crm_pipeline"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "description",
        sa.Column("integration", sa.Text(), primary_key=True),
        sa.Column("crm", sa.Text(), primary_key=True),
        sa.Column("object", sa.Text(), primary_key=True, comment="the CRM's object"),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False, comment="digest of the settings that the CRM was asked by"),
        sa.Column("fields", JSONB(), nullable=False, comment="names, types, lengths, options and the like; never a record's value"),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema=SCHEMA,
        comment="The fields of CRM objects as the CRM described them last",
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("description", schema=SCHEMA)
