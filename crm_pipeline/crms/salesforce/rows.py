"""What is sent of a row: its verb, its ids, and its values as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from crm_pipeline.crms.batch import Write

PARENT_FIELD = "AccountId"


class Row(NamedTuple):
    """A row to write: how (model.Verb), the record to update or null, the external key's value or null, and the fields to send."""

    qbench_id: int
    verb: str | None
    crm_id: str | None
    key: str | None
    values: Mapping[str, object]

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to send for the record."""
        return self.verb is None or (self.crm_id is not None and self.key is None and not self.values)

    @property
    def carries_parent(self) -> bool:
        """Whether the account goes with this row."""
        return self.values.get(PARENT_FIELD) is not None


def rows_of(writes: Iterable[Write]) -> list[Row]:
    """The rows to write, the parent among their values and every value of a type that JSON knows."""
    return [
        Row(
            qbench_id=one.qbench_id,
            verb=one.verb,
            crm_id=one.crm_id or None,
            key=one.key or None,
            values={name: value if isinstance(value, str) else json_value(value) for name, value in one.payload.items()}
            | ({PARENT_FIELD: one.parent_crm_id} if one.parent_crm_id else {}),
        )
        for one in writes
    ]


def json_value(value: object) -> object:
    """A cell as JSON: numpy scalars as Python's, whole numbers without a fraction, dates in ISO form, any null as None.

    JSON knows no infinity: it goes as a text, which the field refuses.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float) and not np.isfinite(value):
        return None if np.isnan(value) else str(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value.isoformat() if hasattr(value, "isoformat") else value
