"""Whether a mapped field's wanted value changed: one 64-bit digest per value (rules.md, 9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from crm_pipeline.mapping.values import texts

HASH_KEY = "crm-pipeline-key"


def digests(values: pd.DataFrame) -> pd.DataFrame:
    """The digest of every value (Int64, same index and columns); null has none (NA).

    A digest is of the value's text: 5, 5.0 and "5" have one digest, whatever the column's dtype or the frame it stands in.
    Stored digests depend on HASH_KEY and on pandas' hash of text: change neither.
    """
    return pd.DataFrame({name: _column_digests(column) for name, column in values.items()}, index=values.index)


def digest_dicts(digests: pd.DataFrame) -> list[dict[str, int]]:
    """Per row the digests by column, as links store them; a null has no entry."""
    names = list(digests.columns)
    rows = zip(*(column.to_numpy(dtype="int64", na_value=0).tolist() for _, column in digests.items()), strict=True)
    missing = digests.isna().to_numpy()
    if not names:
        return [{} for _ in range(len(digests))]
    return [
        {name: value for name, value, absent in zip(names, row, gaps, strict=True) if not absent}
        if any_absent
        else dict(zip(names, row, strict=True))
        for row, gaps, any_absent in zip(rows, missing, missing.any(axis=1).tolist(), strict=True)
    ]


def digest_frame(dicts: pd.Series, columns: Sequence[str]) -> pd.DataFrame:
    """Stored digests as a frame (Int64, index of ``dicts``): a column for every name asked, NA where a row has none of it."""
    rows = [row if isinstance(row, dict) else {} for row in dicts]
    return pd.DataFrame({name: pd.array([row.get(name) for row in rows], dtype="Int64") for name in columns}, index=dicts.index)


def _column_digests(column: pd.Series) -> pd.Series:
    text = column if column.dtype == "str" else texts(column).values
    hashed: Any = pd.util.hash_array(text.fillna("").to_numpy(dtype=object), hash_key=HASH_KEY, categorize=True)
    digested = pd.array(hashed.view(np.int64), dtype="Int64")
    return pd.Series(digested, index=column.index).mask(text.isna().to_numpy())
