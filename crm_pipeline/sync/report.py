"""What a load did, counted: outcomes, errors and calls."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

import pandas as pd

SAMPLE_IDS = 5


@dataclass(slots=True)
class LoadReport:
    """The counts of one load, added up as it runs."""

    started: float = field(default_factory=time.monotonic)
    rows: int = 0
    replanned: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[int]] = field(default_factory=dict)
    retryable: int = 0
    notes: Counter[str] = field(default_factory=Counter)

    def add(self, outcomes: pd.DataFrame) -> None:
        """Count final outcomes (schemas.OUTCOMES)."""
        self.outcomes.update(outcomes["outcome"].tolist())
        self.retryable += int(outcomes["retryable"].sum())
        wrong = outcomes[outcomes["error_type"].notna()]
        self.errors.update(wrong["error_type"].tolist())
        for error_type, ids in wrong.groupby("error_type")["qbench_id"]:
            known = self.samples.setdefault(str(error_type), [])
            known.extend(ids.head(SAMPLE_IDS - len(known)).tolist() if len(known) < SAMPLE_IDS else [])

    @property
    def seconds(self) -> float:
        """Seconds since the load began."""
        return time.monotonic() - self.started

    @property
    def accounted(self) -> int:
        """Rows that have an outcome."""
        return sum(self.outcomes.values())
