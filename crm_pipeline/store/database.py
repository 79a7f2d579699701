"""Opens the state database: its URL, its engine and its locks."""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine.interfaces import ExecutionContext
from sqlalchemy.exc import ArgumentError, InvalidatePoolError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry
from tenacity import retry, retry_if_exception, stop_after_attempt, wait_fixed

from crm_pipeline.errors import StoreError, StoreSetupError
from crm_pipeline.store.rows import JSON_AS_TEXT
from crm_pipeline.store.versions import migrate, require_current

if TYPE_CHECKING:
    import psycopg

logger = logging.getLogger(__name__)

URL_VARIABLE = "CRM_PIPELINE_DATABASE_URL"
AUTO_MIGRATE_VARIABLE = "CRM_PIPELINE_AUTO_MIGRATE"

_KEEPALIVES = {"keepalives_idle": 20, "keepalives_interval": 5, "keepalives_count": 4, "tcp_user_timeout": 40_000}
"""Libpq's parameters by which a client notices that the server is gone, within 40 s; a URL may name others.

The server has settings of the same meaning and is given the same values: else it would keep a dead host's locks for hours.
"""

_GIVE_TO_SERVER = """
SELECT set_config(name, value, false)
FROM unnest(%(names)s::text[], %(values)s::text[]) AS wanted (name, value) JOIN pg_settings USING (name)
WHERE pg_backend_pid() = %(backend)s
"""
"""Of the settings those that the server knows, and none behind a pooler, where another backend serves than the one that answered
first: there the connections end at the pooler, whose own settings count, and the backend serves others too."""

_IDLE_TRANSACTION_SECONDS = 900
"""How long a transaction may wait for its client; ours take a second, and one that hangs holds rows."""

_WANTED = """
SELECT EXISTS (
  SELECT FROM pg_locks AS held JOIN pg_locks AS wanted USING (locktype, database, classid, objid, objsubid)
  WHERE held.pid = pg_backend_pid() AND held.locktype = 'advisory' AND held.granted AND NOT wanted.granted
)
"""

_REST_SECONDS = 1.0
"""How long nobody took a connection whose server is asked whether it lives: one that fell silent ends no connection."""

_WAIT_FOR_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"
_TRY_LOCK = text("""
SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0)) FROM (
  SELECT count(set_config(name, '0', true)) FROM pg_settings
  WHERE name IN ('idle_in_transaction_session_timeout', 'lock_timeout', 'statement_timeout', 'transaction_timeout')) AS never_ended
""")


