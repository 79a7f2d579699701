"""Whether a mapped field's wanted value changed: one 64-bit digest per value (docs/rules.md, 9)."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from crm_pipeline.mapping.values import texts

HASH_KEY = "crm-pipeline-key"
NO_DIGEST = 0
"""Stands in frames where there is no value; no value has this digest."""


def digests(values: pd.DataFrame) -> pd.DataFrame:
    """The digest of every value (int64, same index and columns), NO_DIGEST for null.

    A digest is of the value's text: 5, 5.0 and "5" have one digest, whatever the column's dtype or the frame it stands in.
    Stored digests depend on HASH_KEY and on pandas' hash of text: change neither.
    """
    return pd.DataFrame({name: _column_digests(column) for name, column in values.items()}, index=values.index, dtype="int64")


def contents(digests: pd.DataFrame, parents: pd.Series) -> pd.Series:
    """One digest per row (int64) of all its fields' digests and of its parent (Int64): equal for rows that make the same of a record."""
    fields = sorted(digests.columns)
    whole = digests[fields].assign(**{"": parents.fillna(-1).astype("int64")})
    named = pd.util.hash_array(np.array([", ".join(fields)], dtype=object), hash_key=HASH_KEY)
    hashed: np.ndarray = pd.util.hash_pandas_object(whole, index=False).to_numpy() ^ named
    return pd.Series(hashed.view(np.int64), index=digests.index)


def digest_dicts(digests: pd.DataFrame) -> list[dict[str, int]]:
    """Per row the digests by column, as links store them; a null has no entry."""
    names = list(digests.columns)
    whole = digests.ne(NO_DIGEST).all(axis=1).tolist()
    pairs = (zip(names, row, strict=True) for row in digests.to_numpy().tolist())
    return [
        dict(row) if full else {name: digest for name, digest in row if digest != NO_DIGEST} for row, full in zip(pairs, whole, strict=True)
    ]


def digest_frame(dicts: pd.Series, columns: Sequence[str]) -> pd.DataFrame:
    """Stored digests as a frame (int64, index of ``dicts``): a column for every name asked, NO_DIGEST where a row has none of it."""
    none = dict.fromkeys(columns, NO_DIGEST)
    if not none:
        return pd.DataFrame(index=dicts.index)
    # One lookup in C per row; twice the first name, because of a single one it would give no tuple.
    digests_of = itemgetter(*none, columns[0])
    rows = [digests_of(none if not isinstance(row, dict) else row if none.keys() <= row.keys() else none | row) for row in dicts]
    return pd.DataFrame(np.array(rows, dtype="int64").reshape(len(rows), len(none) + 1)[:, :-1], index=dicts.index, columns=list(none))


def nullable(digests: pd.Series) -> pd.Series:
    """A column of digests as Int64, null where there is none."""
    return digests.astype("Int64").mask(digests == NO_DIGEST)


def _column_digests(column: pd.Series) -> np.ndarray:
    text = column if column.dtype == "str" else texts(column).values
    hashed: Any = pd.util.hash_array(text.to_numpy(dtype=object, na_value=""), hash_key=HASH_KEY, categorize=True)
    digested: np.ndarray = hashed.view(np.int64)
    return np.where(text.isna().to_numpy(), NO_DIGEST, np.where(digested == NO_DIGEST, 1, digested))
