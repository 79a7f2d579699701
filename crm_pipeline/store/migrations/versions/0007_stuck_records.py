"""Find records that failed for a passing cause again and again, among all outcomes."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SCHEMA = "crm_pipeline"


def upgrade() -> None:
    """Index the few outcomes that count tries."""
    op.create_index("ix_outcome_attempts", "outcome", ["integration", "crm"], schema=SCHEMA, postgresql_where=sa.text("attempts > 0"))


def downgrade() -> None:
    """Forget the index."""
    op.drop_index("ix_outcome_attempts", table_name="outcome", schema=SCHEMA)
