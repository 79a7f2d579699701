"""How frames go into the database and come out of it: whole columns as arrays, one statement per frame."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
import pandas as pd
from sqlalchemy import Connection, CursorResult, Dialect, TextClause, text

from crm_pipeline.frames import FrameSchema

JSON_AS_TEXT = "json_as_text"
"""The execution option of a statement whose JSON is to come as text (store.database)."""

ANY_OF_IDS = "ANY(CAST((SELECT CAST(:ids AS bigint[])) AS bigint[]))"
"""What an id is one of, in a statement over one table by nothing but its key: how many rows each of thousands of ids may have, which
PostgreSQL asks itself before it begins, takes longer than to find them. So it takes them for ten.
"""

_JSON_TYPES = frozenset({114, 3802})
"""PostgreSQL's numbers of json and jsonb."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_OTHER_ESCAPE = re.compile(rb'\\[^"\\]')
_NUL = r"\u0000"


def time_column(moments: pd.Series) -> list[datetime | None]:
    """A column of times as Python's, null as None."""
    return [None if moment is pd.NaT else moment for moment in pd.DatetimeIndex(moments).to_pydatetime()]


def json_column(dicts: Iterable[Any]) -> list[str]:
    """A column of dicts as JSON texts. Of what PostgreSQL's jsonb cannot hold, NUL and lone surrogates are left out.

    NaN and the infinite (1e999 is valid JSON, and infinite in Python) are no values: they become null.
    """
    return [_json(value) for value in dicts]


def json_or_null(series: pd.Series) -> list[str | None]:
    """The same, without a text for None."""
    return [None if one is None else written for one, written in zip(series, json_column(series), strict=True)]


def _json(value: Any) -> str:
    try:
        written = orjson.dumps(value, default=_plain).decode()
    except TypeError:
        # It writes neither lone surrogates nor integers of more than 64 bits.
        return _slowly(value)
    return _slowly(value) if _NUL in written else written


def _slowly(value: Any) -> str:
    # A pair of surrogates is one character and stays: only what cannot be encoded is taken out.
    return json.dumps(_storable(json.loads(_ENCODER.encode(value))))


def is_storable(value: str) -> bool:
    """Whether PostgreSQL holds this text as it is."""
    return _UNSTORABLE.search(value) is None


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no JSON")


def _documents(texts: Sequence[str | None]) -> list[Any]:
    """A column of JSON: read as one text, each key of many rows is made once, and no row costs a call."""
    documents: list[Any] = json.loads(f"[{','.join([text or 'null' for text in texts])}]")
    return documents


_ENCODER = json.JSONEncoder(default=_plain)


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return _UNSTORABLE.sub("", value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return value


def _arrays(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with lists as PostgreSQL writes its arrays, which a writer of JSON does many times faster than the driver."""
    return {name: _array(value) if isinstance(value, list) else value for name, value in parameters.items()}


def _array(values: list[Any]) -> list[Any] | str:
    # Of floats JSON knows no NaN.
    if not isinstance(next((value for value in values if value is not None), 0), str | int):
        return values
    try:
        written = bytearray(orjson.dumps(values, default=_plain))
    except TypeError:
        return values
    # Both escape a quote and a backslash in the same way; the rest JSON alone escapes.
    if _OTHER_ESCAPE.search(written):
        return values
    written[0], written[-1] = b"{}"
    return written.decode()


def fetch(connection: Connection, statement: str | TextClause, parameters: Mapping[str, Any], schema: FrameSchema) -> pd.DataFrame:
    """What a query finds, as a frame of this schema; the query names its columns as the schema does."""
    options = {JSON_AS_TEXT: True}
    cursor = connection.exec_driver_sql(_of_driver(statement, connection), _arrays(parameters), execution_options=options).cursor
    # Its own rows, which SQLAlchemy would wrap one by one to throw them away.
    rows = cursor.fetchall()
    if not rows:
        return schema.empty()
    columns = zip(cursor.description, zip(*rows, strict=True), strict=True)
    read = {name: _documents(column) if type_ in _JSON_TYPES else column for (name, type_, *_), column in columns}
    return schema.of_columns(read, len(rows))


def execute_rows(connection: Connection, statement: str | TextClause, frame_length: int, **parameters: Any) -> int:
    """Execute a statement over column arrays, and return how many rows it touched; a frame of no rows costs nothing."""
    if frame_length == 0:
        return 0
    return execute(connection, statement, parameters).rowcount


def execute(connection: Connection, statement: str | TextClause, parameters: Mapping[str, Any]) -> CursorResult[Any]:
    """Execute a statement whose parameters may be whole columns: lists, which become arrays."""
    return connection.exec_driver_sql(_of_driver(statement, connection), _arrays(parameters))


def locked_in_order(table: str, column: str, *, which: str) -> str:
    """Begins a statement that changes these rows of a table, which it calls ``locked``, as SQL.

    They are locked in the order of this column, as those who stage them do. An UPDATE by itself takes rows as it finds them, and could
    wait for somebody who waits for it.
    """
    return f"WITH locked AS (SELECT {column} FROM crm_pipeline.{table} WHERE {which} ORDER BY {column} FOR UPDATE)"


def _of_driver(statement: str | TextClause, connection: Connection) -> str:
    """A statement as the driver wants it: made once, where SQLAlchemy would look for what it made of it each time."""
    return _written(statement if isinstance(statement, str) else statement.text, connection.dialect)


@lru_cache(maxsize=256)
def _written(statement: str, dialect: Dialect) -> str:
    return str(text(statement).compile(dialect=dialect))
