"""Find the links of records deleted in QBench without reading all links."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index(
        "ix_link_source_deleted",
        "link",
        ["integration", "crm", "record_type", "updated_at"],
        schema="crm_pipeline",
        postgresql_where=sa.text("status = 'source_deleted'"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_link_source_deleted", "link", schema="crm_pipeline")
