"""The table of names that many rows have in common, and of the ways in which rows are kept."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY

from crm_pipeline.store.tables.declaring import metadata

field_names = Table(
    "field_names",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False, comment="digest of the names"),
    Column("names", ARRAY(Text), nullable=False),
    comment="Names of fields that many rows have in common and refer to by one number",
)

format_ = Table(
    "format",
    metadata,
    Column(
        "name",
        Text,
        primary_key=True,
        comment="packed, fields: raw, normalized records as arrays; attempts: outcomes with their ids; told: in_history as null",
    ),
    Column("since", DateTime(timezone=True), nullable=False),
    comment="Ways to keep rows that begin later, once no run of a version from before the upgrade can be under way",
)
