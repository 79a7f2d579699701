"""What does a record cost on disk? All our tables with their indexes after a first load into both CRMs, divided by the records.

Judged is what stands there once PostgreSQL has cleaned up behind the load as its autovacuum does: the space of rows that were written
twice is kept for the next ones, so a deployment pays for it. Beside it stands what a VACUUM FULL leaves, which nobody runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import psycopg
from psycopg.sql import SQL, Identifier

from benchmarks.figures import Figure
from benchmarks.workbench import workbench
from crm_pipeline.store.database import URL_VARIABLE
from crm_pipeline.store.tables import SCHEMA

CUSTOMERS, CONTACTS = 10_000, 50_000
"""A first load; with few records the first pages of tables that do not grow with them would count as theirs."""
MOST_BYTES = 2_500.0
TOLD = 5
"""So many tables, the largest, are told of."""

_SIZES = """
SELECT relname, pg_total_relation_size(relid), pg_indexes_size(relid) FROM pg_stat_user_tables WHERE schemaname = %s
ORDER BY 2 DESC, relname
"""


def measure(scale: float) -> list[Figure]:
    """Bytes per record after a VACUUM, by the largest tables too, and after a VACUUM FULL."""
    customers, contacts = round(CUSTOMERS * scale), round(CONTACTS * scale)
    with workbench(customers=customers, contacts=contacts, crm_limits=False) as bench:
        bench.run(0)
        return list(_figures(records=customers + contacts))


def _figures(*, records: int) -> Iterator[Figure]:
    with psycopg.connect(os.environ[URL_VARIABLE], autocommit=True) as connection:
        for how in ("VACUUM", "VACUUM FULL"):
            tables = [table for table, _, _ in _sizes(connection)]
            connection.execute(SQL(how + " {}").format(SQL(", ").join(Identifier(SCHEMA, table) for table in tables)))
            sizes = _sizes(connection)
            limit = MOST_BYTES if how == "VACUUM" else None
            name = f"row 14: state on disk per record, both CRMs, after {how}"
            yield Figure("disk", name, sum(total for _, total, _ in sizes) / records, unit="B", limit=limit)
            for table, total, indexes in sizes[:TOLD]:
                yield Figure("disk", f"  {table}, without its indexes", (total - indexes) / records, unit="B")
                yield Figure("disk", f"  {table}, its indexes", indexes / records, unit="B")


def _sizes(connection: psycopg.Connection) -> list[tuple[str, int, int]]:
    """Each table, its bytes with all that belongs to it, and the bytes of its indexes, the largest first."""
    return connection.execute(_SIZES, [SCHEMA]).fetchall()
