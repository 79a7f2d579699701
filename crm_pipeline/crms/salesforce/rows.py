"""What is sent of a row: its verb, its ids, and its values as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from crm_pipeline.crms.batch import WriteBatch
from crm_pipeline.frames import plain
from crm_pipeline.model import Verb

PARENT_FIELD = "AccountId"


@dataclass(frozen=True, slots=True)
class Row:
    """A row to write: how, the record to update or null, the external key's value or null, and the fields to send."""

    qbench_id: int
    verb: Verb | None
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


def rows_of(batch: WriteBatch) -> list[Row]:
    """The rows of a batch, the parent among their values and every value of a type that JSON knows."""
    columns = (plain(batch.rows[name]) for name in ("qbench_id", "verb", "crm_id", "key", "parent_crm_id"))
    return [
        Row(
            qbench_id=qbench_id,
            verb=None if verb is None else Verb(verb),
            crm_id=_text(crm_id),
            key=_text(key),
            values={name: json_value(value) for name, value in payload.items()} | _parent(parent_crm_id),
        )
        for qbench_id, verb, crm_id, key, parent_crm_id, payload in zip(*columns, batch.payloads(), strict=True)
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


def _parent(parent_crm_id: object) -> dict[str, object]:
    parent = _text(parent_crm_id)
    return {PARENT_FIELD: parent} if parent else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
