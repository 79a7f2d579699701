"""Records that the CRM failed on: they go behind all others, and creates among them in ever smaller parts (docs/rules.md, 41)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from crm_pipeline.errors import CrmFailsOnRecordException
from crm_pipeline.frames import no_text
from crm_pipeline.sync.loading.job import Job
from crm_pipeline.sync.loading.open_calls import Answered
from crm_pipeline.sync.loading.storing import Storing
from crm_pipeline.sync.planning.plan import Plan, unrepeatable
from crm_pipeline.sync.planning.selection import frames_by_id


class Suspects:
    """The suspects of one load. ``apart``: by QBench id of a create that was not made, how many may go with it in one call."""

    def __init__(self, job: Job, storing: Storing) -> None:
        self._job = job
        self._storing = storing
        self._ids: set[int] = set()
        self.apart: dict[int, int] = {}

    def without(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The normalized frame without the records that the CRM failed on last time, lest they keep the others away."""
        with self._job.store.transaction() as connection:
            found = self._job.order.state.failed_inside(connection, ids=frame["qbench_id"].tolist())
        self._ids.update(found)
        return frame[~frame["qbench_id"].isin(found)].reset_index(drop=True) if found else frame

    def rounds(self, *, frame_rows: int) -> Iterator[Iterator[pd.DataFrame]]:
        """The normalized frames of all suspects, then of those that became suspect again by that, until there are none."""
        while self._ids:
            ids, self._ids = sorted(self._ids), set()
            yield frames_by_id(self._job.order, ids, store=self._job.store, frame_rows=frame_rows)

    def plan_again(self, rows: pd.DataFrame, call: Answered, which: pd.Series | None = None) -> None:
        """Store the refusals of a call's rows (plan.PLAN), all or those which are meant, and plan these once more behind all others.

        They go again whatever the plan says then: the same value may be sent in another form. And should the load end before: what is
        stored speaks of no state, so that the record is open.
        """
        if which is not None:
            rows, call = rows[which].reset_index(drop=True), call.of(which)
        self._ids.update(rows["qbench_id"])
        rows = rows.assign(write_digest=no_text(rows.index), state_digest=pd.array([pd.NA] * len(rows), dtype="Int64"))
        self._storing.written(rows, call.results, call=call, goes_again=True)

    def pass_over(self, batch: Plan, failed: Answered) -> None:
        """Store a call that failed and behind which the load goes on.

        Of creates that it carried together nobody knows which one is to blame: they are tried again apart. One that went alone
        is to blame.
        """
        rows, answer = batch.rows, failed.results
        to_blame = len(rows) == 1 and rows["qbench_id"].iat[0] in self.apart
        again = not to_blame and bool(unrepeatable(rows).any())
        if again:
            self._ids.update(rows["qbench_id"])
        if to_blame:
            answer = answer.assign(error_type=CrmFailsOnRecordException.__name__)
        self._storing.written(rows, answer, call=replace(failed, results=answer), goes_again=again)
