"""Loads one record type into one CRM: plans the staged rows frame by frame and carries the plan out batch by batch.

Deciding plans, Outbox gathers, Sending calls, Sorting judges the answer, Storing keeps it, Associating gives contacts their accounts.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import cached_property

import pandas as pd

from crm_pipeline.calls import spaced
from crm_pipeline.crms.base import Crm
from crm_pipeline.errors import CrmPipelineError, SameRefusalError
from crm_pipeline.store.database import Store
from crm_pipeline.store.staging import FRAME_ROWS
from crm_pipeline.sync.loading import results
from crm_pipeline.sync.loading.associating import Associating
from crm_pipeline.sync.loading.deciding import Deciding
from crm_pipeline.sync.loading.first_refusals import FirstRefusals
from crm_pipeline.sync.loading.job import Job
from crm_pipeline.sync.loading.outbox import Outbox
from crm_pipeline.sync.loading.refused_creates import RefusedCreates
from crm_pipeline.sync.loading.report import LoadReport
from crm_pipeline.sync.loading.sending import Sending
from crm_pipeline.sync.loading.sorting import Sorting
from crm_pipeline.sync.loading.storing import Storing
from crm_pipeline.sync.loading.suspects import Suspects
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.planning.plan import Plan
from crm_pipeline.sync.planning.selection import Selection, begun, how_many, taken

TIMES = 3
"""How often a row is sent within one load, where the CRM had it locked, after waits that grow."""


class Load:
    """One load. ``run`` does it; ``report`` says what was done, also after ``run`` raised."""

    def __init__(self, order: LoadOrder, *, store: Store, crm: Crm, frame_rows: int = FRAME_ROWS) -> None:
        self.order = order
        self.report = LoadReport()
        self._frame_rows = frame_rows
        self._job = Job(order, store=store, crm=crm, report=self.report)
        self._storing = Storing(self._job)
        self._sending = Sending(self._job, self._storing)
        self._suspects = Suspects(self._job, self._storing)
        self._deciding = Deciding(self._job, apart=self._suspects.apart)
        self._outbox = Outbox(crm.capabilities.batch_size, apart=self._suspects.apart)
        self._associating = Associating(self._job, self._sending, self._storing, accounts=lambda: self._sorting.account_reader)
        self._refused_creates = RefusedCreates(self._job, self._storing)
        self._first_refusals = FirstRefusals()

    def run(self, selection: Selection) -> LoadReport:
        """Load the window's rows and those for which what they waited for has changed, or the named rows.

        Raises the ServiceError or ConfigurationError that stopped it, after storing what was done. Rows that failed for a passing
        cause of their own stop nothing: they stay open by their outcome, which says when they are tried again.
        """
        with self._job:
            try:
                self._load(map(self._suspects.without, self._frames(selection)))
                self._sending.suspects_only = True
                for frames in self._suspects.rounds(frame_rows=self._frame_rows):
                    self._load(frames)
            except CrmPipelineError as error:
                self._refused_creates.leave_refused()
                self._associating.leave_open()
                if isinstance(error, SameRefusalError):
                    self._storing.open_again(error)
                raise
        return self.report

    def _load(self, frames: Iterable[pd.DataFrame]) -> None:
        for frame in frames:
            if len(frame):
                self._take_turn()
                planned = self._deciding.plan(frame)
                if self._is_under_way(planned.rows):
                    # Only once that is written are its links known, without which a record would be created, or linked, twice.
                    self._drain()
                    self._deciding.settle_anew()
                    planned = self._deciding.plan(frame)
                self._carry_out(planned)
        self._drain()

    def _frames(self, selection: Selection) -> Iterator[pd.DataFrame]:
        store, order = self._job.store, self.order
        with store.transaction() as connection:
            again = begun(connection, order, selection, accounts=order.parent)
            self.report.expected = how_many(connection, order, selection)
        for part in taken(order, selection, again=again, store=store, frame_rows=self._frame_rows):
            self.report.take(len(part.frame), replanned=part.replanned)
            yield part.frame

    def _take_turn(self) -> None:
        """Have the organization's object for a frame; one who waits for it goes first, once nothing of ours is half done."""
        self._job.take_turn()
        if self._job.turn_is_wanted:
            self._drain()
            if self._job.pass_turn_on():
                self._deciding.planner.look_anew()

    @cached_property
    def _sorting(self) -> Sorting:
        return Sorting(self._job, self._deciding.planner)

    def _is_under_way(self, rows: pd.DataFrame) -> bool:
        """Whether a row was planned before in this load (it changed meanwhile), or leads to a CRM record that another one takes."""
        parts = [*self._outbox.waiting, *self._refused_creates.waiting, *self._associating.waiting]
        qbench_ids = self._storing.unclear.union(*(part["qbench_id"] for part in parts))
        crm_ids = set().union(*(part["crm_id"].dropna() for part in parts))
        return bool((rows["qbench_id"].isin(qbench_ids) | rows["crm_id"].isin(crm_ids)).any())

    def _carry_out(self, planned: Plan) -> None:
        """Store what the plan decided itself, and write the rest as soon as batches are full."""
        self._storing.decided(planned)
        kept, writes = planned.without_write(), planned.with_write()
        if len(kept):
            self._associating.add(*self._storing.written(kept.rows, results.kept(kept.rows)))
        for batch in self._outbox.add(writes):
            self._send(batch)
        if not len(writes):
            self._job.tell("nothing to write for these")

    def _drain(self) -> None:
        """Carry out everything that waits for a fuller batch."""
        self._send_rest()
        if self._refused_creates.waiting:
            self._carry_out(self._refused_creates.found(self._deciding))
            self._send_rest()
        self._associating.send(at_least=1)

    def _send_rest(self) -> None:
        for batch in self._outbox.rest():
            self._send(batch)
        for turn in range(2, TIMES + 1):
            if self._outbox.is_locked:
                time.sleep(spaced(turn - 1, self.order.settings.waits))
            for batch in self._outbox.again():
                self._send(batch, turn=turn)

    def _send(self, batch: Plan, *, turn: int = 1) -> None:
        """Send one batch, for the ``turn``-th time, and hand its rows on by what was answered."""
        if turn == 1:
            self.report.sent.update(batch.rows["verb"])
        answered = self._sending.write(batch)
        if answered.error is not None:
            self._suspects.pass_over(batch, answered)
            return
        found = self._sorting.sort(batch, answered.results, first=turn == 1, last=turn == TIMES)
        self._outbox.put_back(found.batch.take(found.again), locked=bool(found.locked.any()))
        self._refused_creates.add(found.batch.rows[found.there], found.results[found.there])
        rows, done = (frame[found.done].reset_index(drop=True) for frame in (found.batch.rows, found.results))
        self._associating.add(*self._storing.written(rows, done, call=answered))
        self._first_refusals = self._first_refusals.followed_by(found.results, rows=found.batch.rows, mapped=batch.values.columns)
        self._first_refusals.require_different_causes(integration=self.order.integration, service=self.order.crm)
        self._associating.send_full()
        self._job.tell(f"wrote {len(batch)}, {int(found.results['error_type'].notna().sum())} of them refused")
