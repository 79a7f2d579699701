"""Loads one record type into one CRM: plans the staged rows frame by frame and carries the plan out batch by batch.

The only place where sync does I/O. What a batch did is stored (link, digests, outcome) in one transaction right after its
answer, so that a crash costs one batch at most.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property, reduce

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.calls import spaced
from crm_pipeline.crms.base import Crm, WriteBatch
from crm_pipeline.crms.halving import code_of
from crm_pipeline.errors import (
    CrmFailsOnRecordException,
    CrmPipelineError,
    RecordLockedException,
    SameRefusalError,
    ServiceError,
    ServiceFailedException,
)
from crm_pipeline.model import Operation
from crm_pipeline.schemas import ASSOCIATIONS, WRITE_RESULTS, WRITE_ROWS
from crm_pipeline.store.database import Lock, Store
from crm_pipeline.store.deletions import left_behind, release
from crm_pipeline.store.organizations import require_organization
from crm_pipeline.store.staging import FRAME_ROWS, normalized_by_id
from crm_pipeline.sync import emails, results
from crm_pipeline.sync.existing import existing, named_ids, unread
from crm_pipeline.sync.floor import ASSOCIATE
from crm_pipeline.sync.gone import follow, follow_parents
from crm_pipeline.sync.intents import sent_fields, settle_intents
from crm_pipeline.sync.link_reader import LinkReader
from crm_pipeline.sync.lookup import Undecided
from crm_pipeline.sync.mending import mend
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.planner import Planner
from crm_pipeline.sync.planning import Plan, by_verb, joined, verbs
from crm_pipeline.sync.progress import progress
from crm_pipeline.sync.refused import left_aside
from crm_pipeline.sync.report import LoadReport
from crm_pipeline.sync.selection import Selection, begun, frames_by_id, how_many, taken
from crm_pipeline.sync.stops import FailedCalls, FirstRefusals
from crm_pipeline.sync.turns import Turns, run_of
from crm_pipeline.sync.watching import Sent, Watch

logger = logging.getLogger(__name__)

ROUNDS = 3
"""How often a row that the CRM had locked is sent within one load, after waits that grow."""


class Load:
    """One load. ``run`` does it; ``report`` says what was done, also after ``run`` raised."""

    def __init__(self, order: LoadOrder, *, store: Store, crm: Crm, frame_rows: int = FRAME_ROWS) -> None:
        self.order = order
        self.report = LoadReport()
        self._store = store
        self._crm = crm
        self._frame_rows = frame_rows
        self._record_type = order.spec.record_type
        self._to_write: dict[tuple[str, int], Plan] = {}
        self._to_repeat: list[Plan] = []
        self._locked = False
        self._to_link: list[tuple[pd.DataFrame, pd.DataFrame]] = []
        self._to_associate: list[tuple[pd.DataFrame, pd.DataFrame]] = []
        self._unclear: set[int] = set()
        self._given_up: set[int] = set()
        self._behind: set[int] = set()
        self._last = False
        self._parts: dict[int, int] = {}
        self._failed_writes = FailedCalls(crm.batch_size(order.spec.record_type))
        self._failed_associations = FailedCalls(crm.association_batch_size)
        self._watch = Watch(order.state, crm)
        self._refusals = FirstRefusals()
        self._lock: Lock
        self._block: ExitStack
        self._turns: Turns | None = None
        self._calls_before = sum(crm.calls.snapshot().values())

    def run(self, selection: Selection) -> LoadReport:
        """Load the window's rows and those for which what they waited for has changed, or the named rows.

        Raises the ServiceError or ConfigurationError that stopped it, after storing what was done. Rows that failed for a passing
        cause of their own stop nothing: they stay open by their outcome, which says when they are tried again.
        """
        with run_of(self._store, self.order.integration, self.order.crm) as self._lock, ExitStack() as self._block:
            try:
                for frame in self._frames(selection):
                    self._load_frame(self._sound(frame))
                self._finish()
                self._last = True
                while self._behind:
                    ids, self._behind = sorted(self._behind), set()
                    for frame in frames_by_id(self.order, ids, store=self._store, frame_rows=self._frame_rows):
                        self._load_frame(frame)
                    self._finish()
            except CrmPipelineError as error:
                self._leave_existing_alone()
                self._leave_parents_open()
                if isinstance(error, SameRefusalError):
                    self._open_again(error)
                raise
        return self.report

    def _load_frame(self, frame: pd.DataFrame) -> None:
        if len(frame):
            self._take_turn()
            self._plan_and_write(frame)

    def _sound(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame without the records that the CRM failed on last time: they go behind all others, lest they keep these away."""
        with self._store.transaction() as connection:
            suspect = self.order.state.failed_inside(connection, ids=frame["qbench_id"].tolist())
        self._behind.update(suspect)
        return frame[~frame["qbench_id"].isin(suspect)].reset_index(drop=True) if suspect else frame

    def _open_again(self, stop: SameRefusalError) -> None:
        """Let the next load send again what this one was stopped for: the stop asks people to mend that first."""
        with self._store.transaction() as connection:
            self.order.state.forget_refusals(connection, run_id=self.order.run_id, error_type=stop.error_type)

    def _take_turn(self) -> None:
        """Have the organization's object for a frame; one who waits for it goes first, once nothing of ours is half done."""
        if self._turns is None:
            order = self.order
            turns = Turns(self._store, integration=order.integration, service=order.crm, org_id=self._org_id, record_type=self._record_type)
            self._turns = self._block.enter_context(turns)
        elif self._turns.wanted:
            self._finish()
            if self._turns.pass_on():
                self._planner.look_anew()

    def _require_locks(self) -> None:
        self._lock.require()
        if self._turns is not None:
            self._turns.require()

    def _frames(self, selection: Selection) -> Iterator[pd.DataFrame]:
        with self._store.transaction() as connection:
            again = begun(connection, self.order, selection, accounts=self.order.parent)
            self.report.expected = how_many(connection, self.order, selection)
        for part in taken(self.order, selection, again=again, store=self._store, frame_rows=self._frame_rows):
            if part.replanned:
                self.report.replanned += len(part.frame)
            else:
                self.report.rows += len(part.frame)
            yield part.frame

    @cached_property
    def _org_id(self) -> str:
        org_id = self._crm.organization()
        with self._store.transaction() as connection:
            key_space = self.order.key_space
            require_organization(connection, self.order.integration, self.order.crm, org_id=org_id, key_space=key_space)
        return org_id

    @cached_property
    def _planner(self) -> Planner:
        order = self.order
        return Planner(order, store=self._store, crm=self._crm, org_id=self._org_id, notes=self.report.notes, accounts=order.parent)

    @cached_property
    def _link_reader(self) -> LinkReader:
        return LinkReader(self.order, self._store, self._crm, self._org_id, self.order.state)

    @cached_property
    def _account_reader(self) -> LinkReader:
        return replace(self._link_reader, state=self.order.parent)

    @cached_property
    def _undecided(self) -> Mapping[int, Undecided]:
        """By QBench id, why an earlier create can neither be linked nor ruled out."""
        settled = settle_intents(self.order.state, store=self._store, crm=self._crm, org_id=self._org_id)
        self._parts.update(settled.parts)
        return settled.undecided

    def _plan_and_write(self, frame: pd.DataFrame) -> None:
        planned = self._plan(frame)
        if self._is_under_way(planned.rows):
            # Only once that is written are its links known, without which a record would be created, or linked, twice.
            self._finish()
            del self._undecided
            planned = self._plan(frame)
        self._carry_out(planned)
        if planned.rows["operation"].eq(Operation.NONE).all():
            self._tell_progress("nothing to write for these")

    def _plan(self, frame: pd.DataFrame) -> Plan:
        with self.report.timed("plan"):
            return self._planner.plan(frame, undecided=self._undecided)

    def _carry_out(self, planned: Plan) -> None:
        """Store what the plan decided itself, and write the rest as soon as batches are full."""
        done = results.decided(planned.rows)
        with self.report.timed("store"), self._store.transaction() as connection:
            done = self._saved(connection, done)
        self.report.add(done)
        self.report.refused_before += left_aside(planned.rows)
        writes = planned.take(planned.rows["operation"] != Operation.NONE)
        for part in emails.in_order(writes):
            self._buffer_in_turn(part)

    def _buffer_in_turn(self, part: Plan) -> None:
        """Buffer writes, behind those that give up an email which one of these takes."""
        if emails.takes(part.rows, self._given_up).any():
            self._write_rest()
        self._given_up |= emails.given_up(part.rows)
        for verb, of_verb in by_verb(part):
            sizes = self._most_in_a_call(of_verb.rows)
            for size in sizes.unique():
                self._buffer(verb, of_verb.take(sizes == size), size=int(size))

    def _most_in_a_call(self, rows: pd.DataFrame) -> pd.Series:
        """With how many others a row may go: as many as the CRM takes, fewer where a call failed that was to create it."""
        full = self._crm.batch_size(self._record_type)
        return rows["qbench_id"].map(self._parts).where(_unrepeatable(rows)).fillna(full).astype("int64")

    def _is_under_way(self, rows: pd.DataFrame) -> bool:
        """Whether a row was planned before in this load (it changed meanwhile), or leads to a CRM record that another one takes."""
        held = (rows for rows, _ in (*self._to_associate, *self._to_link))
        parts = [*(part.rows for part in (*self._to_write.values(), *self._to_repeat)), *held]
        qbench_ids = self._unclear.union(*(part["qbench_id"] for part in parts))
        crm_ids = set().union(*(part["crm_id"].dropna() for part in parts))
        return bool((rows["qbench_id"].isin(qbench_ids) | rows["crm_id"].isin(crm_ids)).any())

    def _buffer(self, verb: str, part: Plan, *, size: int) -> None:
        pending = self._to_write[verb, size].followed_by(part) if (verb, size) in self._to_write else part
        full = len(pending.rows) // size * size
        for start in range(0, full, size):
            self._write(pending.slice(start, start + size))
        self._to_write[verb, size] = pending.slice(full, len(pending.rows))

    def _finish(self) -> None:
        """Carry out everything that waits for a fuller batch."""
        self._write_rest()
        self._repeat_rows()
        self._link_existing()
        self._associate(at_least=1)

    def _write_rest(self) -> None:
        for pending in self._to_write.values():
            if len(pending.rows):
                self._write(pending)
        self._to_write.clear()
        self._given_up.clear()

    def _repeat_rows(self) -> None:
        """Send again what was locked, mended or stood in our own way: first what gives up an email, then what takes it."""
        size = self._crm.batch_size(self._record_type)
        for attempt in range(2, ROUNDS + 1):
            if not self._to_repeat:
                return
            if self._locked:
                time.sleep(spaced(attempt - 1, self.order.settings.waits))
            again, self._to_repeat, self._locked = reduce(Plan.followed_by, self._to_repeat), [], False
            for part in emails.in_order(again):
                for _, of_verb in by_verb(part):
                    for start in range(0, len(of_verb.rows), size):
                        self._write(of_verb.slice(start, start + size), attempt=attempt)

    def _write(self, batch: Plan, *, attempt: int = 1) -> None:
        """Send one batch and store what became of it, also when the call fails."""
        self._require_locks()
        sent = self._begin(batch)
        if attempt == 1:
            self._count_sent(batch)
        try:
            with self.report.timed("write"):
                answer = self._crm.write(
                    self._record_type, WriteBatch(WRITE_ROWS.build(batch.rows[WRITE_ROWS.names]), batch.values, batch.sent)
                )
        except ServiceError as error:
            goes_on = self._goes_on(self._failed_writes, error, repeatable=not _unrepeatable(batch.rows).any())
            self._store_failed(batch.rows, error, sent=sent, passed_over=goes_on)
            if goes_on:
                return
            raise
        self._failed_writes.note(answer)
        answered = answer = results.account_for(batch.rows, answer)
        again = answer["error_type"].eq(RecordLockedException.__name__) & (attempt < ROUNDS)
        self._locked |= bool(again.any())
        if attempt == 1:
            batch, answer, moved = follow(self._link_reader, batch, answer)
            again |= moved | self._is_in_our_own_way(answer)
        if attempt < ROUNDS:
            rows, answer, moved = follow_parents(self._account_reader, batch.rows, answer, unless=again)
            batch, again = replace(batch, rows=rows), again | moved
            batch, mended = mend(batch, answer, self._planner.targets, self._planner.fields)
            again |= mended
        if again.any():
            self._to_repeat.append(batch.take(again))
        there = existing(batch.rows, answer) & ~again & (self._planner.lookup.has_match_keys | answer["crm_id"].notna())
        if there.any():
            self._to_link.append((batch.rows[there], answer[there]))
        done = ~again & ~there
        self._store_results(batch.rows[done].reset_index(drop=True), answer[done].reset_index(drop=True), sent=sent, answered=answered)
        self._refusals = self._refusals.followed_by(answer, rows=batch.rows, mapped=batch.values.columns)
        self._refusals.require_different_causes(integration=self.order.integration, service=self.order.crm)
        self._associate(at_least=self._crm.association_batch_size)
        self._tell_progress(f"wrote {len(batch.rows)}, {int(answer['error_type'].notna().sum())} of them refused")

    def _goes_on(self, failed: FailedCalls, error: ServiceError, *, repeatable: bool = True) -> bool:
        """Whether the load goes on behind a call that failed: the CRM is up, and may have failed for what was in it.

        A call that could be sent in halves tells the service's trouble from that of records; only once these go behind all others,
        nobody waits for what they cost.
        """
        return (self._last or not repeatable) and failed.are_few_with(error, repeatable=repeatable) and self._crm.is_up()

    def _store_failed(self, rows: pd.DataFrame, error: ServiceError, *, sent: Sent, passed_over: bool) -> None:
        """Store that a call failed. Of creates that it carried together nobody knows which one is to blame: they go in smaller parts."""
        known_to_fail = len(rows) == 1 and rows["qbench_id"].iat[0] in self._parts
        why = CrmFailsOnRecordException if passed_over and known_to_fail else ServiceFailedException
        if passed_over and not known_to_fail and _unrepeatable(rows).any():
            self._behind.update(rows["qbench_id"])
        self._store_results(rows, results.failed(rows, why=why, code=code_of(error)), sent=sent, error=error)

    def _count_sent(self, batch: Plan) -> None:
        """Count the rows of a batch for which a call is needed (crms.base.Crm.write)."""
        verb = verbs(batch.rows)
        with_parent = batch.rows["parent_crm_id"].notna() & verb.isin(list(self._crm.parent_goes_with))
        needed = batch.sent.any(axis=1) | batch.rows["key"].notna() | with_parent
        self.report.sent.update(verb[needed].tolist())

    def _tell_progress(self, what: str) -> None:
        report = self.report
        logger.info(
            "%s %s %ss: %s; %s; %d calls",
            self.order.integration,
            self.order.crm,
            self._record_type,
            what,
            progress(report.accounted, report.total, seconds=report.seconds),
            sum(self._crm.calls.snapshot().values()) - self._calls_before,
        )

    def _is_in_our_own_way(self, answer: pd.DataFrame) -> pd.Series:
        """Rows refused for a record that we linked: another row of this load may move that out of the way (docs/rules.md, 23)."""
        named = answer["error_ids"].where(answer["error_type"].isin(results.EXISTING))
        if named.isna().all():
            return pd.Series(False, index=answer.index)
        with self._store.transaction() as connection:
            holders = self.order.state.holders(connection, org_id=self._org_id, crm_ids=named.dropna().tolist())
        ours = holders.loc[holders["integration"] == self.order.integration, "crm_id"]
        return named.isin(ours)

    def _link_existing(self) -> None:
        """Link the refused creates whose record carries their key, or a match key finds now; the others stay refused (docs/rules.md, 8)."""
        if not self._to_link:
            return
        rows, answer = self._waiting_to_link()
        ids = rows["qbench_id"].tolist()
        with self._store.transaction() as connection:
            # They were refused, so that no record of theirs needs to be looked for.
            self.order.state.close_intents(connection, ids=ids)
            frame = normalized_by_id(connection, self.order.integration, self._record_type, ids=ids)
        matches = self._planner.lookup.among_named(frame, named_ids(answer), own=answer.dropna(subset="crm_id").reset_index(drop=True))
        known = frame[frame["qbench_id"].isin(matches["qbench_id"])].reset_index(drop=True)
        planned = self._planner.plan(known, undecided=self._undecided, matches=matches) if len(known) else None
        # Only now: what a failing look-up leaves here is stored as refused.
        self._to_link = []
        unknown = ~rows["qbench_id"].isin(matches["qbench_id"])
        refused = unread(answer[unknown].reset_index(drop=True), self._planner.lookup.unread)
        self._store_results(rows[unknown].reset_index(drop=True), refused)
        if planned is not None:
            self._carry_out(planned)
            self._write_rest()
            self._repeat_rows()

    def _leave_existing_alone(self) -> None:
        if self._to_link:
            self._store_results(*self._waiting_to_link())

    def _waiting_to_link(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The creates (planning.PLAN) refused for a record that is there, and their results."""
        rows, answers = zip(*self._to_link, strict=True)
        return pd.concat(rows, ignore_index=True), pd.concat(answers, ignore_index=True)

    def _store_results(
        self,
        rows: pd.DataFrame,
        answer: pd.DataFrame,
        *,
        sent: Sent | None = None,
        answered: pd.DataFrame | None = None,
        error: ServiceError | None = None,
    ) -> None:
        """Store what became of rows; ``sent`` is the call that is over with it, ``answered`` what it said of all its rows.

        ``error``: what it failed with, so that nobody knows what it made.
        """
        unclear = answer["error_type"].isin(results.UNCLEAR) | (error is not None)
        self._unclear.update(rows.loc[unclear, "qbench_id"])
        with self.report.timed("store"), self._store.transaction() as connection:
            claimed = results.taken_over(rows, answer)
            release(connection, self.order.state, org_id=self._org_id, crm_ids=claimed)
            if wanted := results.named_as_existing(answer):
                left = left_behind(connection, self.order.state, org_id=self._org_id, crm_ids=wanted)
                answer = results.name_left_behind(answer, left)
            holders = self.order.state.holders(connection, org_id=self._org_id, crm_ids=answer["crm_id"].dropna().tolist())
            answer = results.refuse_held(answer, holders, integration=self.order.integration)
            pending = results.parent_open(rows, answer)
            outcomes = results.outcomes(rows, answer)[~pending].reset_index(drop=True)
            self.order.state.save_links(connection, org_id=self._org_id, links=results.links(rows, answer))
            self.order.state.close_intents(connection, ids=rows.loc[~unclear, "qbench_id"].tolist())
            if sent is not None and self._watch.came_back(sent):
                self.order.state.answer_intents(connection, ids=rows.loc[unclear, "qbench_id"].tolist())
            self._watch.end(connection, sent, answer if answered is None else answered, error=error)
            self._watch.made_up_for(connection, answer, called_before=self._planner.called_before)
            outcomes = self._saved(connection, outcomes)
        if pending.any():
            self._to_associate.append((rows[pending], answer[pending]))
        self.report.add(outcomes[~outcomes["qbench_id"].isin(self._behind)])

    def _associate(self, *, at_least: int) -> None:
        """Associate the written contacts with their accounts in full calls, while there are ``at_least`` as many."""
        size = self._crm.association_batch_size
        while sum(len(rows) for rows, _ in self._to_associate) >= at_least:
            rows, written = self._waiting_for_parent()
            self._associate_batch(rows[:size].reset_index(drop=True), written[:size].reset_index(drop=True))
            self._to_associate = [(rows[size:], written[size:])]

    def _waiting_for_parent(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The written contacts (planning.PLAN) that are not associated yet, and their results."""
        rows, written = zip(*self._to_associate, strict=True)
        return pd.concat(rows, ignore_index=True), pd.concat(written, ignore_index=True)

    def _leave_parents_open(self) -> None:
        """Store that contacts are written whose association the load did not get to."""
        if self._to_associate:
            outcomes = results.outcomes(*self._waiting_for_parent())
            with self._store.transaction() as connection:
                outcomes = self._saved(connection, outcomes)
            self.report.add(outcomes)

    def _associate_batch(self, rows: pd.DataFrame, written: pd.DataFrame) -> None:
        answer = self._associated(rows, written)
        rows, answer, moved = follow_parents(self._account_reader, rows, answer, unless=answer["error_type"].isna())
        if moved.any():
            again = self._associated(rows[moved].reset_index(drop=True), written[moved].reset_index(drop=True))
            answer = WRITE_RESULTS.build(pd.concat([answer[~moved], again.set_axis(answer.index[moved])]).sort_index())
        outcomes = results.outcomes(rows, answer)
        with self._store.transaction() as connection:
            self.order.state.save_links(connection, org_id=self._org_id, links=results.links(rows, answer))
            outcomes = self._saved(connection, outcomes)
        self.report.add(outcomes)

    def _associated(self, rows: pd.DataFrame, written: pd.DataFrame) -> pd.DataFrame:
        """What became of the accounts of written contacts (schemas.WRITE_RESULTS)."""
        pairs = ASSOCIATIONS.build(
            rows[["qbench_id", "parent_crm_id", "beside"]].assign(crm_id=written["crm_id"], previous_crm_id=rows["previous_parent_crm_id"])
        )
        self._require_locks()
        self.report.sent[ASSOCIATE] += len(rows)
        with self._store.transaction() as connection:
            sent = self._watch.begin(connection, rows)
        failed: ServiceError | None = None
        try:
            with self.report.timed("associate"):
                answer = results.account_for(rows, self._crm.associate(pairs))
            self._failed_associations.note(answer)
        except ServiceError as error:
            failed, answer = error, results.failed(rows, code=code_of(error))
        with self._store.transaction() as connection:
            self._watch.end(connection, sent, answer, error=failed)
            self._watch.made_up_for(connection, answer, called_before=self._planner.called_before)
        if failed is not None and not self._goes_on(self._failed_associations, failed):
            raise failed
        return WRITE_RESULTS.build(
            answer.assign(
                created=written["created"],
                crm_id=written["crm_id"],
                parent_sent=answer["error_type"].isna(),
                note=joined(written["note"], answer["note"]),
            )
        )

    def _begin(self, batch: Plan) -> Sent:
        """Store what is about to be sent: creates that cannot be recognized when repeated as intents, the others as an open call."""
        unrepeatable = _unrepeatable(batch.rows)
        creates = batch.take(unrepeatable)
        ids = creates.rows["qbench_id"].tolist()
        with self._store.transaction() as connection:
            if ids:
                self.order.state.save_intents(connection, org_id=self._org_id, run_id=self.order.run_id, ids=ids, sent=sent_fields(creates))
            return self._watch.begin(connection, batch.rows[~unrepeatable])

    def _saved(self, connection: Connection, outcomes: pd.DataFrame) -> pd.DataFrame:
        """The outcomes as they are stored: what failed once too often for a passing cause is open no more."""
        order = self.order
        given_up = order.state.save_outcomes(
            connection, outcomes=outcomes, backoff=order.retries.backoff, run_id=order.run_id, partition_key=order.partition_key
        )
        return outcomes.assign(retryable=outcomes["retryable"] & ~outcomes["qbench_id"].isin(given_up))


def _unrepeatable(rows: pd.DataFrame) -> pd.Series:
    """Which rows (planning.PLAN) are creates that the CRM would not recognize when they were sent again."""
    return (rows["operation"] == Operation.CREATE) & rows["key"].isna()
