"""Moves records to HubSpot's bin, where they lie for 90 days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from crm_pipeline.crms.base import CrmObject
from crm_pipeline.crms.hubspot.answers import NamelessError, problem_of
from crm_pipeline.crms.hubspot.errors import NOT_FOUND, Problem, record_error
from crm_pipeline.crms.hubspot.paths import Paths
from crm_pipeline.crms.hubspot.reading import OBJECT_BATCH, Reader, chunks, problems
from crm_pipeline.crms.hubspot.transport import Transport
from crm_pipeline.errors import CrmFailsOnRecordException, RecordError, ServiceError, ServiceFailedException
from crm_pipeline.halving import Alone, code_of, in_halves
from crm_pipeline.schemas import REMOVED

Failed = dict[str, tuple[type[RecordError], str | None]]
"""By id, the error and HubSpot's code."""


@dataclass(frozen=True, slots=True)
class Remover:
    """Removes records of one portal."""

    transport: Transport
    paths: Paths
    reader: Reader

    def remove(self, crm_object: CrmObject, ids: Sequence[str]) -> pd.DataFrame:
        """Archive the records (crms.abilities.DeletingCrm.remove): a read and a write for 100.

        The id of a record that was merged away leads to the one that it is part of: it is read before, and left alone.
        """
        wanted, failed = list(dict.fromkeys(ids)), Failed()
        done: set[str] = set()
        for part in chunks(wanted, OBJECT_BATCH):
            try:
                failed |= self._part(crm_object, part)
            except ServiceError as error:
                if not done:
                    raise
                failed |= dict.fromkeys(wanted[len(done) :], (ServiceFailedException, type(error).__name__))
                break
            done.update(part)
        told = [failed.get(one) for one in wanted]
        return REMOVED.build(
            {
                "crm_id": wanted,
                "error_type": [None if fault is None else fault[0].__name__ for fault in told],
                "error_code": [None if fault is None else fault[1] for fault in told],
            }
        )

    def _part(self, crm_object: CrmObject, ids: list[str]) -> Failed:
        held, unread = self.reader.current(crm_object.name, ids, [])
        failed: Failed = dict.fromkeys(unread, (CrmFailsOnRecordException, None))
        there = [one for one, record in held.items() if str(record["id"]) == one]
        path = self.paths.batch(crm_object.name, "archive")

        def send(part: Sequence[str], /, *, again: bool) -> list[Problem]:
            body = {"inputs": [{"id": one} for one in part]}
            answer = self.transport.remove(path, body, label="write", repeatable=not again, divisible=len(part) > 1)
            found = problems(answer)
            if any(problem.ids.isdisjoint(part) for problem in found):
                raise NamelessError(integration=self.transport.integration, problem=found[0])
            return found

        for answered in in_halves(there, send, repeatable=True, is_up=self.transport.is_up):
            if isinstance(answered, Alone):
                problem = problem_of(answered.error)
                fault = (CrmFailsOnRecordException, code_of(answered.error)) if problem is None else _fault(problem)
                failed |= {} if fault is None else {answered.item: fault}
                continue
            for problem in answered.answer:
                fault = _fault(problem)
                failed |= {} if fault is None else dict.fromkeys(problem.ids.intersection(answered.items), fault)
        return failed


def _fault(problem: Problem) -> tuple[type[RecordError], str | None] | None:
    """What a refusal means for a record; null where it is gone, which is all that was wanted."""
    if problem.says(NOT_FOUND):
        return None
    error = record_error(problem, not_found=CrmFailsOnRecordException, email_taken=CrmFailsOnRecordException, sends_email=False)
    return error, problem.code
