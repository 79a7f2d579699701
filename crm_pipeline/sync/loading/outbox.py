"""Writes on their way to the CRM: gathered until a batch is full, in the order in which email addresses change hands; no I/O.

Batches leave as waves: what a wave holds may go at the same time. No two of its batches hold contacts of one customer, whose account
the CRM may lock for each (UNABLE_TO_LOCK_ROW in Salesforce).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import TypeVar

import pandas as pd

from crm_pipeline.frames import plain
from crm_pipeline.sync.planning import emails
from crm_pipeline.sync.planning.plan import Plan, unrepeatable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wave:
    """Batches that may go at the same time: the ``rows`` of all of them, one behind the other, and how many each has (``sizes``)."""

    rows: Plan
    sizes: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.sizes)

    def batches(self, told: Sequence[T]) -> list[Sequence[T]]:
        """What is told of each row, batch by batch."""
        return [told[start:stop] for start, stop in pairwise(accumulate(self.sizes, initial=0))]

    def part(self, start: int, stop: int) -> Wave:
        """The batches from ``start`` up to, not including, ``stop``."""
        if start == 0 and stop >= len(self):
            return self
        rows = self.rows.slice(sum(self.sizes[:start]), sum(self.sizes[:stop]))
        return Wave(rows, self.sizes[start:stop])

    def with_less_in_the_first(self, rows: int) -> Wave:
        """The same with so many rows in the first batch, and the others of it in a batch behind it."""
        first, *others = self.sizes
        return Wave(self.rows, (rows, first - rows, *others)) if rows < first else self


class Outbox:
    """The writes of one load that are planned and not sent. Whoever takes a wave from it sends that before taking the next.

    ``at_once``: the most batches of a wave. ``apart``: by QBench id of a create, how many may go with it in one call, which goes alone;
    all others go in batches of ``batch_size``. ``rows_of_a_job``: how many writes of an object (blank: the usual one) and verb are worth
    a batch of their own, which a job carries; None where no job does. What makes none in the end goes in batches of ``batch_size``.
    """

    def __init__(
        self,
        batch_size: int,
        *,
        at_once: int,
        apart: Mapping[int, int],
        rows_of_a_job: Callable[[str, str], int | None] = lambda *_: None,
    ) -> None:
        self._batch_size = batch_size
        self._at_once = at_once
        self._apart = apart
        self._rows_of_a_job = rows_of_a_job
        self._gathered: dict[tuple[str, str, int], Plan] = {}
        self._again: list[Plan] = []
        self.is_locked = False
        """Whether the CRM had locked one of the rows that go again."""
        self._given_up: set[int] = set()

    def add(self, writes: Plan) -> Iterator[Wave]:
        """Gather writes that have a verb; waves of the batches that are full by that, each of one verb and of one of the CRM's objects.

        A write that takes an email address goes behind the one that gives it up (docs/rules.md, 23).
        """
        for part in emails.in_order(writes):
            if emails.takes(part.rows, self._given_up).any():
                yield from self.rest()
            self._given_up |= emails.given_up(part.rows)
            yield from self._full(part)

    def rest(self) -> Iterator[Wave]:
        """What is gathered, however little, batch by batch."""
        while self._gathered:
            gathered = self._gathered.pop(next(iter(self._gathered)))
            places = _by_customer(gathered) if len(gathered) > self._batch_size else range(len(gathered))
            yield from self._waves_of(gathered, places, self._batch_size)
        self._given_up.clear()

    def put_back(self, rows: Plan, *, locked: bool) -> None:
        """Let rows go again that were sent; ``locked``: one of them was in use."""
        if len(rows):
            self._again.append(rows)
        self.is_locked |= locked

    def again(self) -> Iterator[Wave]:
        """What goes again, batch by batch: first what gives up an address, then what takes it."""
        if not self._again:
            return
        rows, self._again, self.is_locked = Plan.together(self._again), [], False
        for part in emails.in_order(rows):
            objects, verbs = _objects(part), part.rows["verb"]
            for name, verb in dict.fromkeys(zip(objects, verbs, strict=True)):
                chosen = part.take(objects.eq(name) & verbs.eq(verb))
                yield from _waves(chosen, range(len(chosen)), self._batch_size, most=1)

    @property
    def waiting(self) -> list[pd.DataFrame]:
        """The rows (plan.PLAN) of all that is not sent."""
        return [part.rows for part in (*self._gathered.values(), *self._again)]

    def _full(self, part: Plan) -> Iterator[Wave]:
        kinds = list(zip(plain(_objects(part)), plain(part.rows["verb"]), self._most_of(part.rows), strict=True))
        for kind in dict.fromkeys(kinds):
            name, verb, size = kind
            added = part.take(pd.Series([one == kind for one in kinds]))
            gathered = Plan.together([self._gathered.pop(kind), added]) if kind in self._gathered else added
            size = self._rows_of_a_job(name, verb) or size if size == self._batch_size else size
            full = len(gathered) // size * size
            places = _by_customer(gathered) if full > min(size, self._batch_size) else range(len(gathered))
            self._gathered[kind] = gathered.arranged(places[full:])
            if full:
                yield from self._waves_of(gathered, places[:full], size)

    def _most_of(self, rows: pd.DataFrame) -> list[int]:
        """Per row, how many may go with it in one call."""
        if not self._apart:
            return [self._batch_size] * len(rows)
        most = rows["qbench_id"].map(self._apart).where(unrepeatable(rows)).fillna(self._batch_size)
        return plain(most.astype("int64"))

    def _waves_of(self, rows: Plan, places: Sequence[int], size: int) -> Iterator[Wave]:
        yield from _waves(rows, places, size, most=self._at_once if size == self._batch_size else 1)


def _objects(rows: Plan) -> pd.Series:
    """Per row the name of the CRM's object, blank for the usual one."""
    return rows.rows["object"].fillna("")


def _by_customer(rows: Plan) -> Sequence[int]:
    """The places of the rows, those of contacts of one customer together."""
    customer = rows.rows["parent_qbench_id"]
    if customer.isna().all() or customer.is_monotonic_increasing:
        return range(len(rows))
    places: list[int] = customer.argsort(kind="stable").tolist()
    return places


def _waves(rows: Plan, places: Sequence[int], size: int, *, most: int) -> Iterator[Wave]:
    """The rows at these places in batches of this size, as many at the same time as may.

    Each batch goes with the first of those with which it has no customer in common.
    """
    customers = plain(rows.rows["parent_qbench_id"])
    batches = [places[start : start + size] for start in range(0, len(places), size)]
    waves: list[list[Sequence[int]]] = []
    while batches:
        wave: list[Sequence[int]] = []
        later: list[Sequence[int]] = []
        taken: set[int] = set()
        for batch in batches:
            own = {customers[place] for place in batch} - {None}
            if len(wave) == most or not own.isdisjoint(taken):
                later.append(batch)
            else:
                wave.append(batch)
                taken |= own
        waves.append(wave)
        batches = later
    order = list(chain.from_iterable(chain.from_iterable(waves)))
    whole = Wave(rows if order == [*range(len(rows))] else rows.arranged(order), tuple(map(len, chain.from_iterable(waves))))
    yield from (whole.part(start, stop) for start, stop in pairwise(accumulate(map(len, waves), initial=0)))
