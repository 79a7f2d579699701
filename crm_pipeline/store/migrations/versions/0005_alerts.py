"""Keep failures, the incidents that channels are told of, and how far Dagster's records were searched."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "failure",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="run or tick"),
        sa.Column(
            "subject",
            sa.Text(),
            nullable=False,
            comment="asset, schedule or sensor; the integration for a run that failed outside its steps",
        ),
        sa.Column("occurrence", sa.Text(), nullable=False, comment="id of the run or tick"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("integration", "kind", "subject", "occurrence", name="pk_failure"),
        schema="crm_pipeline",
        comment="Failed runs and ticks since their subject was last well",
    )
    op.create_table(
        "alert",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False, comment="slack, webhook or email"),
        sa.Column("incident", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False, comment="names and counts; never a field value"),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("announced_at", sa.DateTime(timezone=True), nullable=True, comment="when the channel took the message that it opened"),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True, comment="set until the channel took the message that it ended"),
        sa.PrimaryKeyConstraint("integration", "channel", "incident", name="pk_alert"),
        schema="crm_pipeline",
        comment="Open incidents per channel; one that ended goes when the channel was told",
    )
    op.create_table(
        "alert_position",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column(
            "position",
            postgresql.JSONB(),
            nullable=False,
            comment="failure event and tick per schedule and sensor that were looked at last",
        ),
        sa.PrimaryKeyConstraint("integration", name="pk_alert_position"),
        schema="crm_pipeline",
        comment="How far Dagster's records were searched for failures",
    )


def downgrade() -> None:
    """Take back."""
    for table in ("alert_position", "alert", "failure"):
        op.drop_table(table, schema="crm_pipeline")
