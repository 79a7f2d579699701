"""How many calls may fail as a whole before a load stops? No I/O."""

from __future__ import annotations

import pandas as pd

from crm_pipeline.errors import CrmFailsOnRecordException, ServiceError, ServiceFailedException, UnaccountedException
from crm_pipeline.frames import one_of
from crm_pipeline.halving import may_be_lost, most_failures

FAILED_INSIDE = [error.__name__ for error in (ServiceFailedException, UnaccountedException, CrmFailsOnRecordException)]
"""Errors by which the CRM neither took nor refused a record."""


class FailedCalls:
    """How many calls that carry records may fail as a whole, one after the other, before the service counts as down.

    One that was sent in halves, down to single records, and failed all the same has used up what a service may cost. A create
    that cannot be repeated is sent once; it costs two calls, the other one asks whether the service is up.
    """

    def __init__(self, batch_size: int) -> None:
        self._most = most_failures(batch_size)
        self._left = self._most

    @property
    def none(self) -> bool:
        """Whether none failed since the service took or refused a record."""
        return self._left == self._most

    def note(self, answer: pd.DataFrame) -> None:
        """Go by the answer (schemas.WRITE_RESULTS) of a call: a service that takes or refuses a record is up."""
        if not one_of(answer["error_type"], FAILED_INSIDE).all():
            self._left = self._most

    def are_few_with(self, error: ServiceError, *, repeatable: bool) -> bool:
        """Whether a load may go on behind a call that failed with this error too, if the service is up."""
        self._left -= self._most if repeatable else 2
        return may_be_lost(error) and self._left >= 0
