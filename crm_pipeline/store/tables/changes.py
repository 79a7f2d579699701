"""What people change in CRMs, and what becomes of it on its way into QBench."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Identity, Index, Integer, Table, Text, false, text
from sqlalchemy.dialects.postgresql import JSONB

from crm_pipeline.store.tables.declaring import OBJECT, metadata, now, outcome_columns


def _change_key() -> tuple[Column[str], Column[str], Column[str], Column[str]]:
    return (
        Column("integration", Text, primary_key=True),
        Column("crm", Text, primary_key=True),
        Column("record_type", Text, primary_key=True),
        Column("crm_id", Text, primary_key=True),
    )


crm_record = Table(
    "crm_record",
    metadata,
    *_change_key(),
    Column("object", Text, comment=OBJECT),
    Column("stamp", DateTime(timezone=True), comment="when it changed last, by the CRM; null where it was never in a window"),
    Column("read_at", DateTime(timezone=True), comment="when the reading began, by our clock; null where it was not read yet"),
    Column("edited_at", DateTime(timezone=True), comment="when a user changed it last, where the CRM tells that"),
    Column("edited_by", Text, comment="the CRM's id of that user"),
    Column("key", Text, comment="the external key that it carries"),
    Column("parent_crm_id", Text, comment="contacts: CRM id of its account"),
    Column("fields", JSONB, nullable=False, comment="CRM field that comes back to its value as the CRM gave it"),
    Column("error_type", Text, comment="record error of one that the CRM fails to show"),
    Column("pending", Boolean, nullable=False, server_default=false(), comment="the next run looks at it, whatever its stamp"),
    Index(None, "integration", "crm", "record_type", "stamp", "crm_id"),
    Index("ix_crm_record_pending", "integration", "crm", "record_type", postgresql_where=text("pending")),
    comment="The newest reading of every record that changed in a CRM, where something comes back from there",
)


def _change_columns() -> tuple[Column[Any], ...]:
    return (
        Column("qbench_id", BigInteger, comment="of the record that it is linked to, null without one"),
        Column("stamp", DateTime(timezone=True), comment="the CRM's stamp of the reading that the outcome speaks of"),
        *outcome_columns(waits_on="record, customer, link, configuration or time", waits_for="whose: CRM id of an account"),
    )


change_outcome = Table(
    "change_outcome",
    metadata,
    *_change_key(),
    *_change_columns(),
    Column("attempts", Integer, nullable=False, comment="tries in a row that failed for a passing cause"),
    now("at"),
    Column("next_attempt_at", DateTime(timezone=True), comment="when a retryable one is tried again by itself, else null"),
    Index(
        "ix_change_outcome_waits_on",
        "integration",
        "crm",
        "record_type",
        "waits_on",
        "waits_for",
        postgresql_where=text("waits_on IS NOT NULL"),
    ),
    Index(
        "ix_change_outcome_next_attempt_at",
        "integration",
        "next_attempt_at",
        postgresql_where=text("next_attempt_at IS NOT NULL"),
    ),
    Index("ix_change_outcome_attempts", "integration", "crm", postgresql_where=text("attempts > 0")),
    Index(
        "ix_change_outcome_error_type",
        "integration",
        "crm",
        "record_type",
        "error_type",
        "crm_id",
        postgresql_where=text("error_type IS NOT NULL"),
    ),
    comment="What became of the latest change of each CRM record on its way into QBench",
)

change_history = Table(
    "change_history",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("integration", Text, nullable=False),
    Column("crm", Text, nullable=False),
    Column("record_type", Text, nullable=False),
    Column("crm_id", Text, nullable=False),
    *_change_columns(),
    now("at"),
    Index(None, "integration", "crm", "record_type", "crm_id"),
    Index("ix_change_history_at", "at", postgresql_using="brin"),
    comment="Every change outcome but `unchanged`, append-only",
)


def _unit_columns() -> tuple[Column[Any], ...]:
    return (
        Column("id", BigInteger, Identity(), primary_key=True),
        Column("integration", Text, nullable=False),
        Column("crm", Text, nullable=False),
        Column("record_type", Text, nullable=False),
        Column("qbench_id", BigInteger, nullable=False),
        Column("crm_id", Text, nullable=False),
        Column("field", Text, nullable=False, comment="the unit: a CRM field, or the name of a group"),
    )


replacing = Table(
    "replacing",
    metadata,
    *_unit_columns(),
    Column("object", Text, comment=OBJECT),
    Column("shown", JSONB, nullable=False, comment="CRM field of the unit to the value that the last look at the record showed"),
    Column("sent", JSONB, nullable=False, comment="CRM field to the value that was written there then"),
    Column("qbench_value", JSONB, nullable=False, comment="QBench field to the value that was sent"),
    Column("qbench_digest", BigInteger, nullable=False, comment="of what QBench wanted in the CRM, in canonical form"),
    Column("qbench_since", DateTime(timezone=True), comment="when a person gave QBench's value, by our clock"),
    Column("read_at", DateTime(timezone=True), nullable=False, comment="when that look began"),
    Column("began_at", DateTime(timezone=True), nullable=False, comment="when the call began that wrote"),
    Column("open_until", DateTime(timezone=True), comment="until when that may still be carried out; null once it was answered"),
    Index("ix_replacing", "integration", "crm", "record_type", "crm_id"),
    comment="Writes of fields that come back, until the CRM's history has told whether they replaced just what had been shown",
)

conflict = Table(
    "conflict",
    metadata,
    *_unit_columns(),
    Column("qbench_value", JSONB, nullable=False, comment="QBench field to the value that stood there"),
    Column("crm_value", JSONB, nullable=False, comment="CRM field to the value that stood there"),
    Column("qbench_digest", BigInteger, nullable=False, comment="of what QBench wanted in the CRM, in canonical form"),
    Column("crm_digest", BigInteger, nullable=False, comment="of what the CRM showed, in canonical form"),
    Column("qbench_since", DateTime(timezone=True), comment="when a person gave QBench's value, by our clock"),
    Column("crm_since", DateTime(timezone=True), comment="when a person gave the CRM's value, by our clock"),
    Column("winner", Text, nullable=False, comment="qbench or crm"),
    Column("evidence", Text, nullable=False, comment="what decided it"),
    Column("run_id", Text, nullable=False),
    now("at"),
    Column("restored_at", DateTime(timezone=True), comment="when a person had the loser's value put back"),
    Index(
        "uq_conflict",
        "integration",
        "crm",
        "record_type",
        "qbench_id",
        "field",
        "qbench_digest",
        "crm_digest",
        "crm_id",
        unique=True,
    ),
    Index(None, "at"),
    comment="Values that were written over though the other side did not know them; kept for 30 days",
)

way_back = Table(
    "way_back",
    metadata,
    Column("integration", Text, primary_key=True),
    Column("crm", Text, primary_key=True),
    Column("record_type", Text, primary_key=True),
    Column("units", JSONB, nullable=False, comment="unit that comes back to its fields in the CRM and in QBench"),
    comment="What came back from a CRM by the mapping of the latest run",
)

creation = Table(
    "creation",
    metadata,
    Column("crm", Text, primary_key=True),
    Column("org_id", Text, primary_key=True),
    Column("record_type", Text, primary_key=True),
    Column("crm_id", Text, primary_key=True),
    Column("integration", Text, nullable=False),
    Column("sent", JSONB, nullable=False, comment="QBench field to value as sent"),
    Column("run_id", Text, nullable=False),
    now("created_at"),
    Column("answered_at", DateTime(timezone=True), comment="when the call came back without telling what it made"),
    Column("qbench_id", BigInteger, comment="of the record that was made, while its customer is still to be linked"),
    Index(None, "integration", "crm", "record_type"),
    comment="Creates in QBench whose answer is not stored yet; a CRM record is claimed by one integration at a time",
)
