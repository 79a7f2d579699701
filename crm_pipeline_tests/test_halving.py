"""What a batch comes to when its service fails on some of its items, or on everything."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from math import log2
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crm_pipeline.errors import AuthenticationError, LimitReachedError, ServiceError, ServiceUnavailableError, UnexpectedAnswerError
from crm_pipeline.halving import (
    TURNS,
    Alone,
    Answered,
    BatchRefusedError,
    DoubtfulRefusalError,
    FailedTogetherError,
    in_halves,
    read_in_halves,
)

NAMES: dict[str, Any] = {"integration": "demo", "service": "crm"}
LOST = ServiceUnavailableError("fails inside", **NAMES)
DOUBTFUL = DoubtfulRefusalError("forbidden", **NAMES)
INSIDE: list[ServiceError] = [LOST, UnexpectedAnswerError("html", **NAMES), FailedTogetherError("alike", **NAMES), DOUBTFUL]


class Service:
    """Fails with ``error`` on each call that holds one of these items, or on all calls; notes the calls."""

    def __init__(self, *poison: int, error: ServiceError = LOST, down: bool = False) -> None:
        self.poison, self.error, self.down = set(poison), error, down
        self.sizes: list[int] = []
        self.again: list[bool] = []
        self.asked = 0

    def send(self, items: Sequence[int], /, *, again: bool) -> int:
        self.sizes.append(len(items))
        self.again.append(again)
        if self.down or not self.poison.isdisjoint(items):
            raise self.error
        return len(items)

    def is_up(self) -> bool:
        self.asked += 1
        return not self.down


def sent(service: Service, items: int, *, repeatable: bool = True) -> tuple[set[int], set[int]]:
    """What arrived, and what failed alone."""
    arrived, alone = list[int](), list[int]()
    for part in in_halves(range(items), service.send, repeatable=repeatable, is_up=service.is_up):
        if isinstance(part, Alone):
            alone.append(part.item)
        else:
            arrived += part.items
    assert len(arrived) == len(set(arrived))
    return set(arrived), set(alone)


def test_batch_that_gets_through_is_one_call() -> None:
    service = Service()
    (part,) = in_halves(range(200), service.send, repeatable=True, is_up=service.is_up)
    assert isinstance(part, Answered)
    assert (service.sizes, service.asked) == ([200], 0)


@settings(max_examples=60, deadline=None)
@given(size=st.integers(2, 1_000), place=st.floats(0, 1, exclude_max=True), kind=st.integers(0, 3))
@example(size=200, place=0, kind=0)
def test_one_item_alone_is_found_within_two_calls_a_halving(size: int, place: float, kind: int) -> None:
    poison = int(place * size)
    service = Service(poison, error=INSIDE[kind])
    assert sent(service, size) == (set(range(size)) - {poison}, {poison})
    assert len(service.sizes) - 1 <= 2 * log2(size) + 2
    assert service.asked == 0


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_items_to_blame_take_no_other_down_wherever_they_are(data: st.DataObject) -> None:
    size = data.draw(st.integers(20, 400))
    poison = data.draw(st.sets(st.integers(0, size - 1), max_size=3))
    assert sent(Service(*poison), size) == (set(range(size)) - poison, poison)


@pytest.mark.parametrize("start", [0, 70, 140])
def test_neighbours_that_are_all_to_blame_are_told_from_a_service_that_is_down(start: int) -> None:
    poison = set(range(start, start + 60))
    assert sent(Service(*poison), 200) == (set(range(200)) - poison, poison)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 10, 50, 100, 199, 200, 1_000, 2_000])
@pytest.mark.parametrize("error", [*INSIDE[:2], DOUBTFUL], ids=["lost", "unexpected", "doubtful"])
def test_service_that_is_down_is_not_halved_to_death(size: int, error: ServiceError) -> None:
    service = Service(error=error, down=True)
    with pytest.raises(type(error)):
        sent(service, size)
    assert len(service.sizes) - 1 + service.asked <= 2 * log2(size) + 2


def test_service_that_goes_down_on_the_way_keeps_what_got_through() -> None:
    service = Service(0)
    parts = in_halves(range(64), service.send, repeatable=True, is_up=service.is_up)
    first = next(parts)
    service.down, before = True, len(service.sizes)
    with pytest.raises(ServiceUnavailableError):
        list(parts)
    assert isinstance(first, Answered)
    assert len(service.sizes) - before + service.asked <= 2 * log2(64) + 2


def test_item_that_was_sent_alone_is_to_blame_only_while_the_service_answers_something() -> None:
    service = Service(0)
    assert sent(service, 1) == (set(), {0})
    assert service.asked == 1
    with pytest.raises(ServiceUnavailableError):
        sent(Service(0, down=True), 1)


def test_refused_batch_is_halved_to_the_end_for_the_service_is_up() -> None:
    service = Service(*range(32), error=BatchRefusedError("no", **NAMES))
    assert sent(service, 32) == (set(), set(range(32)))
    assert service.asked == 0


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("no", **NAMES),
        LimitReachedError("used up", **NAMES),
        ServiceUnavailableError("too many calls", executed=False, **NAMES),
    ],
    ids=lambda error: type(error).__name__,
)
def test_credentials_limits_and_what_was_not_carried_out_are_never_halved(error: ServiceError) -> None:
    service = Service(error=error, down=True)
    with pytest.raises(type(error)):
        sent(service, 100)
    assert service.sizes == [100]


@pytest.mark.parametrize("error", INSIDE[:2], ids=["lost", "unexpected"])
def test_call_that_may_not_be_repeated_is_not_halved_where_it_may_have_been_carried_out(error: ServiceError) -> None:
    service = Service(3, error=error)
    with pytest.raises(type(error)):
        sent(service, 8, repeatable=False)
    assert service.sizes == [8]


@pytest.mark.parametrize("error", [BatchRefusedError("no", **NAMES), *INSIDE[2:]], ids=["refused", "together", "doubtful"])
def test_call_that_may_not_be_repeated_is_halved_where_it_certainly_was_not_carried_out(error: ServiceError) -> None:
    service = Service(3, error=error)
    assert sent(service, 8, repeatable=False) == ({0, 1, 2, 4, 5, 6, 7}, {3})
    assert not any(service.again)


def test_only_calls_after_a_lost_one_are_told_that_they_may_repeat_it() -> None:
    service = Service(7)
    sent(service, 8)
    assert service.again == [False, *[True] * (len(service.sizes) - 1)]


def test_no_items_are_no_call() -> None:
    service = Service()
    assert sent(service, 0) == (set(), set())
    assert service.sizes == []


@pytest.mark.parametrize("error", [*INSIDE, BatchRefusedError("no", **NAMES)], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("size", [1, 2, 100])
def test_reading_blames_an_item_only_while_the_service_answers_the_like_for_others(error: ServiceError, size: int) -> None:
    service = Service(0, error=error)
    answers, failed = read_in_halves([range(size)], service.send, is_up=service.is_up)
    assert (sum(answers), set(failed)) == (size - 1, {0})
    down = Service(error=error, down=True)
    with pytest.raises(type(error)):
        read_in_halves([range(size)], down.send, is_up=down.is_up)
    assert len(down.sizes) - 1 + down.asked <= 2 * log2(size) + 2


@pytest.mark.parametrize("size", [2, 4, 9, 100])
@pytest.mark.parametrize("error", INSIDE, ids=lambda error: type(error).__name__)
def test_reading_that_fails_on_every_item_leaves_each_open_by_itself_while_the_service_is_up(error: ServiceError, size: int) -> None:
    service = Service(*range(size), error=error)
    answers, failed = read_in_halves([range(size)], service.send, is_up=service.is_up)
    assert (answers, set(failed)) == ([], set(range(size)))
    assert len(service.sizes) + service.asked <= 2 * size + TURNS + 1


def test_item_that_gets_through_is_found_among_ever_so_many_on_which_a_reading_fails() -> None:
    service = Service(*(set(range(100)) - {61}))
    answers, failed = read_in_halves([range(100)], service.send, is_up=service.is_up)
    assert (sum(answers), set(failed)) == (1, set(range(100)) - {61})


def test_reading_that_fails_on_one_batch_after_the_other_is_down_after_a_few_more_calls() -> None:
    batches = [range(start, start + 100) for start in range(0, 1_000, 100)]
    service = Service(*range(1_000))
    with pytest.raises(ServiceUnavailableError):
        read_in_halves(batches, service.send, is_up=service.is_up)
    assert len(service.sizes) <= 2 * 100 + 2 * log2(100) + 2
    service = Service(*range(0, 100), *range(200, 300), *range(999, 1_000))
    answers, failed = read_in_halves(batches, service.send, is_up=service.is_up)
    assert (sum(answers), set(failed)) == (799, service.poison)


def test_reading_of_so_many_items_that_none_gets_through_is_not_halved_to_death() -> None:
    service = Service(*range(2_000))
    with pytest.raises(ServiceUnavailableError):
        read_in_halves([range(2_000)], service.send, is_up=service.is_up)
    assert len(service.sizes) <= 2 ** (TURNS + 1) * (2 * log2(2_000) + 2)


def test_whole_batches_of_a_reading_go_together_and_only_the_one_that_fails_is_read_in_halves() -> None:
    service, together = Service(13), threading.Barrier(3)
    whole = [range(8), range(8, 16), range(16, 24)]

    def send(items: Sequence[int], /, *, again: bool) -> int:
        if len(items) == 8:
            together.wait(timeout=30)
        return items[0] + 100 * service.send(items, again=again)

    answers, failed = read_in_halves(whole, send, is_up=service.is_up, in_flight=3)
    assert failed == {13: LOST}
    assert answers[0] == 800
    assert answers[-1] == 816
    assert sorted(service.sizes) == [1, 1, 2, 2, 4, 4, 8, 8, 8]


def test_threads_of_a_reading_are_kept_from_call_to_call_and_end_with_it() -> None:
    service, threads, together = Service(5), set[threading.Thread](), threading.Barrier(3)

    def send(items: Sequence[int], /, *, again: bool) -> int:
        if len(items) == 4:
            threads.add(threading.current_thread())
            together.wait(timeout=30)
        return service.send(items, again=again)

    read_in_halves([range(start, start + 4) for start in range(0, 36, 4)], send, is_up=service.is_up, in_flight=3)
    assert len(threads) == 3
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive()
