"""How the state database is opened: its URL, its migrations, its locks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import traceback
from contextlib import closing
from datetime import UTC, datetime

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from crm_pipeline.errors import StoreError
from crm_pipeline.store import database
from crm_pipeline.store.database import AUTO_MIGRATE_VARIABLE, URL_VARIABLE, Store
from crm_pipeline.store.tables import SCHEMA, metadata
from crm_pipeline_tests.awaiting import await_that
from crm_pipeline_tests.conftest import end_lock_holders, own_database

HOLD_A_LOCK = """
import sys
from crm_pipeline.store.database import Store
with Store(sys.argv[1]).lock("busy"):
    print("held", flush=True)
    sys.stdin.read()
"""


def answers(url: str) -> bool:
    store = Store(url)
    try:
        with store.transaction() as connection:
            return bool(connection.execute(text("SELECT count(*) FROM crm_pipeline.link")).scalar_one() == 0)
    finally:
        store.close()


@pytest.fixture
def empty_url(postgres: str) -> str:
    """A database without our schema."""
    name = f"empty_{os.urandom(6).hex()}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return make_url(postgres).set(database=name).render_as_string(hide_password=False)


def test_the_migrations_give_exactly_the_declared_tables(store: Store) -> None:
    def only_ours(name: str | None, kind: str, _parents: object) -> bool:
        return name == SCHEMA if kind == "schema" else True

    with store.transaction() as connection:
        options = {"include_schemas": True, "include_name": only_ours, "version_table_schema": SCHEMA, "compare_type": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg", "postgresql+psycopg2", " postgresql"])
def test_every_form_of_a_postgresql_url_is_understood(database_url: str, scheme: str) -> None:
    assert answers(database_url.replace("postgresql", scheme, 1))


def test_the_url_is_read_from_the_environment_at_first_use(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    monkeypatch.setenv(URL_VARIABLE, database_url)
    with store.transaction() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    store.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "is not set"),
        ("   ", "is not set"),
        ("no url", "is no URL"),
        ("mysql://user:secret@host/db", "is PostgreSQL"),
        ("postgres://user:secret@host/db", "write postgresql://"),
        ("postgresql://user:secret@127.0.0.1:1/db", "cannot be reached"),
    ],
)
def test_a_url_that_cannot_serve_is_refused_with_the_variable_s_name_and_without_its_secret(
    url: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL_VARIABLE, url)
    with pytest.raises(StoreError, match=words) as refused, Store().transaction():
        pass
    assert URL_VARIABLE in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(("user", "database"), [("no_such", "postgres"), ("postgres", "no_such")])
def test_a_server_that_refuses_the_url_is_told_from_one_that_is_not_there(postgres: str, user: str, database: str) -> None:
    url = make_url(postgres).set(username=user, password="secret", database=database)
    with pytest.raises(StoreError, match="PostgreSQL is up, but lets nobody in with CRM_PIPELINE_DATABASE_URL") as refused:
        answers(url.render_as_string(hide_password=False))
    assert not re.search("no_such|secret", str(refused.value))


def test_a_url_whose_password_is_not_percent_encoded_is_refused_without_a_part_of_it() -> None:
    with pytest.raises(StoreError, match="percent-encoded") as refused, Store("postgresql://user:Xyz@zy:plugh@host/db").transaction():
        pass
    told = [line for line in traceback.format_exception(refused.value) if not line.startswith("  File")]
    assert not re.search("Xyz|zy|plugh", "".join(told))


def test_who_only_looks_can_change_nothing_and_migrates_nothing(empty_url: str) -> None:
    with closing(Store(empty_url)) as store:
        with store.reading() as connection, pytest.raises(DBAPIError, match="read-only"):
            connection.execute(text("CREATE TABLE made (id int)"))
        with store.reading() as connection:
            assert connection.execute(text("SELECT to_regnamespace('crm_pipeline')")).scalar_one() is None


def test_an_empty_database_is_migrated_at_first_use(empty_url: str) -> None:
    assert answers(empty_url)


@pytest.mark.parametrize("style", ["German", "SQL, DMY", "Postgres"])
def test_times_are_read_whatever_style_of_dates_the_database_is_set_to(empty_url: str, style: str) -> None:
    name = make_url(empty_url).database
    with psycopg.connect(empty_url) as connection:
        connection.execute(f"ALTER DATABASE {name} SET datestyle TO {style}".encode())
    with closing(Store(empty_url)) as store, store.transaction() as connection:
        assert connection.execute(text("SELECT timestamptz '2026-02-03T04:05Z'")).scalar_one() == datetime(2026, 2, 3, 4, 5, tzinfo=UTC)


def test_without_automatic_migration_an_old_database_is_refused_with_the_command_that_helps(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(AUTO_MIGRATE_VARIABLE, "0")
    with pytest.raises(StoreError, match=r"has no tables yet, .*crm-pipeline db upgrade"):
        answers(empty_url)
    Store(empty_url).migrate()
    assert answers(empty_url)


@pytest.mark.parametrize("automatic", ["0", "1"])
def test_a_database_of_a_newer_package_is_refused(postgres: str, automatic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(AUTO_MIGRATE_VARIABLE, automatic)
    with own_database(postgres) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("UPDATE crm_pipeline.alembic_version SET version_num = '9999_of_the_future'")
        with pytest.raises(StoreError, match="upgrade the package"):
            answers(url)


def test_several_stores_may_open_an_empty_database_at_once(empty_url: str) -> None:
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(answers(empty_url))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True, True, True]


def test_a_connection_that_ended_while_nobody_had_it_is_replaced(database_url: str) -> None:
    own = text("SELECT pg_backend_pid()")
    with closing(Store(database_url)) as store, psycopg.connect(database_url, autocommit=True) as other:
        with store.transaction() as connection:
            ended = connection.execute(own).scalar_one()
        other.execute("SELECT pg_terminate_backend(%s, 60000)", [ended])
        with store.transaction() as connection:
            assert connection.execute(own).scalar_one() != ended


@pytest.mark.parametrize(("longest", "asked"), [(-1.0, True), (600.0, False)])
def test_a_connection_is_asked_whether_it_lives_only_once_it_rested(
    database_url: str, monkeypatch: pytest.MonkeyPatch, *, longest: float, asked: bool
) -> None:
    monkeypatch.setattr(database, "_REST_SECONDS", longest)
    with closing(Store(database_url)) as store, psycopg.connect(database_url, autocommit=True) as other:
        with store.transaction() as connection:
            own = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()

        def spoke() -> list[tuple[object, ...]]:
            return other.execute("SELECT state_change FROM pg_stat_activity WHERE pid = %s", [own]).fetchall()

        before = spoke()
        with store.transaction():
            pass
        assert (spoke() != before) is asked


def test_a_statement_that_failed_leaves_no_connection_without_transactions(database_url: str) -> None:
    with closing(Store(database_url)) as store:
        with pytest.raises(psycopg.errors.DivisionByZero), store.statements() as statements:
            statements.execute("SELECT 1 / 0")
        with store.trial() as connection:
            connection.execute(text("CREATE TABLE public.made ()"))
        with store.transaction() as connection:
            assert connection.execute(text("SELECT to_regclass('public.made')")).scalar_one() is None


def test_a_lock_waits_for_its_holder(store: Store) -> None:
    order: list[str] = []

    def second() -> None:
        with store.lock("work"):
            order.append("second")

    waiting = threading.Thread(target=second)
    with store.lock("work"):
        waiting.start()
        _until_someone_waits(store)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


def test_locks_of_other_names_do_not_wait(store: Store) -> None:
    with store.lock("one"), store.lock("another"):
        pass


def test_a_lock_is_freed_after_an_error(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.lock("work"):
        raise ZeroDivisionError
    with store.lock("work"):
        pass


def test_postgresql_cleans_up_behind_others_while_a_lock_is_held(store: Store) -> None:
    with store.lock("work"), store.transaction() as connection:
        holding = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()"
        assert connection.execute(text(holding)).scalar_one() == 1
        assert connection.execute(text(f"{holding} AND backend_xmin IS NOT NULL")).scalar_one() == 0


def test_a_lock_that_is_lost_with_its_connection_is_noticed(store: Store, database_url: str) -> None:
    with store.lock("work") as lock:
        lock.require()
        end_lock_holders(database_url)
        for _ in range(2):
            with pytest.raises(StoreError, match=r"work: the connection that held this lock is gone .*start the run again"):
                lock.require()


def test_a_killed_process_frees_its_lock(store: Store, database_url: str) -> None:
    command = [sys.executable, "-c", HOLD_A_LOCK, database_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        holder.kill()
        with store.lock("busy"):
            pass


def _until_someone_waits(store: Store) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")

    def someone_waits() -> bool:
        with store.transaction() as connection:
            return bool(connection.execute(waiting).scalar_one())

    await_that(someone_waits, "someone waits for the lock")
