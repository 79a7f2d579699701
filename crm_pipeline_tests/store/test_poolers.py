"""The state database behind PgBouncer, in each of its modes."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url, text

from crm_pipeline.errors import StoreError
from crm_pipeline.store import database
from crm_pipeline.store.database import Store
from crm_pipeline.store.pacing import PaceLeases
from crm_pipeline_tests.awaiting import await_that

PGBOUNCER = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin") or ""

pytestmark = pytest.mark.skipif(not PGBOUNCER, reason="needs PgBouncer")


@contextmanager
def pooled(database_url: str, *, mode: str) -> Iterator[str]:
    """The URL of a PgBouncer before the database, with its settings as they come but for the mode."""
    url = make_url(database_url)
    sockets = Path(str(url.query["host"]))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Where the server's own user may read it, as whom it runs here: it refuses to run as root.
    settings = sockets / f"pgbouncer-{port}.ini"
    settings.write_text(
        f"[databases]\n{url.database} = host={sockets} dbname={url.database} user={url.username}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\n"
    )
    as_user = ["-u", sockets.owner()] if os.geteuid() == 0 else []
    with subprocess.Popen([PGBOUNCER, "-q", *as_user, str(settings)]) as pooler:
        try:
            pooled_url = url.set(host="127.0.0.1", port=port).difference_update_query(["host"])
            address = pooled_url.render_as_string(hide_password=False)
            await_that(lambda: _listens(port), "PgBouncer listens")
            yield address
        finally:
            pooler.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(params=["session", "transaction"])
def behind_pooler(request: pytest.FixtureRequest, database_url: str) -> Iterator[str]:
    with pooled(database_url, mode=request.param) as url:
        yield url


def test_calls_are_leased_behind_a_pooler(behind_pooler: str) -> None:
    with closing(Store(behind_pooler)) as store:
        leases = PaceLeases(store)
        assert leases.take("acme", 2, calls=2, seconds=60) == [0, 0]
        [wait] = leases.take("acme", 1, calls=2, seconds=60) or [0.0]
        assert 50 < wait <= 60


def test_a_connection_whose_server_ended_while_nobody_had_it_is_replaced_behind_a_pooler(
    behind_pooler: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The pooler may pass the end on only after this test went on.
    monkeypatch.setattr(database, "_REST_SECONDS", -1.0)
    own = text("SELECT pg_backend_pid()")
    with closing(Store(behind_pooler)) as store, psycopg.connect(database_url, autocommit=True) as other:
        with store.transaction() as connection:
            ended = connection.execute(own).scalar_one()
        other.execute("SELECT pg_terminate_backend(%s, 60000)", [ended])
        with store.transaction() as connection:
            assert connection.execute(own).scalar_one() != ended


def test_lock_is_one_run_s_alone_behind_a_pooler(behind_pooler: str, database_url: str) -> None:
    order: list[str] = []
    with closing(Store(behind_pooler)) as one, closing(Store(behind_pooler)) as another:

        def second() -> None:
            with another.lock("work"):
                order.append("second")

        waiting = threading.Thread(target=second)
        with one.lock("work") as lock:
            waiting.start()
            await_that(lambda: _locks(database_url) == [False, True], "someone waits for the lock")
            lock.require()
            order.append("first")
        waiting.join()
    assert order == ["first", "second"]
    assert _locks(database_url) == [], "no lock is left with the pooler's connections"


def _locks(database_url: str) -> list[bool]:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT granted FROM pg_locks WHERE locktype = 'advisory' ORDER BY granted").fetchall()
    return [granted for (granted,) in rows]


def test_statements_may_be_repeated_on_whichever_connection_the_pooler_gives(behind_pooler: str) -> None:
    with closing(Store(behind_pooler)) as store, store.lock("elsewhere"):
        for number in range(12):
            with store.transaction() as connection, store.lock("one more connection"):
                assert connection.execute(text("SELECT CAST(:number AS int)"), {"number": number}).scalar_one() == number


def test_pooler_that_takes_no_transactions_is_refused_by_name_with_what_to_do(database_url: str) -> None:
    with (
        pooled(database_url, mode="statement") as url,
        closing(Store(url)) as store,
        pytest.raises(StoreError, match=r"leads to a connection pooler .*PgBouncer.*pool_mode = session or transaction"),
        store.transaction(),
    ):
        pass
