"""What became of jobs whose load ended before it knew? Asked of the CRM by their ids before anything is planned (docs/rules.md, 42)."""

from __future__ import annotations

import logging
from typing import cast

import pandas as pd

from crm_pipeline.counting import counted
from crm_pipeline.crms.abilities import JobsCrm
from crm_pipeline.crms.batch import WriteJob, account_for
from crm_pipeline.schemas import WRITE_RESULTS
from crm_pipeline.store.write_jobs import StoredJob, begun_jobs
from crm_pipeline.sync.loading.job import Job
from crm_pipeline.sync.loading.storing import Storing
from crm_pipeline.sync.order import objects_of
from crm_pipeline.sync.planning.plan import PLAN

logger = logging.getLogger(__name__)


def take_up_jobs(job: Job, storing: Storing) -> None:
    """Store what earlier loads' jobs wrote, as those loads would have; what they did not write is planned anew.

    Raises the ServiceError of a job that is not known to be over: until then nothing may be planned of its rows.
    """
    if not isinstance(job.crm, JobsCrm):
        return
    with job.store.transaction() as connection:
        stored = begun_jobs(connection, job.order.state)
    for one in stored:
        job.take_turn()
        job.require_locks()
        _take_up(job, storing, one)


def _take_up(job: Job, storing: Storing, stored: StoredJob) -> None:
    rows = PLAN.of_rows(list(stored.columns), list(zip(*stored.columns.values(), strict=True)))
    [(crm_object, _)] = objects_of(job.order.state, rows["object"])
    org_id = job.org_id
    named = WriteJob(stored.id, stored.verb, pd.Series(stored.names, dtype="str"))
    told = cast("JobsCrm", job.crm).take_up(crm_object, rows, named)
    if told is None:
        logger.warning("%s %s: %s has forgotten job %s", job.order.integration, job.order.crm, org_id, stored.id)
    answer = account_for(rows, WRITE_RESULTS.empty() if told is None else told)
    storing.taken_up(rows, answer, job_id=stored.id, calls=pd.Series(stored.calls, dtype="Int64"))
    written = int(answer["error_type"].isna().sum())
    logger.info(
        "%s %s: job %s of an earlier load wrote %s of %d",
        job.order.integration,
        job.order.crm,
        stored.id,
        counted(written, "record"),
        len(rows),
    )
