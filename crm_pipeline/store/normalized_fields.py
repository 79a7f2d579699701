"""How normalized records keep their fields: the number of the fields' names (store.field_names), then the values, null for a blank.

The field that no two records may have alike comes first, where its index looks. Records of before are documents: field to value.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any, NamedTuple

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.frames import Column, FrameSchema, plain
from crm_pipeline.model import MODELS, RecordType
from crm_pipeline.schemas import NORMALIZED_META
from crm_pipeline.store.field_names import names_of, number_of
from crm_pipeline.store.formats import is_later
from crm_pipeline.store.packing import unpack
from crm_pipeline.store.rows import is_storable, json_column

KEPT = f"CASE WHEN {is_later('fields')} THEN document ELSE packed END"
"""What a statement stores of a ``packed`` row and its ``document`` (DOCUMENT)."""

DOCUMENT = """(
  SELECT coalesce(jsonb_object_agg(name, value) FILTER (WHERE value <> 'null'), '{}') AS document
  FROM ROWS FROM (unnest(CAST(:names AS text[])), jsonb_array_elements(packed - 0)) AS each (name, value)
)"""
"""The document of a ``packed`` row, in a statement that binds ``names``, as SQL."""


class Packed(NamedTuple):
    """Fields as arrays, the number that these begin with, and the names that it stands for (store.field_names.NAMED)."""

    fields: int
    names: list[str]
    packed: list[str]


def pack(record_type: RecordType, frame: pd.DataFrame) -> Packed:
    """The fields of normalized rows (schemas.normalized_schema, and undeclared columns), those left out that none of them has."""
    meta = {column.name for column in NORMALIZED_META}
    # What PostgreSQL cannot hold is no field's name: the CRM's description tells that it has none such.
    columns = {name: plain(column) for name, column in frame.items() if name not in meta and is_storable(name)}
    first = MODELS[record_type].exclusive
    filled = {name for name, values in columns.items() if values.count(None) < len(values)} - {first}
    names = [*([first] if first else []), *sorted(filled)]
    number = number_of(names)
    return Packed(number, names, json_column(zip(repeat(number, len(frame)), *(columns[name] for name in names), strict=True)))


def unpacked(connection: Connection, kept: list[Any], schema: FrameSchema) -> pd.DataFrame:
    """Stored fields as a frame: the columns of this schema, then one (object) for each further field that any row has."""
    columns = _columns(connection, kept)
    known = set(schema.names)
    others = [name for name in columns if name not in known]
    further = (Column(name, "object", "a field that the mapping alone knows") for name in others)
    return FrameSchema(schema.name, (*schema.columns, *further)).of_columns(columns, len(kept))


def joined(record: str) -> str:
    """What joins a record to the names of its fields, as SQL; ``record``: what the statement calls it."""
    return f"LEFT JOIN crm_pipeline.field_names AS named ON named.id = CAST({record}.fields ->> 0 AS bigint)"


def value_of(record: str, field: str) -> str:
    """The value that a record, ``joined``, has in a field, null for none, as SQL; ``field``: SQL too."""
    return f"coalesce({record}.fields ->> {field}, {record}.fields ->> array_position(named.names, {field}))"


def email_of(record: str) -> str:
    """A contact's address as its index knows it, as SQL."""
    return f"coalesce({record}.fields ->> 'email', {record}.fields ->> 1)"


def _columns(connection: Connection, kept: list[Any]) -> dict[str, Sequence[Any]]:
    numbers: set[int] = {one[0] for one in kept} if set(map(type, kept)) == {list} else set()
    if len(numbers) == 1:
        # As good as always: rows are read in the order in which they were staged.
        [number], (_, *values) = numbers, zip(*kept, strict=True)
        return dict(zip(names_of(connection, numbers)[number], values, strict=True))
    documents = unpack(connection, kept)
    return {name: [one.get(name) for one in documents] for name in sorted({name for one in documents for name in one})}
