"""Where in time does each record of a list stand? Its pages, their dates read and their order checked.

A page that QBench fails on for one record's sake is read in parts, without that record.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from crm_pipeline.errors import RequestRefusedError, ServiceError, UnexpectedAnswerError
from crm_pipeline.qbench.answers import NOT_FOUND
from crm_pipeline.qbench.client import Listing, QBenchClient
from crm_pipeline.qbench.contracts import record_id
from crm_pipeline.qbench.dates import DAY, Moment, parse_date
from crm_pipeline.qbench.dividing import Divided, Division, NotDividedError, may_be_in_parts
from crm_pipeline.qbench.one_by_one import is_of_one_record
from crm_pipeline.source import Gap

VERSION_KEY = "last_updated"
OLDEST_FIRST: Mapping[str, str] = {"sort_by": VERSION_KEY, "sort_order": "ASC"}
DELETED: Mapping[str, str] = MappingProxyType({"include_deleted": "DELETED_ONLY"})
NEWEST_FIRST: Mapping[str, str] = {"sort_by": VERSION_KEY, "sort_order": "DESC"}
NEVER = 4_102_444_800
"""The year 2100, after which no record was updated."""
FARTHEST_ZONES = 26 * 3_600 + DAY
"""Seconds that the same date without a zone can lie apart in two time zones, plus the coarsest date's own uncertainty."""


class Row(NamedTuple):
    """One record of a page. All times are Unix seconds.

    ``version`` is what is staged. ``place`` and ``latest`` are the first and last second in which the record can stand in
    QBench's order: equal where its date is known to the second, infinitely far apart where it cannot be read. ``zoned``: the
    date is no matter of the tenant's time zone.
    """

    qbench_id: int
    version: int
    place: int
    latest: float
    content: dict[str, Any]
    zoned: bool = True

    @property
    def exact(self) -> bool:
        """Whether the record's date is known to the second."""
        return self.latest == self.place

    @property
    def readable(self) -> bool:
        """Whether the record's date can be read at all."""
        return math.isfinite(self.latest)


@dataclass(frozen=True, slots=True)
class RowPage:
    """A page's rows, and the ``gaps`` between them.

    ``in_order`` is False where they do not come oldest first, or one is older than was asked for.
    """

    rows: list[Row]
    more: bool
    total: int | None
    in_order: bool
    gaps: tuple[Gap, ...] = ()

    @property
    def places(self) -> int:
        """How many places of the list the page takes."""
        return len(self.rows) + len(self.gaps)

    @property
    def last_place(self) -> int:
        """The place of the last row; -1 on an empty page."""
        return self.rows[-1].place if self.rows else -1


