"""All who use an account keep its limit together: leases of the database."""

from __future__ import annotations

import logging
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing

import pytest
from sqlalchemy import text

from crm_pipeline.pacing import Pace
from crm_pipeline.store import pacing
from crm_pipeline.store.database import Store
from crm_pipeline.store.pacing import PaceLeases
from crm_pipeline_tests.awaiting import await_that

TAKE_AND_HOLD = """
import sys
from crm_pipeline.store.database import Store
from crm_pipeline.store.pacing import PaceLeases
from crm_pipeline_tests.awaiting import await_that
print(PaceLeases(Store(sys.argv[1])).take("acme", 5, calls=5, seconds=2), flush=True)
sys.stdin.read()
"""


class Counted(PaceLeases):
    """Notes how many calls each lease gives, and makes whoever takes one wait until that may go on."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.sizes: list[int] = []
        self.go_on = threading.Event()

    def take(self, account: str, wanted: int, *, calls: int, seconds: float) -> list[float] | None:
        self.go_on.wait()
        self.sizes.append(wanted)
        return super().take(account, wanted, calls=calls, seconds=seconds)


def leased(store: Store, calls: int) -> list[float]:
    """When the calls of the last lease, which are so many, may leave, in Unix seconds."""
    with store.transaction() as connection:
        return list(connection.execute(text("SELECT times FROM crm_pipeline.pace")).scalar_one())[-calls:]


@pytest.mark.parametrize("seed", range(20))
def test_no_call_is_leased_over_the_limit_of_whoever_asks_nor_later_than_it_needs(store: Store, seed: int) -> None:
    chance, leases, seconds = random.Random(seed), PaceLeases(store), 60.0
    every: list[float] = []
    farthest = 0.0
    while farthest < 2 * seconds:
        calls = chance.choice((4, 7, 12))
        waits = leases.take("acme", chance.randint(1, 4), calls=calls, seconds=seconds)
        assert waits is not None
        for at, wait in zip(leased(store, len(waits)), waits, strict=True):
            assert sum(at - seconds + 1e-5 < other for other in every) < calls
            assert wait == 0 or sum(at - seconds - 1e-5 < other for other in every) >= calls
            every.append(at)
        farthest = max(waits)


def test_accounts_do_not_wait_for_each_other(store: Store) -> None:
    leases = PaceLeases(store)
    assert leases.take("acme", 2, calls=2, seconds=60) == leases.take("other", 2, calls=2, seconds=60) == [0, 0]


def test_calls_that_a_killed_process_had_leased_are_free_again_after_one_window(store: Store, database_url: str) -> None:
    with subprocess.Popen([sys.executable, "-c", TAKE_AND_HOLD, database_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"[0.0, 0.0, 0.0, 0.0, 0.0]\n"
        holder.send_signal(signal.SIGKILL)
    waits = PaceLeases(store).take("acme", 5, calls=5, seconds=2)
    assert waits is not None
    assert 0 < min(waits) <= max(waits) <= 2


def test_who_waits_for_another_s_lease_is_told_the_time_behind_it(store: Store, database_url: str) -> None:
    leases = PaceLeases(store)
    leases.take("acme", 1, calls=5, seconds=60)
    with closing(Store(database_url)) as other, other.transaction() as connection:
        connection.execute(text("SELECT FROM crm_pipeline.pace FOR UPDATE"))
        second = threading.Thread(target=leases.take, args=("acme", 1), kwargs={"calls": 5, "seconds": 60})
        second.start()
        denied = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        await_that(lambda: connection.execute(denied).scalar_one() > 0, "the second waits")
        now = connection.execute(text("SELECT extract(epoch FROM clock_timestamp())::float8")).scalar_one()
    second.join()
    assert leased(store, 1)[0] >= now


def test_a_clock_that_was_set_back_holds_nobody_up(store: Store) -> None:
    leases = PaceLeases(store)
    leases.take("acme", 5, calls=5, seconds=10)
    with store.transaction() as connection:
        connection.execute(text("UPDATE crm_pipeline.pace SET times = ARRAY(SELECT at + 3600 FROM unnest(times) AS at)"))
    assert leases.take("acme", 5, calls=5, seconds=10) == [0] * 5


def waiting(pace: Pace, *, threads: int) -> Callable[[], None]:
    """Let so many threads wait for a call; what is returned waits for them."""
    started = [threading.Thread(target=pace.wait) for _ in range(threads)]
    for one in started:
        one.start()

    def join() -> None:
        for one in started:
            one.join()

    return join


def test_as_many_calls_are_leased_as_threads_wait_and_a_share_of_the_limit_at_most(store: Store) -> None:
    leases, pace = Counted(store), Pace(calls=40, seconds=60)
    pace.share(leases, lambda: "acme")
    join = waiting(pace, threads=16)
    leases.go_on.set()
    join()
    assert sum(leases.sizes) == 16
    # The first one asks as soon as it is there, the last ones for what is left.
    assert len(leases.sizes) <= 4
    assert max(leases.sizes) == 10


def test_a_leased_call_that_nobody_made_in_time_is_not_made_later(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crm_pipeline.pacing.LATE_SECONDS", -1.0)
    leases, pace = Counted(store), Pace(calls=40, seconds=60)
    leases.go_on.set()
    pace.share(leases, lambda: "acme")
    waiting(pace, threads=4)()
    assert len(leases.sizes) == 4, "each was too late for what the one before had left"


def test_where_the_database_is_away_each_process_keeps_the_limit_by_itself_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    with closing(Store("postgresql://nobody@127.0.0.1:1/none")) as nowhere, caplog.at_level(logging.WARNING):
        pace = Pace(calls=40, seconds=60)
        pace.share(PaceLeases(nowhere), lambda: "acme")
        for _ in range(3):
            pace.wait()
    [told] = caplog.messages
    assert "kept by each process for itself" in told


def test_the_database_is_asked_again_once_it_is_back(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pacing, "AWAY_SECONDS", -1.0)
    leases = PaceLeases(store)

    def rename(old: str, new: str) -> None:
        with store.transaction() as connection:
            connection.execute(text(f"ALTER TABLE crm_pipeline.{old} RENAME TO {new}"))

    def while_away() -> list[list[float] | None]:
        rename("pace", "away")
        try:
            return [leases.take("acme", 1, calls=5, seconds=60) for _ in range(2)]
        finally:
            rename("away", "pace")

    assert while_away() == [None, None]
    assert leases.take("acme", 1, calls=5, seconds=60) == [0]
    assert len(caplog.records) == 1
    assert while_away() == [None, None]
    assert len(caplog.records) == 2, "what was mended meanwhile is told anew"
