"""Stages what was read from QBench. Of fields that come back from a CRM, also since when their values stand (docs/rules.md, 49)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.model import RecordType
from crm_pipeline.source import Source, clock_ahead_of
from crm_pipeline.store.raw_records import held, stage_raw
from crm_pipeline.sync.merging.standing import dated


@dataclass(frozen=True, slots=True)
class ComingBack:
    """What of QBench's records comes back to them: by record type the ``fields``, and those ``kept`` by QBench, which no person edits.

    A record type of which nothing comes back is in neither.
    """

    fields: Mapping[RecordType, Sequence[str]] = field(default_factory=dict)
    kept: Mapping[RecordType, Sequence[str]] = field(default_factory=dict)


NOTHING = ComingBack()


def stage(
    connection: Connection,
    integration: str,
    record_type: RecordType,
    *,
    frame: pd.DataFrame,
    source: Source,
    back: ComingBack,
    since: int | None = None,
    late: bool = False,
) -> int:
    """Stage raw rows (schemas.RAW) as store.raw_records.stage_raw does; ``since``: up to when the record type was read before."""
    fields = back.fields.get(record_type)
    if fields and len(frame):
        before = held(connection, integration, record_type, ids=frame["qbench_id"].drop_duplicates().tolist())
        kept = frozenset(back.kept.get(record_type, ()))
        times = dated(frame, before, fields=fields, kept=kept, since=since, ahead=clock_ahead_of(source))
        frame = frame.assign(since=times)
    return stage_raw(connection, integration, record_type, frame=frame, late=late)
