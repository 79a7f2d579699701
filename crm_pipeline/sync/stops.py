"""Is it any use to go on? Stops a load whose first records a CRM refuses for one and the same cause; no I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from crm_pipeline.errors import SameRefusalError, record_errors
from crm_pipeline.model import Outcome

EQUAL_REFUSALS = 50
"""Equal permanent errors in a row, before any record was written, after which a load stops (rules.md, 30)."""

_CAUSE = ["error_type", "error_code", "error_fields"]


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a record was refused: our error, the CRM's code and the CRM fields it named."""

    error_type: str
    code: str | None
    fields: str | None


@dataclass(frozen=True, slots=True)
class FirstRefusals:
    """The equal permanent errors that the written rows end with so far; ``over`` once a record was written.

    Retryable errors say nothing about the cause, and a skipped record is no failure: neither counts, nor ends a row of equals.
    """

    cause: Cause | None = None
    count: int = 0
    over: bool = False

    def followed_by(self, answer: pd.DataFrame) -> FirstRefusals:
        """The state after one more batch's results (schemas.WRITE_RESULTS, in the order of its rows)."""
        if self.over:
            return self
        if answer["error_type"].isna().any():
            return replace(self, over=True)
        refused = answer.loc[answer["error_type"].isin(_permanent()), _CAUSE].astype(object)
        cause, count = self.cause, self.count
        for row in refused.where(refused.notna(), None).itertuples(index=False):
            cause, count = (cause, count + 1) if Cause(*row) == cause else (Cause(*row), 1)
            if count == EQUAL_REFUSALS:
                break
        return FirstRefusals(cause, count)

    def require_different_causes(self, *, integration: str, service: str) -> None:
        """Raises SameRefusalError once there are too many equals for going on to be of use."""
        if self.cause is not None and not self.over and self.count >= EQUAL_REFUSALS:
            raise SameRefusalError(
                integration=integration,
                service=service,
                error_type=self.cause.error_type,
                code=self.cause.code,
                fields=self.cause.fields,
                count=self.count,
            )


def _permanent() -> list[str]:
    return [name for name, error in record_errors().items() if error.outcome is Outcome.FAILED and not error.retryable]
