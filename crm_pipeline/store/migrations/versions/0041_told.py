"""Keep contacts that go as leads, and leads that are contacts, apart from what waits: they are told when something changes for them.

No row is written anew but those for which something has changed and no hour came to them yet: they are told once, here. The first hour
after the upgrade compares them all with the mapping once more.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from crm_pipeline.store.tables import SCHEMA

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

TOLD = "'SyncsAsContactException', 'SyncsAsLeadException'"
WAITS, BY_TIME = "ix_outcome_waits_on", "ix_outcome_told"
COLUMNS = ["integration", "crm", "record_type", "waits_on", "waits_for"]

TELL = f"""
UPDATE {SCHEMA}.outcome AS told SET state_digest = NULL
WHERE told.error_type IN ({TOLD}) AND (EXISTS (
    SELECT FROM {SCHEMA}.link WHERE link.integration = told.integration AND link.crm = told.crm
      AND link.record_type = told.record_type AND link.qbench_id = told.qbench_id AND link.updated_at > told.at)
  OR EXISTS (
    SELECT FROM {SCHEMA}.outcome AS contact WHERE contact.integration = told.integration AND contact.crm = told.crm
      AND contact.record_type = 'contact' AND contact.qbench_id = told.qbench_id AND contact.at > told.at
      AND contact.error_type = 'SyncsAsLeadException' AND told.error_type = 'SyncsAsContactException')
  OR EXISTS (
    SELECT FROM {SCHEMA}.normalized_record AS staged
    JOIN {SCHEMA}.link AS account ON account.integration = staged.integration AND account.crm = told.crm
      AND account.record_type = 'account' AND account.qbench_id = staged.customer_id AND account.updated_at > told.at
    JOIN {SCHEMA}.raw_record AS customer ON customer.integration = staged.integration
      AND customer.record_type = 'account' AND customer.qbench_id = staged.customer_id AND customer.deleted
    WHERE staged.integration = told.integration AND staged.record_type = told.record_type AND staged.qbench_id = told.qbench_id
      AND told.record_type = 'contact'))
"""


def upgrade() -> None:
    """Carry out."""
    op.drop_index(WAITS, "outcome", schema=SCHEMA)
    waits = sa.text(f"waits_on IS NOT NULL AND (error_type IS NULL OR error_type NOT IN ({TOLD}))")
    op.create_index(WAITS, "outcome", COLUMNS, schema=SCHEMA, postgresql_where=waits)
    told = sa.text(f"error_type IN ({TOLD})")
    op.create_index(BY_TIME, "outcome", ["integration", "record_type", "at"], schema=SCHEMA, postgresql_where=told)
    op.create_table(
        "mapping_seen",
        sa.Column("integration", sa.Text(), primary_key=True),
        sa.Column("record_type", sa.Text(), primary_key=True, comment="of the records that are told of changes"),
        sa.Column("mapping_digest", sa.Text(), nullable=False, comment="digest of the mapping that saw them last"),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False, comment="those that were decided before are normalized by it"),
        comment="By which mapping contacts that go as leads, and leads that are contacts, are normalized, and up to when",
        schema=SCHEMA,
    )
    op.execute(TELL)


def downgrade() -> None:
    """Take back."""
    op.drop_table("mapping_seen", schema=SCHEMA)
    op.drop_index(BY_TIME, "outcome", schema=SCHEMA)
    op.drop_index(WAITS, "outcome", schema=SCHEMA)
    op.create_index(WAITS, "outcome", COLUMNS, schema=SCHEMA, postgresql_where=sa.text("waits_on IS NOT NULL"))