@dataclass(frozen=True, slots=True)
class RowList:
    """The list of one of QBench's objects (``name``), read for a window that begins at ``since``; ``only`` says which records."""

    client: QBenchClient
    name: str
    since: int
    only: Mapping[str, str] = field(default_factory=dict)

    def page(self, number: int, *, position: int, size: int, begins: int | None = None) -> RowPage:
        """Page ``number`` of the records last updated at ``position`` or later.

        ``begins``: the place of its first record, from 0 on, where pages may be shorter than asked for.

        Raises UnexpectedAnswerError for a record without an id, which cannot be told from others, and for one whose date without
        a zone reads older than was asked for: in the tenant's real time zone it would stand elsewhere, in another window maybe.
        """
        begins = (number - 1) * size if begins is None else begins
        listing, unread = self._listing(number, position=position, size=size, begins=begins, order=OLDEST_FIRST)
        rows: list[Row] = []
        early: list[tuple[int, Moment]] = []
        low, in_order = position - 1, True
        for record in listing.records:
            qbench_id = record_id(record.get("id"))
            if qbench_id is None:
                raise self._without_id(number, position=position)
            moment = self._moment(record)
            if moment is not None:
                if moment.seconds + moment.grain < position:
                    early.append((qbench_id, moment))
                in_order = in_order and moment.seconds + moment.grain > low
                low = max(low, moment.seconds)
            rows.append(self._row(qbench_id, moment, record, low=max(low, position)))
        # What date a deleted record carries is not documented, so it proves nothing.
        if early and not self.only and all(not moment.zoned and position - moment.seconds < FARTHEST_ZONES for _, moment in early):
            raise self.in_another_zone(early[0][0])
        gaps = tuple(self._gap(place - begins - earlier, rows, place=place, position=position) for earlier, place in enumerate(unread))
        return RowPage(rows, listing.more, listing.total, in_order, gaps)

    def row(self, record: dict[str, Any]) -> Row:
        """A record that was not read with its list. Raises UnexpectedAnswerError for one without an id."""
        qbench_id = record_id(record.get("id"))
        if qbench_id is None:
            raise UnexpectedAnswerError(f"a record of {self.name} has no readable id; ask QBench's support", **self.client.caller.names)
        return self._row(qbench_id, self._moment(record), record, low=0)

    def in_another_zone(self, qbench_id: int) -> UnexpectedAnswerError:
        """The error of a record that QBench lists by another time than its date says in the time zone that was told."""
        settings = self.client.settings
        return UnexpectedAnswerError(
            f"{self.name} {qbench_id}: QBench's own order shows that its last_updated, which carries no zone, is not in "
            f"{settings.time_zone}; set qbench.time_zone to the time zone of the tenant's dates",
            **self.client.caller.names,
        )

    def newest(self, *, position: int, size: int) -> int | None:
        """The second of the newest record, cut off to the grain of its date; None where the page has no date that can be read."""
        listing, _ = self._listing(1, position=position, size=size, begins=0, order=NEWEST_FIRST)
        moments = (self._moment(record) for record in listing.records)
        return next((moment.seconds for moment in moments if moment is not None), None)

    def is_up(self) -> bool:
        """Whether QBench shows the oldest record of all that are not deleted, or the newest one."""
        return any(self._shows_one(order) for order in (OLDEST_FIRST, NEWEST_FIRST))

    def answers(self) -> bool:
        """Whether QBench answers for this list where it is to show no record."""
        parameters = {**self.only, **OLDEST_FIRST, VERSION_KEY: str(NEVER)}
        try:
            self.client.once.list_page(self.name, page=1, size=1, parameters=parameters)
        except ServiceError as error:
            return isinstance(error, RequestRefusedError) and error.code == NOT_FOUND
        return True

    def _shows_one(self, order: Mapping[str, str]) -> bool:
        try:
            self.client.once.list_page(self.name, page=1, size=1, parameters=order)
        except ServiceError as error:
            if is_of_one_record(error):
                return False
            raise
        return True

    def _listing(self, number: int, *, position: int, size: int, begins: int, order: Mapping[str, str]) -> tuple[Listing, Sequence[int]]:
        """A page, and the places in the list of the records that QBench fails on.

        QBench does not document whether its parameter means > or >=, so the second before is asked for: rows of it may come.
        """
        bound = position - 1
        parameters = {**self.only, **order} if bound < 0 else {**self.only, **order, VERSION_KEY: str(bound)}

        def ask(client: QBenchClient, number: int, size: int) -> Listing:
            return client.list_page(self.name, page=number, size=size, parameters=parameters)

        try:
            return ask(self.client.once, number, size), ()
        except ServiceError as error:
            if not may_be_in_parts(error):
                raise
        once = self.client.once
        division = Division(lambda number, size: ask(once, number, size), self.is_up, self.answers, self.client.settings.waits)
        try:
            divided = division.read(begins, size)
        except NotDividedError:
            return ask(self.client, number, size), ()
        return _together(divided, begins + size), [place for place, record in divided.places.items() if record is None]

    def _gap(self, index: int, rows: Sequence[Row], *, place: int, position: int) -> Gap:
        """The gap before the row of this index."""
        # Rows of the second before may come (``_listing``).
        since = max((row.place for row in rows[:index]), default=max(0, position - 1))
        until = min((row.latest + 1 for row in rows[index:]), default=math.inf)
        return Gap(self.name, place + 1, position, since, max(until, since + 1))

    def _moment(self, record: Mapping[str, Any]) -> Moment | None:
        return parse_date(record.get(VERSION_KEY), zone=self.client.zone)

    def _row(self, qbench_id: int, moment: Moment | None, record: dict[str, Any], *, low: int) -> Row:
        if moment is None:
            return Row(qbench_id, version=low, place=low, latest=math.inf, content=record)
        if moment.grain == 1:
            return Row(qbench_id, moment.seconds, moment.seconds, moment.seconds, record, moment.zoned)
        latest = moment.seconds + moment.grain - 1
        return Row(qbench_id, max(moment.seconds, self.since), place=low, latest=latest, content=record, zoned=moment.zoned)

    def _without_id(self, number: int, *, position: int) -> UnexpectedAnswerError:
        return UnexpectedAnswerError(
            f"page {number} of {self.name} updated from {position} on holds a record without a readable id; ask QBench's support",
            **self.client.caller.names,
        )


def _together(divided: Divided, end: int) -> Listing:
    """The parts of a page as one; ``end``: the place behind its last."""
    records = [record for record in divided.places.values() if record is not None]
    more = end - 1 in divided.places if divided.total is None else end < divided.total
    return Listing(records, more, divided.total)
