"""Keep what a write of fields that come back replaces, until the CRM's history has told whether that had been seen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "replacing",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("crm", sa.Text(), nullable=False),
        sa.Column("record_type", sa.Text(), nullable=False),
        sa.Column("qbench_id", sa.BigInteger(), nullable=False),
        sa.Column("object", sa.Text(), comment="the CRM's object that the record is in, null: the usual one of its record type"),
        sa.Column("crm_id", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False, comment="the unit: a CRM field, or the name of a group"),
        sa.Column("shown", JSONB(), nullable=False, comment="CRM field of the unit to the value that the last look at the record showed"),
        sa.Column("sent", JSONB(), nullable=False, comment="CRM field to the value that was written there then"),
        sa.Column("qbench_value", JSONB(), nullable=False, comment="QBench field to the value that was sent"),
        sa.Column("qbench_digest", sa.BigInteger(), nullable=False, comment="of what QBench wanted in the CRM, in canonical form"),
        sa.Column("qbench_since", sa.DateTime(timezone=True), comment="when a person gave QBench's value, by our clock"),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False, comment="when that look began"),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False, comment="when the call began that wrote"),
        sa.Column("open_until", sa.DateTime(timezone=True), comment="until when that may still be carried out; null once it was answered"),
        sa.PrimaryKeyConstraint("id", name="pk_replacing"),
        schema="crm_pipeline",
        comment="Writes of fields that come back, until the CRM's history has told whether they replaced just what had been shown",
    )
    op.create_index("ix_replacing", "replacing", ["integration", "crm", "record_type", "crm_id"], schema="crm_pipeline")


def downgrade() -> None:
    """Take back."""
    op.drop_table("replacing", schema="crm_pipeline")
