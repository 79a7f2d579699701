"""How services are called: within their limits, and again only where that is safe."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial

import pytest

from crm_pipeline.calls import AtOnce, CallCounter, Callers, Waits, retry_after, spaced, with_retries
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


# --- how long to wait


def test_a_thread_is_started_only_where_none_is_idle() -> None:
    together = threading.Barrier(2)

    def at_once() -> set[int]:
        def call() -> int:
            together.wait()
            return threading.get_ident()

        return set(AtOnce([call, call], callers=callers).answers())

    with Callers(100) as callers:
        made_by = [at_once() for _ in range(50)]
    assert all(len(threads) == 2 for threads in made_by), "both are under way at one time"
    assert len(set().union(*made_by)) < 50


def test_service_that_asks_for_a_longer_wait_than_allowed_is_not_waited_for() -> None:
    service = Service(unavailable(wait_seconds=86_400, executed=False))
    with pytest.raises(ServiceUnavailableError):
        with_retries(service, repeatable=True, waits=Waits(longest_seconds=300))
    assert service.calls == 1


def test_a_long_wait_is_told_with_its_cause_and_no_short_one(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crm_pipeline.calls.TOLD_SECONDS", 0.05)
    with_retries(Service(unavailable(wait_seconds=0.01)), repeatable=True)
    assert caplog.messages == []
    with_retries(Service(unavailable(wait_seconds=0.05)), repeatable=True)
    assert caplog.messages == ["integration acme: crm: busy; the call is made again in 0 seconds"]


def test_calls_that_wait_at_the_same_time_for_the_same_cause_are_told_as_one(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line is an event that Dagster stores, and dozens of calls are under way when a service goes away."""
    monkeypatch.setattr("crm_pipeline.calls.TOLD_SECONDS", 0.5)
    services = [Service(unavailable(wait_seconds=0.5)) for _ in range(20)]
    AtOnce([partial(with_retries, service, repeatable=True) for service in services]).answers()
    assert len(caplog.messages) == 1


def test_what_was_too_much_is_not_asked_again_as_it_is_where_it_can_be_divided() -> None:
    too_much = ServiceUnavailableError("took too long", integration="acme", service="crm", too_much=True, wait_seconds=0)
    divided, whole = Service(too_much), Service(too_much)
    with pytest.raises(ServiceUnavailableError):
        with_retries(divided, repeatable=True, divisible=True)
    assert (divided.calls, with_retries(whole, repeatable=True)) == (1, "answer")


def test_waits_grow_and_are_never_longer_than_the_longest() -> None:
    waits = Waits(first_seconds=2, longest_seconds=60)
    for turn, shortest in enumerate((2, 6, 18, 54), start=1):
        assert all(shortest <= spaced(turn, waits) <= min(2 * shortest, 60) for _ in range(20))
    assert spaced(9, waits) == 60
    assert len({spaced(1, waits) for _ in range(20)}) > 1, "no two come back at once"


NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("120", 120.0),
        (" 0.5 ", 0.5),
        (format_datetime(NOW + timedelta(minutes=2), usegmt=True), 120.0),
        (format_datetime(NOW - timedelta(minutes=2), usegmt=True), 0.0),
        ("Saturday, 28-Nov-26 12:02:00 GMT", 120.0),
        ("Sat Nov 28 12:02:00 2026", 120.0),
        ("999999999999", 999_999_999_999.0),
        *((word, None) for word in ("", "soon", "-5", "nan", "inf", "1e9", "٣", "9" * 400, "Sat, 99 Nov 2026 12:00:00 GMT")),
    ],
)
def test_retry_after_is_understood_in_both_of_its_forms_and_nothing_else(asked: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": asked, "Date": format_datetime(NOW, usegmt=True)}) == seconds


def test_retry_after_without_the_answers_own_date_is_compared_with_our_clock() -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert retry_after({"Retry-After": until}) == pytest.approx(3_600, abs=60)
    assert retry_after({}) is None
