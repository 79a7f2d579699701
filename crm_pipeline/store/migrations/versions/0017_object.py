"""Keep in which of a CRM's objects a linked record is, and one that is being created, where it is not the usual one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

OBJECT = "the CRM's object that the record is in, null: the usual one of its record type"
STATUS = "live, deleted, conflict or source_deleted"
STATUS_BEFORE = "live, merged, deleted, conflict or source_deleted"


def upgrade() -> None:
    """Apply. All links there are speak of usual objects, so that nothing is written."""
    for table in ("link", "intent"):
        op.add_column(table, sa.Column("object", sa.Text(), comment=OBJECT), schema="crm_pipeline")
    op.alter_column("link", "status", comment=STATUS, schema="crm_pipeline")


def downgrade() -> None:
    """Take back."""
    op.alter_column("link", "status", comment=STATUS_BEFORE, schema="crm_pipeline")
    for table in ("intent", "link"):
        op.drop_column(table, "object", schema="crm_pipeline")
