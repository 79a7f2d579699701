"""How we call the services outside: at what pace, how often again, and counted. The one retry layer of the package."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from pyrate_limiter import AbstractBucket, BucketFactory, Duration, InMemoryBucket, Limiter, Rate, RateItem
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from crm_pipeline.errors import ServiceUnavailableError, UnexpectedAnswerError

T = TypeVar("T")

DEFAULT_ATTEMPTS = 5

UNFINISHED = frozenset({408, 502, 503, 504, *range(520, 530)})
"""Statuses by which a gateway gives up waiting for the service behind it, which may go on."""
LONGEST_WAIT_SECONDS = 120.0

_backoff = wait_random_exponential(multiplier=0.5, max=30)


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
        self._limiter = Limiter(_OneWindow(InMemoryBucket([Rate(calls, int(Duration.SECOND * seconds))])))

    def wait(self) -> None:
        """Return as soon as the next call is within the limit."""
        self._limiter.try_acquire("call", blocking=True)


class CallCounter:
    """Counts the calls made, by a label that says what for (``write``, ``read``, ``sign_in`` …); safe over threads."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lost = 0
        self._lock = threading.Lock()

    def add(self, label: str) -> None:
        """Count one call."""
        with self._lock:
            self._counts[label] += 1

    def lose(self) -> None:
        """Count a call that was sent and that the service gave no answer of its own: it may be carried out later."""
        with self._lock:
            self._lost += 1

    @property
    def lost(self) -> int:
        """How many calls got no answer."""
        with self._lock:
            return self._lost

    def snapshot(self) -> dict[str, int]:
        """The counts so far, by label."""
        with self._lock:
            return dict(self._counts)


def with_retries(call: Callable[[], T], *, repeatable: bool, attempts: int = DEFAULT_ATTEMPTS, divisible: bool = False) -> T:
    """Make a call, again and again while the service is unavailable or answers what its contract does not know.

    It waits as long as the service asks, or ever longer. A call that is not ``repeatable`` (a create that the service cannot
    recognize the second time) is made again only where the service certainly did not execute it; one that is ``divisible`` is
    not made again as it is where it was too much.
    Raises the last ServiceUnavailableError or UnexpectedAnswerError.
    """

    def may_repeat(error: BaseException) -> bool:
        if not isinstance(error, ServiceUnavailableError | UnexpectedAnswerError):
            return False
        if divisible and isinstance(error, ServiceUnavailableError) and error.too_much:
            return False
        return repeatable or not error.executed

    return Retrying(
        retry=retry_if_exception(may_repeat),
        wait=_wait,
        stop=stop_after_attempt(attempts),
        reraise=True,
    )(call)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, ServiceUnavailableError) and error.wait_seconds is not None:
        return min(error.wait_seconds, LONGEST_WAIT_SECONDS)
    return _backoff(state)
