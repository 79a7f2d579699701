"""Count the states of raw records, and keep of which one a normalized record was made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

COMMENTS = {
    "raw_record": "counts the states that the record was staged in",
    "normalized_record": "the raw record's revision that the row was made of",
}


def upgrade() -> None:
    """Apply."""
    for table, comment in COMMENTS.items():
        column = sa.Column("revision", sa.Integer(), server_default="0", nullable=False, comment=comment)
        op.add_column(table, column, schema="crm_pipeline")
    customer = sa.Column("customer_revision", sa.Integer(), comment="of a contact whose rules look at its customer: that one's revision")
    op.add_column("normalized_record", customer, schema="crm_pipeline")


def downgrade() -> None:
    """Take back."""
    op.drop_column("normalized_record", "customer_revision", schema="crm_pipeline")
    for table in COMMENTS:
        op.drop_column(table, "revision", schema="crm_pipeline")
