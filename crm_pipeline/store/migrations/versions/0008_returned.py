"""Remember which customers are back after a deletion, and of contacts with several customers which of them counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

RETURNED = "a customer back from deletion, contacts not read since"
CUSTOMERS = "of a contact with several: their ids, negative where left out as deleted"

# What the rows of today say of their customers; of one that was left out, the next change tells.
KNOWN = """
UPDATE crm_pipeline.normalized_record SET customers = CAST(string_to_array(error_fields, ', ') AS bigint[])
WHERE record_type = 'contact' AND error_type = 'ContactWithMoreThanOneCustomerException'
"""


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "raw_record",
        sa.Column("returned", sa.Boolean(), server_default=sa.text("false"), nullable=False, comment=RETURNED),
        schema="crm_pipeline",
    )
    op.create_index(
        "ix_raw_record_returned",
        "raw_record",
        ["integration", "qbench_id"],
        schema="crm_pipeline",
        postgresql_where=sa.text("returned"),
    )
    op.add_column(
        "normalized_record",
        sa.Column("customers", postgresql.ARRAY(sa.BigInteger()), nullable=True, comment=CUSTOMERS),
        schema="crm_pipeline",
    )
    op.execute(KNOWN)
    op.create_index(
        "ix_normalized_record_customers",
        "normalized_record",
        ["integration", "qbench_id"],
        schema="crm_pipeline",
        postgresql_where=sa.text("customers IS NOT NULL"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_normalized_record_customers", table_name="normalized_record", schema="crm_pipeline")
    op.drop_column("normalized_record", "customers", schema="crm_pipeline")
    op.drop_index("ix_raw_record_returned", table_name="raw_record", schema="crm_pipeline")
    op.drop_column("raw_record", "returned", schema="crm_pipeline")
