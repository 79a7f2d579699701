"""The fewest calls that write these rows."""

from __future__ import annotations

import math
from collections.abc import Mapping

from crm_pipeline.crms.abilities import JobsCrm
from crm_pipeline.crms.base import Crm, CrmObject
from crm_pipeline.model import Verb

ASSOCIATE = "associate"
"""Stands among the verbs (model.Verb) for the rows whose account needs a call of its own."""


def fewest_calls(crm: Crm, crm_object: CrmObject, rows: Mapping[str, int]) -> dict[str, int]:
    """The calls that full batches, and jobs, make of these rows of an object, by verb."""
    return {verb: _calls(crm, crm_object, verb, count) for verb, count in sorted(rows.items()) if count}


def _calls(crm: Crm, crm_object: CrmObject, verb: str, count: int) -> int:
    if verb == ASSOCIATE:
        return math.ceil(count / crm.capabilities.association_batch_size)
    of_jobs = 0
    if isinstance(crm, JobsCrm) and (size := crm.rows_of_a_job(crm_object, Verb(verb))):
        jobs, count = divmod(count, size)
        of_jobs = jobs * crm.calls_of_a_job
    return of_jobs + math.ceil(count / crm.capabilities.batch_size)
