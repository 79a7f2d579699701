"""Keep for whose customer, email or link a record waits in a column of its own, apart from what it waits on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

OLD = "ix_outcome_integration_crm_record_type_waits_on"
NEW = "ix_outcome_waits_on"
ON = "record, customer, email, link, holder, configuration or time"
FOR = "whose: QBench id of a customer or of who has the email, CRM id of a holder"
ON_BEFORE = "record, configuration, time, link, email or customer:ID"
TABLES = ("outcome", "outcome_history")

# What the history says of before is left as it was: nobody asks it for whom a record waits, and it may be long.
SPLIT = """
UPDATE crm_pipeline.outcome
SET waits_on = split_part(waits_on, ':', 1), waits_for = substr(waits_on, strpos(waits_on, ':') + 1) WHERE waits_on LIKE '%:%'
"""
JOIN = "UPDATE crm_pipeline.outcome SET waits_on = waits_on || ':' || waits_for WHERE waits_for IS NOT NULL"

# A run of the version before goes on until its end, and writes both into the one column. A later migration may drop this.
FUNCTION = """
CREATE FUNCTION crm_pipeline.split_waits_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.waits_for := substr(NEW.waits_on, strpos(NEW.waits_on, ':') + 1);
  NEW.waits_on := split_part(NEW.waits_on, ':', 1);
  RETURN NEW;
END $$
"""
TRIGGER = """
CREATE TRIGGER split_waits_on BEFORE INSERT OR UPDATE ON crm_pipeline.outcome
FOR EACH ROW WHEN (NEW.waits_on LIKE '%:%') EXECUTE FUNCTION crm_pipeline.split_waits_on()
"""


def upgrade() -> None:
    """Apply. Only outcomes that wait for another record are written anew."""
    for table in TABLES:
        op.add_column(table, sa.Column("waits_for", sa.Text(), comment=FOR), schema="crm_pipeline")
        op.alter_column(table, "waits_on", comment=ON, schema="crm_pipeline")
    op.drop_index(OLD, "outcome", schema="crm_pipeline")
    op.execute(SPLIT)
    for statement in (FUNCTION, TRIGGER):
        op.execute(statement)
    op.create_index(
        NEW,
        "outcome",
        ["integration", "crm", "record_type", "waits_on", "waits_for"],
        schema="crm_pipeline",
        postgresql_where=sa.text("waits_on IS NOT NULL"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index(NEW, "outcome", schema="crm_pipeline")
    op.execute("DROP TRIGGER split_waits_on ON crm_pipeline.outcome")
    op.execute("DROP FUNCTION crm_pipeline.split_waits_on")
    op.execute(JOIN)
    for table in TABLES:
        op.alter_column(table, "waits_on", comment=ON_BEFORE, schema="crm_pipeline")
        op.drop_column(table, "waits_for", schema="crm_pipeline")
    op.create_index(OLD, "outcome", ["integration", "crm", "record_type", "waits_on"], schema="crm_pipeline")
