"""How long does what failed for a passing cause wait, and when is it given up? What the YAML says about it (docs/rules.md, 40)."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from crm_pipeline.configuration.model import YamlModel
from crm_pipeline.errors import record_errors
from crm_pipeline.store.crm_state import Backoff


class RetrySettings(YamlModel):
    """When records that failed for a passing cause (a lock, a call that broke off) are tried again by themselves.

    An approval that holds a record is waited for from an hour on, and never given up.
    """

    first_after_minutes: Annotated[float, Field(gt=0, description="Minutes to the first try after a failed one.", examples=[5])] = 5
    factor: Annotated[float, Field(ge=1, description="How many times as long each further wait is.", examples=[2])] = 2
    longest_hours: Annotated[float, Field(gt=0, description="The longest wait between two tries, in hours.", examples=[6])] = 6
    attempts: Annotated[
        int,
        Field(
            ge=1,
            description="Tries after which a record is failed for good, until it changes or is asked for by `retry`. "
            "A service that is down, or an approval, uses up no try.",
            examples=[12],
        ),
    ] = 12

    @property
    def backoff(self) -> Backoff:
        """The same in the store's terms, with what errors have of their own (errors.Patience)."""
        passing = {name: error for name, error in record_errors().items() if error.retryable}
        return Backoff(
            first_seconds=timedelta(minutes=self.first_after_minutes).total_seconds(),
            factor=self.factor,
            longest_seconds=timedelta(hours=self.longest_hours).total_seconds(),
            attempts=self.attempts,
            own_first_seconds={
                name: timedelta(minutes=error.patience.first_minutes).total_seconds()
                for name, error in passing.items()
                if error.patience.first_minutes is not None
            },
            never_given_up=[name for name, error in passing.items() if not error.patience.gives_up],
        )
