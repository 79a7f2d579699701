"""Keep which writes are under way or lost their answer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "open_call",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("crm", sa.Text(), nullable=False),
        sa.Column("record_type", sa.Text(), nullable=False),
        sa.Column("qbench_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("contents", postgresql.ARRAY(sa.BigInteger()), nullable=False, comment="per record, digest of what the call makes of it"),
        sa.Column("over_at", sa.DateTime(timezone=True), nullable=False, comment="when the CRM cannot carry the call out any more"),
        sa.PrimaryKeyConstraint("id", name="pk_open_call"),
        schema="crm_pipeline",
        comment="Writes that are under way, or whose answer was lost so that they may be carried out later",
    )
    op.create_index(
        "ix_open_call_integration_crm_record_type", "open_call", ["integration", "crm", "record_type"], unique=False, schema="crm_pipeline"
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("open_call", schema="crm_pipeline")
