"""The database beneath a site: SQLite that compares text as MySQL does with its usual collation.

Case, accents and trailing blanks make no difference in ``=``, ``IN`` and ``ORDER BY``; ``LIKE`` minds the blanks. Source: MySQL manual,
"The Effect of Collation on Comparisons" and "PAD SPACE".
"""

from __future__ import annotations

import re
import sqlite3
import unicodedata
import weakref
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from crm_pipeline.sandbox.sugarcrm.errors import DatabaseFailure
from crm_pipeline.sandbox.sugarcrm.modules import PAIRS, Field, Module

Row = dict[str, Any]

NUMBERS = frozenset({"bool", "int", "float", "currency", "double", "decimal"})
IDS = frozenset({"id", "relate", "assigned_user_name"})
CHUNK = 500
"""How many ids one statement of the site's own names."""


class Database:
    """The tables of a site. Not safe over threads: callers lock."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self._connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        weakref.finalize(self, self._connection.close)
        self._connection.row_factory = sqlite3.Row
        self._connection.create_collation("mysql", _compare)
        self._connection.create_function("like", 2, _like, deterministic=True)
        self._connection.create_function("upper", 1, _upper, deterministic=True)
        self._connection.create_function("lower", 1, _lower, deterministic=True)
        for module in modules:
            self._create(module)
        for table, columns in PAIRS.items():
            named = ", ".join(f"{column} TEXT COLLATE NOCASE" for column in columns)
            self._connection.execute(
                f"CREATE TABLE {table} (id TEXT COLLATE NOCASE PRIMARY KEY, {named}, date_modified TEXT, deleted INTEGER DEFAULT 0)"
            )
            for column in columns[:2]:
                self._connection.execute(f"CREATE INDEX {table}_{column} ON {table} ({column})")

    def add_column(self, module: Module, one: Field) -> None:
        """Give a module's custom table one more column."""
        self._connection.execute(f"ALTER TABLE {module.custom_table} ADD COLUMN {_column(one)}")

    def rows(self, sql: str, *values: Any) -> list[Row]:
        """What a statement selects. Raises DatabaseFailure where it is wrong."""
        try:
            return [dict(row) for row in self._connection.execute(sql, values)]
        except (sqlite3.Error, sqlite3.Warning):
            raise DatabaseFailure from None

    def run(self, sql: str, *values: Any) -> int:
        """Carry a statement out and return how many rows it concerned. Raises DatabaseFailure, for a key that is taken for instance."""
        try:
            return self._connection.execute(sql, values).rowcount
        except sqlite3.Error:
            raise DatabaseFailure from None

    def insert(self, table: str, row: Mapping[str, Any]) -> None:
        """Add a row. Raises DatabaseFailure where its key is taken."""
        marks = ", ".join("?" for _ in row)
        self.run(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", *row.values())  # noqa: S608 - our own tables and columns

    def update(self, table: str, row: Mapping[str, Any], *, key: str, value: str) -> int:
        """Change the rows whose ``key`` has this value."""
        if not row:
            return 0
        assigned = ", ".join(f"{column} = ?" for column in row)
        return self.run(f"UPDATE {table} SET {assigned} WHERE {key} = ?", *row.values(), value)  # noqa: S608 - our own tables and columns

    def of_each(self, sql: str, ids: Sequence[str]) -> list[Row]:
        """What a statement selects for these ids, which stand where it says ``{ids}``."""
        found = []
        for start in range(0, len(ids), CHUNK):
            part = ids[start : start + CHUNK]
            found += self.rows(sql.replace("{ids}", f"({', '.join('?' for _ in part)})"), *part)
        return found

    def _create(self, module: Module) -> None:
        kept = [one for one in module.fields.values() if one.source == "db" and one.name != "id"]
        columns = ", ".join(_column(one) for one in kept)
        self._connection.execute(f"CREATE TABLE {module.table} (id TEXT COLLATE NOCASE PRIMARY KEY, {columns})")
        self._connection.execute(f"CREATE TABLE {module.custom_table} (id_c TEXT COLLATE NOCASE PRIMARY KEY)")
        for name in ("name", "date_modified", "email_address_caps"):
            if any(one.name == name for one in kept):
                self._connection.execute(f"CREATE INDEX {module.table}_{name} ON {module.table} ({name})")


def _column(one: Field) -> str:
    if one.type in NUMBERS:
        return f"{one.name} NUMERIC"
    return f"{one.name} TEXT COLLATE {'NOCASE' if one.type in IDS or one.type.startswith('date') else 'mysql'}"


@lru_cache(maxsize=200_000)
def folded(text: str) -> str:
    """A text as the collation sees it, trailing blanks and all."""
    if text.isascii():
        return text.lower()
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(part for part in parts if not unicodedata.combining(part))


def _compare(left: str, right: str) -> int:
    if left == right:
        return 0
    one, other = folded(left).rstrip(" "), folded(right).rstrip(" ")
    return (one > other) - (one < other)


@lru_cache(maxsize=1_000)
def _pattern(pattern: str) -> re.Pattern[str]:
    parts = re.findall(r"\\.|%|_|[^\\%_]+|\\$", folded(pattern), re.DOTALL)
    signs = {"%": ".*", "_": "."}
    return re.compile("".join(signs.get(part) or re.escape(part[1:] if part.startswith("\\") else part) for part in parts), re.DOTALL)


def _like(pattern: object, value: object) -> bool | None:
    if pattern is None or value is None:
        return None
    return _pattern(str(pattern)).fullmatch(folded(str(value))) is not None


def _upper(value: object) -> str | None:
    return None if value is None else str(value).upper()


def _lower(value: object) -> str | None:
    return None if value is None else str(value).lower()
