"""Keep which write a CRM refused for good, so that it is not sent again unchanged."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    comment = "digest of the write that the CRM refused for good, else null"
    op.add_column("outcome", sa.Column("write_digest", sa.Text(), comment=comment), schema="crm_pipeline")


def downgrade() -> None:
    """Take back."""
    op.drop_column("outcome", "write_digest", schema="crm_pipeline")
