"""How records with the same fields are kept: the number that stands for the names of their fields (store.field_names), then the values.

A record as QBench gives it is half names. An array keeps what a document keeps: each value as it is, a blank apart from a missing field.
Statements that look into one ask ``crm_pipeline.unpacked`` for the document; records of another shape, or of before, are documents.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from operator import itemgetter
from typing import Any

import pandas as pd
from sqlalchemy import Connection, text

from crm_pipeline.frames import FrameSchema
from crm_pipeline.store.field_names import names_of, number_of
from crm_pipeline.store.formats import is_later
from crm_pipeline.store.rows import fetch, is_storable

KEPT = f"CASE WHEN {is_later('packed')} THEN crm_pipeline.unpacked(content) ELSE content END"
"""What a statement stores for ``content``: as long as a run of an older version may be under way, what that can read."""

_NAMED = text("INSERT INTO crm_pipeline.field_names (id, names) VALUES (:number, :names) ON CONFLICT DO NOTHING")


def pack(connection: Connection, contents: pd.Series) -> pd.Series:
    """A column of dicts, those with the fields that most of them have as arrays, whose names are stored."""
    kept: list[Any] = contents.tolist()
    fields = max(Counter(frozenset(one) for one in kept if isinstance(one, dict)).items(), key=itemgetter(1), default=(frozenset(), 0))[0]
    names = sorted(fields)
    if len(names) < 2 or not all(map(is_storable, names)):
        return contents
    number, values = number_of(names), itemgetter(*names)
    connection.execute(_NAMED, {"number": number, "names": names})
    packed = [[number, *values(one)] if isinstance(one, dict) and one.keys() == fields else one for one in kept]
    return pd.Series(packed, index=contents.index, dtype=object)


def unpack(connection: Connection, contents: list[Any], *, fields: Collection[str] | None = None) -> list[Any]:
    """The documents of stored contents; ``fields``: with no others of their fields, those that are documents too."""
    numbers = {one[0] for one in contents if isinstance(one, list)}
    lists = names_of(connection, numbers)
    if fields is None:
        return [dict(zip(lists[one[0]], one[1:], strict=True)) if isinstance(one, list) else one for one in contents]
    places = {number: [(name, place) for place, name in enumerate(lists[number], 1) if name in fields] for number in numbers}
    return [
        {name: one[place] for name, place in places[one[0]]}
        if isinstance(one, list)
        else {name: one[name] for name in fields if name in one}
        if isinstance(one, dict)
        else one
        for one in contents
    ]


def fetch_contents(
    connection: Connection,
    statement: str,
    parameters: Mapping[str, Any],
    schema: FrameSchema,
    *,
    fields: Collection[str] | None = None,
) -> pd.DataFrame:
    """What a query over raw records finds, with its column ``content`` (``fields``: of it these alone), as a frame of this schema."""
    found = fetch(connection, statement, parameters, schema)
    contents = unpack(connection, found["content"].tolist(), fields=fields)
    return found.assign(content=pd.Series(contents, index=found.index, dtype=object))
