"""Lease the calls that an account allows, so that all processes and integrations that use it keep its limit together."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "pace",
        sa.Column("account", sa.Text(), primary_key=True, comment="the service, and its address, a digest or an id that tells the account"),
        sa.Column(
            "times",
            ARRAY(sa.Double()),
            nullable=False,
            comment="of the calls leased lately, in Unix seconds, those of the last lease at the end",
        ),
        schema="crm_pipeline",
        comment="The latest calls of each account with a limit, which all processes keep together; unlogged: empty after a crash",
        # A call's time is of no use a minute later, and a commit that waits for the disk costs more than all the rest.
        prefixes=["UNLOGGED"],
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("pace", schema="crm_pipeline")