class Lock:
    """A lock of the database while it is held; it lives and dies with the one transaction that took it."""

    def __init__(self, name: str, connection: Connection) -> None:
        self._name = name
        self._connection = connection
        self._driver: Any = connection.connection.driver_connection

    def require(self) -> None:
        """Raises StoreError when the lock was lost with its connection: another run may be at work by now."""
        import psycopg

        try:
            # By the driver itself, for a third of the cost: each answer that is stored asks for each lock.
            self._driver.execute("SELECT 1")
        except psycopg.OperationalError as error:
            self._connection.invalidate()
            raise StoreError(
                f"{self._name}: the connection that held this lock is gone ({type(error).__name__}; was PostgreSQL restarted?); "
                "start the run again, it goes on where this one stopped"
            ) from None

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits for this lock."""
        return bool(self._connection.execute(text(_WANTED)).scalar_one())


class Store:
    """The state database of a deployment. Nothing is opened or migrated before the first use; safe over threads."""

    def __init__(self, url: str | None = None) -> None:
        """``url``: a PostgreSQL URL of any form; read from CRM_PIPELINE_DATABASE_URL at first use when left out."""
        self._url = url
        self._engine: Engine | None = None
        self._opening = threading.Lock()

    def __repr__(self) -> str:
        return "Store()"

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection in a transaction: committed at the end, rolled back on an error. Raises StoreError."""
        with self._opened().begin() as connection:
            yield connection

    @contextmanager
    def trial(self) -> Iterator[Connection]:
        """A connection in a transaction that is rolled back at the end: what it changes is seen by nobody else. Keep it short."""
        with self._opened().connect() as connection, connection.begin() as transaction:
            yield connection
            transaction.rollback()

    @contextmanager
    def statements(self) -> Iterator[psycopg.Connection]:
        """The driver's connection, on which each statement is a transaction of its own: between them it holds nothing.

        For a statement that is smaller than what SQLAlchemy does around one. Raises StoreError, and the driver's errors as they are.
        """
        with closing(self._opened().raw_connection()) as pooled:
            connection: Any = pooled.driver_connection
            connection.autocommit = True
            try:
                yield connection
            except BaseException:
                pooled.invalidate()
                raise
            connection.autocommit = False

    @contextmanager
    def lock(self, name: str) -> Iterator[Lock]:
        """Hold the database's lock of this name, waiting for whoever holds it; freed by the server if this process dies.

        It is a transaction's lock, not a session's: a pooler may give a session to others between two transactions, and with it
        the lock. The transaction stays open as long as the lock is held; it sees and changes nothing, so that it is in nobody's way.
        """
        with self._opened().connect() as connection:
            started = time.monotonic()
            if not connection.execute(_TRY_LOCK, {"name": name}).scalar_one():
                logger.info("%s: another run is at work, waiting for it", name)
                connection.execute(text(_WAIT_FOR_LOCK), {"name": name})
                logger.info("%s: waited %.1f s for another run", name, time.monotonic() - started)
            held = Lock(name, connection)
            # What a statement with parameters saw stands until the next one: PostgreSQL would clean up behind nobody meanwhile.
            held.require()
            try:
                yield held
            finally:
                # A connection that is gone has taken its lock along.
                with suppress(OperationalError):
                    connection.rollback()

    def under(self, *locks: Lock) -> Store:
        """The same database for whoever must hold these locks to store anything: each transaction raises StoreError once one is lost.

        A host that was cut off comes back with its answers, when another run may have written and stored what is newer.
        """
        return _Under(self, locks)

    def open(self) -> None:
        """Open the database now, as its first use would. Raises StoreError."""
        self._opened()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that can only read, whatever the version of the tables: nothing is migrated. Raises StoreError."""
        with _connected(self._url) as engine, engine.connect() as connection:
            connection.execute(text("SET TRANSACTION READ ONLY"))
            yield connection

    def migrate(self) -> None:
        """Bring the schema to the version this package knows. Raises StoreError when the database is newer."""
        with _connected(self._url) as engine, engine.begin() as connection:
            migrate(connection)

    def close(self) -> None:
        """Give the connections back; the next use opens them anew."""
        with self._opening:
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None

    def _opened(self) -> Engine:
        with self._opening:
            if self._engine is None:
                with ExitStack() as stack:
                    engine = stack.enter_context(_connected(self._url))
                    with engine.begin() as connection:
                        if migrates_by_itself():
                            migrate(connection)
                        else:
                            require_current(connection)
                    stack.pop_all()
                self._engine = engine
            return self._engine


class _Under(Store):
    """A store whose transactions ask for locks first."""

    def __init__(self, store: Store, locks: tuple[Lock, ...]) -> None:
        super().__init__(store._url)
        self._store = store
        self._locks = locks

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        with self._store.transaction() as connection:
            for lock in self._locks:
                lock.require()
            yield connection

    def _opened(self) -> Engine:
        return self._store._opened()


def migrates_by_itself() -> bool:
    """Whether the first use brings the tables to this package's version."""
    return os.environ.get(AUTO_MIGRATE_VARIABLE, "1") != "0"


def require_server(url: str, *, attempts: int, wait_seconds: float) -> None:
    """Raises StoreError, in a sentence that names no address, where no PostgreSQL lets anybody in with this URL."""

    @retry(
        retry=retry_if_exception(lambda error: isinstance(error, StoreError) and not isinstance(error, StoreSetupError)),
        stop=stop_after_attempt(attempts),
        wait=wait_fixed(wait_seconds),
        reraise=True,
    )
    def reach() -> None:
        with _connected(url):
            pass

    reach()


@contextmanager
def _connected(url: str | None) -> Iterator[Engine]:
    """An engine that has proven to reach its server; disposed at the end of the context."""
    address = _driver_url(url or os.environ.get(URL_VARIABLE, ""))
    engine = create_engine(
        address,
        connect_args={name: value for name, value in _KEEPALIVES.items() if name not in address.query} | {"prepare_threshold": None},
        hide_parameters=True,
    )
    event.listen(engine, "checkout", _require_alive)
    event.listen(engine, "connect", _send_arrays_in_binary)
    event.listen(engine, "connect", _read_dates_by_iso)
    event.listen(engine, "connect", _notice_dead_client, insert=True)
    event.listen(engine, "before_cursor_execute", _give_json_as_text)
    try:
        try:
            engine.connect().close()
        except OperationalError as error:
            if _server_answers(engine.url):
                raise StoreError(
                    f"PostgreSQL is up, but lets nobody in with {URL_VARIABLE}; check its user, its password, that its database exists, "
                    "and that connections are free"
                ) from None
            raise StoreError(
                f"the state database cannot be reached ({type(error.orig).__name__}); check {URL_VARIABLE} and that PostgreSQL is up"
            ) from None
        yield engine
    finally:
        engine.dispose()


