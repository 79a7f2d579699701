"""What a run that brings changes home did, counted: records, units, conflicts, errors."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pandas as pd

SAMPLE_IDS = 5


@dataclass(slots=True)
class ReturnReport:
    """The counts of one run, added up as it goes.

    ``rows``: readings of the window; ``others``: looked at besides, because somebody asked for it, it is due, or what it waited for
    changed. ``unlinked``: those of CRM records without a link, which have an outcome where they are to be made in QBench.
    ``read_again``: those read by their ids.
    ``verdicts``: units by what was decided (merging.fields.Verdict); ``conflicts``: values lost, by the side that won.
    ``to_change``: QBench records that a PATCH was planned for, ``limit``: how many may be; None before the run came so far.
    ``changed``: those that QBench changed, ``fields``: its fields that were written, by record count.
    ``samples``: CRM ids by error. ``phases``: seconds spent, by what for.
    """

    started: float = field(default_factory=time.monotonic)
    rows: int = 0
    others: int = 0
    unlinked: int = 0
    read_again: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    conflicts: Counter[str] = field(default_factory=Counter)
    to_change: int | None = None
    limit: int | None = None
    changed: int = 0
    fields: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[str]] = field(default_factory=dict)
    retryable: int = 0
    phases: dict[str, float] = field(default_factory=dict)

    def take(self, rows: int, *, others: bool) -> None:
        """Count readings that are looked at; ``others``: not of the window."""
        if others:
            self.others += rows
        else:
            self.rows += rows

    def add(self, outcomes: pd.DataFrame) -> None:
        """Count final outcomes (schemas.CHANGE_OUTCOMES)."""
        self.outcomes.update(outcomes["outcome"].tolist())
        self.retryable += int(outcomes["retryable"].sum())
        wrong = outcomes[outcomes["error_type"].notna()]
        self.errors.update(wrong["error_type"].tolist())
        for error_type, ids in wrong.groupby("error_type")["crm_id"]:
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
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.started
