"""What was read of QBench, and from which organization."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Integer, Table, Text, false, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from crm_pipeline.model import MODELS, children
from crm_pipeline.store.tables.declaring import metadata, now, record_key

organization = Table(
    "organization",
    metadata,
    Column("integration", Text, primary_key=True),
    Column("service", Text, primary_key=True, comment="qbench, or the CRM's name"),
    Column("org_id", Text, nullable=False),
    Column("key_space", Text, comment="external key field and prefix that the integration writes there, null without a key"),
    now("first_seen_at"),
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
    now("updated_at"),
    comment="Reads of QBench that are under way or were interrupted; a finished read has no row",
)

gap = Table(
    "gap",
    metadata,
    Column("integration", Text, primary_key=True),
    Column("record_type", Text, primary_key=True),
    Column("since", BigInteger, primary_key=True, comment="earliest last_updated of the record, Unix seconds"),
    Column("until", BigInteger, primary_key=True, comment="latest, exclusive"),
    now("found_at"),
    comment="Times in which records stand that QBench failed to list; read again each hour until it does",
)

raw_record = Table(
    "raw_record",
    metadata,
    *record_key(),
    Column("version", BigInteger, nullable=False, comment="last_updated, Unix seconds"),
    Column(
        "content",
        JSONB,
        nullable=False,
        comment="the record as QBench gave it; of an array: field_names, then their values (function unpacked)",
    ),
    Column("unreadable", Text),
    Column("deleted", Boolean, nullable=False, server_default=false(), comment="the record is deleted in QBench"),
    Column("returned", Boolean, nullable=False, server_default=false(), comment="a customer back from deletion, contacts not read since"),
    Column("revision", Integer, nullable=False, server_default="0", comment="counts the states that the record was staged in"),
    Column(
        "late",
        Boolean,
        server_default=false(),
        comment="found where QBench had failed to list it before; null: it was not",
    ),
    Column("since", JSONB, comment="QBench field that goes both ways to the time since which a person's value stands there"),
    Column("bringing", JSONB, comment="QBench field to [digest, time] of what is about to be written there, and when a person gave it"),
    now("read_at"),
    Index(None, "integration", "record_type", "version", "qbench_id"),
    *(
        # By nothing else: rows that were staged together, which have one time, share their place in it.
        Index(f"ix_raw_record_{one}_read_at", "integration", "read_at", postgresql_where=text(f"record_type = '{one}'"))
        for one in MODELS
        if children(one)
    ),
    Index("ix_raw_record_deleted", "integration", "record_type", "qbench_id", postgresql_where=text("deleted")),
    Index("ix_raw_record_late", "integration", "record_type", "qbench_id", postgresql_where=text("late")),
    Index("ix_raw_record_returned", "integration", "qbench_id", postgresql_where=text("returned")),
    comment="The newest state of every record as QBench gave it",
)

customers_seen = Table(
    "customers_seen",
    metadata,
    Column("integration", Text, primary_key=True),
    Column("record_type", Text, primary_key=True, comment="of the records whose rules look at customers"),
    Column("until", DateTime(timezone=True), nullable=False, comment="customers that were staged before are seen as they are"),
    comment="Up to when the rules that look at customers have seen them; no row where they look at none",
)

mapping_seen = Table(
    "mapping_seen",
    metadata,
    Column("integration", Text, primary_key=True),
    Column("record_type", Text, primary_key=True, comment="of the records that are told of changes"),
    Column("mapping_digest", Text, nullable=False, comment="digest of the mapping that saw them last"),
    Column("until", DateTime(timezone=True), nullable=False, comment="those that were decided before are normalized by it"),
    comment="By which mapping contacts that go as leads, and leads that are contacts, are normalized, and up to when",
)

normalized_record = Table(
    "normalized_record",
    metadata,
    *record_key(),
    Column("version", BigInteger, nullable=False),
    Column("customer_id", BigInteger),
    Column("error_type", Text),
    Column("error_fields", Text),
    Column(
        "fields",
        JSONB,
        nullable=False,
        comment="normalized field to value, blanks left out; of an array: field_names, then their values (function unpacked)",
    ),
    Column("mapping_digest", Text, nullable=False, comment="digest of the mapping that made the row"),
    Column("customers", ARRAY(BigInteger), comment="of a contact with several: their ids, negative where left out as deleted"),
    Column("state_digest", BigInteger, comment="digest of the state: of the content and of the mapping that made it"),
    Column("revision", Integer, nullable=False, server_default="0", comment="the raw record's revision that the row was made of"),
    Column("customer_revision", Integer, comment="of a contact whose rules look at its customer: that one's revision"),
    now("normalized_at"),
    Index(None, "integration", "record_type", "version", "qbench_id"),
    Index(None, "integration", "customer_id"),
    Index(None, "integration", "record_type", "mapping_digest"),
    Index(
        "ix_normalized_record_error_type",
        "integration",
        "record_type",
        "error_type",
        "qbench_id",
        postgresql_where=text("error_type IS NOT NULL"),
    ),
    Index("ix_normalized_record_customers", "integration", "qbench_id", postgresql_where=text("customers IS NOT NULL")),
    *(
        Index(
            f"ix_normalized_record_exclusive_{model.exclusive}",
            # In an array it comes first.
            text(f"COALESCE(fields ->> '{model.exclusive}'::text, fields ->> 1)"),
            postgresql_using="hash",
            postgresql_where=text(f"record_type = '{model.record_type}'"),
        )
        for model in MODELS.values()
        if model.exclusive is not None
    ),
    comment="The newest normalized state of every record",
)
