"""What a query says: the subset of SOQL that integrations use, parsed into a tree.

SELECT fields, relationship fields, COUNT() and COUNT(field); FROM one object; WHERE with comparisons, IN, NOT IN, LIKE, NOT
and parentheses; ORDER BY, LIMIT, OFFSET. As at the vendor, AND and OR may not be mixed without parentheses, texts know the
documented escapes only, and whatever does not parse is MALFORMED_QUERY. GROUP BY, sub-selects, date words (TODAY …) and
FIELDS() are not part of the stand-in and refused the same way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any, Literal

from crm_pipeline.sandbox.salesforce.errors import CallError

LONGEST_STATEMENT = 100_000
LONGEST_TEXT = 4_000
LARGEST_OFFSET = 2_000

LiteralKind = Literal["text", "number", "boolean", "null", "datetime", "date"]


@dataclass(frozen=True, slots=True)
class Value:
    """A literal: its kind, its value, and for texts the source between the quotes (LIKE needs it)."""

    kind: LiteralKind
    value: Any
    source: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field, an operator (``= != < > <= >= like in``), and one value or several."""

    path: str
    operator: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Combination:
    """Conditions joined by ``and``, ``or``, or one negated by ``not``."""

    operator: Literal["and", "or", "not"]
    conditions: tuple[Condition, ...]


Condition = Comparison | Combination


@dataclass(frozen=True, slots=True)
class Order:
    """One field to sort by."""

    path: str
    descending: bool
    nulls_first: bool


@dataclass(frozen=True, slots=True)
class Query:
    """A whole statement. ``count`` is None, "" for COUNT(), or the field of COUNT(field)."""

    fields: tuple[str, ...]
    object_name: str
    where: Condition | None
    order: tuple[Order, ...]
    limit: int | None
    offset: int
    count: str | None


_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^'\\]|\\.)*')
    | (?P<datetime>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))
    | (?P<date>\d{4}-\d\d-\d\d)
    | (?P<number>[+-]?\d+(?:\.\d+)?)
    | (?P<word>[A-Za-z]\w*(?:\.[A-Za-z]\w*)*)
    | (?P<mark><=|>=|!=|<>|[=<>(),])
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_ESCAPES: Mapping[str, str] = MappingProxyType(
    {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "N": "\n", "R": "\r", "T": "\t", "B": "\b", "F": "\f"}
    | {mark: mark for mark in "\"'\\"}
)
# Meaningful in LIKE only; elsewhere the backslash falls away.
_LIKE_ESCAPES = "%_"
_WORDS: Mapping[str, Value] = MappingProxyType(
    {"true": Value("boolean", True), "false": Value("boolean", False), "null": Value("null", None)}
)
_COMPARERS: Mapping[str, str] = MappingProxyType({"=": "=", "!=": "!=", "<>": "!=", "<": "<", ">": ">", "<=": "<=", ">=": ">="})


def parse(statement: str) -> Query:
    """Parse a statement; raises CallError MALFORMED_QUERY."""
    if len(statement) > LONGEST_STATEMENT:
        raise _malformed(f"SOQL statements cannot be longer than {LONGEST_STATEMENT} characters.")
    return _Parser(statement).query()


def unescaped(source: str) -> str:
    """The text between the quotes, its escapes resolved; raises CallError MALFORMED_QUERY for an unknown one."""
    if "\\" not in source:
        return source
    return _ESCAPE.sub(_one_unescaped, source)


def _one_unescaped(match: re.Match[str]) -> str:
    escape = match[1]
    if escape in _ESCAPES:
        return _ESCAPES[escape]
    if escape in _LIKE_ESCAPES:
        return escape
    if len(escape) > 1:
        return chr(int(escape[1:], 16))
    raise _malformed(f"Invalid string literal. Illegal character sequence '\\{escape}' in string literal.")


def _moment(token: str) -> Value:
    try:
        if "T" in token:
            return Value("datetime", datetime.fromisoformat(token).astimezone(UTC))
        return Value("date", date.fromisoformat(token))
    except ValueError:
        raise _malformed(f"unexpected token: '{token}'") from None


def _malformed(message: str) -> CallError:
    return CallError(400, "MALFORMED_QUERY", message)


def _tokens(statement: str) -> list[tuple[str, str]]:
    tokens = []
    place, end = 0, len(statement.rstrip())
    while place < end:
        match = _TOKEN.match(statement, place)
        if not match:
            raise _malformed(f"\nERROR at Row:1:Column:{place + 1}\nunexpected token: '{statement[place : place + 1]}'")
        tokens.append((str(match.lastgroup), match[str(match.lastgroup)]))
        place = match.end()
    return tokens


