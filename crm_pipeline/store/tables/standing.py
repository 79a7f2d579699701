"""The table that counts outcomes; triggers on them keep it."""

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
