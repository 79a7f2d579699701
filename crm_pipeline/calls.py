"""How services outside are called: how many calls at once, how often again, and counted. The only retry layer of the package."""

from __future__ import annotations

import logging
import math
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from queue import SimpleQueue
from typing import Annotated, Generic, TypeVar

from pydantic import Field
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from crm_pipeline.clocks import moment
from crm_pipeline.configuration.model import YamlModel
from crm_pipeline.errors import ServiceUnavailableError, UnexpectedAnswerError

logger = logging.getLogger(__name__)

T = TypeVar("T")

DEFAULT_ATTEMPTS = 5

UNFINISHED = frozenset({408, 502, 503, 504, *range(520, 530)})
"""Statuses by which a gateway gives up waiting for the service behind it, which may go on."""
JITTER = 0.1
"""The most that is added to a wait which a service asks for, as a share of it, so that others who wait do not come back at once."""

TOLD_SECONDS = 10
"""From how many seconds on a wait is told: somebody may sit before it, and a shorter one is over before it is read."""

NEWS = 0.1
"""How much one answer's time counts in what is known of them."""
SPARE = 2
"""By how much more calls are under way than the limit asks for (Little's law), to make up for the time in which others use the answers."""

_SECONDS = re.compile(r"\d{1,15}(\.\d{1,9})?", re.ASCII)


class Waits(YamlModel):
    """How long is waited before a call that failed is made again."""

    first_seconds: Annotated[
        float,
        Field(
            ge=0,
            description="Seconds before the second attempt, if the service does not name a time; each further wait is three times as long.",
            examples=[2],
        ),
    ] = 2
    longest_seconds: Annotated[
        float,
        Field(
            ge=0,
            description="The longest wait, in seconds. If the service asks for more, the load ends, and a later run goes on.",
            examples=[300],
        ),
    ] = 300


DEFAULT_WAITS = Waits()


class AnswerTimes:
    """How long a service takes to answer, the latest answers counting most; safe over threads."""

    def __init__(self) -> None:
        self._seconds: float | None = None
        self._lock = threading.Lock()

    def note(self, seconds: float) -> None:
        """Take in how long one answer took."""
        with self._lock:
            known = seconds if self._seconds is None else self._seconds
            self._seconds = known + NEWS * (seconds - known)

    def calls_at_once(self, *, calls: float, seconds: float, most: int) -> int:
        """How many calls must be under way at one time to reach a limit of ``calls`` per ``seconds``, at least 1 and at most ``most``."""
        return min(most, max(1, math.ceil(SPARE * calls / seconds * (self._seconds or 0.0))))


class CallCounter:
    """Counts the calls made, by a label that says what for (``write``, ``read``, ``sign_in`` …); safe over threads."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lost = threading.local()
        self._lock = threading.Lock()

    def add(self, label: str) -> None:
        """Count one call."""
        with self._lock:
            self._counts[label] += 1

    def lose(self) -> None:
        """Count a call that was sent and that the service gave no answer of its own: it may be carried out later."""
        self._lost.count = self.lost + 1

    @property
    def lost(self) -> int:
        """How many calls of this thread got no answer: what other threads send meanwhile says nothing of its own."""
        count: int = getattr(self._lost, "count", 0)
        return count

    def snapshot(self) -> dict[str, int]:
        """The counts so far, by label."""
        with self._lock:
            return dict(self._counts)


def with_retries(
    call: Callable[[], T],
    *,
    repeatable: bool,
    attempts: int = DEFAULT_ATTEMPTS,
    waits: Waits = DEFAULT_WAITS,
    divisible: bool = False,
    patient: bool = True,
) -> T:
    """Make a call, again and again while the service is unavailable or answers what its contract does not know.

    It waits as long as the service asks, or ever longer, and tells of a long wait in the log. A call that is not ``repeatable``
    (a create that the service cannot recognize the second time) is made again only where the service certainly did not execute
    it; one that is ``divisible`` is not made again as it is where it was too much; one that is not ``patient`` is not made again
    where the service fails on it without a word when to come back.
    Raises the last ServiceUnavailableError or UnexpectedAnswerError, at once where the service asks for a longer wait than
    ``waits`` allows.
    """

    def may_repeat(error: BaseException) -> bool:
        if not isinstance(error, ServiceUnavailableError | UnexpectedAnswerError):
            return False
        if divisible and isinstance(error, ServiceUnavailableError) and error.too_much:
            return False
        asked = error.wait_seconds if isinstance(error, ServiceUnavailableError) else None
        if not patient and error.executed and asked is None:
            return False
        if asked is not None and asked > waits.longest_seconds:
            logger.warning(
                "integration %s: %s asks to wait %.0f seconds, longer than waits.longest_seconds allows; a later run goes on",
                error.integration,
                error.service,
                asked,
            )
            return False
        return repeatable or not error.executed

    return Retrying(
        retry=retry_if_exception(may_repeat),
        wait=lambda state: _wait(state, waits),
        before_sleep=_tell,
        stop=stop_after_attempt(attempts),
        reraise=True,
    )(call)


class Callers:
    """Threads that make calls, kept from one to the next: to start one costs as much as a small call. They end with the block.

    An interrupt waits for none of them: a pool's threads would keep the process until the last call is over.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._threads = 0
        self._idle = threading.Semaphore(0)
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    def __enter__(self) -> Callers:
        return self

    def __exit__(self, *_: object) -> None:
        for _thread in range(self._threads):
            self._calls.put(None)

    def start(self, call: Callable[[], None]) -> None:
        """Have a call made, as soon as fewer than ``most`` are under way."""
        if not self._idle.acquire(blocking=False) and self._threads < self._most:
            self._threads += 1
            threading.Thread(target=_make_all, args=(self._calls, self._idle), name="call", daemon=True).start()
        self._calls.put(call)


