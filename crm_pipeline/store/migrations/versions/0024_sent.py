"""Keep when which field that comes back was sent, so that one that goes to and fro is told from its neighbours."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    comment = "unit that comes back to the times when it was sent, Unix seconds; those of the last day"
    op.add_column("link", sa.Column("sent", JSONB(), comment=comment), schema="crm_pipeline")


def downgrade() -> None:
    """Take back."""
    op.drop_column("link", "sent", schema="crm_pipeline")
