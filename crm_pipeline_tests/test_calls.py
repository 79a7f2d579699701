"""How services are called: within their limits, and again only where that is safe."""

from __future__ import annotations

import threading
import time

import pytest

from crm_pipeline.calls import CallCounter, Pace, with_retries
from crm_pipeline.errors import ServiceUnavailableError


class Service:
    """Answers with these errors first, then with its name."""

    def __init__(self, *errors: ServiceUnavailableError) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def unavailable(*, executed: bool = True, wait_seconds: float | None = 0.0) -> ServiceUnavailableError:
    return ServiceUnavailableError("busy", integration="acme", service="crm", executed=executed, wait_seconds=wait_seconds)


def test_never_more_calls_in_a_window_than_its_limit() -> None:
    pace = Pace(calls=3, seconds=0.2)
    moments = []
    for _ in range(8):
        before = time.monotonic()
        pace.wait()
        moments.append((before, time.monotonic()))
    assert all(ended - began >= 0.199 for (began, _), (_, ended) in zip(moments, moments[3:], strict=False))


def test_a_pace_leaves_no_thread_behind() -> None:
    before = set(threading.enumerate())
    for _ in range(5):
        Pace(calls=10, seconds=1).wait()
    assert set(threading.enumerate()) <= before


def test_a_repeatable_call_is_made_again_until_it_is_answered() -> None:
    service = Service(unavailable(), unavailable())
    assert with_retries(service, repeatable=True) == "answer"
    assert service.calls == 3


def test_a_create_that_may_have_been_executed_is_not_made_again() -> None:
    service = Service(unavailable(executed=True))
    with pytest.raises(ServiceUnavailableError):
        with_retries(service, repeatable=False)
    assert service.calls == 1


def test_a_create_that_was_certainly_not_executed_is_made_again() -> None:
    service = Service(unavailable(executed=False))
    assert with_retries(service, repeatable=False) == "answer"


def test_after_the_last_attempt_the_service_s_own_error_is_raised() -> None:
    service = Service(*(unavailable() for _ in range(9)))
    with pytest.raises(ServiceUnavailableError, match="integration acme: crm: busy"):
        with_retries(service, repeatable=True, attempts=4)
    assert service.calls == 4


def test_the_service_s_own_waiting_time_is_kept() -> None:
    service = Service(unavailable(wait_seconds=0.1))
    started = time.monotonic()
    with_retries(service, repeatable=True)
    assert time.monotonic() - started >= 0.1


def test_calls_are_counted_over_threads() -> None:
    counter = CallCounter()

    def count() -> None:
        for _ in range(500):
            counter.add("write")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.snapshot() == {"write": 2_000}
