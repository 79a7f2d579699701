"""What the tables have in common: their schema, how indexes are named, and columns that several have."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, DateTime, MetaData, Text, func

SCHEMA = "crm_pipeline"
OBJECT = "the CRM's object that the record is in, null: the usual one of its record type"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={"pk": "pk_%(table_name)s", "ix": "ix_%(table_name)s_%(column_0_N_name)s"},
)


def record_key() -> tuple[Column[str], Column[str], Column[int]]:
    """The primary key of what is kept of a record of QBench."""
    return (
        Column("integration", Text, primary_key=True),
        Column("record_type", Text, primary_key=True),
        Column("qbench_id", BigInteger, primary_key=True),
    )


def crm_record_key() -> tuple[Column[str], Column[str], Column[str], Column[int]]:
    """The primary key of what is kept of a record of QBench in a CRM."""
    integration, record_type, qbench_id = record_key()
    return integration, Column("crm", Text, primary_key=True), record_type, qbench_id


def now(name: str) -> Column[Any]:
    """A time that is that of the insert unless it is given."""
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def outcome_columns(*, waits_on: str, waits_for: str) -> tuple[Column[Any], ...]:
    """What became of a record, and which run says so; what the two say of what it waits for."""
    return (
        Column("outcome", Text, nullable=False),
        Column("error_type", Text),
        Column("reason", Text, comment="codes, field names and ids; never a field value"),
        Column("waits_on", Text, comment=waits_on),
        Column("waits_for", Text, comment=waits_for),
        Column("retryable", Boolean, nullable=False),
        Column("run_id", Text, nullable=False),
        Column("partition_key", Text),
    )
