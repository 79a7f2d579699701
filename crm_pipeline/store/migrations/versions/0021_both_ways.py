"""Keep what goes both ways: bases of links, readings of CRM records, what became of them, conflicts, creates in QBench."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. No row of an existing table is written."""
    op.create_table(
        "change_history",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("crm", sa.Text(), nullable=False),
        sa.Column("record_type", sa.Text(), nullable=False),
        sa.Column("crm_id", sa.Text(), nullable=False),
        sa.Column("qbench_id", sa.BigInteger(), comment="of the record that it is linked to, null without one"),
        sa.Column("stamp", sa.DateTime(timezone=True), comment="the CRM's stamp of the reading that the outcome speaks of"),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("error_type", sa.Text()),
        sa.Column("reason", sa.Text(), comment="codes, field names and ids; never a field value"),
        sa.Column("waits_on", sa.Text(), comment="record, customer, link, configuration or time"),
        sa.Column("waits_for", sa.Text(), comment="whose: CRM id of an account"),
        sa.Column("retryable", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("partition_key", sa.Text()),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_change_history"),
        schema="crm_pipeline",
        comment="Every change outcome but `unchanged`, append-only",
    )
    op.create_index("ix_change_history_at", "change_history", ["at"], schema="crm_pipeline", postgresql_using="brin")
    op.create_index(
        "ix_change_history_integration_crm_record_type_crm_id",
        "change_history",
        ["integration", "crm", "record_type", "crm_id"],
        schema="crm_pipeline",
    )
    op.create_table(
        "change_outcome",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("crm", sa.Text(), nullable=False),
        sa.Column("record_type", sa.Text(), nullable=False),
        sa.Column("crm_id", sa.Text(), nullable=False),
        sa.Column("qbench_id", sa.BigInteger(), comment="of the record that it is linked to, null without one"),
        sa.Column("stamp", sa.DateTime(timezone=True), comment="the CRM's stamp of the reading that the outcome speaks of"),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("error_type", sa.Text()),
        sa.Column("reason", sa.Text(), comment="codes, field names and ids; never a field value"),
        sa.Column("waits_on", sa.Text(), comment="record, customer, link, configuration or time"),
        sa.Column("waits_for", sa.Text(), comment="whose: CRM id of an account"),
        sa.Column("retryable", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("partition_key", sa.Text()),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="tries in a row that failed for a passing cause"),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), comment="when a retryable one is tried again by itself, else null"),
        sa.PrimaryKeyConstraint("integration", "crm", "record_type", "crm_id", name="pk_change_outcome"),
        schema="crm_pipeline",
        comment="What became of the latest change of each CRM record on its way into QBench",
    )
    op.create_index(
        "ix_change_outcome_next_attempt_at",
        "change_outcome",
        ["integration", "next_attempt_at"],
        schema="crm_pipeline",
        postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
    )
    op.create_index(
        "ix_change_outcome_waits_on",
        "change_outcome",
        ["integration", "crm", "record_type", "waits_on", "waits_for"],
        schema="crm_pipeline",
        postgresql_where=sa.text("waits_on IS NOT NULL"),
    )
    op.create_table(
        "conflict",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("crm", sa.Text(), nullable=False),
        sa.Column("record_type", sa.Text(), nullable=False),
        sa.Column("qbench_id", sa.BigInteger(), nullable=False),
        sa.Column("crm_id", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False, comment="the unit: a CRM field, or the name of a group"),
        sa.Column("qbench_value", JSONB(), nullable=False, comment="QBench field to the value that stood there"),
        sa.Column("crm_value", JSONB(), nullable=False, comment="CRM field to the value that stood there"),
        sa.Column("qbench_digest", sa.BigInteger(), nullable=False, comment="of what QBench wanted in the CRM, in canonical form"),
        sa.Column("crm_digest", sa.BigInteger(), nullable=False, comment="of what the CRM showed, in canonical form"),
        sa.Column("qbench_since", sa.DateTime(timezone=True), comment="when a person gave QBench's value, by our clock"),
        sa.Column("crm_since", sa.DateTime(timezone=True), comment="when a person gave the CRM's value, by our clock"),
        sa.Column("winner", sa.Text(), nullable=False, comment="qbench or crm"),
        sa.Column("evidence", sa.Text(), nullable=False, comment="what decided it"),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("restored_at", sa.DateTime(timezone=True), comment="when a person had the loser's value put back"),
        sa.PrimaryKeyConstraint("id", name="pk_conflict"),
        schema="crm_pipeline",
        comment="Values that were written over though the other side did not know them; kept for 30 days",
    )
    op.create_index("ix_conflict_at", "conflict", ["at"], schema="crm_pipeline")
    op.create_index(
        "uq_conflict",
        "conflict",
        ["integration", "crm", "record_type", "qbench_id", "field", "qbench_digest", "crm_digest", "crm_id"],
        unique=True,
        schema="crm_pipeline",
    )
    op.create_table(
        "creation",
        sa.Column("crm", sa.Text(), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("record_type", sa.Text(), nullable=False),
        sa.Column("crm_id", sa.Text(), nullable=False),
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("sent", JSONB(), nullable=False, comment="QBench field to value as sent"),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), comment="when the call came back without telling what it made"),
        sa.Column("qbench_id", sa.BigInteger(), comment="of the record that was made, while its customer is still to be linked"),
        sa.PrimaryKeyConstraint("crm", "org_id", "record_type", "crm_id", name="pk_creation"),
        schema="crm_pipeline",
        comment="Creates in QBench whose answer is not stored yet; a CRM record is claimed by one integration at a time",
    )
    op.create_index("ix_creation_integration_crm_record_type", "creation", ["integration", "crm", "record_type"], schema="crm_pipeline")
    op.create_table(
        "crm_record",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("crm", sa.Text(), nullable=False),
        sa.Column("record_type", sa.Text(), nullable=False),
        sa.Column("crm_id", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), comment="the CRM's object that the record is in, null: the usual one of its record type"),
        sa.Column("stamp", sa.DateTime(timezone=True), comment="when it changed last, by the CRM; null where it was never in a window"),
        sa.Column("read_at", sa.DateTime(timezone=True), comment="when the reading began, by our clock; null where it was not read yet"),
        sa.Column("edited_at", sa.DateTime(timezone=True), comment="when a user changed it last, where the CRM tells that"),
        sa.Column("edited_by", sa.Text(), comment="the CRM's id of that user"),
        sa.Column("key", sa.Text(), comment="the external key that it carries"),
        sa.Column("parent_crm_id", sa.Text(), comment="contacts: CRM id of its account"),
        sa.Column("fields", JSONB(), nullable=False, comment="CRM field that comes back to its value as the CRM gave it"),
        sa.Column("error_type", sa.Text(), comment="record error of one that the CRM fails to show"),
        sa.Column(
            "pending", sa.Boolean(), server_default=sa.false(), nullable=False, comment="the next run looks at it, whatever its stamp"
        ),
        sa.PrimaryKeyConstraint("integration", "crm", "record_type", "crm_id", name="pk_crm_record"),
        schema="crm_pipeline",
        comment="The newest reading of every record that changed in a CRM, where something comes back from there",
    )
    op.create_index(
        "ix_crm_record_integration_crm_record_type_stamp_crm_id",
        "crm_record",
        ["integration", "crm", "record_type", "stamp", "crm_id"],
        schema="crm_pipeline",
    )
    op.create_index(
        "ix_crm_record_pending",
        "crm_record",
        ["integration", "crm", "record_type"],
        schema="crm_pipeline",
        postgresql_where=sa.text("pending"),
    )
    op.add_column(
        "link",
        sa.Column(
            "bases", JSONB(), comment="unit that comes back to [digest last wanted, digest last shown]; null: nothing was accepted yet"
        ),
        schema="crm_pipeline",
    )
    op.add_column(
        "link", sa.Column("sending", JSONB(), comment="unit that comes back to the digest that is about to be sent"), schema="crm_pipeline"
    )
    op.add_column(
        "link", sa.Column("open_until", sa.DateTime(timezone=True), comment="until when that may still arrive"), schema="crm_pipeline"
    )
    op.add_column(
        "link",
        sa.Column("touched_at", sa.DateTime(timezone=True), comment="readings of the CRM record that began then, or before, say nothing"),
        schema="crm_pipeline",
    )
    op.add_column(
        "link", sa.Column("deleted_by_us", sa.DateTime(timezone=True), comment="when we deleted the CRM record"), schema="crm_pipeline"
    )
    op.add_column(
        "raw_record",
        sa.Column("since", JSONB(), comment="QBench field that goes both ways to the time since which a person's value stands there"),
        schema="crm_pipeline",
    )
    op.add_column(
        "raw_record",
        sa.Column(
            "bringing", JSONB(), comment="QBench field to [digest, time] of what is about to be written there, and when a person gave it"
        ),
        schema="crm_pipeline",
    )


