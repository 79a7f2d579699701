"""Is the state database fit for use? Reads only, and changes no table, not even to migrate."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, text

from crm_pipeline.diagnosis import Finding, of_error
from crm_pipeline.errors import StoreError
from crm_pipeline.store.database import AUTO_MIGRATE_VARIABLE, Store, migrates_by_itself
from crm_pipeline.store.tables import SCHEMA
from crm_pipeline.store.versions import require_known, versions

AREA = "database"
OLDEST_TRIED = 16
"""The major version of the oldest PostgreSQL on which the tests run."""

_SEEN = """
SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
  current_setting('server_encoding') AS encoding, pg_backend_pid() AS backend,
  has_database_privilege(current_database(), 'CREATE') AS may_create
"""


def database_findings(store: Store) -> list[Finding]:
    """Whether the database is reached, its version, its tables, and whether a pooler stands before it."""
    try:
        with store.reading() as connection:
            return list(_findings(connection))
    except StoreError as error:
        return [of_error(AREA, "connection", error)]


def _findings(connection: Connection) -> Iterator[Finding]:
    seen = connection.execute(text(_SEEN)).one()
    yield Finding("ok", AREA, "connection", "signed in")
    if seen.number // 10_000 < OLDEST_TRIED:
        remedy = f"upgrade the server to PostgreSQL {OLDEST_TRIED} or later"
        yield Finding("warning", AREA, "version", f"PostgreSQL {seen.version} is older than what is tried", remedy)
    else:
        yield Finding("ok", AREA, "version", f"PostgreSQL {seen.version}")
    if seen.encoding != "UTF8":
        remedy = "make a database with ENCODING 'UTF8' and name that one"
        yield Finding("problem", AREA, "encoding", f"its texts are kept as {seen.encoding}, which lacks characters that names have", remedy)
    driver = connection.connection.dbapi_connection
    if driver is not None and driver.info.backend_pid != seen.backend:
        told = "a pooler stands before it, in a mode that works; its own settings decide when a dead client's connection ends"
        yield Finding("ok", AREA, "pooler", told)
    else:
        yield Finding("ok", AREA, "pooler", "none is seen, or one that gives a connection to one client at a time")
    yield _tables(connection, may_create=seen.may_create)


def _tables(connection: Connection, *, may_create: bool) -> Finding:
    current, head = versions(connection)
    try:
        require_known(current)
    except StoreError as error:
        return of_error(AREA, "tables", error)
    if current == head:
        return Finding("ok", AREA, "tables", f"at version {head}, as this package needs")
    told = f"the tables are at version {current}, this package needs {head}" if current else "it has no tables yet"
    if current is None and not may_create:
        remedy = f"let the user create schema {SCHEMA} (GRANT CREATE ON DATABASE), or have crm-pipeline db upgrade run by one who may"
        return Finding("problem", AREA, "tables", f"{told}, and the user may not create schemas", remedy)
    if migrates_by_itself():
        return Finding("ok", AREA, "tables", f"{told}; the first run, or command that needs them, brings them there")
    return Finding("problem", AREA, "tables", f"{told}, and {AUTO_MIGRATE_VARIABLE} is 0", "run crm-pipeline db upgrade")
