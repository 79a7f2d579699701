"""Writes on their way to the CRM: gathered until a batch is full, in the order in which email addresses change hands; no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce

import pandas as pd

from crm_pipeline.sync.planning import emails
from crm_pipeline.sync.planning.plan import Plan, unrepeatable


class Outbox:
    """The writes of one load that are planned and not sent. Whoever takes a batch from it sends that before taking the next.

    ``apart``: by QBench id of a create, how many may go with it in one call; all others go in batches of ``batch_size``.
    """

    def __init__(self, batch_size: int, *, apart: Mapping[int, int]) -> None:
        self._batch_size = batch_size
        self._apart = apart
        self._gathered: dict[tuple[str, str, int], Plan] = {}
        self._again: list[Plan] = []
        self.is_locked = False
        """Whether the CRM had locked one of the rows that go again."""
        self._given_up: set[int] = set()

    def add(self, writes: Plan) -> Iterator[Plan]:
        """Gather writes that have a verb; the batches that are full by that, each of one verb and of one of the CRM's objects.

        A write that takes an email address goes behind the one that gives it up (docs/rules.md, 23).
        """
        for part in emails.in_order(writes):
            if emails.takes(part.rows, self._given_up).any():
                yield from self.rest()
            self._given_up |= emails.given_up(part.rows)
            yield from self._full(part)

    def rest(self) -> Iterator[Plan]:
        """What is gathered, however little."""
        while self._gathered:
            gathered = self._gathered.pop(next(iter(self._gathered)))
            if len(gathered):
                yield gathered
        self._given_up.clear()

    def put_back(self, rows: Plan, *, locked: bool) -> None:
        """Let rows go again that were sent; ``locked``: one of them was in use."""
        if len(rows):
            self._again.append(rows)
        self.is_locked |= locked

    def again(self) -> Iterator[Plan]:
        """What goes again: first what gives up an address, then what takes it."""
        if not self._again:
            return
        rows, self._again, self.is_locked = reduce(Plan.followed_by, self._again), [], False
        for part in emails.in_order(rows):
            objects, verbs = _objects(part), part.rows["verb"]
            for name, verb in dict.fromkeys(zip(objects, verbs, strict=True)):
                yield from _batches(part.take(objects.eq(name) & verbs.eq(verb)), self._batch_size)

    @property
    def waiting(self) -> list[pd.DataFrame]:
        """The rows (plan.PLAN) of all that is not sent."""
        return [part.rows for part in (*self._gathered.values(), *self._again)]

    def _full(self, part: Plan) -> Iterator[Plan]:
        most = part.rows["qbench_id"].map(self._apart).where(unrepeatable(part.rows)).fillna(self._batch_size).astype("int64")
        objects, verbs = _objects(part), part.rows["verb"]
        for kind in dict.fromkeys(zip(objects, verbs, most, strict=True)):
            name, verb, size = kind
            added = part.take(objects.eq(name) & verbs.eq(verb) & most.eq(size))
            gathered = self._gathered.pop(kind).followed_by(added) if kind in self._gathered else added
            full = len(gathered) // size * size
            self._gathered[kind] = gathered.slice(full, len(gathered))
            yield from _batches(gathered.slice(0, full), size)


def _objects(rows: Plan) -> pd.Series:
    """Per row the name of the CRM's object, blank for the usual one."""
    return rows.rows["object"].fillna("")


def _batches(rows: Plan, size: int) -> Iterator[Plan]:
    for start in range(0, len(rows), size):
        yield rows.slice(start, start + size)
