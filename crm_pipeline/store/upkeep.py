"""Removes what is old enough, in short transactions, and measures what the database holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, text

from crm_pipeline.store.database import Store
from crm_pipeline.store.tables import SCHEMA

HISTORIES = ("outcome_history", "change_history")
ROWS_AT_ONCE = 20_000

# Found by the index of their times: the older ones stand in other blocks than the newer ones.
_PRUNE = """
DELETE FROM crm_pipeline.{table} WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM crm_pipeline.{table} WHERE integration = :integration AND at < now() - :age LIMIT :rows))
"""

_SIZES = """
SELECT schemaname AS schema, relname AS name, pg_total_relation_size(relid) AS bytes, greatest(n_live_tup, 0) AS rows
FROM pg_stat_user_tables ORDER BY bytes DESC, name
"""


@dataclass(frozen=True, slots=True)
class TableSize:
    """What a table takes on disk, its indexes included, and about how many rows it has; ``is_ours``: it is not Dagster's."""

    name: str
    size: int
    rows: int
    is_ours: bool


def prune(store: Store, integration: str, *, older_than: timedelta) -> dict[str, int]:
    """Remove the integration's rows of before from the histories; how many, by table. Whatever ends it, the next time goes on."""
    return {table: _pruned(store, integration, table, older_than=older_than) for table in HISTORIES}


def sizes(connection: Connection) -> list[TableSize]:
    """The tables of the database, the largest first."""
    rows = connection.execute(text(_SIZES))
    return [TableSize(row.name, size=row.bytes, rows=row.rows, is_ours=row.schema == SCHEMA) for row in rows]


def _pruned(store: Store, integration: str, table: str, *, older_than: timedelta) -> int:
    removed = 0
    while True:
        with store.transaction() as connection:
            parameters = {"integration": integration, "age": older_than, "rows": ROWS_AT_ONCE}
            gone = connection.execute(text(_PRUNE.format(table=table)), parameters).rowcount
        removed += gone
        if gone < ROWS_AT_ONCE:
            return removed
