"""Find the latest outcomes in the history."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index("ix_outcome_history_at", "outcome_history", ["at"], unique=False, schema="crm_pipeline", postgresql_using="brin")


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_outcome_history_at", table_name="outcome_history", schema="crm_pipeline")
