"""The table of names that many rows have in common."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY

from crm_pipeline.store.tables.declaring import metadata

field_names = Table(
    "field_names",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False, comment="digest of the names"),
    Column("names", ARRAY(Text), nullable=False),
    comment="Names of fields that many rows have in common and refer to by one number",
)
