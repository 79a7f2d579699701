"""What a CRM is handed to write, and how each row of it is accounted for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, starmap
from typing import NamedTuple, Self

import numpy as np
import pandas as pd

from crm_pipeline.errors import UnaccountedException
from crm_pipeline.frames import Flags, aligned, blank, plain, where
from crm_pipeline.model import Verb
from crm_pipeline.schemas import WRITE_RESULTS


class Write(NamedTuple):
    """A row for the CRM to write: what schemas.WRITE_ROWS says of it, and the CRM fields to send with their values; None clears."""

    qbench_id: int
    operation: str
    verb: str | None
    crm_id: str | None
    key: str | None
    parent_crm_id: str | None
    payload: Mapping[str, object]

    def __repr__(self) -> str:
        """Without the values that are sent."""
        return f"Write(qbench_id={self.qbench_id}, operation={self.operation!r}, crm_id={self.crm_id!r}, fields={[*self.payload]})"


@dataclass(frozen=True, slots=True)
class WriteBatch:
    """Rows to write, of one object: three frames of one RangeIndex.

    ``rows``: schemas.WRITE_ROWS, with more columns where a load plans them. ``values``: a column per CRM field. ``sent``: bool,
    same columns; only cells that are True are sent. A sent null clears the CRM's field.
    """

    rows: pd.DataFrame
    values: pd.DataFrame
    sent: pd.DataFrame

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, mask: pd.Series | Flags) -> Self:
        """The rows where the mask holds, indexed anew."""
        return self if mask.all() else type(self)(*(where(frame, mask) for frame in (self.rows, self.values, self.sent)))

    def arranged(self, positions: Sequence[int]) -> Self:
        """The rows at these positions, in this order, indexed anew."""
        if isinstance(positions, range):
            return self.slice(positions.start, positions.stop)
        return type(self)(*(frame.take(positions).reset_index(drop=True) for frame in (self.rows, self.values, self.sent)))

    def slice(self, start: int, stop: int) -> Self:
        """The rows from ``start`` up to, not including, ``stop``, indexed anew."""
        if start == 0 and stop >= len(self):
            return self
        return type(self)(*(frame.iloc[start:stop].reset_index(drop=True) for frame in (self.rows, self.values, self.sent)))

    @classmethod
    def together(cls, batches: Sequence[Self]) -> Self:
        """All of them, one after the other; they have the same columns, made by the same mapping."""
        if len(batches) == 1:
            return batches[0]
        parts = zip(*((batch.rows, batch.values, batch.sent) for batch in batches), strict=True)
        return cls(*(pd.concat(part, ignore_index=True) for part in parts))

    def writes(self) -> list[Write]:
        """Row by row, what is to be written."""
        columns = (plain(self.rows[name]) for name in Write._fields[:-1])
        return list(starmap(Write, zip(*columns, self.payloads(), strict=True)))

    def payloads(self) -> list[dict[str, object]]:
        """Per row, the CRM fields to send with their values; None clears."""
        columns = list(self.values.columns)
        if not columns:
            return [{} for _ in range(len(self))]
        values = zip(*(plain(self.values[column]) for column in columns), strict=True)
        # To choose columns of a frame costs more than all values of a batch.
        sent = (self.sent if self.sent.columns.equals(self.values.columns) else self.sent[columns]).to_numpy().tolist()
        return [dict(compress(zip(columns, row, strict=True), mask)) for row, mask in zip(values, sent, strict=True)]


@dataclass(frozen=True, slots=True)
class WriteJob:
    """Writes of one verb that a CRM carries out in its own time, and tells of by the job's ``id``.

    ``names`` (str): per row of its batch, by what the job tells of it; null for one that it does not carry.
    """

    id: str
    verb: Verb
    names: pd.Series


class WriteResult(NamedTuple):
    """What became of one row that was sent: a row of schemas.WRITE_RESULTS, which says what its members mean."""

    qbench_id: int
    crm_id: str | None = None
    created: bool | None = None
    parent_sent: bool = False
    error_type: str | None = None
    error_code: str | None = None
    error_fields: str | None = None
    error_ids: str | None = None
    value_refused: bool = False
    kept: Mapping[str, object] | None = None
    note: str | None = None

    def __repr__(self) -> str:
        """Without the values that the CRM keeps."""
        return f"WriteResult(qbench_id={self.qbench_id}, crm_id={self.crm_id!r}, error_type={self.error_type!r})"


def account_for(rows: pd.DataFrame, results: Sequence[WriteResult] | pd.DataFrame) -> pd.DataFrame:
    """Exactly one result (schemas.WRITE_RESULTS) per sent row, in the rows' order; a row without an answer is unaccounted.

    ``results``: those of calls, or the frame of a job.
    """
    if isinstance(results, pd.DataFrame):
        answered = WRITE_RESULTS.check(results).reset_index(drop=True)
    else:
        answered = WRITE_RESULTS.of_rows(WriteResult._fields, results)
    if not np.array_equal(answered["qbench_id"], rows["qbench_id"]):
        sent, first = rows["qbench_id"].reset_index(drop=True), answered.drop_duplicates("qbench_id")
        answered = WRITE_RESULTS.build(aligned(first, sent, columns={name: name for name in first.columns}) | {"qbench_id": sent})
    nameless = blank(answered["crm_id"])
    if nameless.any():
        silent = nameless & blank(answered["error_type"])
        answered["error_type"] = answered["error_type"].mask(silent, UnaccountedException.__name__)
    return answered
