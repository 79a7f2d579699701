"""What triggers keep of all records, so that nobody has to look at each of them: counts, tallies, and what is in doubt."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Table, Text

from crm_pipeline.store.tables.declaring import metadata

standing = Table(
    "standing",
    metadata,
    Column("integration", Text, primary_key=True),
    Column("direction", Text, primary_key=True, comment="to_crm: of outcome; from_crm: of change_outcome"),
    Column("crm", Text, primary_key=True),
    Column("record_type", Text, primary_key=True),
    Column("outcome", Text, primary_key=True),
    Column("error_type", Text, primary_key=True, comment="empty without one"),
    Column("retryable", Boolean, primary_key=True),
    Column("hour", DateTime(timezone=True), primary_key=True),
    Column("records", BigInteger, nullable=False, comment="records that came to stand so within the hour, less those that ceased to"),
    comment="How many latest outcomes of a kind there are: the sum over all hours; at an earlier time: over the hours until then",
)

tally = Table(
    "tally",
    metadata,
    Column("integration", Text, primary_key=True),
    Column("crm", Text, primary_key=True, comment="of the outcomes; empty: of what is staged"),
    Column("record_type", Text, primary_key=True),
    Column("block", BigInteger, primary_key=True, comment="4,096 QBench ids: the id without its last twelve bits"),
    Column("digest", BigInteger, nullable=False, comment="exclusive or of the digests of their states"),
    comment="Which states are staged, and of which the outcomes speak, by blocks of ids: where two tallies differ, something is open",
)

linked = Table(
    "linked",
    metadata,
    *(Column(name, Text, primary_key=True) for name in ("integration", "crm", "record_type", "org_id")),
    Column("links", BigInteger, nullable=False),
    comment="How many links there are to each organization",
)

unlinked = Table(
    "unlinked",
    metadata,
    *(Column(name, Text, primary_key=True) for name in ("integration", "crm", "record_type")),
    Column("qbench_id", BigInteger, primary_key=True),
    comment="Records that were synced without a link, or lost it then; whether they still lack it is to be looked up",
)
