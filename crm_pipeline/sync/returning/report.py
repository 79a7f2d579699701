"""What a run that brings changes home did, counted: records, units, conflicts, errors."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pandas as pd

from crm_pipeline.sync.tally import Tally


@dataclass(slots=True)
class ReturnReport(Tally):
    """The counts of one run, added up as it goes.

    ``rows``: readings of the window; ``others``: looked at besides, because somebody asked for it, it is due, or what it waited for
    changed. ``unlinked``: those of CRM records without a link, which have an outcome where they are to be made in QBench.
    ``read_again``: those read by their ids.
    ``verdicts``: units by what was decided (merging.fields.Verdict); ``conflicts``: values lost, by the side that won.
    ``to_change``: QBench records that a PATCH was planned for, ``limit``: how many may be; None before the run came so far.
    ``moved``: contacts that have another account in the CRM than their customer's, which is not brought home.
    ``changed``: those that QBench changed, ``fields``: its fields that were written, by record count.
    ``samples`` are CRM ids.
    """

    rows: int = 0
    others: int = 0
    unlinked: int = 0
    read_again: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    conflicts: Counter[str] = field(default_factory=Counter)
    to_change: int | None = None
    limit: int | None = None
    moved: int = 0
    changed: int = 0
    fields: Counter[str] = field(default_factory=Counter)

    def take(self, rows: int, *, others: bool) -> None:
        """Count readings that are looked at; ``others``: not of the window."""
        if others:
            self.others += rows
        else:
            self.rows += rows

    def add(self, outcomes: pd.DataFrame) -> None:
        """Count final outcomes (schemas.CHANGE_OUTCOMES)."""
        self.count(outcomes, ids="crm_id")
