"""Stores what was decided about readings, and what became of it, each batch in one transaction. The only writer of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.frames import no_text
from crm_pipeline.schemas import BASES
from crm_pipeline.store.bases import save_bases
from crm_pipeline.store.change_outcomes import save_change_outcomes
from crm_pipeline.store.conflicts import save_conflicts
from crm_pipeline.store.crm_records import looked_at, stage_changed
from crm_pipeline.store.database import Store
from crm_pipeline.store.raw_records import save_bringing
from crm_pipeline.sync.merging.bases import arrived
from crm_pipeline.sync.order import LoadOrder, usual_object
from crm_pipeline.sync.returning.looking import Linked, Looked, Seen
from crm_pipeline.sync.returning.outcomes import of_stopped, of_unwritten, of_written
from crm_pipeline.sync.returning.report import ReturnReport


class Storing:
    """The state of one run."""

    def __init__(self, order: LoadOrder, *, store: Store, report: ReturnReport) -> None:
        self._order = order
        self._state = order.state
        self._store = store
        self._report = report

    def found(self, looked: Looked) -> None:
        """Store what was read again, and what changes nothing."""
        usual = usual_object(self._state).name
        with self._report.timed("store"), self._store.transaction() as connection:
            for name, frame in looked.read_again.items():
                stage_changed(connection, self._state, frame=frame, read_at=looked.began, object_name=None if name == usual else name)
            looked_at(connection, self._state, crm_ids=looked.unlinked)
            told = self._save(connection, of_stopped(*looked.stopped))
        self._report.unlinked += len(looked.unlinked)
        self._report.read_again += sum(map(len, looked.read_again.values()))
        self._report.add(told)

    def stopped(self, linked: Linked, error_type: pd.Series) -> None:
        """Store that these readings change nothing, for these record errors (str)."""
        with self._report.timed("store"), self._store.transaction() as connection:
            told = self._save(connection, of_stopped(linked, error_type, no_text(error_type.index)))
        self._report.add(told)

    def unwritten(self, seen: Seen) -> None:
        """Store what is decided about readings that need no write."""
        if not len(seen.linked):
            return
        with self._report.timed("store"), self._store.transaction() as connection:
            self._decided(connection, seen)
            told = self._save(connection, of_unwritten(seen))
        self._count(seen, told)

    def about_to_write(self, seen: Seen, bringing: pd.Series) -> None:
        """Store what is decided about readings, and what of it is about to be written (schemas.HELD, ``bringing``), before the call."""
        record_type = self._order.record.record_type
        with self._report.timed("store"), self._store.transaction() as connection:
            self._decided(connection, seen)
            save_bringing(connection, self._order.integration, record_type, ids=seen.linked.links["qbench_id"], bringing=bringing)

    def written(self, seen: Seen, results: pd.DataFrame, *, agreed: pd.Series, stage: Callable[[Connection], object]) -> None:
        """Store what QBench answered (schemas.SOURCE_RESULTS, in order). ``agreed``: per row the digests of the units that it took.

        ``stage``: stages the answered records, in the same transaction.
        """
        with self._report.timed("store"), self._store.transaction() as connection:
            stage(connection)
            save_bases(connection, self._state, bases=arrived(seen.kept, agreed), crm_ids=seen.linked.links["crm_id"])
            told = self._save(connection, of_written(seen, results))
        self._count(seen, told)

    def _decided(self, connection: Connection, seen: Seen) -> None:
        """Store the bases, where they changed, and the values that are lost."""
        before, kept = (zip(frame["bases"], frame["sending"], strict=True) for frame in (seen.linked.kept, seen.kept))
        news = np.array([old != new for old, new in zip(before, kept, strict=True)], dtype=bool)
        save_bases(connection, self._state, bases=BASES.build(seen.kept[news]), crm_ids=seen.linked.links.loc[news, "crm_id"])
        save_conflicts(connection, self._state, conflicts=seen.conflicts, run_id=self._order.run_id)

    def _save(self, connection: Connection, told: pd.DataFrame) -> pd.DataFrame:
        """The outcomes as they are stored: what failed once too often for a passing cause is open no more."""
        given_up = save_change_outcomes(connection, self._state, outcomes=told, attempt=self._order.attempt)
        looked_at(connection, self._state, crm_ids=told["crm_id"].tolist())
        return told.assign(retryable=told["retryable"] & ~told["crm_id"].isin(given_up))

    def _count(self, seen: Seen, told: pd.DataFrame) -> None:
        self._report.add(told)
        self._report.moved += int(seen.linked.moved.sum())
        self._report.verdicts.update(Counter(seen.decided.verdicts.to_numpy().ravel().tolist()))
        self._report.conflicts.update(seen.conflicts["winner"].tolist())
