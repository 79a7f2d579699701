"""Sends batches of writes, or of associations, at the same time, and accounts for each of their rows.

A call that fails as a whole is not always the service's trouble: what of it may be passed over is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, TypeVar, cast

import numpy as np
import pandas as pd

from crm_pipeline.calls import AtOnce
from crm_pipeline.crms.abilities import JobsCrm
from crm_pipeline.crms.base import CrmObject
from crm_pipeline.crms.batch import WriteJob, account_for
from crm_pipeline.crms.fewest_calls import ASSOCIATE
from crm_pipeline.errors import ServiceError
from crm_pipeline.halving import code_of
from crm_pipeline.model import Verb
from crm_pipeline.schemas import ASSOCIATIONS, WRITE_RESULTS
from crm_pipeline.sync.loading import results
from crm_pipeline.sync.loading.failed_calls import FailedCalls
from crm_pipeline.sync.loading.job import Job
from crm_pipeline.sync.loading.open_calls import Answered, Sent
from crm_pipeline.sync.loading.outbox import Wave
from crm_pipeline.sync.loading.storing import Storing
from crm_pipeline.sync.order import objects_of
from crm_pipeline.sync.planning.plan import Plan, unrepeatable
from crm_pipeline.sync.planning.reasons import joined

T = TypeVar("T")


class _Called(NamedTuple):
    """What a call gave, or failed with, and whether one of its attempts got no answer."""

    answer: pd.DataFrame
    error: ServiceError | None
    lost: bool


@dataclass(frozen=True, slots=True)
class Sends:
    """Batches of writes that are under way: their rows as one, whose calls are stored, and per row which of the calls carries it."""

    rows: Plan
    sent: Sent
    calls: pd.Series
    under_way: AtOnce[_Called]


@dataclass(frozen=True, slots=True)
class Contacts:
    """Written contacts whose accounts are to be sent: plan.PLAN, and their results (schemas.WRITE_RESULTS)."""

    rows: pd.DataFrame
    written: pd.DataFrame

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def together(cls, parts: Sequence[Contacts]) -> Contacts:
        """All of them, one after the other."""
        return cls(*(pd.concat(frames, ignore_index=True) for frames in zip(*((one.rows, one.written) for one in parts), strict=True)))

    def slice(self, start: int, stop: int) -> Contacts:
        """Those from ``start`` up to, not including, ``stop``."""
        return Contacts(*(frame.iloc[start:stop].reset_index(drop=True) for frame in (self.rows, self.written)))

    @property
    def pairs(self) -> pd.DataFrame:
        """What is sent of them (schemas.ASSOCIATIONS)."""
        told = {"crm_id": self.written["crm_id"], "previous_crm_id": self.rows["previous_parent_crm_id"]}
        return ASSOCIATIONS.build(self.rows[["qbench_id", "parent_crm_id", "beside"]].assign(**told))


class Sending:
    """The calls of one load. ``suspects_only``: what goes out now are records that the CRM failed on before."""

    def __init__(self, job: Job, storing: Storing) -> None:
        self._job = job
        self._storing = storing
        self._failed_writes = FailedCalls(job.crm.capabilities.batch_size)
        self._failed_associations = FailedCalls(job.crm.capabilities.association_batch_size)
        self.suspects_only = False

    @property
    def goes_well(self) -> bool:
        """Whether the latest write got through, or none was sent."""
        return self._failed_writes.none

    def rows_of_a_job(self, object_name: str, verb: str) -> int | None:
        """How many writes of one of the CRM's objects (blank: the usual one) are worth a job; None where the load will not have as many."""
        job = self._job
        if not isinstance(job.crm, JobsCrm):
            return None
        [(crm_object, _)] = objects_of(job.order.state, pd.Series([object_name or None], dtype="str"))
        rows = job.crm.rows_of_a_job(crm_object, Verb(verb))
        return rows if rows is not None and (job.report.expected or 0) >= rows else None

    def rows_that_fit(self, batch: Plan) -> int:
        """How many rows of a batch that is larger than a call takes go at once, from its first: by one job, where the CRM makes one."""
        [(crm_object, _)] = objects_of(self._job.order.state, batch.rows["object"])
        crm = self._job.crm
        return crm.rows_that_fit(crm_object, batch) if isinstance(crm, JobsCrm) else len(batch)

    def begin(self, wave: Wave) -> Sends:
        """Send batches of writes at the same time, each all of one object; the open calls and intents are stored before.

        One that is larger than a call takes goes alone, by a job, which is stored before it is given its rows.
        """
        rows, calls = wave.rows, _numbered(wave.sizes)
        [(crm_object, _)] = objects_of(self._job.order.state, rows.rows["object"])
        job = self._opened(crm_object, rows) if len(wave) == 1 else None
        self._job.require_locks()
        sent = self._storing.begin(rows, calls=calls, job=job)
        crm = self._job.crm
        send = partial(crm.write, crm_object) if job is None else partial(cast("JobsCrm", crm).carry_out, crm_object, job=job)
        return Sends(rows, sent, calls, AtOnce([partial(self._call, send, batch) for batch in wave], callers=self._job.callers))

    def answered(self, sends: Sends) -> list[tuple[Plan, Answered]]:
        """What batches were answered, once all are: first what was answered, as one; behind it each call that failed."""
        with self._job.report.timed("write"):
            called = sends.under_way.answers()
        answered = [number for number, one in enumerate(called) if one.error is None]
        failed = [[number] for number, one in enumerate(called) if one.error is not None]
        return [self._sorted(sends, [called[number] for number in own], of=own) for own in (answered, *failed) if own]

    def associate(self, parts: Sequence[Contacts]) -> list[Answered]:
        """Send the accounts of written contacts at the same time, a call for each part; that it is over is still to be stored."""
        self._job.require_locks()
        rows, calls = pd.concat([part.rows for part in parts], ignore_index=True), _numbered([len(part) for part in parts])
        self._job.report.sent[ASSOCIATE] += len(rows)
        sent = self._storing.begin_association(rows, calls=calls)
        send = partial(self._call, self._job.crm.associate)
        with self._job.report.timed("associate"):
            called = AtOnce([partial(send, part.pairs) for part in parts], callers=self._job.callers).answers()
        return [
            self._associated(part, sent.of(calls.eq(number)), one) for number, (part, one) in enumerate(zip(parts, called, strict=True))
        ]

    def _associated(self, part: Contacts, sent: Sent, called: _Called) -> Answered:
        rows, written = part.rows, part.written
        lost = pd.Series(called.lost, index=rows.index)
        answered = self._answered(rows, sent, called, lost, failed=self._failed_associations, repeatable=True)
        answer = answered.results
        done, note = answer["error_type"].isna(), joined(written["note"], answer["note"])
        of_the_write = {name: written[name] for name in ("created", "crm_id", "kept")}
        told = answer.assign(**of_the_write, parent_sent=done, note=note)
        return replace(answered, results=WRITE_RESULTS.build(told))

    def _opened(self, crm_object: CrmObject, batch: Plan) -> WriteJob | None:
        """The job of a batch that is larger than a call takes; None where the CRM makes none: it goes by one call after the other."""
        crm = self._job.crm
        if len(batch) <= crm.capabilities.batch_size or not isinstance(crm, JobsCrm):
            return None
        return crm.open_job(crm_object, batch)

    def _call(self, send: Callable[[T], pd.DataFrame], batch: T) -> _Called:
        lost = self._job.crm.calls.lost
        try:
            answer, error = send(batch), None
        except ServiceError as failed:
            answer, error = WRITE_RESULTS.empty(), failed
        return _Called(answer, error, self._job.crm.calls.lost > lost)

    def _sorted(self, sends: Sends, called: Sequence[_Called], *, of: Sequence[int]) -> tuple[Plan, Answered]:
        """The rows of some calls, and what these gave."""
        own = sends.calls.isin(of)
        part, lost = sends.rows.take(own), sends.calls[own].map({number: one.lost for number, one in zip(of, called, strict=True)})
        if sends.sent.job is not None:
            # It tells itself what it did, and does nothing once it is over, whichever request had no answer.
            lost = lost & False
        together = called[0]._replace(answer=pd.concat([one.answer for one in called], ignore_index=True))
        repeatable = not unrepeatable(part.rows).any()
        answered = self._answered(
            part.rows, sends.sent.of(own), together, lost.reset_index(drop=True), failed=self._failed_writes, repeatable=repeatable
        )
        return part, answered

    def _answered(
        self, rows: pd.DataFrame, sent: Sent, called: _Called, lost: pd.Series, *, failed: FailedCalls, repeatable: bool
    ) -> Answered:
        error = called.error
        if error is None:
            answer = account_for(rows, called.answer)
            failed.note(answer)
            return Answered(sent, answer, lost)
        goes_on = self._goes_on(failed, error, repeatable=repeatable)
        return Answered(sent, results.failed(rows, code=code_of(error)), lost, error, stops=not goes_on)

    def _goes_on(self, failed: FailedCalls, error: ServiceError, *, repeatable: bool) -> bool:
        """Whether the load goes on behind a call that failed: the CRM is up, and may have failed for what was in it.

        A call that could be sent in halves tells the service's trouble from that of records; only when suspects are left, nobody
        waits for what they cost.
        """
        may = self.suspects_only or not repeatable
        return may and failed.are_few_with(error, repeatable=repeatable) and self._job.crm.is_up()


def _numbered(sizes: Sequence[int]) -> pd.Series:
    """Per row of parts of these sizes, one behind the other, the number of its part."""
    return pd.Series(np.repeat(range(len(sizes)), sizes))
