"""Which version are the tables at? And how they come to the one that this package needs."""

from __future__ import annotations

import logging
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from crm_pipeline.errors import StoreSetupError
from crm_pipeline.store.tables import SCHEMA

if TYPE_CHECKING:
    from alembic.config import Config

logger = logging.getLogger(__name__)

_CANCELED = "57014"
_LONGEST_WAIT_MS = 500
"""Half of PostgreSQL's ``deadlock_timeout``, as it comes."""
_REST_SECONDS = 1.0
"""Between two tries: whoever came meanwhile waits for us, and is to come through before we wait again."""


def versions(connection: Connection) -> tuple[str | None, str]:
    """The version that the tables are at, None where there are none, and the one that this package needs."""
    return _current_version(connection), _known_versions()[0]


def require_known(current: str | None) -> None:
    """Raises StoreSetupError where the tables are newer than this package."""
    if current is not None and current not in _known_versions()[1]:
        raise StoreSetupError(f"the state database is at version {current}, which this package does not know; upgrade the package")


def require_current(connection: Connection) -> None:
    """Raises StoreSetupError where the tables are at another version than this package's."""
    current, head = versions(connection)
    require_known(current)
    if current != head:
        found = "has no tables yet" if current is None else f"is at version {current}"
        raise StoreSetupError(f"the state database {found}, this package needs version {head}; run `crm-pipeline db upgrade`")


def migrate(connection: Connection) -> None:
    """Bring the tables to this package's version. Raises StoreSetupError when they are newer."""
    from alembic import command

    # Several processes may start at once; the lock goes with the transaction.
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('crm_pipeline migrations', 0))"))
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    current, head = versions(connection)
    require_known(current)
    if current != head:
        _hold_tables(connection)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        logger.info("state database upgraded from %s to %s", current, head)


def _hold_tables(connection: Connection) -> None:
    """Hold all of our tables before any is changed: a run that uses one and wants another would wait for us while we wait for it.

    Nobody waits for us meanwhile for as long as PostgreSQL takes to look for such a ring, which it breaks by an error.
    """
    tables = connection.execute(text("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = :s"), {"s": SCHEMA})
    if not (names := sorted(tables.scalars())):
        return
    held = _held_at_once(connection, names)
    if not held:
        logger.info("state database: waiting for whoever uses its tables")
    while not held:
        time.sleep(_REST_SECONDS)
        held = _held_at_once(connection, names)


def _held_at_once(connection: Connection, tables: list[str]) -> bool:
    """Whether these tables could be had without a longer wait; none is held otherwise."""
    try:
        with connection.begin_nested():
            connection.execute(text(f"SET LOCAL statement_timeout = {_LONGEST_WAIT_MS}"))
            connection.execute(text(f"LOCK TABLE {', '.join(tables)}"))
            connection.execute(text("SET LOCAL statement_timeout = DEFAULT"))
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _CANCELED:
            raise
        return False
    return True


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


@cache
def _known_versions() -> tuple[str, frozenset[str]]:
    """The newest version that this package knows, and all of them."""
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(_config())
    head = script.get_current_head()
    if head is None:
        raise StoreSetupError("this installation has no migrations; install the package anew")
    return head, frozenset(revision.revision for revision in script.walk_revisions())


def _current_version(connection: Connection) -> str | None:
    from alembic.runtime.migration import MigrationContext

    return MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA}).get_current_revision()
