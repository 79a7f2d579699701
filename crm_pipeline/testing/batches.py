"""Builders of what the adapters are handed: batches to write, associations, intents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from crm_pipeline.crms.batch import Write, WriteBatch, WriteResult
from crm_pipeline.model import MODELS, RecordType
from crm_pipeline.schemas import ASSOCIATIONS, INTENTS, WRITE_RESULTS, WRITE_ROWS
from crm_pipeline.testing.bench import Bench


@dataclass(frozen=True, slots=True)
class Put:
    """One row to write: the CRM fields to send, and where."""

    qbench_id: int
    values: Mapping[str, Any] = field(default_factory=dict)
    crm_id: str | None = None
    key: str | None = None
    parent: str | None = None


def batch_of(*rows: Put) -> WriteBatch:
    """The rows as a batch; a row sends exactly the fields that it has."""
    names = list(dict.fromkeys(name for row in rows for name in row.values))
    index = pd.RangeIndex(len(rows))
    frame = pd.DataFrame(
        {
            "qbench_id": [row.qbench_id for row in rows],
            "operation": ["update" if row.crm_id else "create" for row in rows],
            "verb": ["update" if row.crm_id else "upsert" if row.key else "create" for row in rows],
            "crm_id": [row.crm_id for row in rows],
            "key": [row.key for row in rows],
            "parent_crm_id": [row.parent for row in rows],
        }
    )
    values = pd.DataFrame({name: pd.Series([row.values.get(name) for row in rows], dtype="object") for name in names}, index=index)
    sent = pd.DataFrame({name: [name in row.values for row in rows] for name in names}, index=index, dtype="bool")
    return WriteBatch(WRITE_ROWS.build(frame), values, sent)


def writes_of(*rows: Put) -> list[Write]:
    """The same, row by row."""
    return batch_of(*rows).writes()


def valid(bench: Bench, record_type: RecordType, number: int = 1) -> dict[str, Any]:
    """Values that the CRM accepts for a new record, unlike those of any other number."""
    names = bench.fields[record_type]
    match = f"person{number}@example.com" if MODELS[record_type].identifying == "email" else f"Laboratory {number}"
    return {names.match: match, **names.required}


def results_by_id(results: Sequence[WriteResult] | pd.DataFrame) -> dict[int, dict[str, Any]]:
    """The results by QBench id, nulls as None, after checking that they are what the schema of their frame declares."""
    frame = results if isinstance(results, pd.DataFrame) else WRITE_RESULTS.of_rows(WriteResult._fields, results)
    checked = WRITE_RESULTS.check(frame).astype("object")
    rows = checked.where(checked.notna(), None).to_dict("records")
    assert len({row["qbench_id"] for row in rows}) == len(rows), "a row is accounted for twice"
    return {row["qbench_id"]: row for row in rows}


def associations_of(*rows: tuple[int, str, str], beside: bool = False, leaving: str | None = None) -> pd.DataFrame:
    """Associations from (QBench id, contact's CRM id, account's CRM id); all leave the same account, if any."""
    frame = pd.DataFrame(rows, columns=ASSOCIATIONS.names[:3])
    return ASSOCIATIONS.build(frame.assign(beside=beside, previous_crm_id=leaving))


def intents_of(*rows: tuple[int, Mapping[str, Any]], age: timedelta = timedelta(minutes=2)) -> pd.DataFrame:
    """Intents from (QBench id, values sent), written ``age`` ago."""
    written = datetime.now(UTC) - age
    return INTENTS.build(
        {
            "qbench_id": [qbench_id for qbench_id, _ in rows],
            "sent": pd.Series([dict(sent) for _, sent in rows], dtype="object"),
            "created_at": pd.Series([written] * len(rows), dtype="datetime64[us, UTC]"),
        }
    )
