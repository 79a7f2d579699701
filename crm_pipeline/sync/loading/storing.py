"""Stores what became of records: links, outcomes, intents, and which calls are over; of calls made at once in one transaction.

The only writer of a load. It stores right after the answers, so that a crash costs the calls under way at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import reduce

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.errors import SameRefusalError
from crm_pipeline.model import Operation
from crm_pipeline.store.deletions import left_behind, release
from crm_pipeline.store.rows import column
from crm_pipeline.sync.loading import results
from crm_pipeline.sync.loading.intents import sent_fields
from crm_pipeline.sync.loading.job import Job
from crm_pipeline.sync.loading.open_calls import Answered, Sent, Watch
from crm_pipeline.sync.loading.replacing import Replacing
from crm_pipeline.sync.loading.settling import Settling
from crm_pipeline.sync.planning.plan import Plan, unrepeatable
from crm_pipeline.sync.planning.refused_writes import left_aside


class Storing:
    """The state of one load. ``unclear``: QBench ids of which nobody knows whether the CRM stored what was sent."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._state = job.order.state
        self._watch = Watch(job.order.state, job.crm)
        self._settling = Settling(job.order.state, run_id=job.order.run_id, may_last=self._watch.may_last)
        self._replacing = Replacing(job)
        self.unclear: set[int] = set()

    def decided(self, planned: Plan) -> None:
        """Store the outcomes that the plan decided itself."""
        outcomes = results.decided(planned.rows)
        with self._job.report.timed("store"), self._job.store.transaction() as connection:
            rows = planned.rows[planned.rows["operation"].eq(Operation.NONE)]
            self._settling.decided(connection, rows)
            self._watch.looked_at(connection, rows)
            outcomes = self._save(connection, outcomes)
        self._job.report.add(outcomes)
        self._job.report.refused_before += left_aside(planned.rows)

    def begin(self, batches: Sequence[Plan]) -> list[Sent]:
        """Store what is about to be sent at the same time, a call for each batch.

        Creates that cannot be recognized when repeated are stored as intents, the others as open calls.
        """
        began, together = datetime.now(UTC), reduce(Plan.followed_by, batches)
        with self._job.store.transaction() as connection:
            sent = [self._begin(connection, batch, began=began) for batch in batches]
            self._settling.decided(connection, together.rows, begins=began)
            self._replacing.begin(connection, together, began=began, open_until=began + self._watch.may_last)
            return sent

    def written(
        self,
        rows: pd.DataFrame,
        answer: pd.DataFrame,
        *,
        calls: Sequence[Answered] = (),
        goes_again: bool = False,
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Store what became of rows (plan.PLAN), by their results (schemas.WRITE_RESULTS), and count it unless it ``goes_again``.

        ``calls``: those that are over with it, begun together; the rows may be some of those that they carried. Returns the rows and
        results of contacts whose account is still to be sent.
        """
        unclear = answer["error_type"].isin(results.UNCLEAR) | any(call.error is not None for call in calls)
        self.unclear.update(rows.loc[unclear, "qbench_id"])
        with self._job.report.timed("store"), self._job.store.transaction() as connection:
            answer = self._judged(connection, rows, answer)
            pending = results.parent_open(rows, answer)
            self._state.save_links(connection, org_id=self._job.org_id, links=results.links(rows, answer))
            self._settling.written(connection, rows, answer, began=calls[0].sent.began if calls else None)
            self._state.close_intents(connection, ids=rows.loc[~unclear, "qbench_id"].tolist())
            if calls:
                self._replacing.answered(connection, rows, answer, began=calls[0].sent.began)
                self._state.answer_intents(connection, ids=_over(rows.loc[unclear, "qbench_id"], calls))
            for call in calls:
                self._watch.end(connection, call)
            # An earlier call may have given another account: what makes up for that is the account, still to be sent.
            self._watch.made_up_for(connection, answer[~pending])
            outcomes = self._save(connection, results.outcomes(rows, answer)[~pending].reset_index(drop=True))
        if not goes_again:
            self._job.report.add(outcomes)
        return rows[pending], answer[pending]

    def begin_association(self, rows: pd.DataFrame) -> Sent:
        """Store that the accounts of contacts are about to be sent."""
        with self._job.store.transaction() as connection:
            return self._watch.begin(connection, rows, began=datetime.now(UTC))

    def end_association(self, call: Answered) -> None:
        """Store that a call of associations came back, without telling what it made."""
        with self._job.store.transaction() as connection:
            self._watch.end(connection, call)

    def associated(self, rows: pd.DataFrame, answer: pd.DataFrame, *, calls: Sequence[Answered] = ()) -> None:
        """Store what became of the accounts of written contacts, and that the ``calls`` are over which carried them.

        Not before: what a call made that is over, and that no link tells of, nobody would look for.
        """
        with self._job.store.transaction() as connection:
            self._state.save_links(connection, org_id=self._job.org_id, links=results.links(rows, answer))
            for call in calls:
                self._watch.end(connection, call)
            if calls:
                self._watch.made_up_for(connection, answer)
            outcomes = self._save(connection, results.outcomes(rows, answer))
        self._job.report.add(outcomes)

    def close_intents(self, ids: list[int]) -> None:
        """Forget creates that were refused: no record of theirs needs to be looked for."""
        with self._job.store.transaction() as connection:
            self._state.close_intents(connection, ids=ids)

    def open_again(self, stop: SameRefusalError) -> None:
        """Let the next load send again what this one was stopped for: the stop asks people to mend that first."""
        with self._job.store.transaction() as connection:
            self._state.forget_refusals(connection, run_id=self._job.order.run_id, error_type=stop.error_type)

    def _begin(self, connection: Connection, batch: Plan, *, began: datetime) -> Sent:
        lone = unrepeatable(batch.rows)
        creates, order = batch.take(lone), self._job.order
        if len(creates):
            ids = creates.rows["qbench_id"].tolist()
            objects, sent = column(creates.rows["object"]), sent_fields(creates)
            run = {"org_id": self._job.org_id, "run_id": order.run_id}
            self._state.save_intents(connection, **run, ids=ids, sent=sent, objects=objects)
        return self._watch.begin(connection, batch.rows[~lone], began=began)

    def _judged(self, connection: Connection, rows: pd.DataFrame, answer: pd.DataFrame) -> pd.DataFrame:
        """The results, those as conflicts whose CRM record is another's; what is taken over from deleted records is theirs no more."""
        org_id = self._job.org_id
        release(connection, self._state, org_id=org_id, crm_ids=results.taken_over(rows, answer))
        if wanted := results.named_as_existing(answer):
            answer = results.name_left_behind(answer, left_behind(connection, self._state, org_id=org_id, crm_ids=wanted))
        holders = self._state.holders(connection, org_id=org_id, crm_ids=answer["crm_id"].dropna().tolist())
        return results.refuse_held(answer, holders, integration=self._job.order.integration)

    def _save(self, connection: Connection, outcomes: pd.DataFrame) -> pd.DataFrame:
        """The outcomes as they are stored: what failed once too often for a passing cause is open no more."""
        given_up = self._state.save_outcomes(connection, outcomes=outcomes, attempt=self._job.order.attempt)
        return outcomes.assign(retryable=outcomes["retryable"] & ~outcomes["qbench_id"].isin(given_up))


def _over(unclear: pd.Series, calls: Sequence[Answered]) -> list[int]:
    """Those of these QBench ids whose call came back, so that the CRM carries out nothing of it any more."""
    lost = [call.results["qbench_id"] for call in calls if call.lost]
    ids: list[int] = unclear[~unclear.isin(set().union(*lost))].tolist()
    return ids
