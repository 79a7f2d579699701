"""Let the index of links by CRM record begin with the record's id, so that no statement about QBench records can take it."""

from __future__ import annotations

from alembic import op

from crm_pipeline.store.tables import SCHEMA

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

BEFORE, AFTER = "uq_link_crm_record_type_crm_id_org_id", "uq_link_crm_id_crm_record_type_org_id"


def upgrade() -> None:
    """Carry out."""
    op.create_index(AFTER, "link", ["crm_id", "crm", "record_type", "org_id"], schema=SCHEMA, unique=True)
    op.drop_index(BEFORE, "link", schema=SCHEMA)


def downgrade() -> None:
    """Take back."""
    op.create_index(BEFORE, "link", ["crm", "record_type", "crm_id", "org_id"], schema=SCHEMA, unique=True)
    op.drop_index(AFTER, "link", schema=SCHEMA)
