"""The tables of the state database, all in the schema ``crm_pipeline``; created and changed by the migrations beside."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Identity, Index, Integer, MetaData, Table, Text, false, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from crm_pipeline.model import MODELS

SCHEMA = "crm_pipeline"
OBJECT = "the CRM's object that the record is in, null: the usual one of its record type"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={"pk": "pk_%(table_name)s", "ix": "ix_%(table_name)s_%(column_0_N_name)s"},
)


def _record_key() -> tuple[Column[str], Column[str], Column[int]]:
    return (
        Column("integration", Text, primary_key=True),
        Column("record_type", Text, primary_key=True),
        Column("qbench_id", BigInteger, primary_key=True),
    )


def _crm_record_key() -> tuple[Column[str], Column[str], Column[str], Column[int]]:
    integration, record_type, qbench_id = _record_key()
    return integration, Column("crm", Text, primary_key=True), record_type, qbench_id


def _now(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


organization = Table(
    "organization",
    metadata,
    Column("integration", Text, primary_key=True),
    Column("service", Text, primary_key=True, comment="qbench, or the CRM's name"),
    Column("org_id", Text, nullable=False),
    Column("key_space", Text, comment="external key field and prefix that the integration writes there, null without a key"),
    _now("first_seen_at"),
    Index("uq_organization_service_org_id_key_space", "service", "org_id", "key_space", unique=True),
    comment="Which organization the stored links of an integration belong to, per service",
)

reading = Table(
    "reading",
    metadata,
    Column("integration", Text, primary_key=True),
    Column("record_type", Text, primary_key=True),
    Column("since", BigInteger, primary_key=True, comment="start of the window, Unix seconds; 0 is the beginning of time"),
    Column("until", BigInteger, primary_key=True, comment="end of the window, Unix seconds, exclusive"),
    Column("position", BigInteger, nullable=False, comment="version up to which everything is staged"),
    Column("rows", BigInteger, nullable=False),
    _now("updated_at"),
    comment="Reads of QBench that are under way or were interrupted; a finished read has no row",
)

gap = Table(
    "gap",
    metadata,
    Column("integration", Text, primary_key=True),
    Column("record_type", Text, primary_key=True),
    Column("since", BigInteger, primary_key=True, comment="earliest last_updated of the record, Unix seconds"),
    Column("until", BigInteger, primary_key=True, comment="latest, exclusive"),
    _now("found_at"),
    comment="Times in which records stand that QBench failed to list; read again each hour until it does",
)

raw_record = Table(
    "raw_record",
    metadata,
    *_record_key(),
    Column("version", BigInteger, nullable=False, comment="last_updated, Unix seconds"),
    Column("content", JSONB, nullable=False),
    Column("unreadable", Text),
    Column("deleted", Boolean, nullable=False, server_default=false(), comment="the record is deleted in QBench"),
    Column("returned", Boolean, nullable=False, server_default=false(), comment="a customer back from deletion, contacts not read since"),
    Column("revision", Integer, nullable=False, server_default="0", comment="counts the states that the record was staged in"),
    Column(
        "late",
        Boolean,
        nullable=False,
        server_default=false(),
        comment="found where QBench had failed to list it before",
    ),
    Column("since", JSONB, comment="QBench field that goes both ways to the time since which a person's value stands there"),
    Column("bringing", JSONB, comment="QBench field to [digest, time] of what is about to be written there, and when a person gave it"),
    _now("read_at"),
    Index(None, "integration", "record_type", "version", "qbench_id"),
    Index("ix_raw_record_deleted", "integration", "record_type", "qbench_id", postgresql_where=text("deleted")),
    Index("ix_raw_record_late", "integration", "record_type", "qbench_id", postgresql_where=text("late")),
    Index("ix_raw_record_returned", "integration", "qbench_id", postgresql_where=text("returned")),
    comment="The newest state of every record as QBench gave it",
)

normalized_record = Table(
    "normalized_record",
    metadata,
    *_record_key(),
    Column("version", BigInteger, nullable=False),
    Column("customer_id", BigInteger),
    Column("error_type", Text),
    Column("error_fields", Text),
    Column("fields", JSONB, nullable=False, comment="normalized field to value, blanks left out"),
    Column("mapping_digest", Text, nullable=False, comment="digest of the mapping that made the row"),
    Column("customers", ARRAY(BigInteger), comment="of a contact with several: their ids, negative where left out as deleted"),
    Column("state_digest", BigInteger, comment="digest of the state: of the content and of the mapping that made it"),
    Column("revision", Integer, nullable=False, server_default="0", comment="the raw record's revision that the row was made of"),
    Column("customer_revision", Integer, comment="of a contact whose rules look at its customer: that one's revision"),
    _now("normalized_at"),
    Index(None, "integration", "record_type", "version", "qbench_id"),
    Index(None, "integration", "customer_id"),
    Index("ix_normalized_record_customers", "integration", "qbench_id", postgresql_where=text("customers IS NOT NULL")),
    *(
        Index(
            f"ix_normalized_record_{model.exclusive}",
            "integration",
            text(f"(fields ->> '{model.exclusive}'::text)"),
            postgresql_where=text(f"record_type = '{model.record_type}'"),
        )
        for model in MODELS.values()
        if model.exclusive is not None
    ),
    comment="The newest normalized state of every record",
)

link = Table(
    "link",
    metadata,
    *_crm_record_key(),
    Column("org_id", Text, nullable=False),
    Column("object", Text, comment=OBJECT),
    Column("crm_id", Text, nullable=False),
    Column("origin", Text, nullable=False, comment="created, matched, key, manual or taken_over"),
    Column("version", BigInteger, nullable=False, comment="version last sent"),
    Column("digests", JSONB, nullable=False, comment="CRM field to digest of the value last wanted"),
    Column("parent_qbench_id", BigInteger, comment="contacts: customer last sent as parent"),
    Column("status", Text, nullable=False, comment="live, deleted, conflict or source_deleted"),
    Column("merged_into", Text, comment="of a conflict after a merge in the CRM: the record that it was merged into"),
    Column("held", Boolean, nullable=False, server_default=false(), comment="gone with too many others at once: reported only"),
    Column(
        "back_from",
        Text,
        comment="contacts: it or its account is back, and may lack the account; what a merge had made of that, empty after a deletion",
    ),
    Column("bases", JSONB, comment="unit that comes back to [digest last wanted, digest last shown]; null: nothing was accepted yet"),
    Column("sending", JSONB, comment="unit that comes back to the digest that is about to be sent"),
    Column("open_until", DateTime(timezone=True), comment="until when that may still arrive"),
    Column("touched_at", DateTime(timezone=True), comment="readings of the CRM record that began then, or before, say nothing"),
    Column("deleted_by_us", DateTime(timezone=True), comment="when we deleted the CRM record"),
    Column("sent", JSONB, comment="unit that comes back to the times when it was sent, Unix seconds; those of the last day"),
    _now("linked_at"),
    _now("updated_at"),
    Index("uq_link_crm_org_id_record_type_crm_id", "crm", "org_id", "record_type", "crm_id", unique=True),
    Index("ix_link_back_from", "integration", "crm", "record_type", postgresql_where=text("back_from IS NOT NULL")),
    Index(
        "ix_link_source_deleted",
        "integration",
        "crm",
        "record_type",
        "updated_at",
        postgresql_where=text("status = 'source_deleted'"),
    ),
    comment="Stored pairs of a QBench record and a CRM record; no two QBench records share a CRM record",
)

link_check = Table(
    "link_check",
    metadata,
    Column("integration", Text, primary_key=True),
    Column("crm", Text, primary_key=True),
    Column("record_type", Text, primary_key=True),
    Column("scope", Text, nullable=False, comment="recent or full"),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("counts", JSONB, nullable=False, comment="finding to number of links"),
    _now("ended_at"),
    comment="The latest comparison of links with each CRM",
)


def _outcome_columns() -> tuple[Column[Any], ...]:
    return (
        Column("version", BigInteger, nullable=False),
        Column("outcome", Text, nullable=False),
        Column("error_type", Text),
        Column("reason", Text, comment="codes, field names and ids; never a field value"),
        Column("waits_on", Text, comment="record, customer, email, link, holder, configuration or time"),
        Column("waits_for", Text, comment="whose: QBench id of a customer or of who has the email, CRM id of a holder"),
        Column("retryable", Boolean, nullable=False),
        Column("run_id", Text, nullable=False),
        Column("partition_key", Text),
    )


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
        Column("outcome", Text, nullable=False),
        Column("error_type", Text),
        Column("reason", Text, comment="codes, field names and ids; never a field value"),
        Column("waits_on", Text, comment="record, customer, link, configuration or time"),
        Column("waits_for", Text, comment="whose: CRM id of an account"),
        Column("retryable", Boolean, nullable=False),
        Column("run_id", Text, nullable=False),
        Column("partition_key", Text),
    )


change_outcome = Table(
    "change_outcome",
    metadata,
    *_change_key(),
    *_change_columns(),
    Column("attempts", Integer, nullable=False, comment="tries in a row that failed for a passing cause"),
    _now("at"),
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
    _now("at"),
    Index(None, "integration", "crm", "record_type", "crm_id"),
    Index("ix_change_history_at", "at", postgresql_using="brin"),
    comment="Every change outcome but `unchanged`, append-only",
)

replacing = Table(
    "replacing",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("integration", Text, nullable=False),
    Column("crm", Text, nullable=False),
    Column("record_type", Text, nullable=False),
    Column("qbench_id", BigInteger, nullable=False),
    Column("object", Text, comment=OBJECT),
    Column("crm_id", Text, nullable=False),
    Column("field", Text, nullable=False, comment="the unit: a CRM field, or the name of a group"),
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
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("integration", Text, nullable=False),
    Column("crm", Text, nullable=False),
    Column("record_type", Text, nullable=False),
    Column("qbench_id", BigInteger, nullable=False),
    Column("crm_id", Text, nullable=False),
    Column("field", Text, nullable=False, comment="the unit: a CRM field, or the name of a group"),
    Column("qbench_value", JSONB, nullable=False, comment="QBench field to the value that stood there"),
    Column("crm_value", JSONB, nullable=False, comment="CRM field to the value that stood there"),
    Column("qbench_digest", BigInteger, nullable=False, comment="of what QBench wanted in the CRM, in canonical form"),
    Column("crm_digest", BigInteger, nullable=False, comment="of what the CRM showed, in canonical form"),
    Column("qbench_since", DateTime(timezone=True), comment="when a person gave QBench's value, by our clock"),
    Column("crm_since", DateTime(timezone=True), comment="when a person gave the CRM's value, by our clock"),
    Column("winner", Text, nullable=False, comment="qbench or crm"),
    Column("evidence", Text, nullable=False, comment="what decided it"),
    Column("run_id", Text, nullable=False),
    _now("at"),
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
    _now("created_at"),
    Column("answered_at", DateTime(timezone=True), comment="when the call came back without telling what it made"),
    Column("qbench_id", BigInteger, comment="of the record that was made, while its customer is still to be linked"),
    Index(None, "integration", "crm", "record_type"),
    comment="Creates in QBench whose answer is not stored yet; a CRM record is claimed by one integration at a time",
)

outcome = Table(
    "outcome",
    metadata,
    *_crm_record_key(),
    *_outcome_columns(),
    Column("attempts", Integer, nullable=False, comment="tries in a row that failed for a passing cause"),
    _now("at"),
    Column("next_attempt_at", DateTime(timezone=True), comment="when a retryable one is tried again by itself, else null"),
    Column("state_digest", BigInteger, comment="digest of the normalized state that the outcome speaks of"),
    Column("write_digest", Text, comment="digest of the write that the CRM refused for good, else null"),
    Index(
        "ix_outcome_waits_on",
        "integration",
        "crm",
        "record_type",
        "waits_on",
        "waits_for",
        postgresql_where=text("waits_on IS NOT NULL"),
    ),
    Index("ix_outcome_next_attempt_at", "integration", "next_attempt_at", postgresql_where=text("next_attempt_at IS NOT NULL")),
    Index("ix_outcome_attempts", "integration", "crm", postgresql_where=text("attempts > 0")),
    comment="The latest outcome per record and CRM",
)

outcome_history = Table(
    "outcome_history",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("integration", Text, nullable=False),
    Column("crm", Text, nullable=False),
    Column("record_type", Text, nullable=False),
    Column("qbench_id", BigInteger, nullable=False),
    *_outcome_columns(),
    _now("at"),
    Index(None, "integration", "crm", "record_type", "qbench_id"),
    # Rows come in the order of their time, so that a block range index of a few pages finds the latest ones.
    Index("ix_outcome_history_at", "at", postgresql_using="brin"),
    comment="Every outcome but `unchanged`, append-only",
)

intent = Table(
    "intent",
    metadata,
    *_crm_record_key(),
    Column("org_id", Text, nullable=False),
    Column("sent", JSONB, nullable=False, comment="CRM field to value as sent, the parent under parent_crm_id"),
    Column("run_id", Text, nullable=False),
    _now("created_at"),
    Column("answered_at", DateTime(timezone=True), comment="when the call came back without telling what it made"),
    Column("sent_with", Integer, comment="how many creates the call carried"),
    Column("object", Text, comment=OBJECT),
    comment="Creates without an external key whose answer is not stored yet",
)

open_call = Table(
    "open_call",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("integration", Text, nullable=False),
    Column("crm", Text, nullable=False),
    Column("record_type", Text, nullable=False),
    Column("qbench_ids", ARRAY(BigInteger), nullable=False),
    Column("contents", ARRAY(BigInteger), nullable=False, comment="per record, digest of what the call makes of it"),
    Column("parents", ARRAY(Text), comment="per contact, CRM id of the account that the call gives it, null where it gives none"),
    Column("over_at", DateTime(timezone=True), nullable=False, comment="when the CRM cannot carry the call out any more"),
    Index(None, "integration", "crm", "record_type"),
    comment="Writes that are under way, or whose answer was lost so that they may be carried out later",
)

failure = Table(
    "failure",
    metadata,
    Column("integration", Text, primary_key=True),
    Column("kind", Text, primary_key=True, comment="run or tick"),
    Column("subject", Text, primary_key=True, comment="asset, schedule or sensor; the integration for a run that failed outside its steps"),
    Column("occurrence", Text, primary_key=True, comment="id of the run or tick"),
    Column("at", DateTime(timezone=True), nullable=False),
    comment="Failed runs and ticks since their subject was last well",
)

alert = Table(
    "alert",
    metadata,
    Column("integration", Text, primary_key=True),
    Column("channel", Text, primary_key=True, comment="slack, webhook or email"),
    Column("incident", Text, primary_key=True),
    Column("summary", Text, nullable=False, comment="names and counts; never a field value"),
    Column("run_id", Text),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("last_seen_at", DateTime(timezone=True), nullable=False),
    Column("announced_at", DateTime(timezone=True), comment="when the channel took the message that it opened"),
    Column("cleared_at", DateTime(timezone=True), comment="set until the channel took the message that it ended"),
    comment="Open incidents per channel; one that ended goes when the channel was told",
)

alert_position = Table(
    "alert_position",
    metadata,
    Column("integration", Text, primary_key=True),
    Column("position", JSONB, nullable=False, comment="failure event and tick per schedule and sensor that were looked at last"),
    comment="How far Dagster's records were searched for failures",
)
