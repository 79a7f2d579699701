"""Keep which records are deleted in QBench, and find contacts by their email."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "raw_record",
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False, comment="the record is deleted in QBench"),
        schema="crm_pipeline",
    )
    op.create_index(
        "ix_raw_record_deleted",
        "raw_record",
        ["integration", "record_type", "qbench_id"],
        unique=False,
        schema="crm_pipeline",
        postgresql_where=sa.text("deleted"),
    )
    op.create_index(
        "ix_normalized_record_email",
        "normalized_record",
        ["integration", sa.literal_column("(fields ->> 'email'::text)")],
        unique=False,
        schema="crm_pipeline",
        postgresql_where=sa.text("record_type = 'contact'"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_normalized_record_email", table_name="normalized_record", schema="crm_pipeline")
    op.drop_index("ix_raw_record_deleted", table_name="raw_record", schema="crm_pipeline")
    op.drop_column("raw_record", "deleted", schema="crm_pipeline")
