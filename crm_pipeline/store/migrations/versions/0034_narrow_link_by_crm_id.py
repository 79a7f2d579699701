"""Let the index of links by CRM record keep one number of whose the record is, instead of three names: two fifths of its space."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from crm_pipeline.store.tables import SCHEMA

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

BEFORE, AFTER = "uq_link_crm_id_crm_record_type_org_id", "uq_link_crm_id_owner"
OWNER = "hashtextextended((((crm || '/'::text) || record_type) || '/'::text) || org_id, 0)"


def upgrade() -> None:
    """Carry out."""
    op.create_index(AFTER, "link", ["crm_id", sa.text(OWNER)], schema=SCHEMA, unique=True)
    op.drop_index(BEFORE, "link", schema=SCHEMA)


def downgrade() -> None:
    """Take back."""
    op.create_index(BEFORE, "link", ["crm_id", "crm", "record_type", "org_id"], schema=SCHEMA, unique=True)
    op.drop_index(AFTER, "link", schema=SCHEMA)
