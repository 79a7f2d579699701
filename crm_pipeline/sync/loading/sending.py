"""Sends batches of writes, or of associations, at the same time, and accounts for each of their rows.

A call that fails as a whole is not always the service's trouble: what of it may be passed over is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import NamedTuple, TypeAlias, TypeVar, cast

import numpy as np
import pandas as pd

from crm_pipeline.calls import AtOnce
from crm_pipeline.crms.abilities import JobsCrm, TimedCrm
from crm_pipeline.crms.base import CrmObject
from crm_pipeline.crms.batch import WriteJob, WriteResult, account_for
from crm_pipeline.crms.fewest_calls import ASSOCIATE
from crm_pipeline.errors import ServiceError
from crm_pipeline.frames import where
from crm_pipeline.halving import code_of
from crm_pipeline.model import Verb
from crm_pipeline.schemas import ASSOCIATIONS
from crm_pipeline.sync.loading import results
from crm_pipeline.sync.loading.failed_calls import FailedCalls
from crm_pipeline.sync.loading.job import Job
from crm_pipeline.sync.loading.open_calls import Answered, Sent
from crm_pipeline.sync.loading.outbox import Wave
from crm_pipeline.sync.loading.storing import Storing
from crm_pipeline.sync.order import objects_of
from crm_pipeline.sync.planning.plan import Plan, unrepeatable
from crm_pipeline.sync.planning.reasons import joined

Results: TypeAlias = Sequence[WriteResult] | pd.DataFrame
"""What became of the rows of calls, or, as a frame (schemas.WRITE_RESULTS), of those of a job."""

T = TypeVar("T")


class _Called(NamedTuple):
    """What a call gave, or failed with, and whether one of its attempts got no answer."""

    answer: Results
    error: ServiceError | None
    lost: bool


class _Some(NamedTuple):
    """Some of the calls that were made at once: which of all rows were theirs (bool), and what they gave, or the one failed with.

    ``lost``: per row of theirs, whether an attempt of its call got no answer.
    """

    rows: pd.Series
    answer: Results
    error: ServiceError | None
    lost: pd.Series


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
        if len(parts) == 1:
            return parts[0]
        return cls(*(pd.concat(frames, ignore_index=True) for frames in zip(*((one.rows, one.written) for one in parts), strict=True)))

    def slice(self, start: int, stop: int) -> Contacts:
        """Those from ``start`` up to, not including, ``stop``."""
        if start == 0 and stop >= len(self):
            return self
        return Contacts(*(frame.iloc[start:stop].reset_index(drop=True) for frame in (self.rows, self.written)))

    def take(self, mask: pd.Series) -> Contacts:
        """Those where the mask (bool) holds."""
        return Contacts(*(where(frame, mask) for frame in (self.rows, self.written)))

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

    @property
    def calls_at_once(self) -> int:
        """How many writes go at the same time now."""
        crm = self._job.crm
        return crm.calls_at_once if isinstance(crm, TimedCrm) else crm.capabilities.calls_at_once

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
        if job is None:
            write = partial(crm.write, crm_object)
            carried = [partial(self._call, write, batch) for batch in wave.batches(rows.writes())]
        else:
            carried = [partial(self._call, partial(cast("JobsCrm", crm).carry_out, crm_object, job=job), rows)]
        return Sends(rows, sent, calls, AtOnce(carried, callers=self._job.callers))

    def answered(self, sends: Sends) -> list[tuple[Plan, Answered]]:
        """What batches were answered, once all are: first what was answered, as one; behind it each call that failed."""
        with self._job.report.timed("write"):
            called = sends.under_way.answers()
        return [self._sorted(sends, own) for own in _apart(called, sends.calls)]

    def associate(self, contacts: Contacts) -> list[tuple[Contacts, Answered]]:
        """Send the accounts of written contacts at the same time, in full calls; that these are over is still to be stored.

        What they were answered: first of all that were, as one; behind it of each call that failed.
        """
        self._job.require_locks()
        self._job.report.sent[ASSOCIATE] += len(contacts)
        size, pairs = self._job.crm.capabilities.association_batch_size, contacts.pairs
        calls = pd.Series(np.arange(len(contacts)) // size)
        sent = self._storing.begin_association(contacts.rows, calls=calls)
        batches = [pairs.iloc[start : start + size].reset_index(drop=True) for start in range(0, len(pairs), size)]
        with self._job.report.timed("associate"):
            called = AtOnce([partial(self._call, self._job.crm.associate, batch) for batch in batches], callers=self._job.callers).answers()
        return [self._associated(contacts.take(own.rows), sent.of(own.rows), own) for own in _apart(called, calls)]

    def _associated(self, part: Contacts, sent: Sent, own: _Some) -> tuple[Contacts, Answered]:
        written = part.written
        answered = self._answered(part.rows, sent, own, failed=self._failed_associations, repeatable=True)
        answer = answered.results
        done, note = answer["error_type"].isna(), joined(written["note"], answer["note"])
        of_the_write = {name: written[name] for name in ("created", "crm_id", "kept")}
        return part, replace(answered, results=answer.assign(**of_the_write, parent_sent=done, note=note))

    def _opened(self, crm_object: CrmObject, batch: Plan) -> WriteJob | None:
        """The job of a batch that is larger than a call takes; None where the CRM makes none: it goes by one call after the other."""
        crm = self._job.crm
        if len(batch) <= crm.capabilities.batch_size or not isinstance(crm, JobsCrm):
            return None
        return crm.open_job(crm_object, batch)

    def _call(self, send: Callable[[T], Results], batch: T) -> _Called:
        lost = self._job.crm.calls.lost
        try:
            return _Called(send(batch), None, self._job.crm.calls.lost > lost)
        except ServiceError as error:
            return _Called([], error, self._job.crm.calls.lost > lost)

    def _sorted(self, sends: Sends, own: _Some) -> tuple[Plan, Answered]:
        """The rows of some calls, and what these gave."""
        part = sends.rows.take(own.rows)
        if sends.sent.job is not None:
            # It tells itself what it did, and does nothing once it is over, whichever request had no answer.
            own = own._replace(lost=own.lost & False)
        repeatable = own.error is None or not unrepeatable(part.rows).any()
        return part, self._answered(part.rows, sends.sent.of(own.rows), own, failed=self._failed_writes, repeatable=repeatable)

    def _answered(self, rows: pd.DataFrame, sent: Sent, own: _Some, *, failed: FailedCalls, repeatable: bool) -> Answered:
        error = own.error
        if error is None:
            answer = account_for(rows, own.answer)
            failed.note(answer)
            return Answered(sent, answer, own.lost)
        goes_on = self._goes_on(failed, error, repeatable=repeatable)
        return Answered(sent, results.failed(rows, code=code_of(error)), own.lost, error, stops=not goes_on)

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


def _apart(called: Sequence[_Called], calls: pd.Series) -> Iterator[_Some]:
    """The calls that were answered, as one, and behind them each that failed; ``calls``: per row, which of them carried it."""
    answered = [number for number, one in enumerate(called) if one.error is None]
    failed = [[number] for number, one in enumerate(called) if one.error is not None]
    for of in (answered, *failed):
        if of:
            rows = calls.isin(of)
            lost = pd.Series(np.array([one.lost for one in called])[calls[rows]])
            # A job goes alone.
            answer = called[of[0]].answer if len(of) == 1 else list(chain.from_iterable(called[number].answer for number in of))
            yield _Some(rows, answer, called[of[0]].error, lost)