def downgrade() -> None:
    """Take back."""
    op.drop_column("raw_record", "bringing", schema="crm_pipeline")
    op.drop_column("raw_record", "since", schema="crm_pipeline")
    op.drop_column("link", "deleted_by_us", schema="crm_pipeline")
    op.drop_column("link", "touched_at", schema="crm_pipeline")
    op.drop_column("link", "open_until", schema="crm_pipeline")
    op.drop_column("link", "sending", schema="crm_pipeline")
    op.drop_column("link", "bases", schema="crm_pipeline")
    op.drop_index("ix_crm_record_pending", table_name="crm_record", schema="crm_pipeline")
    op.drop_index("ix_crm_record_integration_crm_record_type_stamp_crm_id", table_name="crm_record", schema="crm_pipeline")
    op.drop_table("crm_record", schema="crm_pipeline")
    op.drop_index("ix_creation_integration_crm_record_type", table_name="creation", schema="crm_pipeline")
    op.drop_table("creation", schema="crm_pipeline")
    op.drop_index("uq_conflict", table_name="conflict", schema="crm_pipeline")
    op.drop_index("ix_conflict_at", table_name="conflict", schema="crm_pipeline")
    op.drop_table("conflict", schema="crm_pipeline")
    op.drop_index("ix_change_outcome_waits_on", table_name="change_outcome", schema="crm_pipeline")
    op.drop_index("ix_change_outcome_next_attempt_at", table_name="change_outcome", schema="crm_pipeline")
    op.drop_table("change_outcome", schema="crm_pipeline")
    op.drop_index("ix_change_history_integration_crm_record_type_crm_id", table_name="change_history", schema="crm_pipeline")
    op.drop_index("ix_change_history_at", table_name="change_history", schema="crm_pipeline")
    op.drop_table("change_history", schema="crm_pipeline")