class AtOnce(Generic[T]):
    """Calls under way at the same time, each in a thread of its own, from the moment this is made; an interrupt waits for none of them.

    A single one is made by who makes this, so that an interrupt ends it. ``callers``: whose threads make them.
    """

    def __init__(self, calls: Sequence[Callable[[], T]], *, callers: Callers | None = None) -> None:
        self._answers: list[Future[T]] = [Future() for _ in calls]
        if len(calls) == 1:
            self._answers[0].set_result(calls[0]())
            return
        with nullcontext(callers) if callers else Callers(len(calls)) as threads:
            for call, answer in zip(calls, self._answers, strict=True):
                threads.start(partial(_answer, call, answer))

    def answers(self) -> list[T]:
        """What they give, in their order; the first error of one is raised once all are over."""
        wait(self._answers)
        return [answer.result() for answer in self._answers]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that an answer's Retry-After asks to wait, given as a number or as a date (RFC 9110, 10.2.3); null without one.

    A date is compared with the answer's own, where it has one: clocks differ.
    """
    asked = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(asked):
        return float(asked)
    until = moment(asked)
    if until is None:
        return None
    return max(0.0, (until - (moment(headers.get("Date", "")) or datetime.now(UTC))).total_seconds())


def spaced(turn: int, waits: Waits) -> float:
    """How long to wait, in seconds, before the ``turn``-th repeat (from 1 on) of what a service does not say when to repeat."""
    return float(min(waits.first_seconds * 3 ** (turn - 1) * (1 + random.random()), waits.longest_seconds))  # noqa: S311 - no secret


def _wait(state: RetryCallState, waits: Waits) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, ServiceUnavailableError) and error.wait_seconds is not None:
        return error.wait_seconds * (1 + JITTER * random.random())  # noqa: S311 - no secret
    return spaced(state.attempt_number, waits)


class _Telling:
    """Tells of long waits, once where several calls wait at the same time for the same cause; safe over threads."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._lock = threading.Lock()

    def __call__(self, state: RetryCallState) -> None:
        seconds = state.upcoming_sleep
        if seconds < TOLD_SECONDS or state.outcome is None:
            return
        cause, now = str(state.outcome.exception()), time.monotonic()
        with self._lock:
            self._until = {told: until for told, until in self._until.items() if until > now}
            if cause in self._until:
                return
            self._until[cause] = now + seconds
        logger.warning("%s; the call is made again in %.0f seconds", cause, seconds)


_tell = _Telling()


def _make_all(calls: SimpleQueue[Callable[[], None] | None], idle: threading.Semaphore) -> None:
    while call := calls.get():
        call()
        # Else what it answered would stay until the next.
        del call
        idle.release()


def _answer(call: Callable[[], T], answer: Future[T]) -> None:
    try:
        answer.set_result(call())
    except BaseException as error:  # noqa: BLE001 - raised where the answer is asked for
        answer.set_exception(error)
