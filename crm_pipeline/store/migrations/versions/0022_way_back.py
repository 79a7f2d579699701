"""Keep what comes back from each CRM, so that a mapping that changes is noticed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "way_back",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("crm", sa.Text(), nullable=False),
        sa.Column("record_type", sa.Text(), nullable=False),
        sa.Column("units", JSONB(), nullable=False, comment="unit that comes back to its fields in the CRM and in QBench"),
        sa.PrimaryKeyConstraint("integration", "crm", "record_type", name="pk_way_back"),
        schema="crm_pipeline",
        comment="What came back from a CRM by the mapping of the latest run",
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("way_back", schema="crm_pipeline")
