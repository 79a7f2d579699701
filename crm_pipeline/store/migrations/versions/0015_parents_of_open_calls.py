"""Keep which account an open call gives a contact, so that it can be left again where the call lands late."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    comment = "per contact, CRM id of the account that the call gives it, null where it gives none"
    op.add_column("open_call", sa.Column("parents", postgresql.ARRAY(sa.Text()), comment=comment), schema="crm_pipeline")


def downgrade() -> None:
    """Take back."""
    op.drop_column("open_call", "parents", schema="crm_pipeline")
