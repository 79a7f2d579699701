"""Loads one record type into one CRM, staged rows frame by frame.

Plans makes the plan of a frame. Delivery carries the plan out: Outbox gathers full batches, Sending calls, Sorting judges the answer,
Storing keeps it, Associating gives contacts their accounts. Suspects go behind all others; at the end Replacing looks back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pandas as pd

from crm_pipeline.crms.base import Crm
from crm_pipeline.errors import CrmPipelineError
from crm_pipeline.store.database import Store
from crm_pipeline.store.staging import FRAME_ROWS
from crm_pipeline.store.ways_back import follow_way_back
from crm_pipeline.sync.loading.delivery import Delivery
from crm_pipeline.sync.loading.job import Job
from crm_pipeline.sync.loading.plans import Plans
from crm_pipeline.sync.loading.replacing import Replacing
from crm_pipeline.sync.loading.report import LoadReport
from crm_pipeline.sync.loading.sending import Sending
from crm_pipeline.sync.loading.storing import Storing
from crm_pipeline.sync.loading.suspects import Suspects
from crm_pipeline.sync.loading.unfinished_jobs import take_up_jobs
from crm_pipeline.sync.made_in_qbench import settle_staged
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.planning.selection import Selection, begun, how_many, taken


class Load:
    """One load. ``run`` does it; ``report`` says what was done, also after ``run`` raised."""

    def __init__(self, order: LoadOrder, *, store: Store, crm: Crm, frame_rows: int = FRAME_ROWS) -> None:
        self.order = order
        self.report = LoadReport()
        self._frame_rows = frame_rows
        self._job = Job(order, store=store, crm=crm, report=self.report)
        self._storing = storing = Storing(self._job)
        self._sending = Sending(self._job, storing)
        self._suspects = Suspects(self._job, storing)
        self._plans = Plans(self._job, apart=self._suspects.apart)
        self._delivery = Delivery(self._job, self._plans, sending=self._sending, storing=storing, suspects=self._suspects)

    def run(self, selection: Selection) -> LoadReport:
        """Load the window's rows and those for which what they waited for has changed, or the named rows.

        Raises the ServiceError or ConfigurationError that stopped it, after storing what was done. Rows that failed for a passing
        cause of their own stop nothing: they stay open by their outcome, which says when they are tried again.
        """
        with self._job:
            with self._job.store.transaction() as connection:
                follow_way_back(connection, self.order.state, units=self.order.units_back)
            settle_staged(self.order, store=self._job.store, crm=self._job.crm)
            try:
                take_up_jobs(self._job, self._storing)
                self._load(map(self._suspects.without, self._frames(selection)))
                self._sending.suspects_only = True
                for frames in self._suspects.rounds(frame_rows=self._frame_rows):
                    self._load(frames)
                Replacing(self._job).ask()
            except CrmPipelineError as error:
                self._delivery.break_off(error)
                raise
        return self.report

    def _frames(self, selection: Selection) -> Iterator[pd.DataFrame]:
        store, order = self._job.store, self.order
        with store.transaction() as connection:
            again = begun(connection, order, selection, accounts=order.state.accounts)
            self.report.expected = how_many(connection, order, selection)
        for part in taken(order, selection, again=again, store=store, frame_rows=self._frame_rows):
            self.report.take(len(part.frame), replanned=part.replanned)
            yield part.frame

    def _load(self, frames: Iterable[pd.DataFrame]) -> None:
        for frame in frames:
            if len(frame):
                self._take_turn()
                planned = self._plans.of(frame)
                if self._delivery.is_under_way(planned.rows):
                    # Only once that is written are its links known, without which a record would be created, or linked, twice.
                    self._delivery.finish()
                    self._plans.settle_anew()
                    planned = self._plans.of(frame)
                self._delivery.carry_out(planned)
        self._delivery.finish()

    def _take_turn(self) -> None:
        """Have the organization's object for a frame; one who waits for it goes first, once nothing of ours is half done."""
        if self._job.take_turn():
            # Whoever passed it on waits for it again by now; to pass it back unused would be nobody's turn.
            return
        if self._job.turn_is_wanted:
            self._delivery.finish()
            if self._job.pass_turn_on():
                self._plans.planner.look_anew()
