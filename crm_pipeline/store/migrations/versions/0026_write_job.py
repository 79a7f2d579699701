"""Keep the jobs that a CRM carries out in its own time, so that a load after a crash asks for their results instead of sending again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "write_job",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("crm", sa.Text(), nullable=False),
        sa.Column("record_type", sa.Text(), nullable=False),
        sa.Column("job", sa.Text(), nullable=False, comment="the CRM's id of the job"),
        sa.Column("verb", sa.Text(), nullable=False, comment="create, upsert or update"),
        sa.Column("rows", JSONB(), nullable=False, comment="what is planned of each row, by what the job names it, and its open call"),
        sa.Column("began_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_write_job")),
        schema="crm_pipeline",
        comment="Jobs under way in a CRM, or whose results nobody has stored",
    )
    op.create_index(
        op.f("ix_write_job_integration_crm_record_type"), "write_job", ["integration", "crm", "record_type"], schema="crm_pipeline"
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("write_job", schema="crm_pipeline")
