"""How a batch that fails as a whole is sent again in halves, and when its service counts as down (docs/rules.md, 41).

A CRM can fail on a whole batch for one item's sake: refuse it, fail inside, let the connection break, or answer the same
error for each item. Each half goes out once; whatever gets through is done. An item that fails alone is to blame if the
service is up: something else got through, or a cheap question is answered. A service that fails again and again
(``most_failures``) is down, unless the cheap question is answered still, and a part of the batch got through. Of readings, which
change nothing, one batch after the last that got through may be such that it fails on every item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from math import floor, log2
from typing import Generic, Literal, Protocol, TypeVar

from crm_pipeline.calls import AtOnce, Callers
from crm_pipeline.errors import RequestRefusedError, ServiceError, ServiceUnavailableError, UnexpectedAnswerError

T = TypeVar("T")
A = TypeVar("A")
HURRY = 4
"""The number of failures, before the service counts as down, from which the largest pieces are tried too."""
TURNS = 3
"""How often a reading of which nothing gets through goes on while the service is up, each time for twice as many failures."""

A_co = TypeVar("A_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)


class BatchRefusedError(RequestRefusedError):
    """The service refuses a request for what is in it, maybe for one of its items; nothing of it was carried out."""


class DoubtfulRefusalError(ServiceError):
    """The service refuses a request for one of its items, or for what all calls have (a right, a path); nothing of it was carried out."""


class FailedTogetherError(RequestRefusedError):
    """The service answered, but several items of the call ended alike, with an error that may be one of theirs or the call's."""


class Send(Protocol[T_contra, A_co]):
    """Makes one call with these items and returns its answer, or raises a ServiceError.

    ``again``: an earlier call may have carried out the same. Such a call is made only once where it may be carried out.
    """

    def __call__(self, items: Sequence[T_contra], /, *, again: bool) -> A_co:
        """Make the call."""
        ...


@dataclass(frozen=True, slots=True)
class Answered(Generic[T, A]):
    """Items that went in one call, and its answer."""

    items: Sequence[T]
    answer: A


@dataclass(frozen=True, slots=True)
class Alone(Generic[T]):
    """An item on which the service, which is up, fails or which it refuses, and the error that it had alone."""

    item: T
    error: ServiceError


def in_halves(
    items: Sequence[T],
    send: Send[T, A],
    *,
    repeatable: bool,
    is_up: Callable[[], bool],
    refused: Literal["halved", "counted"] = "halved",
    turns: int = 0,
) -> Iterator[Answered[T, A] | Alone[T]]:
    """Send the items in one call, or in as many as it takes to part them from those that a call fails on.

    ``repeatable``: whether a call that may have been carried out may be made again; else only one that certainly was not is
    sent in halves. ``is_up`` makes one cheap call, where an item failed alone and nothing got through, or too many calls failed.
    ``refused``: whether refused calls are halved to the end, or count like those on which the service fails and leave open
    whether it is up for others; doubtful refusals always do. ``turns``: how often too many failures do not count while the
    service is up although nothing got through.
    Raises the ServiceError of credentials, limits, an unreachable service at once, and of a service that counts as down.
    """
    pieces: list[Sequence[T]] = [items] if items else []
    alone: list[Alone[T]] = []
    usual = most_failures(len(items))
    failures, most = -1, usual
    up = again = some_through = False
    while pieces:
        piece = pieces.pop(_next(pieces, hurry=failures > most - HURRY and failures % 2 == 0))
        try:
            answer = send(piece, again=again)
        except ServiceError as error:
            judged, lost = isinstance(error, BatchRefusedError | FailedTogetherError), may_be_lost(error)
            if not may_be_of_one(error) or (lost and not repeatable):
                raise
            up, again = up or (judged and refused == "halved"), again or lost
            failures += refused == "counted" or not isinstance(error, BatchRefusedError)
            if len(piece) == 1:
                alone.append(Alone(piece[0], error))
            else:
                middle = len(piece) // 2
                pieces += [piece[middle:], piece[:middle]]
            if pieces and failures >= most:
                if not ((some_through or turns) and is_up()):
                    raise
                failures = 0
                if not some_through:
                    turns, most = turns - 1, 2 * most
        else:
            failures, most, up, some_through = 0, usual, True, True
            yield Answered(piece, answer)
        if up:
            yield from alone
            alone.clear()
    if alone and not is_up():
        raise alone[-1].error
    yield from alone


def read_in_halves(
    batches: Iterable[Sequence[T]], send: Send[T, A], *, is_up: Callable[[], bool], in_flight: int = 1
) -> tuple[list[A], dict[T, ServiceError]]:
    """What a reading of these batches is answered, part by part, and the items on which the service fails.

    ``is_up`` asks the like for none of them: a refusal that meets that too is no item's. ``in_flight``: how many whole batches go at the
    same time; what becomes of them is judged one after the other. Raises the ServiceError of ``in_halves``.
    """
    answers: list[A] = []
    failed: dict[T, ServiceError] = {}
    turns = TURNS
    for batch, send_it in _ahead(batches, send, most=in_flight):
        before = len(answers)
        for part in in_halves(batch, send_it, repeatable=True, is_up=is_up, refused="counted", turns=turns):
            if isinstance(part, Alone):
                failed[part.item] = part.error
            else:
                answers.append(part.answer)
        turns = TURNS if len(answers) > before else 0
    return answers, failed


def _ahead(batches: Iterable[Sequence[T]], send: Send[T, A], *, most: int) -> Iterator[tuple[Sequence[T], Send[T, A]]]:
    """Each batch with what sends it, and parts of it: whole it went already, beside the others of its wave."""
    rest = iter(batches)
    with Callers(most) as callers:
        while wave := list(islice(rest, most)):
            ended = AtOnce([partial(_ended, send, batch) for batch in wave], callers=callers).answers()
            for batch, first in zip(wave, ended, strict=True):

                def send_it(items: Sequence[T], /, *, again: bool, batch: Sequence[T] = batch, first: A | ServiceError = first) -> A:
                    if items is not batch:
                        return send(items, again=again)
                    if isinstance(first, ServiceError):
                        raise first
                    return first

                yield batch, send_it


def _ended(send: Send[T, A], batch: Sequence[T]) -> A | ServiceError:
    try:
        return send(batch, again=False)
    except ServiceError as error:
        return error


def may_be_of_one(error: ServiceError) -> bool:
    """Whether a reading may fail with this for the sake of one record that it would give."""
    return isinstance(error, BatchRefusedError | FailedTogetherError | DoubtfulRefusalError) or may_be_lost(error)


def most_failures(items: int) -> int:
    """How many calls in a row may fail, after that of the whole batch, before the service counts as down.

    One item costs two calls for each halving; with the question whether the service is up it is 2 * log2(items) + 2.
    """
    return floor(2 * log2(max(1, items)) + 2) - 1


def code_of(error: ServiceError) -> str:
    """What an outcome calls the error of an item that failed alone."""
    return error.code or type(error).__name__


def may_be_lost(error: ServiceError) -> bool:
    """Whether the service may have failed inside, so that nobody knows what became of the items; one that says when to come is busy."""
    if isinstance(error, ServiceUnavailableError):
        return error.executed and error.wait_seconds is None
    return isinstance(error, UnexpectedAnswerError)


def _next(pieces: Sequence[Sequence[object]], *, hurry: bool) -> int:
    """Small pieces tell which item it is; in a hurry the largest, which among neighbours to blame is the likeliest to get through."""
    return max(range(len(pieces)), key=lambda place: (len(pieces[place]), place)) if hurry else len(pieces) - 1