class _Parser:
    """Recursive descent over the tokens of one statement."""

    def __init__(self, statement: str) -> None:
        self._tokens = _tokens(statement)
        self._place = 0

    def query(self) -> Query:
        self._expect("select")
        fields, count = self._selection()
        self._expect("from")
        object_name = self._name()
        where = self._condition() if self._accept("where") else None
        order = self._order() if self._accept("order") else ()
        limit = self._whole_number() if self._accept("limit") else None
        offset = self._whole_number() if self._accept("offset") else 0
        if self._place < len(self._tokens):
            raise self._unexpected()
        if offset > LARGEST_OFFSET:
            raise CallError(400, "NUMBER_OUTSIDE_VALID_RANGE", f"Maximum SOQL offset allowed is {LARGEST_OFFSET}")
        if len(set(map(str.lower, fields))) < len(fields):
            raise _malformed("duplicate field selected")
        return Query(fields, object_name, where, order, limit, offset, count)

    def _selection(self) -> tuple[tuple[str, ...], str | None]:
        fields = [self._name()]
        if fields[0].lower() == "count" and self._accept("("):
            counted = "" if self._peek() == ")" else self._name()
            self._expect(")")
            return (), counted
        while self._accept(","):
            fields.append(self._name())
        return tuple(fields), None

    def _condition(self) -> Condition:
        conditions = [self._term()]
        operator = self._peek()
        if operator not in ("and", "or"):
            return conditions[0]
        while self._accept(operator):
            conditions.append(self._term())
        if self._peek() in ("and", "or"):
            raise self._unexpected()
        return Combination("and" if operator == "and" else "or", tuple(conditions))

    def _term(self) -> Condition:
        if self._accept("not"):
            return Combination("not", (self._term(),))
        if self._accept("("):
            condition = self._condition()
            self._expect(")")
            return condition
        return self._comparison()

    def _comparison(self) -> Condition:
        path = self._name()
        if self._accept("like"):
            return Comparison(path, "like", (self._value(),))
        if self._accept("in"):
            return Comparison(path, "in", self._list())
        if self._accept("not"):
            self._expect("in")
            return Combination("not", (Comparison(path, "in", self._list()),))
        operator = self._peek()
        if operator not in _COMPARERS:
            raise self._unexpected()
        self._place += 1
        return Comparison(path, _COMPARERS[operator], (self._value(),))

    def _list(self) -> tuple[Value, ...]:
        self._expect("(")
        values = [self._value()]
        while self._accept(","):
            values.append(self._value())
        self._expect(")")
        return tuple(values)

    def _value(self) -> Value:
        kind, token = self._take()
        if kind == "text":
            source = token[1:-1]
            if len(source) > LONGEST_TEXT:
                raise _malformed(f"String literals in a WHERE clause cannot be longer than {LONGEST_TEXT} characters.")
            return Value("text", unescaped(source), source)
        if kind in ("datetime", "date"):
            return _moment(token)
        if kind == "number":
            return Value("number", float(token) if "." in token else int(token))
        if kind == "word" and token.lower() in _WORDS:
            return _WORDS[token.lower()]
        self._place -= 1
        raise self._unexpected()

    def _order(self) -> tuple[Order, ...]:
        self._expect("by")
        orders = []
        while True:
            path = self._name()
            descending = self._accept("desc")
            if not descending:
                self._accept("asc")
            nulls_first = not descending
            if self._accept("nulls"):
                nulls_first = self._accept("first")
                if not nulls_first:
                    self._expect("last")
            orders.append(Order(path, descending, nulls_first))
            if not self._accept(","):
                return tuple(orders)

    def _whole_number(self) -> int:
        kind, token = self._take()
        if kind != "number" or not token.isdigit():
            self._place -= 1
            raise self._unexpected()
        return int(token)

    def _name(self) -> str:
        kind, token = self._take()
        if kind != "word" or token.lower() in ("from", "where", "select"):
            self._place -= 1
            raise self._unexpected()
        return token

    def _peek(self) -> str:
        """The next token, its case folded unless it is a text."""
        if self._place >= len(self._tokens):
            return ""
        kind, token = self._tokens[self._place]
        return token if kind == "text" else token.lower()

    def _take(self) -> tuple[str, str]:
        if self._place >= len(self._tokens):
            raise self._unexpected()
        self._place += 1
        return self._tokens[self._place - 1]

    def _accept(self, token: str) -> bool:
        if self._peek() != token:
            return False
        self._place += 1
        return True

    def _expect(self, token: str) -> None:
        if not self._accept(token):
            raise self._unexpected()

    def _unexpected(self) -> CallError:
        found = self._tokens[self._place][1] if self._place < len(self._tokens) else "<EOF>"
        return _malformed(f"unexpected token: '{found}'")
