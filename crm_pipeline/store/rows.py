"""How frames go into the database and come out of it: whole columns as arrays, one statement per frame."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import pandas as pd
from sqlalchemy import Connection, TextClause, text

from crm_pipeline.frames import FrameSchema

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SIGNS_OF_UNSTORABLE = re.compile(r"\\u(?:0000|d)|Infinity|NaN")


def column(series: pd.Series) -> list[Any]:
    """A column as a list of plain Python values, null as None."""
    values: list[Any] = series.tolist()
    return [None if value is pd.NA or value is pd.NaT or value != value else value for value in values] if series.hasnans else values


def time_column(moments: pd.Series) -> list[datetime | None]:
    """A column of times as Python's, null as None."""
    return [None if moment is pd.NaT else moment for moment in pd.DatetimeIndex(moments).to_pydatetime()]


def json_column(series: pd.Series) -> list[str]:
    """A column of dicts as JSON texts. Of what PostgreSQL's jsonb cannot hold, NUL and lone surrogates are left out.

    NaN and the infinite (1e999 is valid JSON, and infinite in Python) are no values: they become null.
    """
    return [_json(value) for value in series]


def _json(value: Any) -> str:
    written = _ENCODER.encode(value)
    if _SIGNS_OF_UNSTORABLE.search(written):
        # A pair of surrogates is one character and stays: only what cannot be encoded is taken out.
        return json.dumps(_storable(json.loads(written)), default=_plain)
    return written


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no JSON")


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


def fetch(connection: Connection, statement: str | TextClause, parameters: Mapping[str, Any], schema: FrameSchema) -> pd.DataFrame:
    """What a query finds, as a frame of this schema; the query names its columns as the schema does."""
    result = connection.execute(_prepared(statement), parameters)
    return schema.of_rows(list(result.keys()), result.all())


def execute_rows(connection: Connection, statement: str | TextClause, frame_length: int, **parameters: Any) -> int:
    """Execute a statement over column arrays, and return how many rows it touched; a frame of no rows costs nothing."""
    if frame_length == 0:
        return 0
    return connection.execute(_prepared(statement), parameters).rowcount


def _prepared(statement: str | TextClause) -> TextClause:
    return _parsed(statement) if isinstance(statement, str) else statement


@lru_cache(maxsize=256)
def _parsed(statement: str) -> TextClause:
    return text(statement)
