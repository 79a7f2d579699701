"""A service's clock beside ours, as the dates of its answers show it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_pipeline.clocks import Clock

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def answer(clock: Clock, at: datetime, *, ahead: timedelta, takes: timedelta = SECOND, written: float = 0.5) -> None:
    """An answer of a service whose clock is ahead; ``written``: after which share of the call it dated it."""
    date = (at + takes * written + ahead).replace(microsecond=0)
    clock.note(format_datetime(date, usegmt=True), sent=at, answered=at + takes)


@settings(max_examples=50, deadline=None)
@given(
    ahead=st.floats(-86_400, 86_400).map(seconds),
    answers=st.lists(st.tuples(st.floats(0, 3_600), st.floats(0, 60), st.floats(0, 1)), min_size=1, max_size=8),
)
def test_difference_is_never_further_off_than_the_quickest_answer_allows(
    ahead: timedelta, answers: list[tuple[float, float, float]]
) -> None:
    clock = Clock()
    for after, takes, written in answers:
        answer(clock, NOON + seconds(after), ahead=ahead, takes=seconds(takes), written=written)
    quickest = min(takes for _, takes, _ in answers)
    assert abs(clock.ahead - ahead) <= SECOND + seconds(quickest) + timedelta(microseconds=2)


def test_clocks_that_no_answer_tells_apart_are_alike() -> None:
    clock = Clock()
    answer(clock, NOON, ahead=seconds(0.4))
    assert clock.ahead == timedelta(0)


def test_clock_that_was_set_is_believed_anew() -> None:
    clock = Clock()
    answer(clock, NOON, ahead=seconds(90))
    answer(clock, NOON + seconds(60), ahead=seconds(-90))
    assert abs(clock.ahead + seconds(90)) <= 2 * SECOND


@pytest.mark.parametrize("date", [None, "", "yesterday", "2026-11-28T12:00:00Z", "Sat, 99 Nov 2026 12:00:00 GMT"])
def test_answer_without_a_date_says_nothing(date: str | None) -> None:
    clock = Clock()
    answer(clock, NOON, ahead=seconds(90))
    known = clock.ahead
    clock.note(date, sent=NOON, answered=NOON)
    assert clock.ahead == known
