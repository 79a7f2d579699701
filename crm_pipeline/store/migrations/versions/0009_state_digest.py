"""Keep which normalized state of its record an outcome speaks of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = {
    "normalized_record": "digest of the state: of the content and of the mapping that made it",
    "outcome": "digest of the normalized state that the outcome speaks of",
}


def upgrade() -> None:
    """Apply."""
    for table, comment in TABLES.items():
        op.add_column(table, sa.Column("state_digest", sa.BigInteger(), comment=comment), schema="crm_pipeline")


def downgrade() -> None:
    """Take back."""
    for table in TABLES:
        op.drop_column(table, "state_digest", schema="crm_pipeline")
