"""The table of what the CRMs say of their objects' fields."""

from __future__ import annotations

from sqlalchemy import Column, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from crm_pipeline.store.tables.declaring import metadata, now

description = Table(
    "description",
    metadata,
    Column("integration", Text, primary_key=True),
    Column("crm", Text, primary_key=True),
    Column("object", Text, primary_key=True, comment="the CRM's object"),
    Column("org_id", Text, nullable=False),
    Column("settings", Text, nullable=False, comment="digest of the settings that the CRM was asked by"),
    Column("fields", JSONB, nullable=False, comment="names, types, lengths, options and the like; never a record's value"),
    now("read_at"),
    comment="The fields of CRM objects as the CRM described them last",
)
