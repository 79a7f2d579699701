"""Carries out the plans of one load: gathers full batches, sends several at once, and hands each row on by what was answered."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from functools import cached_property

import pandas as pd

from crm_pipeline.calls import spaced
from crm_pipeline.errors import CrmPipelineError, RequestRefusedError, SameRefusalError, ServiceError
from crm_pipeline.frames import among, blank, plain, where
from crm_pipeline.sync.loading import results
from crm_pipeline.sync.loading.associating import Associating
from crm_pipeline.sync.loading.first_refusals import FirstRefusals
from crm_pipeline.sync.loading.job import Job
from crm_pipeline.sync.loading.open_calls import Answered
from crm_pipeline.sync.loading.outbox import Outbox, Wave
from crm_pipeline.sync.loading.plans import Plans
from crm_pipeline.sync.loading.refused_creates import RefusedCreates
from crm_pipeline.sync.loading.sending import Sending, Sends
from crm_pipeline.sync.loading.sorting import Sorting
from crm_pipeline.sync.loading.storing import Storing
from crm_pipeline.sync.loading.suspects import Suspects
from crm_pipeline.sync.planning.plan import Plan

logger = logging.getLogger(__name__)

TIMES = 3
"""How often a row is sent within one load, where the CRM had it locked, after waits that grow."""


class Delivery:
    """The planned writes of one load, until what became of them is stored."""

    def __init__(self, job: Job, plans: Plans, *, sending: Sending, storing: Storing, suspects: Suspects) -> None:
        self._job = job
        self._plans = plans
        self._sending = sending
        self._storing = storing
        self._suspects = suspects
        limits = job.crm.capabilities
        self._outbox = Outbox(limits.batch_size, at_once=limits.calls_at_once, apart=suspects.apart, rows_of_a_job=sending.rows_of_a_job)
        self._associating = Associating(job, sending, storing, accounts=lambda: self._sorting.account_reader)
        self._refused_creates = RefusedCreates(job, storing)
        self._first_refusals = FirstRefusals()
        self._under_way: tuple[Sends, int] | None = None
        """What was sent last, and for which time."""
        self._answered: list[tuple[Plan, Answered, int]] = []
        """What is answered and not handed on: rows, their calls, and for which time they were sent."""

    def is_under_way(self, rows: pd.DataFrame) -> bool:
        """Whether a row was planned before in this load (it changed meanwhile), or leads to a CRM record that another one takes.

        Waits for what is under way: a plan made meanwhile may have found a record that it makes.
        """
        self._await()
        parts = [*self._outbox.waiting, *self._refused_creates.waiting, *self._associating.waiting]
        parts += [frame for batch, call, _ in self._answered for frame in (batch.rows, call.results)]
        ids, led_to = rows["qbench_id"], rows["crm_id"].dropna()
        return bool(ids.isin(self._storing.unclear).any()) or any(
            ids.isin(part["qbench_id"]).any() or (len(led_to) and among(led_to, part["crm_id"]).any()) for part in parts
        )

    def carry_out(self, planned: Plan) -> None:
        """Store what the plan decided itself, and write the rest as soon as batches are full."""
        self._storing.decided(planned)
        writes = planned.with_write()
        if len(writes) < len(planned) and len(kept := planned.without_write()):
            self._associating.add(*self._storing.written(kept.rows, results.kept(kept.rows)))
        for wave in self._outbox.add(writes):
            self._send_all(wave)
        if not len(writes):
            self._job.done(len(planned))

    def finish(self) -> None:
        """Carry out everything that waits for a fuller batch."""
        self._send_rest()
        if self._refused_creates.waiting:
            self.carry_out(self._refused_creates.found(self._plans))
            self._send_rest()
            self._refused_creates.leave_refused()
        self._associating.send(at_least=1)

    def break_off(self, error: CrmPipelineError) -> None:
        """Store what is answered yet, and as open what the load does not get to, for the error that stops it."""
        while self._under_way is not None or self._answered:
            # The load ends for the first error. What another one leaves unstored, the next load settles as after a crash.
            try:
                self._settle()
            except CrmPipelineError as another:
                logger.warning("behind what ends the load, also: %s", another)
        self._refused_creates.leave_refused()
        self._associating.leave_open()
        if isinstance(error, SameRefusalError):
            self._storing.open_again(error)

    @cached_property
    def _sorting(self) -> Sorting:
        return Sorting(self._job, lambda: self._plans.planner)

    def _send_rest(self) -> None:
        for wave in self._outbox.rest():
            self._send_all(wave)
        self._settle()
        for turn in range(2, TIMES + 1):
            if self._outbox.is_locked:
                time.sleep(spaced(turn - 1, self._job.order.settings.waits))
            for wave in self._outbox.again():
                self._send(wave, turn=turn)

    @property
    def _goes_smoothly(self) -> bool:
        """Whether the CRM took a record, and answered the latest call."""
        return self._first_refusals.over and self._sending.goes_well

    def _send_all(self, wave: Wave) -> None:
        """Send batches at the same time; one by one until the CRM takes a record, and behind a call that failed.

        What is for a job goes one after the other: of it a call's worth until then, and as much as a job takes from then on.
        """
        size = self._job.crm.capabilities.batch_size
        while True:
            self._await()
            if not self._goes_smoothly:
                self._hand_on()
            smoothly, now = self._goes_smoothly, 1
            if wave.sizes[0] > size:
                wave = wave.with_less_in_the_first(self._sending.rows_that_fit(wave.part(0, 1).rows) if smoothly else size)
            elif smoothly:
                now = min(len(wave), self._sending.calls_at_once)
            self._send(wave.part(0, now))
            if now == len(wave):
                return
            wave = wave.part(now, len(wave))

    def _send(self, wave: Wave, *, turn: int = 1) -> None:
        """Send batches at the same time, for the ``turn``-th time; meanwhile what was sent before is handed on.

        Only what is answered lets others go, so that no two calls under way touch one record, one address or one account.
        """
        if turn == 1:
            self._job.report.sent.update(plain(wave.rows.rows["verb"]))
        self._await()
        self._under_way = (self._sending.begin(wave), turn)
        self._hand_on()
        if turn > 1 or self._job.crm.capabilities.calls_in_flight == 1:
            self._settle()

    def _await(self) -> None:
        """Wait until what is under way is answered."""
        if self._under_way is not None:
            (sends, turn), self._under_way = self._under_way, None
            self._answered += ((rows, call, turn) for rows, call in self._sending.answered(sends))

    def _settle(self) -> None:
        """Wait for what is under way, and hand it on."""
        self._await()
        self._hand_on()

    def _hand_on(self) -> None:
        """Hand rows on by what they were answered.

        Raises the ServiceError of a CRM that is down, after storing what the others were answered, and that its rows are open for it.
        """
        stop: ServiceError | None = None
        while self._answered:
            rows, call, turn = self._answered.pop(0)
            if call.error is None:
                self._take_up(rows, call, turn=turn)
            elif isinstance(call.error, RequestRefusedError) and self._is_by_other_fields:
                self._suspects.plan_again(rows.rows, call)
            elif call.stops:
                self._storing.written(rows.rows, call.results, call=call)
                stop = call.error
            else:
                self._suspects.pass_over(rows, call)
        if stop is not None:
            raise stop

    @property
    def _is_by_other_fields(self) -> bool:
        """Whether what the first pass over all rows sends may be planned by kept fields that the CRM describes otherwise now."""
        return not self._sending.suspects_only and (self._plans.describe_anew() or self._job.description.differed)

    def _take_up(self, batch: Plan, call: Answered, *, turn: int) -> None:
        """Hand rows on by what their calls were answered."""
        order = self._job.order
        may_be_otherwise = results.refused(call.results).any() and self._is_by_other_fields
        found = self._sorting.sort(batch, call.results, first=turn == 1, last=turn == TIMES)
        if found.again.any():
            self._outbox.put_back(found.batch.take(found.again), locked=bool(found.locked.any()))
        if found.there.any():
            self._refused_creates.add(where(found.batch.rows, found.there), where(found.results, found.there))
        anew = found.done & results.refused(found.results) & may_be_otherwise
        if anew.any():
            self._suspects.plan_again(found.batch.rows, replace(call, results=found.results), anew)
        rows, done = (where(frame, found.done & ~anew) for frame in (found.batch.rows, found.results))
        self._associating.add(*self._storing.written(rows, done, call=call))
        said, of = (where(frame, ~anew) for frame in (found.results, found.batch.rows))
        self._first_refusals = self._first_refusals.followed_by(said, rows=of, mapped=batch.values.columns)
        self._first_refusals.require_different_causes(integration=order.integration, service=order.crm)
        self._associating.send_full()
        self._job.done(len(batch), wrote=len(batch), refused=int((~blank(found.results["error_type"])).sum()))
