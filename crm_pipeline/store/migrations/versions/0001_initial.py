"""Create the state tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "intent",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("crm", sa.Text(), nullable=False),
        sa.Column("record_type", sa.Text(), nullable=False),
        sa.Column("qbench_id", sa.BigInteger(), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column(
            "sent",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="CRM field to value as sent, the parent under parent_crm_id",
        ),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("integration", "crm", "record_type", "qbench_id", name=op.f("pk_intent")),
        schema="crm_pipeline",
        comment="Creates without an external key whose answer is not stored yet",
    )
    op.create_table(
        "link",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("crm", sa.Text(), nullable=False),
        sa.Column("record_type", sa.Text(), nullable=False),
        sa.Column("qbench_id", sa.BigInteger(), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("crm_id", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False, comment="created, matched, key, manual or taken_over"),
        sa.Column("version", sa.BigInteger(), nullable=False, comment="version last sent"),
        sa.Column(
            "digests", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="CRM field to digest of the value last wanted"
        ),
        sa.Column("parent_qbench_id", sa.BigInteger(), nullable=True, comment="contacts: customer last sent as parent"),
        sa.Column("status", sa.Text(), nullable=False, comment="live, merged, deleted, conflict or source_deleted"),
        sa.Column("merged_into", sa.Text(), nullable=True),
        sa.Column("linked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("integration", "crm", "record_type", "qbench_id", name=op.f("pk_link")),
        schema="crm_pipeline",
        comment="Stored pairs of a QBench record and a CRM record; no two QBench records share a CRM record",
    )
    op.create_index("uq_link_org_id_record_type_crm_id", "link", ["org_id", "record_type", "crm_id"], unique=True, schema="crm_pipeline")
    op.create_table(
        "normalized_record",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("record_type", sa.Text(), nullable=False),
        sa.Column("qbench_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=True),
        sa.Column("error_type", sa.Text(), nullable=True),
        sa.Column("error_fields", sa.Text(), nullable=True),
        sa.Column("fields", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="normalized field to value, blanks left out"),
        sa.Column("mapping_digest", sa.Text(), nullable=False, comment="digest of the mapping that made the row"),
        sa.Column("normalized_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("integration", "record_type", "qbench_id", name=op.f("pk_normalized_record")),
        schema="crm_pipeline",
        comment="The newest normalized state of every record",
    )
    op.create_index(
        op.f("ix_normalized_record_integration_customer_id"),
        "normalized_record",
        ["integration", "customer_id"],
        unique=False,
        schema="crm_pipeline",
    )
    op.create_index(
        op.f("ix_normalized_record_integration_record_type_version_qbench_id"),
        "normalized_record",
        ["integration", "record_type", "version", "qbench_id"],
        unique=False,
        schema="crm_pipeline",
    )
    op.create_table(
        "organization",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False, comment="qbench, or the CRM's name"),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column(
            "key_space",
            sa.Text(),
            nullable=True,
            comment="external key field and prefix that the integration writes there, null without a key",
        ),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("integration", "service", name=op.f("pk_organization")),
        schema="crm_pipeline",
        comment="Which organization the stored links of an integration belong to, per service",
    )
    op.create_index(
        "uq_organization_service_org_id_key_space", "organization", ["service", "org_id", "key_space"], unique=True, schema="crm_pipeline"
    )
    op.create_table(
        "outcome",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("crm", sa.Text(), nullable=False),
        sa.Column("record_type", sa.Text(), nullable=False),
        sa.Column("qbench_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("error_type", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True, comment="codes, field names and ids; never a field value"),
        sa.Column("waits_on", sa.Text(), nullable=True, comment="record, configuration, time, link, email or customer:ID"),
        sa.Column("retryable", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("partition_key", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="tries in a row that failed for a passing cause"),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("integration", "crm", "record_type", "qbench_id", name=op.f("pk_outcome")),
        schema="crm_pipeline",
        comment="The latest outcome per record and CRM",
    )
    op.create_index(
        op.f("ix_outcome_integration_crm_record_type_waits_on"),
        "outcome",
        ["integration", "crm", "record_type", "waits_on"],
        unique=False,
        schema="crm_pipeline",
    )
    op.create_table(
        "outcome_history",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("crm", sa.Text(), nullable=False),
        sa.Column("record_type", sa.Text(), nullable=False),
        sa.Column("qbench_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("error_type", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True, comment="codes, field names and ids; never a field value"),
        sa.Column("waits_on", sa.Text(), nullable=True, comment="record, configuration, time, link, email or customer:ID"),
        sa.Column("retryable", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("partition_key", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outcome_history")),
        schema="crm_pipeline",
        comment="Every outcome but `unchanged`, append-only",
    )
    op.create_index(
        op.f("ix_outcome_history_integration_crm_record_type_qbench_id"),
        "outcome_history",
        ["integration", "crm", "record_type", "qbench_id"],
        unique=False,
        schema="crm_pipeline",
    )
    op.create_table(
        "raw_record",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("record_type", sa.Text(), nullable=False),
        sa.Column("qbench_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False, comment="last_updated, Unix seconds"),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("unreadable", sa.Text(), nullable=True),
        sa.Column("read_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("integration", "record_type", "qbench_id", name=op.f("pk_raw_record")),
        schema="crm_pipeline",
        comment="The newest state of every record as QBench gave it",
    )
    op.create_index(
        op.f("ix_raw_record_integration_record_type_version_qbench_id"),
        "raw_record",
        ["integration", "record_type", "version", "qbench_id"],
        unique=False,
        schema="crm_pipeline",
    )
    op.create_table(
        "reading",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("record_type", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False, comment="start of the window, Unix seconds; 0 is the beginning of time"),
        sa.Column("until", sa.BigInteger(), nullable=False, comment="end of the window, Unix seconds, exclusive"),
        sa.Column("position", sa.BigInteger(), nullable=False, comment="version up to which everything is staged"),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("integration", "record_type", "since", "until", name=op.f("pk_reading")),
        schema="crm_pipeline",
        comment="Reads of QBench that are under way or were interrupted; a finished read has no row",
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("reading", schema="crm_pipeline")
    op.drop_index(op.f("ix_raw_record_integration_record_type_version_qbench_id"), table_name="raw_record", schema="crm_pipeline")
    op.drop_table("raw_record", schema="crm_pipeline")
    op.drop_index(op.f("ix_outcome_history_integration_crm_record_type_qbench_id"), table_name="outcome_history", schema="crm_pipeline")
    op.drop_table("outcome_history", schema="crm_pipeline")
    op.drop_index(op.f("ix_outcome_integration_crm_record_type_waits_on"), table_name="outcome", schema="crm_pipeline")
    op.drop_table("outcome", schema="crm_pipeline")
    op.drop_table("organization", schema="crm_pipeline")
    op.drop_index(
        op.f("ix_normalized_record_integration_record_type_version_qbench_id"), table_name="normalized_record", schema="crm_pipeline"
    )
    op.drop_index(op.f("ix_normalized_record_integration_customer_id"), table_name="normalized_record", schema="crm_pipeline")
    op.drop_table("normalized_record", schema="crm_pipeline")
    op.drop_index("uq_link_org_id_record_type_crm_id", table_name="link", schema="crm_pipeline")
    op.drop_table("link", schema="crm_pipeline")
    op.drop_table("intent", schema="crm_pipeline")
