"""How is a list read completely while it changes? Forward through time, and in passes where time does not order it.

QBench lists by offset over live data: whatever is edited or deleted shifts the records behind it, and turning pages misses
them. So the lower bound is moved forward instead: what is edited comes again later, what is deleted shifts nothing.

A long list is read in several stretches side by side, each forward by itself. A page far ahead says where one begins: whatever
stands between two records of a page stands on it, wherever in the list it lies. Only the stretches' order makes them one read.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise

from crm_pipeline.calls import AtOnce
from crm_pipeline.counting import counted
from crm_pipeline.errors import ServiceError, UnexpectedAnswerError
from crm_pipeline.qbench.client import may_go_on
from crm_pipeline.qbench.listing import Row, RowList, RowPage
from crm_pipeline.source import Gap

MOST_PASSES = 8
"""How often a list that time does not order is gone through, or one page comes in a row, before the read gives up."""

MOST_WAITING = 120
"""How many pages are read ahead of what is given, at most: of all stretches together."""

logger = logging.getLogger(__name__)

Rows = list[Row]


class _OutOfOrderError(Exception):
    """The list's order by date cannot be relied on."""


class Walk:
    """One read of a list up to ``until`` (Unix seconds, exclusive).

    ``position``: every row of a version below it has been yielded; right after each step of ``rows``. ``total``: how many
    records QBench announced at the start. ``newest``: the latest version seen, those behind the end included; None where none was.
    ``gaps``: the records of the window that QBench failed to list, as far as they can be told from one another by their time.
    """

    def __init__(self, source: RowList, *, until: int) -> None:
        self.source = source
        self.position = source.since
        self.total: int | None = None
        self.newest: int | None = None
        self.gaps: list[Gap] = []
        self._until = until
        self._size = source.client.settings.page_size
        self._by_time = True
        self._order_known = False
        self._zone_known = False
        self._inexact: dict[tuple[int, int | None], Row] = {}
        self._read = 0
        self._looked = 0

    def rows(self, start: int) -> Iterator[Rows]:
        """The rows from ``start`` on, a page at a time. Raises a ServiceError."""
        self.position = start
        try:
            yield from self._through_time()
        except _OutOfOrderError:
            logger.warning(
                "integration %s: %s of this window cannot be read by date (they all have one date, or QBench does not sort them); "
                "going through the whole list until nothing new comes",
                self.source.client.integration,
                self.source.name,
            )
            self.position = self.source.since
            self._by_time, self.gaps = False, []
            yield from self._whole_window()
        self.position = self._until

    def _through_time(self) -> Iterator[Rows]:
        page: RowPage | None = None
        while self.position < self._until:
            if ahead := self._ahead():
                yield from self._side_by_side([(self.position, page), *ahead])
                page = ahead[-1][1]
            yield from self._forward(page)
            page = None

    def _forward(self, page: RowPage | None) -> Iterator[Rows]:
        """The rows of the next page (the given one, where it has been read), or of the next second where that holds more than a page."""
        begin = self.position
        # What stands behind this second is met again.
        self.gaps = [replace(gap, until=min(gap.until, begin + 1)) for gap in self.gaps]
        if page is None:
            page = self.source.page(1, position=begin, size=self._size)
        self._keep(page.gaps)
        self.total = page.total if self.total is None else self.total
        self._read += page.places
        self._note([row.version for row in page.rows if row.readable])
        self._check_order(page)
        self._check_zone(page, begin)
        self._inexact = {key: row for key, row in self._inexact.items() if row.latest >= begin - 1}
        if page.more and page.last_place <= begin:
            self.position = yield from self._crowded_second(begin)
            return
        self.position = page.last_place if page.more and page.last_place < self._until else self._until
        yield self._not_yet_given([row for row in page.rows if begin <= row.place < self.position])

    def _ahead(self) -> list[tuple[int, RowPage]]:
        """Where the next stretches end, which are to be read at once, and the page that begins there.

        None where less has been read than one of them holds: a short list is to cost no call more.
        """
        stretches = self.source.client.calls_at_once
        pages = max(1, MOST_WAITING // stretches)
        if self.total is None or stretches == 1 or self._read < self._looked + pages * self._size:
            return []
        numbers = [number for number in range(pages, stretches * pages + 1, pages) if number * self._size < self.total - self._read]
        ahead: list[tuple[int, RowPage]] = []
        for begin, page in AtOnce([partial(self._begin, 1 + number) for number in numbers]).answers():
            if page is not None and (ahead[-1][0] if ahead else self.position) < begin < min(page.last_place, self._until):
                ahead.append((begin, page))
        if not ahead:
            self._looked = self._read
        return ahead

    def _begin(self, number: int) -> tuple[int, RowPage | None]:
        """The first second that stands on this page from its beginning on, and the page; none where the list cannot be read from there.

        Where somebody touches the list meanwhile, the page lies elsewhere in it, and is no less whole.
        """
        try:
            page = self.source.page(number, position=self.position, size=self._size)
        except ServiceError:
            # The walk comes to where it stands by itself.
            return 0, None
        if not (page.more and page.in_order and page.rows and page.rows[0].readable):
            return 0, None
        begin = int(page.rows[0].latest) + 1
        return begin, replace(page, gaps=tuple(gap for gap in page.gaps if gap.until > begin))

    def _side_by_side(self, begins: Sequence[tuple[int, RowPage | None]]) -> Iterator[Rows]:
        """The rows of several stretches, read at once; each ends where the next one begins, with the page that was read there."""
        stretches = [self._stretch(begin, until=until) for (begin, _), (until, _) in pairwise(begins)]
        reads = AtOnce([partial(stretch._whole, page) for stretch, (_, page) in zip(stretches, begins, strict=False)]).answers()
        for stretch, steps in zip(stretches, reads, strict=True):
            if isinstance(steps, Exception):
                raise steps
            self._keep(stretch.gaps)
            self._note([] if stretch.newest is None else [stretch.newest])
            self._read += stretch._read
            for rows, position in steps:
                self.position = min(position, stretch._until)
                yield self._not_yet_given(rows)
            # Behind a second with more rows than a page no step tells it.
            self.position = stretch._until

    def _stretch(self, begin: int, *, until: int) -> Walk:
        stretch = Walk(self.source, until=until)
        stretch.position = begin
        stretch._order_known, stretch._zone_known = self._order_known, self._zone_known
        return stretch

    def _whole(self, page: RowPage | None) -> list[tuple[Rows, int]] | ServiceError | _OutOfOrderError:
        """All rows, and the position after each step; or what hinders reading them, so that it costs no other stretch its rows."""
        steps: list[tuple[Rows, int]] = []
        try:
            while self.position < self._until:
                steps += [(rows, self.position) for rows in self._forward(page)]
                page = None
        except (ServiceError, _OutOfOrderError) as error:
            return error
        return steps

    def _page(self, number: int, *, position: int, size: int, begins: int | None = None) -> RowPage:
        page = self.source.page(number, position=position, size=size, begins=begins)
        self._keep(page.gaps)
        return page

    def _keep(self, gaps: Iterable[Gap]) -> None:
        """Keep the gaps that may lie in the window; what overlaps others may be one of them met again, and is one with them."""
        for gap in gaps:
            since, until = (gap.since, min(gap.until, self._until)) if self._by_time else (self.source.since, self._until)
            if since >= until:
                continue
            same = [known for known in self.gaps if known.since < until and since < known.until]
            first = min([*same, gap], key=lambda known: known.since)
            since, until = min([since, *(known.since for known in same)]), max([until, *(known.until for known in same)])
            self.gaps = [*(known for known in self.gaps if known not in same), replace(first, since=since, until=until)]

    def _check_order(self, page: RowPage) -> None:
        """A page can look sorted by chance, so before relying on it, the list must begin with nothing older when read from its end.

        A list that passes the order over begins with its first row there too.
        """
        if not page.in_order:
            raise _OutOfOrderError
        if not page.more or not page.rows:
            return
        if not any(row.readable for row in page.rows):
            raise _OutOfOrderError
        if not self._order_known:
            newest = self.source.newest(position=self.position, size=self._size)
            of_one_date = page.rows[0].place == page.last_place
            if newest is None or newest < page.last_place or (newest == page.last_place and of_one_date):
                raise _OutOfOrderError
            self._note([newest])
            self._order_known = True

    def _check_zone(self, page: RowPage, begin: int) -> None:
        """A date without a zone that is read too late would let the walk pass by all that stands before it.

        So QBench must list the page's last record from the record's own date on, unless somebody touches it meanwhile.
        """
        last = next((row for row in reversed(page.rows) if row.readable), None)
        if self._zone_known or last is None or last.zoned:
            return
        from_its_date = self.source.page(1, position=last.place, size=self._size).rows
        self._zone_known = any(row.readable and row.place <= last.place for row in from_its_date)
        if not self._zone_known and last in self.source.page(1, position=begin, size=self._size).rows:
            raise self.source.in_another_zone(last.qbench_id)

    def _note(self, versions: list[int]) -> None:
        self.newest = max([*versions, *([] if self.newest is None else [self.newest])], default=None)

    def _crowded_second(self, second: int) -> Generator[Rows, None, int]:
        """All rows of a second that holds more than a page, by turning pages; returns the second to go on from.

        Where nothing can be listed of it, nor behind it, that is the window's end.
        """
        behind: list[int] = []
        shows_some = False

        def chosen(page: RowPage) -> Rows:
            if not page.in_order:
                raise _OutOfOrderError
            nonlocal shows_some
            shows_some = shows_some or bool(page.rows)
            behind.extend(row.place for row in page.rows if row.place > second)
            return [row for row in page.rows if row.place == second]

        for rows in self._passes(second, chosen, complete=lambda: bool(behind)):
            yield self._not_yet_given(rows)
        return min(behind, default=second + 1 if shows_some else self._until)

    def _whole_window(self) -> Iterator[Rows]:
        """The window's rows out of the whole list. What is touched meanwhile may be missed: by then it belongs behind the window."""
        since, until = self.source.since, self._until

        def chosen(page: RowPage) -> Rows:
            dated = [row if row.readable else row._replace(version=since) for row in page.rows]
            return [row for row in dated if row.latest >= since and row.version < until]

        yield from self._passes(since, chosen, complete=lambda: False)

    def _passes(self, position: int, chosen: Callable[[RowPage], Rows], *, complete: Callable[[], bool]) -> Iterator[Rows]:
        """The chosen rows of a list that changes while its pages are turned, each (id, version) once.

        The first pass goes forward to find the end (``complete`` says when it is reached before the list's own). The next
        ones go backward: there a record that leaves the list shifts others only to pages still to come. It is done when a
        pass brings nothing new and had no more places for records than different ones were found: a record that an
        unsteady order hides takes a place that another one fills twice. Page sizes differ from pass to pass for that.
        """
        seen: set[tuple[int, int]] = set()
        pages, records, largest, again, more = 0, 0, 0, 0, True
        before: Rows = []
        while more and not complete():
            pages += 1
            page = self._page(pages, position=position, size=self._size, begins=records)
            # Once, it may be that exactly a page of records came in before it.
            again = again + 1 if page.rows and page.rows == before else 0
            if again == MOST_PASSES:
                raise UnexpectedAnswerError(
                    f"page {pages} of {self.source.name} from {position} on is the page before it again", **self.source.client.caller.names
                )
            before = page.rows
            records, largest = records + page.places, max(largest, page.places)
            more = may_go_on(more=page.more, total=page.total, here=page.places, read=records)
            yield _unseen(chosen(page), seen)
        if pages == 1:
            return
        for number in range(1, MOST_PASSES):
            size = max(1, largest - number)
            known, places = len(seen), 0
            for page_number in range(math.ceil(records / size), 0, -1):
                rows = chosen(self._page(page_number, position=position, size=size))
                places += len(rows)
                yield _unseen(rows, seen)
            if len(seen) == known and places <= known:
                return
        raise UnexpectedAnswerError(
            f"{self.source.name} from {position} on come in another order each time ({MOST_PASSES} passes over "
            f"{counted(len(seen), 'record')}); "
            "start the run again when fewer people work in QBench, and ask QBench's support if it stays so",
            **self.source.client.caller.names,
        )

    def _not_yet_given(self, rows: Rows) -> Rows:
        """The rows without those whose inexact date let them come again unchanged."""
        return [row for row in rows if row.exact or self._is_new(row)]

    def _is_new(self, row: Row) -> bool:
        key = (row.qbench_id, row.version if row.readable else None)
        given = self._inexact.get(key)
        self._inexact[key] = row
        return given is None or given.content != row.content


def _unseen(rows: Rows, seen: set[tuple[int, int]]) -> Rows:
    new = {key: row for row in rows if (key := (row.qbench_id, row.version)) not in seen}
    seen.update(new)
    return list(new.values())
