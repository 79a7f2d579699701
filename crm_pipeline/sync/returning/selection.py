"""Which staged readings does a run look at? Those of its window, and those that somebody or something asks for besides."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pandas as pd

from crm_pipeline.store.change_outcomes import awakened_crm_ids, due_crm_ids
from crm_pipeline.store.crm_records import changed_stream, pending_crm_ids, staged_readings
from crm_pipeline.store.database import Store
from crm_pipeline.store.staging import FRAME_ROWS, Window
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.returning import gates


@dataclass(frozen=True, slots=True)
class Open:
    """No window: only what is pending, due, or waited for something that changed."""


Selection = Window | Open
"""A window is of the CRM's stamps, in Unix seconds, its look-back included."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A frame of readings (schemas.CRM_RECORDS); ``others``: not of the window."""

    frame: pd.DataFrame
    others: bool = False

    def without(self, crm_ids: Collection[str]) -> Chosen:
        """The same without the readings of these records."""
        left = self.frame["crm_id"].isin(crm_ids)
        return replace(self, frame=self.frame[~left].reset_index(drop=True)) if left.any() else self


_LAST = int(datetime.max.replace(tzinfo=UTC, microsecond=0).timestamp())


def asked_for(order: LoadOrder, *, store: Store) -> list[str]:
    """The CRM records that are looked at whatever their stamps: pending, due, or of which what they waited for changed."""
    with store.transaction() as connection:
        pending = pending_crm_ids(connection, order.state)
        due = due_crm_ids(connection, order.state)
        awakened = awakened_crm_ids(connection, order.state, of_the_record=gates.STOPPING)
    return sorted({*pending, *due, *awakened})


def chosen(order: LoadOrder, selection: Selection, *, asked: list[str], store: Store, frame_rows: int = FRAME_ROWS) -> Iterator[Chosen]:
    """The frames that a run looks at, each read as it is needed; ``asked``: as ``asked_for`` found them."""
    since, until = (None, None) if isinstance(selection, Open) else (_moment(selection.since), _moment(selection.until))
    if until is not None:
        for frame in changed_stream(store, order.state, since=since, until=until, frame_rows=frame_rows):
            yield Chosen(frame)
    for start in range(0, len(asked), frame_rows):
        with store.transaction() as connection:
            frame = staged_readings(connection, order.state, crm_ids=asked[start : start + frame_rows])
        if until is not None:
            within = frame["stamp"].lt(until) & (True if since is None else frame["stamp"].ge(since))
            frame = frame[~within].reset_index(drop=True)
        if len(frame):
            yield Chosen(frame, others=True)


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(min(seconds, _LAST), tz=UTC)