def _server_answers(url: URL) -> bool:
    """Whether PostgreSQL is there, whoever asks. A refused connection has no SQLSTATE, and its text is in the server's language."""
    from psycopg.pq import PGconn, Ping

    asked = url.set(drivername="postgresql").update_query_dict({"connect_timeout": "5"})
    return PGconn.ping(asked.render_as_string(hide_password=False).encode()) == Ping.OK


def _require_alive(connection: psycopg.Connection, record: ConnectionPoolEntry, _taken: object) -> None:
    """Raises InvalidatePoolError, for which the pool opens another connection, where this one ended while nobody had it.

    To ask the server costs as much as a small statement. Of the end of a connection that was just used the system knows: there is
    something to read ("Detecting disconnections" in psycopg's documentation).
    """
    import psycopg

    now = time.monotonic()
    try:
        news = select.poll()
        news.register(connection.fileno(), select.POLLIN)
        if news.poll(0) or now - record.info.get("taken", now) > _REST_SECONDS:
            with connection.transaction():
                pass
    # Of any kind: where a pooler ended the connection, the driver finds two answers to what it asked.
    except psycopg.Error:
        raise InvalidatePoolError from None
    record.info["taken"] = now


def _send_arrays_in_binary(connection: psycopg.Connection, _record: object) -> None:
    """In text, every quote of every JSON text in an array would be escaped one by one."""
    from psycopg.types.array import ListBinaryDumper

    connection.adapters.register_dumper(list, ListBinaryDumper)


def _read_dates_by_iso(connection: psycopg.Connection, _record: object) -> None:
    """The driver reads times in this form alone; a server, database or user may be set to another one."""
    if not (connection.info.parameter_status("DateStyle") or "").startswith("ISO"):
        connection.execute("SET datestyle TO ISO")
        connection.commit()


def _give_json_as_text(
    _connection: Connection, cursor: psycopg.Cursor, _statement: str, _parameters: object, context: ExecutionContext, _many: object
) -> None:
    """Where a statement asks for it (store.rows): a call for each value, as the driver makes them, costs more than reading it."""
    from psycopg.types.string import TextLoader

    if context.execution_options.get(JSON_AS_TEXT):
        for name in ("json", "jsonb"):
            cursor.adapters.register_loader(name, TextLoader)


def _notice_dead_client(connection: psycopg.Connection, _record: object) -> None:
    """Let the server free what a connection holds whose client is gone without a word. Raises StoreError where none can be used."""
    import psycopg

    given = {name: value for name, value in connection.info.get_parameters().items() if name in _KEEPALIVES}
    settings = {name if name.startswith("tcp_") else f"tcp_{name}": value for name, value in given.items()}
    settings["idle_in_transaction_session_timeout"] = f"{_IDLE_TRANSACTION_SECONDS}s"
    try:
        with connection.transaction():
            parameters = {"names": list(settings), "values": list(settings.values()), "backend": connection.info.backend_pid}
            connection.execute(_GIVE_TO_SERVER, parameters)
    except psycopg.errors.ProtocolViolation as error:
        # PgBouncer's own errors are all of this kind, and in English.
        if "transaction blocks" not in str(error):
            raise
        raise StoreSetupError(
            f"{URL_VARIABLE} leads to a connection pooler that takes no transactions (PgBouncer with pool_mode = statement); "
            "name PostgreSQL itself there, or a pool with pool_mode = session or transaction"
        ) from None


def _driver_url(url: str) -> URL:
    if not url.strip():
        raise StoreSetupError(f"{URL_VARIABLE} is not set; give it a PostgreSQL URL, or use `crm-pipeline dev`, which brings its own")
    try:
        parsed = make_url(url.strip())
    # ValueError: what it takes for the port is no number, and may be a part of the password.
    except (ArgumentError, ValueError):
        raise StoreSetupError(
            f"{URL_VARIABLE} is no URL; give it the form postgresql://user:password@host:5432/database, "
            "special characters in the password percent-encoded (@ is %40, : is %3A, / is %2F)"
        ) from None
    if parsed.get_backend_name() == "postgres":
        raise StoreSetupError(f"{URL_VARIABLE} begins with postgres://, which Dagster does not know; write postgresql://")
    if parsed.get_backend_name() != "postgresql":
        raise StoreSetupError(f"{URL_VARIABLE} names {parsed.get_backend_name()}; the state database is PostgreSQL")
    return parsed.set(drivername="postgresql+psycopg")
