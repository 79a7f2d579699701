"""Sends one batch of writes, or of associations, and accounts for each of its rows.

A call that fails as a whole is not always the service's trouble: what of it may be passed over is decided here.
"""

from __future__ import annotations

import pandas as pd

from crm_pipeline.crms.batch import account_for
from crm_pipeline.crms.fewest_calls import ASSOCIATE
from crm_pipeline.errors import ServiceError
from crm_pipeline.halving import code_of
from crm_pipeline.schemas import ASSOCIATIONS, WRITE_RESULTS
from crm_pipeline.sync.loading import results
from crm_pipeline.sync.loading.failed_calls import FailedCalls
from crm_pipeline.sync.loading.job import Job
from crm_pipeline.sync.loading.open_calls import Answered
from crm_pipeline.sync.loading.storing import Storing
from crm_pipeline.sync.order import objects_of
from crm_pipeline.sync.planning.plan import Plan, unrepeatable
from crm_pipeline.sync.planning.reasons import joined


class Sending:
    """The calls of one load. ``suspects_only``: what goes out now are records that the CRM failed on before."""

    def __init__(self, job: Job, storing: Storing) -> None:
        self._job = job
        self._storing = storing
        self._failed_writes = FailedCalls(job.crm.capabilities.batch_size)
        self._failed_associations = FailedCalls(job.crm.capabilities.association_batch_size)
        self.suspects_only = False

    def write(self, batch: Plan) -> Answered:
        """Send one batch of writes, all of one object; the open calls and intents are stored before.

        An answer with an error is one behind which the load goes on. Raises any other ServiceError, after storing that the
        rows are open for it.
        """
        [(crm_object, _)] = objects_of(self._job.order.state, batch.rows["object"])
        self._job.require_locks()
        sent = self._storing.begin(batch)
        try:
            with self._job.report.timed("write"):
                answer = account_for(batch.rows, self._job.crm.write(crm_object, batch))
        except ServiceError as error:
            failed = Answered(sent, results.failed(batch.rows, code=code_of(error)), error)
            if not self._goes_on(self._failed_writes, error, repeatable=not unrepeatable(batch.rows).any()):
                self._storing.written(batch.rows, failed.results, call=failed)
                raise
            return failed
        self._failed_writes.note(answer)
        return Answered(sent, answer)

    def associate(self, rows: pd.DataFrame, written: pd.DataFrame) -> Answered:
        """Send the accounts of written contacts (plan.PLAN, and their results); that the call is over is still to be stored.

        Raises the ServiceError of a CRM that is down, after storing that the call is over.
        """
        pairs = ASSOCIATIONS.build(
            rows[["qbench_id", "parent_crm_id", "beside"]].assign(crm_id=written["crm_id"], previous_crm_id=rows["previous_parent_crm_id"])
        )
        self._job.require_locks()
        self._job.report.sent[ASSOCIATE] += len(rows)
        sent, failed = self._storing.begin_association(rows), None
        try:
            with self._job.report.timed("associate"):
                answer = account_for(rows, self._job.crm.associate(pairs))
            self._failed_associations.note(answer)
        except ServiceError as error:
            answer, failed = results.failed(rows, code=code_of(error)), error
        if failed is not None and not self._goes_on(self._failed_associations, failed, repeatable=True):
            self._storing.end_association(Answered(sent, answer, failed))
            raise failed
        done, note = answer["error_type"].isna(), joined(written["note"], answer["note"])
        of_the_write = {name: written[name] for name in ("created", "crm_id", "kept")}
        told = answer.assign(**of_the_write, parent_sent=done, note=note)
        return Answered(sent, WRITE_RESULTS.build(told), failed)

    def _goes_on(self, failed: FailedCalls, error: ServiceError, *, repeatable: bool) -> bool:
        """Whether the load goes on behind a call that failed: the CRM is up, and may have failed for what was in it.

        A call that could be sent in halves tells the service's trouble from that of records; only when suspects are left, nobody
        waits for what they cost.
        """
        may = self.suspects_only or not repeatable
        return may and failed.are_few_with(error, repeatable=repeatable) and self._job.crm.is_up()
