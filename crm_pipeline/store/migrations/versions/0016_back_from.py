"""Keep which contacts may lack their account because it, or the contact, was away in the CRM, until a check has looked at them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    comment = "contacts: it or its account is back, and may lack the account; what a merge had made of that, empty after a deletion"
    op.add_column("link", sa.Column("back_from", sa.Text(), comment=comment), schema="crm_pipeline")
    op.create_index(
        "ix_link_back_from",
        "link",
        ["integration", "crm", "record_type"],
        schema="crm_pipeline",
        postgresql_where=sa.text("back_from IS NOT NULL"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_link_back_from", "link", schema="crm_pipeline")
    op.drop_column("link", "back_from", schema="crm_pipeline")
