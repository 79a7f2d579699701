"""Which CRM record belongs to which QBench record, and what became of each on its way there."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Identity, Index, Integer, LargeBinary, Table, Text, false, text, true
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from crm_pipeline.errors import SyncsAsContactException, SyncsAsLeadException
from crm_pipeline.store.tables.declaring import OBJECT, crm_record_key, metadata, now, outcome_columns

TOLD = ", ".join(f"'{error.__name__}'" for error in (SyncsAsContactException, SyncsAsLeadException))
"""What is said of contacts that go as leads, and of leads that are contacts: they are told when something changes for them, and nobody
looks for those (store.telling). In an index, and in what is to find it, they stand as they are."""


def is_polled(outcome: str = "") -> str:
    """The condition that an outcome which waits is looked at each hour; ``outcome``: what the statement calls it, with a point."""
    return f"({outcome}error_type IS NULL OR {outcome}error_type NOT IN ({TOLD}))"


link = Table(
    "link",
    metadata,
    *crm_record_key(),
    Column("org_id", Text, nullable=False),
    Column("object", Text, comment=OBJECT),
    Column("crm_id", Text, nullable=False),
    Column("origin", Text, nullable=False, comment="created, matched, key, manual or taken_over"),
    Column("version", BigInteger, nullable=False, comment="version last sent"),
    Column(
        "digests",
        JSONB,
        server_default=text("'{}'"),
        comment="as an older version keeps it: CRM field to digest; {}: see field_digests; null: see digest_bytes",
    ),
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
    now("linked_at"),
    now("updated_at"),
    Column(
        "field_digests",
        ARRAY(BigInteger),
        comment="as an older version keeps it: field_names, then of each CRM field the digest of the value last wanted, 0 without",
    ),
    Column("digest_bytes", LargeBinary, comment="the same numbers, of eight bytes each, the highest first; null without any"),
    # The id first: of statements that name a CRM and many QBench records, PostgreSQL takes it for as good as the primary key where its
    # statistics do not know the first links of a record type yet, and reads all of these for each. Whose the record is stands there as
    # one number: it keeps apart what few have in common, and nobody looks for it.
    Index(
        "uq_link_crm_id_owner",
        "crm_id",
        text("hashtextextended((((crm || '/'::text) || record_type) || '/'::text) || org_id, 0)"),
        unique=True,
    ),
    Index("ix_link_back_from", "integration", "crm", "record_type", postgresql_where=text("back_from IS NOT NULL")),
    Index(
        "ix_link_not_live",
        "integration",
        "crm",
        "record_type",
        "status",
        "updated_at",
        postgresql_where=text("status <> 'live'"),
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
    now("ended_at"),
    comment="The latest comparison of links with each CRM",
)


def _outcome_columns() -> tuple[Column[Any], ...]:
    return (
        Column("version", BigInteger, nullable=False),
        *outcome_columns(
            waits_on="record, customer, email, link, holder, configuration or time",
            waits_for="whose: QBench id of a customer or of who has the email, CRM id of a holder",
        ),
    )


outcome = Table(
    "outcome",
    metadata,
    *crm_record_key(),
    *_outcome_columns(),
    Column("attempts", Integer, nullable=False, comment="tries in a row that failed for a passing cause"),
    now("at"),
    Column("next_attempt_at", DateTime(timezone=True), comment="when a retryable one is tried again by itself, else null"),
    Column("state_digest", BigInteger, comment="digest of the normalized state that the outcome speaks of"),
    Column("write_digest", Text, comment="digest of the write that the CRM refused for good, else null"),
    Column("in_history", Boolean, server_default=true(), comment="outcome_history tells it already; null: it does not"),
    Index(
        "ix_outcome_waits_on",
        "integration",
        "crm",
        "record_type",
        "waits_on",
        "waits_for",
        postgresql_where=text(f"waits_on IS NOT NULL AND {is_polled()}"),
    ),
    Index("ix_outcome_told", "integration", "record_type", "at", postgresql_where=text(f"error_type IN ({TOLD})")),
    Index("ix_outcome_next_attempt_at", "integration", "next_attempt_at", postgresql_where=text("next_attempt_at IS NOT NULL")),
    Index("ix_outcome_attempts", "integration", "crm", postgresql_where=text("attempts > 0")),
    Index("ix_outcome_retryable", "integration", "crm", "record_type", "qbench_id", postgresql_where=text("retryable")),
    Index(
        "ix_outcome_error_type",
        "integration",
        "crm",
        "record_type",
        "error_type",
        "qbench_id",
        postgresql_where=text("error_type IS NOT NULL"),
    ),
    # Outcomes that are replaced leave room all over the table: the latest ones are in any block.
    Index("ix_outcome_at", "at"),
    comment="The latest outcome per record and CRM",
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", Text, primary_key=True, comment="digest of both"),
    Column("run_id", Text, nullable=False),
    Column("partition_key", Text),
    comment="Runs' tries of partitions; the latest outcomes have the id of theirs as run_id, those of older versions the run's own",
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
    now("at"),
    Index(None, "integration", "crm", "record_type", "qbench_id"),
    Index("ix_outcome_history_at", "at", postgresql_using="brin"),
    comment="Every outcome but `unchanged` that is not the latest any more; the view every_outcome shows these and those",
)

intent = Table(
    "intent",
    metadata,
    *crm_record_key(),
    Column("org_id", Text, nullable=False),
    Column("sent", JSONB, nullable=False, comment="CRM field to value as sent, the parent under parent_crm_id"),
    Column("run_id", Text, nullable=False),
    now("created_at"),
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

write_job = Table(
    "write_job",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("integration", Text, nullable=False),
    Column("crm", Text, nullable=False),
    Column("record_type", Text, nullable=False),
    Column("job", Text, nullable=False, comment="the CRM's id of the job"),
    Column("verb", Text, nullable=False, comment="create, upsert or update"),
    Column("rows", JSONB, nullable=False, comment="what is planned of each row, by what the job names it, and its open call"),
    now("began_at"),
    Index(None, "integration", "crm", "record_type"),
    comment="Jobs under way in a CRM, or whose results nobody has stored",
)
