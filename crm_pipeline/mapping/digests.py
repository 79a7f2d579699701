"""Whether a mapped field's wanted value changed: one 64-bit digest per value (docs/rules.md, 9)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress, repeat
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from crm_pipeline.mapping.values import texts

HASH_KEY = "crm-pipeline-key"
NO_DIGEST = 0
"""Stands in frames where there is no value; no value has this digest."""


def digests(values: pd.DataFrame) -> pd.DataFrame:
    """The digest of every value (int64, same index and columns), NO_DIGEST for null.

    A digest is of the value's text: 5, 5.0 and "5" have one digest, whatever the column's dtype or the frame it stands in.
    Stored digests depend on HASH_KEY and on pandas' hash of text: change neither.
    """
    given = [(column if column.dtype == "str" else texts(column).values).array.__arrow_array__() for _, column in values.items()]
    # Each text once, and told apart by Arrow, without a Python object for every row.
    every = pa.chunked_array([chunk for column in given for chunk in column.chunks], pa.large_string())
    told_apart = every.combine_chunks().dictionary_encode()
    hashed: Any = pd.util.hash_array(told_apart.dictionary.to_numpy(zero_copy_only=False), hash_key=HASH_KEY, categorize=False)
    digested: np.ndarray = hashed.view(np.int64)
    with_none = np.append(np.where(digested == NO_DIGEST, 1, digested), NO_DIGEST)
    found = with_none[told_apart.indices.fill_null(-1).to_numpy()]
    return pd.DataFrame(found.reshape(len(given), len(values)).T, index=values.index, columns=values.columns)


def contents(digests: pd.DataFrame, parents: pd.Series) -> pd.Series:
    """One digest per row (int64) of all its fields' digests and of its parent (Int64): equal for rows that make the same of a record."""
    fields = sorted(digests.columns)
    of_fields = digests.to_numpy("int64")[:, [digests.columns.get_loc(name) for name in fields]]
    whole = pd.DataFrame(np.column_stack([of_fields, parents.to_numpy("int64", na_value=-1)]), columns=pd.RangeIndex(len(fields) + 1))
    named = pd.util.hash_array(np.array([", ".join(fields)], dtype=object), hash_key=HASH_KEY, categorize=False)
    hashed: np.ndarray = pd.util.hash_pandas_object(whole, index=False).to_numpy() ^ named
    return pd.Series(hashed.view(np.int64), index=digests.index)


def digest_dicts(digests: pd.DataFrame) -> list[dict[str, int]]:
    """Per row the digests by column, as links store them; a null has no entry."""
    names = list(digests.columns)
    # What stands for none is false.
    return [dict(compress(zip(names, row, strict=True), row)) for row in digests.to_numpy().tolist()]


def digest_frame(dicts: pd.Series, columns: Sequence[str]) -> pd.DataFrame:
    """Stored digests as a frame (int64, index of ``dicts``): a column for every name asked, NO_DIGEST where a row has none of it."""
    kept = [row if type(row) is dict else {} for row in dicts.tolist()]
    names = list(dict.fromkeys(columns))
    if not any(kept):
        return pd.DataFrame(np.full((len(kept), len(names)), NO_DIGEST, dtype="int64", order="F"), index=dicts.index, columns=names)
    found = np.empty((len(kept), len(names)), dtype="int64", order="F")
    for position, name in enumerate(names):
        found[:, position] = np.fromiter(map(dict.get, kept, repeat(name), repeat(NO_DIGEST)), "int64", len(kept))
    return pd.DataFrame(found, index=dicts.index, columns=names)


def nullable(digests: pd.Series) -> pd.Series:
    """A column of digests as Int64, null where there is none."""
    values = digests.to_numpy("int64", copy=True)
    return pd.Series(pd.arrays.IntegerArray(values, values == NO_DIGEST), index=digests.index)
