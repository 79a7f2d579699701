"""Let outcomes name by a short id the run and the partition that they came of, which are kept once: a quarter of the space.

No row is written anew: an outcome becomes small when it is written next. And as a run of an older version may be under way, which would
take the id for the run's own, that begins a week behind the upgrade of a database that any run has used (0036).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from crm_pipeline.store.tables import SCHEMA

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

TOLD = "integration, crm, record_type, qbench_id, version, outcome, error_type, reason, waits_on, waits_for, retryable"
MISSING = "outcome <> 'unchanged' AND NOT in_history"
EVERY = f"""
CREATE OR REPLACE VIEW {SCHEMA}.every_outcome AS
SELECT id, {TOLD}, run_id, partition_key, at FROM {SCHEMA}.outcome_history
UNION ALL SELECT NULL, {TOLD}, {{run_id}}, {{partition_key}}, at FROM {SCHEMA}.outcome {{joined}} WHERE {MISSING}
"""
JOINED = f"LEFT JOIN {SCHEMA}.attempt ON attempt.id = outcome.run_id"
BEGIN = f"""
INSERT INTO {SCHEMA}.format (name, since) SELECT 'attempts', now() + interval '7 days' WHERE EXISTS (SELECT FROM {SCHEMA}.organization)
"""
BACK = f"""
UPDATE {SCHEMA}.outcome SET run_id = attempt.run_id, partition_key = attempt.partition_key
FROM {SCHEMA}.attempt WHERE attempt.id = outcome.run_id
"""
BEFORE, AFTER = "packed: records as arrays", "packed: records as arrays; attempts: outcomes with their ids"


def upgrade() -> None:
    """Carry out."""
    op.create_table(
        "attempt",
        sa.Column("id", sa.Text(), primary_key=True, comment="digest of both"),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("partition_key", sa.Text()),
        comment="Runs' tries of partitions; the latest outcomes have the id of theirs as run_id, those of older versions the run's own",
        schema=SCHEMA,
    )
    run_id, partition_key = (f"coalesce(attempt.{column}, outcome.{column})" for column in ("run_id", "partition_key"))
    op.execute(EVERY.format(run_id=run_id, partition_key=partition_key, joined=JOINED))
    op.execute(BEGIN)
    _comment(AFTER, before=BEFORE)


def downgrade() -> None:
    """Take back."""
    _comment(BEFORE, before=AFTER)
    op.execute(f"DELETE FROM {SCHEMA}.format WHERE name = 'attempts'")
    op.execute(BACK)
    op.execute(EVERY.format(run_id="run_id", partition_key="partition_key", joined=""))
    op.drop_table("attempt", schema=SCHEMA)


def _comment(comment: str, *, before: str) -> None:
    op.alter_column(
        "format", "name", existing_type=sa.Text(), existing_nullable=False, existing_comment=before, comment=comment, schema=SCHEMA
    )
