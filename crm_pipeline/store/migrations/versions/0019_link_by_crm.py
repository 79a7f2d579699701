"""Tell records of two CRMs apart whose organizations have the same id."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

OLD = "uq_link_org_id_record_type_crm_id"
NEW = "uq_link_crm_org_id_record_type_crm_id"


def upgrade() -> None:
    """Apply."""
    op.create_index(NEW, "link", ["crm", "org_id", "record_type", "crm_id"], unique=True, schema="crm_pipeline")
    op.drop_index(OLD, "link", schema="crm_pipeline")


def downgrade() -> None:
    """Take back."""
    op.create_index(OLD, "link", ["org_id", "record_type", "crm_id"], unique=True, schema="crm_pipeline")
    op.drop_index(NEW, "link", schema="crm_pipeline")
