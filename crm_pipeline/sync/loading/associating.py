"""Contacts that are written and whose account needs a call of its own: gathered until such a call is full."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from crm_pipeline.schemas import WRITE_RESULTS
from crm_pipeline.sync.links.reader import LinkReader
from crm_pipeline.sync.loading.job import Job
from crm_pipeline.sync.loading.merged_or_deleted import follow_parents
from crm_pipeline.sync.loading.open_calls import Answered
from crm_pipeline.sync.loading.sending import Sending
from crm_pipeline.sync.loading.storing import Storing


class Associating:
    """The associations of one load. ``accounts``: makes what looks at their accounts' links."""

    def __init__(self, job: Job, sending: Sending, storing: Storing, *, accounts: Callable[[], LinkReader]) -> None:
        self._batch_size = job.crm.capabilities.association_batch_size
        self._sending = sending
        self._storing = storing
        self._accounts = accounts
        self._gathered: list[tuple[pd.DataFrame, pd.DataFrame]] = []

    @property
    def waiting(self) -> list[pd.DataFrame]:
        """The rows (plan.PLAN) that wait."""
        return [rows for rows, _ in self._gathered]

    def add(self, rows: pd.DataFrame, written: pd.DataFrame) -> None:
        """Gather written contacts (plan.PLAN, and their results in schemas.WRITE_RESULTS)."""
        if len(rows):
            self._gathered.append((rows, written))

    def send(self, *, at_least: int) -> None:
        """Associate contacts with their accounts, while there are ``at_least`` as many. Raises the ServiceError of a CRM that is down."""
        size = self._batch_size
        while sum(map(len, self.waiting)) >= at_least:
            rows, written = self._all()
            self._send(rows[:size].reset_index(drop=True), written[:size].reset_index(drop=True))
            self._gathered = [(rows[size:], written[size:])]

    def send_full(self) -> None:
        """Associate as many contacts as make full calls."""
        self.send(at_least=self._batch_size)

    def leave_open(self) -> None:
        """Store that contacts are written whose association the load did not get to."""
        if self._gathered:
            self._storing.associated(*self._all())

    def _all(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        rows, written = zip(*self._gathered, strict=True)
        return pd.concat(rows, ignore_index=True), pd.concat(written, ignore_index=True)

    def _send(self, rows: pd.DataFrame, written: pd.DataFrame) -> None:
        first = self._associate(rows, written)
        calls, answer = [first], first.results
        rows, answer, moved = follow_parents(self._accounts, rows, answer, unless=answer["error_type"].isna())
        if moved.any():
            again = self._associate(rows[moved].reset_index(drop=True), written[moved].reset_index(drop=True))
            calls.append(again)
            answer = WRITE_RESULTS.build(pd.concat([answer[~moved], again.results.set_axis(answer.index[moved])]).sort_index())
        self._storing.associated(rows, answer, calls=calls)

    def _associate(self, rows: pd.DataFrame, written: pd.DataFrame) -> Answered:
        """Send accounts. Raises the ServiceError of a CRM that is down, after storing that the call is over."""
        answered = self._sending.associate(rows, written)
        if answered.stops and answered.error is not None:
            self._storing.end_association(answered)
            raise answered.error
        return answered
