"""What a load did, counted: outcomes, errors and calls."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pandas as pd

from crm_pipeline.sync.tally import Tally


@dataclass(slots=True)
class LoadReport(Tally):
    """The counts of one load, added up as it runs.

    ``expected``: rows that its selection holds; None while they are not counted. ``sent``: rows that needed a call, by verb
    (crms.fewest_calls), repeats left out. ``refused_before``: rows not sent because the CRM refused the same write before.
    """

    expected: int | None = None
    rows: int = 0
    replanned: int = 0
    refused_before: int = 0
    notes: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)

    def take(self, rows: int, *, replanned: bool) -> None:
        """Count rows that are planned; ``replanned``: not of the selection, what they waited for changed."""
        if replanned:
            self.replanned += rows
        else:
            self.rows += rows

    def add(self, outcomes: pd.DataFrame) -> None:
        """Count final outcomes (schemas.OUTCOMES)."""
        self.count(outcomes, ids="qbench_id")

    @property
    def total(self) -> int | None:
        """Rows that the load will have taken at its end, as far as it is known."""
        return None if self.expected is None else max(self.expected, self.rows) + self.replanned

    @property
    def accounted(self) -> int:
        """Rows that have an outcome."""
        return sum(self.outcomes.values())
