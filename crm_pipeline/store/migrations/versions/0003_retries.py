"""Keep when a record that failed for a passing cause is tried again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "outcome",
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), comment="when a retryable one is tried again by itself, else null"),
        schema="crm_pipeline",
    )
    op.create_index(
        "ix_outcome_next_attempt_at",
        "outcome",
        ["integration", "next_attempt_at"],
        unique=False,
        schema="crm_pipeline",
        postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
    )
    # What is open already is due at once.
    op.execute("UPDATE crm_pipeline.outcome SET next_attempt_at = now() WHERE retryable")


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_outcome_next_attempt_at", table_name="outcome", schema="crm_pipeline")
    op.drop_column("outcome", "next_attempt_at", schema="crm_pipeline")
