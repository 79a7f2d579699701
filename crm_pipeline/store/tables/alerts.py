"""Which incidents were told, and where."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from crm_pipeline.store.tables.declaring import metadata

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
