"""What every test may use: a PostgreSQL server for the whole session and a database of its own."""

from __future__ import annotations

import gc
import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import make_url, text
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from crm_pipeline.sandbox.server import reached_directly
from crm_pipeline.store.database import URL_VARIABLE, Store
from crm_pipeline.store.embedded import embedded_postgres
from crm_pipeline.store.tables import metadata

TEMPLATE = "crm_pipeline_template"

KEPT = "crm_pipeline_tests"
"""Name, in PostgreSQL, of the connections that outlive a test."""

LONGEST_FIRST = (
    *("live", "test_demo.py", "test_another_crm.py", "orchestration", "test_cli.py", "test_definitions.py"),
    *("crms", "qbench", "sync"),
)
"""Folders and files of the tests, by how long they take or wait; all others are quick, and what waits runs beside what computes."""


def _database_url(server_url: str, database: str) -> str:
    return make_url(server_url).set(database=database).render_as_string(hide_password=False)


@contextmanager
def own_database(server_url: str) -> Iterator[str]:
    """URL of a migrated database that is dropped with the block."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        yield _database_url(server_url, name)
        connection.execute("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = %s", (name,))
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


# How long an example takes says nothing on a busy machine. CI tries the same examples each time; elsewhere new ones are looked for.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ)
settings.load_profile("steady")


# Looking for garbage while everything is imported finds none, and costs a quarter of the start of each process.
gc.disable()


def pytest_configure() -> None:
    """Let no proxy of the developer's environment stand between the tests and their stand-ins, and Ctrl-C reach what tests start.

    A shell's background, nohup and some CI runners ignore SIGINT, which every process started from there would inherit.
    """
    os.environ.update(reached_directly(os.environ))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _outside_of_any_project(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The tests do not stand in this project, whose ``.env``, that of whoever develops it, commands would take up.

    What they start finds them all the same: a step in a process of its own, for instance.
    """
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))
    os.chdir(tmp_path_factory.mktemp("nowhere"))


def pytest_collection_finish() -> None:
    """Look for garbage from now on, but seldom and not among what all the tests share."""
    gc.freeze()
    gc.set_threshold(20_000)
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take longest, so that no process is left with them in the end."""
    order = {name: position for position, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: min((order[part] for part in item.path.parts if part in order), default=len(order)))


class ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """Keeps the tests of a file in one process, and all that share a `dagster dev`: what they share is then made once."""

    def _split_scope(self, nodeid: str) -> str:
        path = PurePosixPath(nodeid.split("::", 1)[0])
        return "live" if "live" in path.parts else str(path)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """Spread the tests over the processes by file."""
    # By default, what has the most tests goes first, however short they are.
    config.option.loadscopereorder = False
    return ByFile(config, log)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of an embedded server that holds an empty, migrated template database."""
    with embedded_postgres() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {TEMPLATE}")
        store = Store(_database_url(url, TEMPLATE))
        store.migrate()
        store.close()
        yield url


def empty(store: Store) -> None:
    """Leave of a store what its migrations made."""
    with store.transaction() as connection:
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
        for table in metadata.sorted_tables:
            # Of a few rows, deleting costs a fraction of truncating.
            connection.execute(table.delete())
    with store.transaction() as connection:
        # Else the next test's tables seem to have changed by all that was in them before.
        connection.execute(text("SELECT pg_stat_reset()"))


def end_lock_holders(database_url: str) -> None:
    """End the connections that hold a lock of ours, as a restart of PostgreSQL does."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid, 60000) FROM pg_locks WHERE locktype = 'advisory' AND granted")


@pytest.fixture(scope="session")
def _one_database(postgres: str) -> Iterator[str]:
    """A database for one test after the other: making one costs more than most tests."""
    with own_database(postgres) as url:
        yield url


@pytest.fixture(scope="session")
def _one_store(_one_database: str) -> Iterator[Store]:
    url = make_url(_one_database).update_query_dict({"application_name": KEPT})
    with closing(Store(url.render_as_string(hide_password=False))) as opened:
        yield opened


@pytest.fixture
def database_url(_one_database: str, _one_store: Store) -> Iterator[str]:
    """URL of a migrated, empty database."""
    yield _one_database
    with psycopg.connect(_one_database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> %s",
            (KEPT,),
        )
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    empty(_one_store)


@pytest.fixture
def store(_one_store: Store, database_url: str) -> Store:
    """The state store on that database."""
    return _one_store


@pytest.fixture
def database_in_environment(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test's database named where a deployment names it."""
    monkeypatch.setenv(URL_VARIABLE, database_url)
    return database_url
