"""What became of records in one run, counted as it goes: outcomes, errors with a few ids of each, and where the time went."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from crm_pipeline.store.standing import Condition, condition_of

SAMPLE_IDS = 5


@dataclass(slots=True)
class Tally:
    """``kinds``: by outcome, error (no text without one) and whether it is retryable. ``samples``: a few ids by error.

    ``phases``: seconds spent, by what for.
    """

    started: float = field(default_factory=time.monotonic)
    outcomes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    kinds: Counter[tuple[str, Any, bool]] = field(default_factory=Counter)
    samples: dict[str, list[Any]] = field(default_factory=dict)
    retryable: int = 0
    phases: dict[str, float] = field(default_factory=dict)

    def count(self, outcomes: pd.DataFrame, *, ids: str) -> None:
        """Count final outcomes (schemas.OUTCOMES or CHANGE_OUTCOMES); ``ids``: the column that tells the records."""
        kinds = Counter(zip(*(outcomes[name].tolist() for name in ("outcome", "error_type", "retryable")), strict=True))
        self.kinds.update(kinds)
        for (outcome, _, retryable), records in kinds.items():
            self.outcomes[outcome] += records
            self.retryable += records * retryable
        failed = outcomes["error_type"].notna()
        if not failed.any():
            return
        wrong = outcomes[failed]
        self.errors.update(wrong["error_type"].tolist())
        for error_type, of_error in wrong.groupby("error_type")[ids]:
            known = self.samples.setdefault(str(error_type), [])
            known.extend(of_error.head(SAMPLE_IDS - len(known)).tolist() if len(known) < SAMPLE_IDS else [])

    @property
    def conditions(self) -> Counter[Condition]:
        """The records by the condition that they ended in."""
        found: Counter[Condition] = Counter()
        for (outcome, error_type, retryable), records in self.kinds.items():
            found[condition_of(outcome, error_type, retryable=retryable)] += records
        return found

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Count the seconds spent inside as this phase's."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.phases[phase] = self.phases.get(phase, 0.0) + time.monotonic() - began

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.started
