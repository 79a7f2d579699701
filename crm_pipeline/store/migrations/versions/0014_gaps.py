"""Remember where QBench failed to list a record, and which records were found there later."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

LATE = "found where QBench had failed to list it before"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "gap",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("record_type", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False, comment="earliest last_updated of the record, Unix seconds"),
        sa.Column("until", sa.BigInteger(), nullable=False, comment="latest, exclusive"),
        sa.Column("found_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("integration", "record_type", "since", "until", name=op.f("pk_gap")),
        schema="crm_pipeline",
        comment="Times in which records stand that QBench failed to list; read again each hour until it does",
    )
    op.add_column(
        "raw_record", sa.Column("late", sa.Boolean(), server_default=sa.text("false"), nullable=False, comment=LATE), schema="crm_pipeline"
    )
    op.create_index(
        "ix_raw_record_late",
        "raw_record",
        ["integration", "record_type", "qbench_id"],
        schema="crm_pipeline",
        postgresql_where=sa.text("late"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_raw_record_late", table_name="raw_record", schema="crm_pipeline")
    op.drop_column("raw_record", "late", schema="crm_pipeline")
    op.drop_table("gap", schema="crm_pipeline")
