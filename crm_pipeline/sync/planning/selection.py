"""Which staged rows does a plan take? Those of its window and those for which what they waited for has changed, or named ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.store.database import Store
from crm_pipeline.store.deletions import follow_deletions
from crm_pipeline.store.normalized_records import count_in_window, normalized_by_id, normalized_stream
from crm_pipeline.store.open_rows import due_ids
from crm_pipeline.store.staging import FRAME_ROWS, Window
from crm_pipeline.store.waiting import open_rivals
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.planning.accounts import Accounts
from crm_pipeline.sync.planning.replanned import awakened


@dataclass(frozen=True, slots=True)
class Taken:
    """A frame of normalized rows (schemas.normalized_schema); ``replanned``: not of the window, what they waited for changed."""

    frame: pd.DataFrame
    replanned: bool = False


@dataclass(frozen=True, slots=True)
class Named:
    """The records with these QBench ids."""

    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Due:
    """The window's records that are open, but for those whose next attempt lies ahead (store.open_rows)."""

    window: Window


Selection = Window | Due | Named


def begun(
    connection: Connection, order: LoadOrder, selection: Selection, *, accounts: Accounts, written_before: Sequence[int] = ()
) -> list[int]:
    """Begin a load: its links follow what was deleted in QBench, and rivals of what changed are open.

    QBench ids of the records that are planned besides the window's.

    These are asked for once, before anything is planned: which records a load takes does not depend on how far its writes got.
    ``accounts``: those that contacts refer to. ``written_before``: those that are written before this load.
    """
    follow_deletions(connection, order.state)
    open_rivals(connection, order.state)
    if isinstance(selection, Named):
        return []
    return awakened(connection, order.state, settings=order.settings.decisive, accounts=accounts, written_before=written_before)


def taken(order: LoadOrder, selection: Selection, *, again: Sequence[int], store: Store, frame_rows: int = FRAME_ROWS) -> Iterator[Taken]:
    """The frames that a plan takes, each read as it is needed; of records to be repaired, the linked ones only.

    ``again``: as ``begun`` found them.
    """
    parts: Iterator[Taken]
    if isinstance(selection, Named):
        parts = map(Taken, frames_by_id(order, selection.ids, store=store, frame_rows=frame_rows))
    elif isinstance(selection, Due):
        parts = _due(order, selection, again=again, store=store, frame_rows=frame_rows)
    else:
        parts = _of_window(order, selection, again=again, store=store, frame_rows=frame_rows)
    if order.resend is not None and order.resend.create_only:
        parts = _linked_only(order, parts, store=store)
    yield from parts


def how_many(connection: Connection, order: LoadOrder, selection: Selection) -> int:
    """The rows that a selection holds, those left aside that are replanned because what they waited for has changed."""
    if isinstance(selection, Named):
        return len(selection.ids)
    if isinstance(selection, Due):
        return len(due_ids(connection, order.state, window=selection.window))
    return count_in_window(connection, order.integration, order.record.record_type, window=selection)


def _linked_only(order: LoadOrder, parts: Iterator[Taken], *, store: Store) -> Iterator[Taken]:
    for part in parts:
        with store.transaction() as connection:
            links = order.state.links(connection, ids=part.frame["qbench_id"].tolist())
        linked = part.frame[part.frame["qbench_id"].isin(links["qbench_id"])].reset_index(drop=True)
        if len(linked):
            yield Taken(linked, replanned=part.replanned)


def _of_window(order: LoadOrder, window: Window, *, again: Sequence[int], store: Store, frame_rows: int) -> Iterator[Taken]:
    for frame in normalized_stream(store, order.integration, order.record.record_type, window=window, frame_rows=frame_rows):
        yield Taken(frame)
    for frame in frames_by_id(order, again, store=store, frame_rows=frame_rows):
        freed = frame[~window.covers(frame["version"])].reset_index(drop=True)
        if len(freed):
            yield Taken(freed, replanned=True)


def _due(order: LoadOrder, selection: Due, *, again: Sequence[int], store: Store, frame_rows: int) -> Iterator[Taken]:
    with store.transaction() as connection:
        ids = due_ids(connection, order.state, window=selection.window)
    yield from map(Taken, frames_by_id(order, ids, store=store, frame_rows=frame_rows))
    others = sorted(set(again).difference(ids))
    for frame in frames_by_id(order, others, store=store, frame_rows=frame_rows):
        yield Taken(frame, replanned=True)


def frames_by_id(order: LoadOrder, ids: Sequence[int], *, store: Store, frame_rows: int = FRAME_ROWS) -> Iterator[pd.DataFrame]:
    """The normalized rows (schemas.normalized_schema) of these QBench ids."""
    for start in range(0, len(ids), frame_rows):
        with store.transaction() as connection:
            part = list(ids[start : start + frame_rows])
            frame = normalized_by_id(connection, order.integration, order.record.record_type, ids=part)
        yield frame
