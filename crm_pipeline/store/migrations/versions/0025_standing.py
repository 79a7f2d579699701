"""Count outcomes where they are written, so that no run has to look at every record to tell how many fail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

SCHEMA = "crm_pipeline"
COUNTED = {"outcome": "to_crm", "change_outcome": "from_crm"}
"""The tables whose rows are counted, and the direction that they are of."""

KIND = "integration, crm, record_type, outcome, coalesce(error_type, ''), retryable"
ROWS = {
    "INSERT": f"SELECT {KIND}, 1 FROM arrived",
    "DELETE": f"SELECT {KIND}, -1 FROM gone",
    "UPDATE": f"SELECT {KIND}, 1 FROM arrived UNION ALL SELECT {KIND}, -1 FROM gone",
}
REFERENCING = {"INSERT": "NEW TABLE AS arrived", "DELETE": "OLD TABLE AS gone", "UPDATE": "NEW TABLE AS arrived OLD TABLE AS gone"}


def _counting(event: str) -> str:
    return f"""
CREATE FUNCTION {SCHEMA}.count_{event.lower()}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO {SCHEMA}.standing AS stored
    (integration, direction, crm, record_type, outcome, error_type, retryable, hour, records)
  SELECT integration, TG_ARGV[0], crm, record_type, outcome, error_type, retryable, date_trunc('hour', now(), 'UTC'), sum(change)
  FROM ({ROWS[event]}) AS changed (integration, crm, record_type, outcome, error_type, retryable, change)
  GROUP BY integration, crm, record_type, outcome, error_type, retryable
  HAVING sum(change) <> 0
  ORDER BY integration, crm, record_type, outcome, error_type, retryable
  ON CONFLICT (integration, direction, crm, record_type, outcome, error_type, retryable, hour)
  DO UPDATE SET records = stored.records + excluded.records;
  RETURN NULL;
END $$
"""


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "standing",
        sa.Column("integration", sa.Text(), primary_key=True),
        sa.Column("direction", sa.Text(), primary_key=True, comment="to_crm: of outcome; from_crm: of change_outcome"),
        sa.Column("crm", sa.Text(), primary_key=True),
        sa.Column("record_type", sa.Text(), primary_key=True),
        sa.Column("outcome", sa.Text(), primary_key=True),
        sa.Column("error_type", sa.Text(), primary_key=True, comment="empty without one"),
        sa.Column("retryable", sa.Boolean(), primary_key=True),
        sa.Column("hour", sa.DateTime(timezone=True), primary_key=True),
        sa.Column(
            "records",
            sa.BigInteger(),
            nullable=False,
            comment="records that came to stand so within the hour, less those that ceased to",
        ),
        comment="How many latest outcomes of a kind there are: the sum over all hours; at an earlier time: over the hours until then",
        schema=SCHEMA,
    )
    for event in ROWS:
        op.execute(_counting(event))
    for table, direction in COUNTED.items():
        # What stands now came to stand so when it was written.
        op.execute(
            f"INSERT INTO {SCHEMA}.standing (direction, integration, crm, record_type, outcome, error_type, retryable, hour, records) "
            f"SELECT '{direction}', {KIND}, date_trunc('hour', at, 'UTC'), count(*) FROM {SCHEMA}.{table} "
            "GROUP BY 1, 2, 3, 4, 5, 6, 7, 8"
        )
        for event, referencing in REFERENCING.items():
            op.execute(
                f"CREATE TRIGGER count_{event.lower()} AFTER {event} ON {SCHEMA}.{table} REFERENCING {referencing} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.count_{event.lower()}('{direction}')"
            )
    op.create_index(
        "ix_outcome_error_type",
        "outcome",
        ["integration", "crm", "record_type", "error_type", "qbench_id"],
        schema=SCHEMA,
        postgresql_where=sa.text("error_type IS NOT NULL"),
    )
    op.create_index(
        "ix_change_outcome_error_type",
        "change_outcome",
        ["integration", "crm", "record_type", "error_type", "crm_id"],
        schema=SCHEMA,
        postgresql_where=sa.text("error_type IS NOT NULL"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_change_outcome_error_type", table_name="change_outcome", schema=SCHEMA)
    op.drop_index("ix_outcome_error_type", table_name="outcome", schema=SCHEMA)
    for event in ROWS:
        op.execute(f"DROP FUNCTION {SCHEMA}.count_{event.lower()} CASCADE")
    op.drop_table("standing", schema=SCHEMA)
