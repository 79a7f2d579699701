"""SOQL: statements with escaped values, and as many statements as it takes to keep each short enough for an address."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote_plus

from simple_salesforce.format import quote_soql_value

LONGEST_STRING = 4_000
"""Most characters of one string in a WHERE clause ("SOQL and SOSL limits")."""


def select(
    sobject: str, fields: Iterable[str], *, where: Sequence[str] = (), order: str | None = None, limit: int | None = None, offset: int = 0
) -> str:
    """A statement over one object; conditions are joined by AND, a field named twice is asked for once."""
    names = ", ".join({name.lower(): name for name in fields}.values())
    conditions = f" WHERE {' AND '.join(where)}" if where else ""
    rows = f"{f' ORDER BY {order}' if order else ''}{f' LIMIT {limit}' if limit else ''}{f' OFFSET {offset}' if offset else ''}"
    return f"SELECT {names} FROM {sobject}{conditions}{rows}"  # noqa: S608 - names are of the configuration, values are quoted


def selected(statement: str) -> list[str]:
    """The fields that a statement of ours asks for."""
    return statement.removeprefix("SELECT ").partition(" FROM ")[0].split(", ")


def compare(field: str, operator: str, value: object) -> str:
    """A condition on one field; ``value`` is escaped (a list for IN, an aware datetime, a string …)."""
    return f"{field} {operator} {quote_soql_value(value)}"


def any_of(conditions: Iterable[str]) -> str:
    """That one of these conditions is met; one at least."""
    return f"({' OR '.join(conditions)})"


@dataclass(frozen=True, slots=True)
class SelectIn:
    """A statement for the records whose field is one of some values."""

    sobject: str
    fields: Sequence[str]
    field: str
    where: Sequence[str] = ()

    def of(self, values: Sequence[str]) -> str:
        """The statement for these values."""
        return select(self.sobject, self.fields, where=[compare(self.field, "IN", list(values)), *self.where])

    def of_none(self) -> str:
        """A statement like the one for values that asks for no value."""
        return select(self.sobject, self.fields, where=[compare(self.field, "=", None), *self.where], limit=1)

    def portions(self, values: Iterable[str], *, room: Callable[[], int]) -> Iterator[Sequence[str]]:
        """The values in as few statements as ``room`` allows: what one may take now, URL-encoded, in bytes.

        Blank values, which would find the records without a value, and those longer than any key or email are left out.
        """
        left: Sequence[str] = [value for value in dict.fromkeys(values) if value and len(value) <= LONGEST_STRING]
        while left:
            portion = self._first(left, room=room())
            yield portion
            left = left[len(portion) :]

    def _first(self, values: Sequence[str], *, room: int) -> Sequence[str]:
        """As many of the values as a statement takes, one at least."""
        left = room - len(quote_plus(self.of([])))
        for count, value in enumerate(values):
            left -= len(quote_plus(f"{quote_soql_value(value)},"))
            if left < 0 < count:
                return values[:count]
        return values
