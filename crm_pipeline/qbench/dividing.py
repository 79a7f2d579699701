"""Which record of a page does QBench fail on? A page that fails is asked for again in smaller and smaller parts.

QBench can fail on a whole page for one record's sake. Parts are pages of a smaller size that lie in it; each goes out once. They
are read from the page's end to its beginning: a record that leaves the list meanwhile shifts others only to places still to come.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import ceil, floor, log2
from typing import Any

from crm_pipeline.calls import Waits, spaced
from crm_pipeline.errors import AuthenticationError, RequestRefusedError, ServiceError, ServiceUnavailableError, UnexpectedAnswerError
from crm_pipeline.qbench.answers import FORBIDDEN, NOT_FOUND
from crm_pipeline.qbench.client import DEFAULT_PAGE, Listing


@dataclass(frozen=True, slots=True)
class Divided:
    """A page that was read in parts: the records by their places in the list, from 0 on, None where QBench fails on one.

    ``total``: how many records the whole list has; None where that was not said.
    """

    places: dict[int, dict[str, Any] | None]
    total: int | None


class NotDividedError(Exception):
    """QBench fails on every part, or gives longer pages than it is asked for, so that parts cannot be told from one another."""


@dataclass
class Division:
    """One page in parts. ``ask`` makes one call for a page, by its number and size.

    ``is_up``: whether QBench shows a record elsewhere, asked where many parts fail. ``answers``: whether it answers the like for no
    record, asked where the few records of the page are all that fails, so that they are to blame though it shows no other one.
    """

    ask: Callable[[int, int], Listing]
    is_up: Callable[[], bool]
    answers: Callable[[], bool]
    waits: Waits
    _found: dict[int, dict[str, Any] | None] = field(default_factory=dict)
    _total: int | None = None
    _failures: int = 0
    _most: int = 0
    _some_through: bool = False

    def read(self, start: int, size: int) -> Divided:
        """The records at ``size`` places from ``start`` on, as far as the list has them.

        Makes about 2 * log2(size) + 2 calls for one record to blame. Raises NotDividedError, and the ServiceError of refused
        credentials, of limits, of an unreachable QBench.
        """
        self._most = most_failures(size)
        for place in list(self._alone(start, start + size, min(max(1, size // 2), DEFAULT_PAGE))):
            self._found[place] = None
        alone = [place for place, record in self._found.items() if record is None]
        if alone:
            # A failure that passes is no record's.
            time.sleep(spaced(1, self.waits))
        for place in alone:
            if (listing := self._part(place + 1, 1)) is None:
                continue
            del self._found[place]
            self._take(listing, place)
        if alone and not self._some_through and not self.answers():
            raise NotDividedError
        return Divided(_each_once(self._found), self._total)

    def _alone(self, start: int, end: int, size: int) -> Iterator[int]:
        """Read these places in pages of this size, and those that fail in smaller ones; the places that fail alone."""
        for number in range(ceil(end / size), start // size, -1):
            first, behind = max(start, (number - 1) * size), min(end, number * size)
            listing = self._part(number, size)
            if listing is not None and _is_whole(listing, size):
                self._take(listing, (number - 1) * size, within=range(first, behind))
            elif size == 1:
                yield first
            else:
                yield from self._alone(first, behind, size // 2)

    def _part(self, number: int, size: int) -> Listing | None:
        """One part; None where QBench fails on it."""
        try:
            listing = self.ask(number, size)
        except ServiceError as error:
            if isinstance(error, RequestRefusedError) and error.code == NOT_FOUND:
                return Listing([], more=False, total=None)
            if not may_be_in_parts(error):
                raise
            self._failures += 1
            if self._failures >= self._most:
                if not self.is_up():
                    raise NotDividedError from error
                self._failures, self._most = 0, 2 * self._most
            return None
        if len(listing.records) > size:
            raise NotDividedError
        if listing.records:
            # An empty part says nothing of whether QBench can show records.
            self._failures, self._some_through = 0, True
        return listing

    def _take(self, listing: Listing, start: int, *, within: range | None = None) -> None:
        self._total = listing.total if listing.total is not None else self._total
        for place, record in enumerate(listing.records, start):
            if within is None or place in within:
                self._found[place] = record


def _is_whole(listing: Listing, size: int) -> bool:
    """Whether a part holds all of its places: a QBench that gives shorter pages than it is asked for counts its places by these."""
    return len(listing.records) == size or not listing.more


def _each_once(found: dict[int, dict[str, Any] | None]) -> dict[int, dict[str, Any] | None]:
    """The records by their places, in order; one that a shorter page showed at a place behind its own stands at the first."""
    places: dict[int, dict[str, Any] | None] = {}
    known: dict[object, dict[str, Any]] = {}
    for place, record in sorted(found.items()):
        if record is None or known.get(record.get("id")) != record:
            places[place] = record
            known |= {} if record is None else {record.get("id"): record}
    return places


def may_be_in_parts(error: ServiceError) -> bool:
    """Whether a page may fail for one record's sake: QBench fails on it, or refuses it, but not our token, and names no time."""
    if isinstance(error, AuthenticationError):
        return error.code == FORBIDDEN
    if isinstance(error, ServiceUnavailableError):
        return error.executed and error.wait_seconds is None
    if isinstance(error, RequestRefusedError):
        return error.code != NOT_FOUND
    return isinstance(error, UnexpectedAnswerError) and error.executed


def most_failures(size: int) -> int:
    """How many parts in a row may fail before QBench is asked, in two calls, whether it is up: one record costs two for each halving."""
    return max(3, floor(2 * log2(max(2, size))))
