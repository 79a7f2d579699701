"""Which calls are leased of each account that has a limit?"""

from __future__ import annotations

from sqlalchemy import Column, Double, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY

from crm_pipeline.store.tables.declaring import metadata

pace = Table(
    "pace",
    metadata,
    Column("account", Text, primary_key=True, comment="the service, and its address, a digest or an id that tells the account"),
    Column(
        "times", ARRAY(Double), nullable=False, comment="of the calls leased lately, in Unix seconds, those of the last lease at the end"
    ),
    comment="The latest calls of each account with a limit, which all processes keep together; unlogged: empty after a crash",
    prefixes=["UNLOGGED"],
)
