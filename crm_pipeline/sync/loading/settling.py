"""Stores what was decided about fields that come back: with the decision, before a write, and once it was answered (docs/rules.md, 46)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import compress
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.frames import blank, plain, where
from crm_pipeline.model import Operation
from crm_pipeline.schemas import BASES, CONFLICTS
from crm_pipeline.store.bases import kept_columns, note_sent, save_bases, save_kept
from crm_pipeline.store.conflicts import save_conflicts
from crm_pipeline.store.crm_records import pend
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.sync.merging.bases import about_to_send, arrived
from crm_pipeline.sync.planning.both_ways import Settled


@dataclass(frozen=True, slots=True)
class Arrived:
    """Of fields that come back, once a call was answered: rows (plan.PLAN), what was decided, and what their links keep.

    ``kept``: the columns of that (store.bases.kept_columns), to be stored with new links, too.
    """

    rows: pd.DataFrame
    settled: Sequence[Settled]
    kept: Mapping[str, Any]


class Settling:
    """The decisions of one load about fields that come back; rows (plan.PLAN) without any cost nothing."""

    def __init__(self, state: CrmState, *, run_id: str, may_last: timedelta) -> None:
        self._state = state
        self._run_id = run_id
        self._may_last = may_last

    def decided(
        self, connection: Connection, rows: pd.DataFrame, *, begins: datetime | None = None, open_until: datetime | None = None
    ) -> None:
        """Store what was decided about these rows; ``begins``: when the call begins that writes them, None where none does.

        ``open_until``: until when that call may arrive.
        """
        rows, settled = _settled(rows)
        if not settled:
            return
        linked = where(rows, rows["crm_id"].notna())
        if len(linked):
            of_links = linked["settled"].tolist()
            kept = _kept(of_links)
            if begins is not None:
                kept = about_to_send(kept, _agreed(of_links), call=(begins, open_until or begins + self._may_last))
            save_bases(connection, self._state, bases=kept, crm_ids=linked["crm_id"])
        self._tell(connection, settled)
        self._have_looked_at(connection, rows, settled)

    def arrived(self, rows: pd.DataFrame, answer: pd.DataFrame, *, began: datetime | None) -> Arrived | None:
        """What is to be stored of rows that were written, by their results (schemas.WRITE_RESULTS); ``began``: when their call did."""
        if blank(rows["settled"]).all():
            return None
        done = answer["error_type"].isna() & answer["crm_id"].notna()
        rows, settled = _settled(where(rows.assign(crm_id=answer["crm_id"], kept=answer["kept"]), done))
        if not settled:
            return None
        settled = [one.keeping(values) if isinstance(values, dict) else one for one, values in zip(settled, rows["kept"], strict=True)]
        call = None if began is None else (began, began + self._may_last)
        return Arrived(rows, settled, kept_columns(arrived(_kept(settled), _agreed(settled), call=call), rows["crm_id"]))

    def written(self, connection: Connection, arrived: Arrived, *, began: datetime | None) -> None:
        """Store it; of new links with the links."""
        rows, settled = arrived.rows, arrived.settled
        save_kept(connection, self._state, kept=arrived.kept)
        if began is None:
            self._tell(connection, settled)
        else:
            updated = rows["operation"].eq(Operation.UPDATE).tolist()
            updates = compress(zip(rows["qbench_id"].tolist(), settled, strict=True), updated)
            note_sent(connection, self._state, units={qbench_id: sorted(one.agreed) for qbench_id, one in updates if one.agreed})
        self._have_looked_at(connection, rows, settled)

    def _tell(self, connection: Connection, settled: Sequence[Settled]) -> None:
        """Store the values that are lost."""
        lost = [row for one in settled for row in one.conflicts]
        if lost:
            conflicts = CONFLICTS.of_rows(CONFLICTS.names, [[row[name] for name in CONFLICTS.names] for row in lost])
            save_conflicts(connection, self._state, conflicts=conflicts, run_id=self._run_id)

    def _have_looked_at(self, connection: Connection, rows: pd.DataFrame, settled: Sequence[Settled]) -> None:
        """Have the next run that brings changes home look at records of which something is to be taken."""
        homeward = [one.comes_home for one in settled]
        if any(homeward):
            pend(connection, self._state, crm_ids=rows["crm_id"][homeward].tolist(), objects=plain(rows["object"][homeward]))


def _settled(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[Settled]]:
    """The rows about which something was decided, indexed anew, and that.

    What was decided about a record that turned out to be merged into another one says nothing of that one.
    """
    if blank(rows["settled"]).all():
        return rows, []
    holds = [
        one is not None and (one.crm_id is None or one.crm_id == crm_id)
        for one, crm_id in zip(rows["settled"], rows["crm_id"], strict=True)
    ]
    found = where(rows, np.array(holds))
    return found, found["settled"].tolist()


def _kept(settled: Sequence[Settled]) -> pd.DataFrame:
    return BASES.of_rows(BASES.names, [one.kept for one in settled])


def _agreed(settled: Sequence[Settled]) -> list[Mapping[str, list[int]]]:
    return [one.agreed for one in settled]
