"""What a load did, counted: outcomes, errors and calls."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pandas as pd

SAMPLE_IDS = 5


@dataclass(slots=True)
class LoadReport:
    """The counts of one load, added up as it runs.

    ``expected``: rows that its selection holds; None while they are not counted. ``sent``: rows that needed a call, by verb
    (crms.fewest_calls), repeats left out. ``refused_before``: rows not sent because the CRM refused the same write before.
    ``phases``: seconds spent, by what for.
    """

    started: float = field(default_factory=time.monotonic)
    expected: int | None = None
    rows: int = 0
    replanned: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[int]] = field(default_factory=dict)
    retryable: int = 0
    refused_before: int = 0
    notes: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    phases: dict[str, float] = field(default_factory=dict)

    def take(self, rows: int, *, replanned: bool) -> None:
        """Count rows that are planned; ``replanned``: not of the selection, what they waited for changed."""
        if replanned:
            self.replanned += rows
        else:
            self.rows += rows

    def add(self, outcomes: pd.DataFrame) -> None:
        """Count final outcomes (schemas.OUTCOMES)."""
        self.outcomes.update(outcomes["outcome"].tolist())
        self.retryable += int(outcomes["retryable"].sum())
        wrong = outcomes[outcomes["error_type"].notna()]
        self.errors.update(wrong["error_type"].tolist())
        for error_type, ids in wrong.groupby("error_type")["qbench_id"]:
            known = self.samples.setdefault(str(error_type), [])
            known.extend(ids.head(SAMPLE_IDS - len(known)).tolist() if len(known) < SAMPLE_IDS else [])

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Count the seconds spent inside as this phase's."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.phases[phase] = self.phases.get(phase, 0.0) + time.monotonic() - began

    @property
    def total(self) -> int | None:
        """Rows that the load will have taken at its end, as far as it is known."""
        return None if self.expected is None else max(self.expected, self.rows) + self.replanned

    @property
    def seconds(self) -> float:
        """Seconds since the load began."""
        return time.monotonic() - self.started

    @property
    def accounted(self) -> int:
        """Rows that have an outcome."""
        return sum(self.outcomes.values())
