"""What HubSpot's search finds: all records that match the filters, however many. Where one record makes the search fail, the others.

Its index lags behind the writes by seconds (source: HubSpot's search guide), so nothing here decides between create and update but
where no other way is left.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from crm_pipeline.crms.hubspot.answers import SERVICE
from crm_pipeline.crms.hubspot.paths import Paths
from crm_pipeline.crms.hubspot.transport import Transport
from crm_pipeline.errors import ServiceError, UnexpectedAnswerError
from crm_pipeline.halving import may_be_of_one, read_in_halves

Filter = dict[str, Any]
Record = dict[str, Any]

PAGE = 200
"""Records of a search page (source: HubSpot's search guide)."""

ROOM_FOR_VALUES = 2_000
"""Characters that the values of one search may take, of the 3,000 of its body (source: HubSpot's search guide)."""

FIRST_RANGE, LONGER = 1_024, 8
"""How many ids are searched at once behind a failing page's beginning, and how many times more each time that finds all well."""

LARGEST_ID = 2**53
"""Ids are whole numbers that JSON can carry exactly. Assumed."""

RECORD_ID = "hs_object_id"


class Searcher:
    """Searches the records of one portal."""

    def __init__(self, transport: Transport, paths: Paths) -> None:
        self._transport = transport
        self._paths = paths

    def has_any(self, object_name: str, property_name: str) -> bool:
        """Whether a record has a value in the property; also where HubSpot fails on the one that it would show."""
        wanted = [has_value(property_name)]
        try:
            return bool(self._page(object_name, wanted, [property_name], limit=1)["results"])
        except ServiceError as error:
            if not (may_be_of_one(error) and self.answers(object_name, wanted, [property_name])):
                raise
            return True

    def records(
        self, object_name: str, filters: Sequence[Filter], properties: Sequence[str], *, repeatable: bool = True
    ) -> Iterator[Record]:
        """Every record that search finds, in the order of ids.

        Each page asks for the ids after the last one: paging with ``after`` ends at 10,000 results. The last page is the one
        that leads to no next, holds fewer records than were asked for, and all that it counts.
        """
        for page in self._pages(object_name, filters, properties, repeatable=repeatable):
            yield from page

    def _pages(
        self, object_name: str, filters: Sequence[Filter], properties: Sequence[str], *, after: int = 0, repeatable: bool = True
    ) -> Iterator[list[Record]]:
        """The pages of ``records`` that hold any, of the ids after this one."""
        last = str(after)
        while True:
            answer = self._page(object_name, [*filters, _id("GT", last)], properties, repeatable=repeatable)
            records = answer["results"]
            if records:
                yield records
            if not records or (next_page(answer) is None and len(records) < PAGE and answer["total"] <= len(records)):
                return
            if str(records[-1]["id"]) == last:
                raise UnexpectedAnswerError("a search page leads to itself", integration=self._transport.integration, service=SERVICE)
            last = str(records[-1]["id"])

    def around(self, object_name: str, filters: Sequence[Filter], properties: Sequence[str]) -> Iterator[tuple[list[Record], set[int]]]:
        """The records that filters admit but for those on which HubSpot fails, with these records' ids, in parts.

        Behind the last record before a page that fails, ranges of ids are searched, ever longer ones, and in halves the one that
        holds what it fails on: some two calls for each binary digit of the distance. Raises the ServiceError of a HubSpot that
        answers no such search.
        """
        last = 0
        while True:
            try:
                for page in self._pages(object_name, filters, properties, after=last):
                    yield page, set()
                    last = int(page[-1]["id"])
            except ServiceError as error:
                if not (may_be_of_one(error) and self.answers(object_name, filters, properties)):
                    raise
            else:
                return
            failed: set[int] = set()
            length = FIRST_RANGE
            while not failed and last < LARGEST_ID:
                records, failed = self._within(object_name, filters, properties, ids=range(last + 1, last + length + 1))
                yield records, failed
                last, length = last + length, length * LONGER

    def _within(
        self, object_name: str, filters: Sequence[Filter], properties: Sequence[str], *, ids: range
    ) -> tuple[list[Record], set[int]]:
        """The records in a range of ids, and the ids on which HubSpot fails."""

        def send(part: Sequence[int], /, *, again: bool) -> list[Record]:
            within = [*filters, _id("LTE", part[-1])]
            return list(chain.from_iterable(self._pages(object_name, within, properties, after=part[0] - 1, repeatable=not again)))

        answers, failed = read_in_halves([ids], send, is_up=lambda: self.answers(object_name, filters, properties))
        return list(chain.from_iterable(answers)), set(failed)

    def with_values(
        self, object_name: str, field: str, values: Sequence[str], properties: Sequence[str], *, filters: Sequence[Filter] = ()
    ) -> tuple[list[Record], set[str]]:
        """The records whose property is one of the values, without regard to case, and the values on which HubSpot fails."""

        def send(part: Sequence[str], /, *, again: bool) -> list[Record]:
            # On text, values of IN must be lower-case to be found; on options they are compared as they are.
            wanted = {"propertyName": field, "operator": "IN", "values": list(dict.fromkeys(chain(part, map(str.lower, part))))}
            return list(self.records(object_name, [*filters, wanted], properties, repeatable=not again))

        def is_up() -> bool:
            return self.answers(object_name, [*filters, has_value(field)], properties)

        answers, failed = read_in_halves(_portions(values), send, is_up=is_up)
        return list(chain.from_iterable(answers)), set(failed)

    def answers(self, object_name: str, filters: Sequence[Filter], properties: Sequence[str]) -> bool:
        """Whether HubSpot answers such a search now, asked once, for no record."""
        try:
            self._page(object_name, [*filters, _id("GT", LARGEST_ID)], properties, limit=1, repeatable=False)
        except ServiceError:
            return False
        return True

    def _page(
        self,
        object_name: str,
        filters: Sequence[Filter],
        properties: Sequence[str],
        *,
        limit: int = PAGE,
        repeatable: bool = True,
    ) -> dict[str, Any]:
        body = {
            "filterGroups": [{"filters": list(filters)}],
            "properties": list(properties),
            "sorts": [{"propertyName": RECORD_ID, "direction": "ASCENDING"}],
            "limit": limit,
            "after": "0",
        }
        return self._transport.search(self._paths.search(object_name), body, repeatable=repeatable)


def has_value(property_name: str) -> Filter:
    """The filter of records with a value in a property."""
    return {"propertyName": property_name, "operator": "HAS_PROPERTY"}


def next_page(answer: dict[str, Any]) -> str | None:
    """What the next page is asked for with, null on the last one."""
    after = ((answer.get("paging") or {}).get("next") or {}).get("after")
    return None if after is None or not str(after).strip() else str(after)


def _id(operator: str, value: object) -> Filter:
    return {"propertyName": RECORD_ID, "operator": operator, "value": str(value)}


def _portions(values: Sequence[str]) -> Iterator[list[str]]:
    """The values in lists that a search has room for, in lower case too."""
    portion: list[str] = []
    taken = 0
    for value in dict.fromkeys(values):
        # As it is sent: the client library writes a letter beyond ASCII in six.
        size = 2 * len(json.dumps(value)) + 4
        if portion and taken + size > ROOM_FOR_VALUES:
            yield portion
            portion, taken = [], 0
        portion.append(value)
        taken += size
    if portion:
        yield portion
