"""Keep when links were last compared with a CRM and what was found, and which deletions are only reported."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MERGED_INTO = "of a conflict after a merge in the CRM: the record that it was merged into"


def upgrade() -> None:
    """Apply."""
    op.alter_column("link", "merged_into", comment=MERGED_INTO, schema="crm_pipeline")
    op.add_column(
        "link",
        sa.Column(
            "held",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="gone with too many others at once: reported only",
        ),
        schema="crm_pipeline",
    )
    op.create_table(
        "link_check",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("crm", sa.Text(), nullable=False),
        sa.Column("record_type", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False, comment="recent or full"),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("counts", postgresql.JSONB(), nullable=False, comment="finding to number of links"),
        sa.Column("ended_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("integration", "crm", "record_type", name="pk_link_check"),
        schema="crm_pipeline",
        comment="The latest comparison of links with each CRM",
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("link_check", schema="crm_pipeline")
    op.drop_column("link", "held", schema="crm_pipeline")
    op.alter_column("link", "merged_into", comment=None, schema="crm_pipeline")
