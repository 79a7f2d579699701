"""Should the load go on? It stops where its first records are all refused for a fault of the configuration; no I/O."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import pandas as pd

from crm_pipeline.errors import (
    NoAccessToRecordException,
    RequiredFieldException,
    SameRefusalError,
    record_errors,
)
from crm_pipeline.frames import blank
from crm_pipeline.model import Outcome, WaitsOn

EQUAL_REFUSALS = 50
"""Equal refusals in a row, before any record was written, after which a load stops (docs/rules.md, 30)."""

_CAUSE = ["error_type", "error_code", "error_fields"]


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a record was refused: our error, the CRM's code and the CRM fields it named."""

    error_type: str
    code: str | None
    fields: str | None


@dataclass(frozen=True, slots=True)
class FirstRefusals:
    """The equal refusals, curable by configuration alone, that the written rows end with so far; ``over`` once a record was written.

    A refusal for a record's data, or for a passing cause, says nothing about the configuration. It is not counted, and equal refusals
    before and after it still count together.
    """

    cause: Cause | None = None
    count: int = 0
    over: bool = False

    def followed_by(self, answer: pd.DataFrame, *, rows: pd.DataFrame, mapped: Collection[str]) -> FirstRefusals:
        """The state after one more batch's results (schemas.WRITE_RESULTS).

        ``rows``: the batch's rows (schemas.WRITE_ROWS), one per result in their order. ``mapped``: the CRM fields that mappings fill.
        """
        if self.over:
            return self
        if blank(answer["error_type"]).any():
            return replace(self, over=True)
        refused = answer.loc[_is_the_configurations(answer, rows=rows, mapped=mapped), _CAUSE].astype(object)
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


def _is_the_configurations(answer: pd.DataFrame, *, rows: pd.DataFrame, mapped: Collection[str]) -> pd.Series:
    """Which results name a cause in the mapping or the user's rights, which no record can help."""
    error = answer["error_type"]
    named = answer["error_fields"].fillna("").str.split(", ")
    unmapped = named.map(lambda fields: fields != [""] and set(fields).isdisjoint(mapped)).astype("bool")
    # Without the right to create, no record is at fault.
    creates = rows["crm_id"].isna().to_numpy()
    return (
        error.isin(
            [name for name, kind in record_errors().items() if kind.outcome is Outcome.FAILED and kind.waits_on is WaitsOn.CONFIGURATION]
        )
        | (error.eq(RequiredFieldException.__name__) & unmapped)
        | (error.eq(NoAccessToRecordException.__name__) & creates)
    )
