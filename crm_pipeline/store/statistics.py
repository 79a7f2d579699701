"""Keeps PostgreSQL's picture of our tables true enough for its planner."""

from __future__ import annotations

from sqlalchemy import Connection, text

from crm_pipeline.store.rows import execute
from crm_pipeline.store.tables import SCHEMA

MANY_ROWS = 1_000
"""With fewer changed rows no plan of PostgreSQL goes wrong enough to notice."""

MUCH = 0.1
"""The share of a table that may change before it is looked at anew, as PostgreSQL's autovacuum has it."""

_CHANGED_TABLES = """
SELECT relname FROM pg_class
WHERE relnamespace = CAST(:schema AS regnamespace) AND relkind = 'r'
  AND pg_stat_get_mod_since_analyze(oid) > :many + :much * greatest(reltuples, 0)
"""


def refresh_statistics(connection: Connection) -> list[str]:
    """Let PostgreSQL look anew at the tables of which much has changed; returns their names.

    Its autovacuum does this once a minute where it is on, which is too late for a first load: the rows of a table that was
    empty a moment ago are taken for a handful, and joined one by one with every row of another.
    """
    parameters = {"schema": SCHEMA, "many": MANY_ROWS, "much": MUCH}
    tables = list(execute(connection, _CHANGED_TABLES, parameters).scalars())
    for table in tables:
        connection.execute(text(f"ANALYZE {SCHEMA}.{table}"))
    return tables
