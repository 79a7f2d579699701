"""Keep of an unanswered create how many went with it and when its call was over, so that it can be sent again in smaller parts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    answered = sa.Column("answered_at", sa.DateTime(timezone=True), comment="when the call came back without telling what it made")
    op.add_column("intent", answered, schema="crm_pipeline")
    op.add_column("intent", sa.Column("sent_with", sa.Integer(), comment="how many creates the call carried"), schema="crm_pipeline")


def downgrade() -> None:
    """Take back."""
    op.drop_column("intent", "sent_with", schema="crm_pipeline")
    op.drop_column("intent", "answered_at", schema="crm_pipeline")
