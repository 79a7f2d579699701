"""Let the history tell what was replaced alone: the latest outcome of a record stands in one place, and a first load writes it once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from crm_pipeline.store.tables import SCHEMA

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

TOLD = (
    "integration, crm, record_type, qbench_id, version, outcome, error_type, reason, waits_on, waits_for, retryable, run_id, "
    "partition_key, at"
)
EVERYTHING = "Every outcome but `unchanged`, append-only"
REPLACED = "Every outcome but `unchanged` that is not the latest any more; the view every_outcome shows these and those"
MISSING = "outcome <> 'unchanged' AND NOT in_history"

EVERY = f"""
CREATE VIEW {SCHEMA}.every_outcome AS
SELECT id, {TOLD} FROM {SCHEMA}.outcome_history
UNION ALL SELECT NULL, {TOLD} FROM {SCHEMA}.outcome WHERE {MISSING}
"""


def upgrade() -> None:
    """Apply. No stored row is written anew: of each outcome that stands now, the history tells."""
    comment = "outcome_history tells it already"
    column: sa.Column[bool] = sa.Column("in_history", sa.Boolean(), server_default=sa.true(), nullable=False, comment=comment)
    op.add_column("outcome", column, schema=SCHEMA)
    op.create_index("ix_outcome_at", "outcome", ["at"], schema=SCHEMA)
    op.execute(EVERY)
    op.create_table_comment("outcome_history", REPLACED, existing_comment=EVERYTHING, schema=SCHEMA)


def downgrade() -> None:
    """Take back."""
    op.create_table_comment("outcome_history", EVERYTHING, existing_comment=REPLACED, schema=SCHEMA)
    op.execute(f"DROP VIEW {SCHEMA}.every_outcome")
    op.execute(f"INSERT INTO {SCHEMA}.outcome_history ({TOLD}) SELECT {TOLD} FROM {SCHEMA}.outcome WHERE {MISSING}")
    op.drop_index("ix_outcome_at", "outcome", schema=SCHEMA)
    op.drop_column("outcome", "in_history", schema=SCHEMA)
