"""May I call now? Limits of calls in a sliding window, kept by one process, or by all that use an account together."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from pyrate_limiter import AbstractBucket, BucketFactory, Duration, InMemoryBucket, Limiter, Rate, RateItem

LATE_SECONDS = 0.25
"""How long after its time a leased call may leave; one that nobody made by then is given up, because others do not expect it any more."""
LEASED_SHARE = 4
"""At most one in so many calls of a limit is leased at a time: so many are lost to the others, for one window, with a process that dies."""


class Leases(Protocol):
    """Gives the calls of an account to all who use it, whatever their integration, process or host."""

    def take(self, account: str, wanted: int, *, calls: int, seconds: float) -> list[float] | None:
        """When the account's next ``wanted`` calls may be made, in seconds from now, so that there are never more than ``calls`` within
        ``seconds``, whoever makes them. Null where this cannot be told at present.
        """
        ...


@runtime_checkable
class PacedClient(Protocol):
    """A client whose calls count for an account that others may use too."""

    def share_pace(self, leases: Leases) -> None:
        """Keep the limits from now on together with all who take such leases. Makes no call."""
        ...


def share_pace(client: object, leases: Leases) -> None:
    """Let a client, if its calls count for an account, keep the limits together with all who take such leases."""
    if isinstance(client, PacedClient):
        client.share_pace(leases)


class _OneWindow(BucketFactory):
    """A window that forgets old calls when it is asked; the library's own does so in a thread that nothing ends."""

    def __init__(self, bucket: InMemoryBucket) -> None:
        self._bucket = bucket

    def wrap_item(self, name: str, weight: int = 1) -> RateItem:
        return RateItem(name, self._bucket.now(), weight=weight)

    def get(self, _item: RateItem) -> AbstractBucket:
        self._bucket.leak(self._bucket.now())
        return self._bucket


class Pace:
    """Waits until a call may be made under a limit of ``calls`` per ``seconds`` in a sliding window; safe over threads."""

    def __init__(self, *, calls: int, seconds: float) -> None:
        self._calls, self._seconds = calls, seconds
        self._limiter = Limiter(_OneWindow(InMemoryBucket([Rate(calls, int(Duration.SECOND * seconds))])))
        self._shared: _SharedPace | None = None

    def share(self, leases: Leases, account: Callable[[], str]) -> None:
        """Keep the limit together with all who take leases of the account, the name of which is asked for at the first call."""
        self._shared = _SharedPace(leases, account, calls=self._calls, seconds=self._seconds)

    def wait(self) -> None:
        """Return as soon as the next call is within the limit. Where no leases can be had it is kept for this process alone."""
        if self._shared is not None:
            self._shared.wait()
        self._limiter.try_acquire("call", blocking=True)


class _SharedPace:
    """Waits for a leased call. As many are leased as threads wait for one, so that hardly one is left over."""

    def __init__(self, leases: Leases, account: Callable[[], str], *, calls: int, seconds: float) -> None:
        self._leases, self._account = leases, account
        self._calls, self._seconds = calls, seconds
        self._due: deque[float] = deque()
        self._waiting = 0
        self._counting, self._turn = threading.Lock(), threading.Lock()

    def wait(self) -> None:
        self._count(1)
        try:
            # Whoever has the turn sleeps in it: those behind are due later.
            with self._turn:
                self._await_call()
        finally:
            self._count(-1)

    def _count(self, threads: int) -> None:
        with self._counting:
            self._waiting += threads

    def _await_call(self) -> None:
        while self._due and self._due[0] + LATE_SECONDS < time.monotonic():
            self._due.popleft()
        if not self._due:
            wanted = min(self._waiting, max(1, self._calls // LEASED_SHARE))
            waits = self._leases.take(self._account(), wanted, calls=self._calls, seconds=self._seconds)
            if waits is None:
                return
            now = time.monotonic()
            self._due.extend(now + seconds for seconds in waits)
        time.sleep(max(0.0, self._due.popleft() - time.monotonic()))
