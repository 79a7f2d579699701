"""Which part of the staged records is read, and how: by windows of versions, page by page, or by QBench ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.frames import FrameSchema
from crm_pipeline.model import RecordType
from crm_pipeline.store.database import Store
from crm_pipeline.store.rows import fetch

FRAME_ROWS = 5_000
"""Rows per frame of a stream: a multiple of every CRM's batch size, small enough for flat memory."""


@dataclass(frozen=True, slots=True)
class Window:
    """Versions from ``since`` (None: the beginning of time) up to, not including, ``until``; Unix seconds."""

    since: int | None
    until: int

    @property
    def bounds(self) -> dict[str, int]:
        """Both ends as numbers, to be bound to a statement."""
        return {"since": _lower(self), "until": self.until}

    def covers(self, versions: pd.Series) -> pd.Series:
        """Which of these versions lie in the window."""
        return versions.ge(_lower(self)) & versions.lt(self.until)


EVERYTHING = Window(since=None, until=2**62)
"""From the beginning of time to its end."""

PAGE = """
SELECT {columns} FROM crm_pipeline.{table}
WHERE integration = :integration AND record_type = :record_type
  AND version >= :since AND version < :until AND (version, qbench_id) > (:last_version, :last_id)
ORDER BY version, qbench_id LIMIT :rows
"""
"""The next rows of a window, of a ``table`` of records; ``columns`` of them."""

BY_ID = """
SELECT {columns} FROM crm_pipeline.{table}
WHERE integration = :integration AND record_type = :record_type AND qbench_id = ANY(:ids)
ORDER BY version, qbench_id
"""
"""The rows of some QBench ids, likewise."""


def pages(
    store: Store,
    integration: str,
    record_type: RecordType,
    *,
    window: Window,
    statement: str,
    schema: FrameSchema,
    frame_rows: int = FRAME_ROWS,
    fetch: Callable[[Connection, str, Mapping[str, Any], FrameSchema], pd.DataFrame] = fetch,
) -> Iterator[pd.DataFrame]:
    """What a window holds, in the order of versions and by frames of this schema: what ``fetch`` finds by the statement, a PAGE."""
    # One short transaction per frame: a load may take hours, and an open snapshot would keep the database from cleaning up.
    bounds = {**window.bounds, "rows": frame_rows}
    last = {"last_version": _lower(window) - 1, "last_id": 0}
    while True:
        with store.transaction() as connection:
            page = fetch(connection, statement, {"integration": integration, "record_type": record_type, **bounds, **last}, schema)
        if page.empty:
            return
        yield page
        if len(page) < frame_rows:
            return
        last = {"last_version": int(page["version"].iloc[-1]), "last_id": int(page["qbench_id"].iloc[-1])}


def _lower(window: Window) -> int:
    return -(2**62) if window.since is None else window.since
