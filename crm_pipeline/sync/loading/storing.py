"""Stores what became of records: links, outcomes, intents, and which calls are over; of calls made at once in one transaction.

The only writer of a load. It stores right after the answers, so that a crash costs the calls under way at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.crms.batch import WriteJob
from crm_pipeline.errors import SameRefusalError, UnaccountedException
from crm_pipeline.frames import Flags, blank, equal, one_of, plain, where
from crm_pipeline.mapping.spec import ContactSpec
from crm_pipeline.model import Operation
from crm_pipeline.store.deletions import left_behind, release
from crm_pipeline.store.link_checks import forget_parents
from crm_pipeline.store.open_calls import end_calls, forget_accounts, open_accounts
from crm_pipeline.store.telling import tell_leads
from crm_pipeline.store.write_jobs import begin_job, end_job
from crm_pipeline.sync.loading import results
from crm_pipeline.sync.loading.intents import sent_fields
from crm_pipeline.sync.loading.job import Job
from crm_pipeline.sync.loading.open_calls import Answered, Sent, Watch
from crm_pipeline.sync.loading.replacing import Replacing
from crm_pipeline.sync.loading.settling import Settling
from crm_pipeline.sync.planning.plan import PLAN, Plan, unrepeatable
from crm_pipeline.sync.planning.refused_writes import left_aside

LINKS_AT_ONCE = 4_000
"""So many links one statement stores: a connection keeps room for its largest one for ever, and a job is worth more."""


class Storing:
    """The state of one load. ``unclear``: QBench ids of which nobody knows whether the CRM stored what was sent."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._state = job.order.state
        self._watch = Watch(job.order.state, job.crm)
        self._settling = Settling(job.order.state, run_id=job.order.run_id, may_last=self._watch.may_last)
        self._replacing = Replacing(job)
        self._attempt = job.order.attempt
        self._has_leads = isinstance(job.order.record, ContactSpec) and job.order.crm in job.order.record.as_leads
        self.unclear: set[int] = set()

    def decided(self, planned: Plan) -> None:
        """Store the outcomes that the plan decided itself."""
        decided = equal(planned.rows["operation"], Operation.NONE)
        if not decided.any():
            return
        rows = where(planned.rows, decided)
        with self._job.report.timed("store"), self._job.store.transaction() as connection:
            self._settling.decided(connection, rows)
            self._watch.looked_at(connection, rows)
            outcomes = self._save(connection, results.decided(rows))
        self._job.report.add(outcomes)
        self._job.report.refused_before += left_aside(rows)

    def begin(self, rows: Plan, *, calls: pd.Series, job: WriteJob | None = None) -> Sent:
        """Store what is about to be sent at the same time; ``calls``: per row, by any number, which call carries it.

        Creates that cannot be recognized when repeated are stored as intents, the others as open calls. ``job``: what carries them all.
        """
        lone = unrepeatable(rows.rows)
        with self._job.store.transaction() as connection:
            if lone.any():
                creates = rows.take(lone)
                self._state.save_intents(
                    connection,
                    org_id=self._job.org_id,
                    run_id=self._job.order.run_id,
                    ids=creates.rows["qbench_id"].tolist(),
                    sent=sent_fields(creates),
                    objects=plain(creates.rows["object"]),
                    sent_with=calls[lone].map(calls[lone].value_counts()).tolist(),
                )
            lasts = self._watch.may_last if job is None else self._watch.job_may_last
            sent = self._watch.begin(connection, rows.rows, calls=calls, watched=~lone, lasts=lasts)
            self._settling.decided(connection, rows.rows, begins=sent.began, open_until=sent.began + lasts)
            self._replacing.begin(connection, rows, began=sent.began, open_until=sent.began + lasts)
            if job is not None:
                planned = rows.rows[[name for name in PLAN.names if name != "settled"]]
                names, numbers = plain(job.names), plain(sent.numbers)
                begin_job(connection, self._state, job_id=job.id, verb=job.verb, rows=planned, names=names, calls=numbers)
                sent = replace(sent, job=job.id)
            return sent

    def written(
        self,
        rows: pd.DataFrame,
        answer: pd.DataFrame,
        *,
        call: Answered | None = None,
        goes_again: bool = False,
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Store what became of rows (plan.PLAN), by their results (schemas.WRITE_RESULTS), and count it unless it ``goes_again``.

        ``call``: what is over with it; the rows may be some of those that it carried. Returns the rows and results of contacts whose
        account is still to be sent.
        """
        ids = rows["qbench_id"]
        unclear = one_of(answer["error_type"], results.UNCLEAR) | (call is not None and call.error is not None)
        self.unclear.update(ids[unclear])
        with self._job.report.timed("store"), self._job.storing() as connection:
            answer = self._judged(connection, rows, answer)
            for part in _parts(rows, answer):
                self._link(connection, *part, began=None if call is None else call.sent.began)
            # What a call was noted of has no intent.
            if call is None or call.sent.numbers.hasnans:
                self._state.close_intents(connection, ids=ids[~unclear].tolist())
            if call is not None:
                self._replacing.answered(connection, rows, answer, began=call.sent.began)
                if unclear.any():
                    lost = call.results.loc[call.lost, "qbench_id"]
                    self._state.answer_intents(connection, ids=ids[unclear & ~ids.isin(lost)].tolist())
                self._watch.end(connection, call)
                if call.sent.job is not None and call.error is None:
                    end_job(connection, self._state, job_id=call.sent.job)
            # An earlier call may have given another account: what makes up for that is the account, still to be sent.
            pending = results.parent_open(rows, answer)
            done, told_of = (where(frame, ~pending) for frame in (rows, answer))
            self._watch.made_up_for(connection, told_of)
            outcomes = self._save(connection, results.outcomes(done, told_of))
        if not goes_again:
            self._job.report.add(outcomes)
        waiting = where(rows, pending)
        # What was settled of them is stored by now, and would be most of what is kept of them.
        return waiting if waiting.empty else waiting.assign(settled=None), where(answer, pending)

    def taken_up(self, rows: pd.DataFrame, answer: pd.DataFrame, *, job_id: str, calls: pd.Series) -> None:
        """Store what the job of an earlier load made of its rows, by their results, that it is over, and that the rest was not written.

        ``calls``: per row, the number of its open call.
        """
        done = answer["error_type"].isna()
        self.written(where(rows, done), where(answer, done), goes_again=True)
        not_known = answer["error_type"].eq(UnaccountedException.__name__)
        with self._job.storing() as connection:
            self._state.close_intents(connection, ids=rows.loc[~not_known, "qbench_id"].tolist())
            doubtful = rows.loc[not_known, "qbench_id"].tolist()
            end_calls(connection, self._state, calls=calls.dropna().unique().tolist(), doubtful=doubtful, over_after=timedelta(0))
            end_job(connection, self._state, job_id=job_id)

    def begin_association(self, rows: pd.DataFrame, *, calls: pd.Series) -> Sent:
        """Store that the accounts of contacts are about to be sent; ``calls``: per row, by any number, which call carries it."""
        with self._job.store.transaction() as connection:
            return self._watch.begin(connection, rows, calls=calls, watched=calls.notna(), lasts=self._watch.may_last)

    def end_association(self, call: Answered) -> None:
        """Store that a call of associations came back, without telling what it made."""
        with self._job.storing() as connection:
            self._watch.end(connection, call)

    def associated(self, rows: pd.DataFrame, answer: pd.DataFrame, *, calls: Sequence[Answered] = ()) -> None:
        """Store what became of the accounts of written contacts, and that the ``calls`` are over which carried them.

        Not before: what a call made that is over, and that no link tells of, nobody would look for.
        """
        told = _is_told_before(rows)
        untrue = told & ~(answer["error_type"].isna() & answer["parent_sent"]).to_numpy()
        with self._job.storing() as connection:
            if not told.all():
                self._state.save_links(connection, org_id=self._job.org_id, links=results.links(rows[~told], answer[~told]))
            if untrue.any():
                ids = rows.loc[untrue, "qbench_id"].tolist()
                forget_parents(connection, self._state, ids=ids)
                forget_accounts(connection, self._state, ids=ids)
            for call in calls:
                self._watch.end(connection, call)
            if calls:
                self._watch.made_up_for(connection, answer)
            outcomes = self._save(connection, results.outcomes(rows, answer))
        self._job.report.add(outcomes)

    def close_intents(self, ids: list[int]) -> None:
        """Forget creates that were refused: no record of theirs needs to be looked for."""
        with self._job.storing() as connection:
            self._state.close_intents(connection, ids=ids)

    def open_again(self, stop: SameRefusalError) -> None:
        """Let the next load send again what this one was stopped for: the stop asks people to mend that first."""
        with self._job.store.transaction() as connection:
            self._state.forget_refusals(connection, attempt=self._attempt, error_type=stop.error_type)

    def _link(self, connection: Connection, rows: pd.DataFrame, answer: pd.DataFrame, *, began: datetime | None) -> None:
        """Store the links of rows that were written, with what was settled about them; ``began``: when their call did."""
        told = results.parent_open(rows, answer) & _is_told_before(rows)
        if told.any():
            open_accounts(connection, self._state, ids=rows.loc[told, "qbench_id"].tolist())
            answer = answer.assign(parent_sent=answer["parent_sent"] | told)
        links = results.links(rows, answer)
        arrived = self._settling.arrived(rows, answer, began=began)
        self._state.save_links(connection, org_id=self._job.org_id, links=links, kept=None if arrived is None else arrived.kept)
        if arrived is not None:
            self._settling.written(connection, arrived, began=began)

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
        given_up = self._state.save_outcomes(connection, outcomes=outcomes, attempt=self._attempt)
        if self._has_leads:
            tell_leads(connection, self._state, outcomes=outcomes)
        return outcomes.assign(retryable=outcomes["retryable"] & ~outcomes["qbench_id"].isin(given_up)) if given_up else outcomes


def _is_told_before(rows: pd.DataFrame) -> Flags:
    """Of which contacts (plan.PLAN) the link tells of their account before it is sent: those that have none to leave yet."""
    return blank(rows["previous_parent_qbench_id"])


def _parts(rows: pd.DataFrame, answer: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, ...]]:
    """The rows and their results, LINKS_AT_ONCE at a time."""
    if len(rows) <= LINKS_AT_ONCE:
        yield rows, answer
        return
    for start in range(0, len(rows), LINKS_AT_ONCE):
        yield tuple(frame.iloc[start : start + LINKS_AT_ONCE].reset_index(drop=True) for frame in (rows, answer))
