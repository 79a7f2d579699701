"""Sorts what was answered: done, to go again, or there already. What merges made of records is looked up and stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from crm_pipeline.errors import RecordLockedException
from crm_pipeline.sync.links.reader import LinkReader
from crm_pipeline.sync.loading import results
from crm_pipeline.sync.loading.job import Job
from crm_pipeline.sync.loading.merged_or_deleted import follow, follow_parents
from crm_pipeline.sync.loading.refused_values import mend
from crm_pipeline.sync.loading.results import existing
from crm_pipeline.sync.planning.plan import Plan
from crm_pipeline.sync.planning.planner import Planner


@dataclass(frozen=True, slots=True)
class Sorted:
    """A batch after its answer: its rows as they would go now, their results (schemas.WRITE_RESULTS), and masks over both.

    ``again``: may get through at once, changed or once more; ``locked``: of these, what another write held. ``there``: creates
    of a record that is there already. All others are done.
    """

    batch: Plan
    results: pd.DataFrame
    again: pd.Series
    locked: pd.Series
    there: pd.Series

    @property
    def done(self) -> pd.Series:
        """The rows whose result stands."""
        return ~self.again & ~self.there


class Sorting:
    """Sorts the answers of one load; ``planner``: the one that plans now."""

    def __init__(self, job: Job, planner: Callable[[], Planner]) -> None:
        self._job = job
        self._planner = planner

    @cached_property
    def account_reader(self) -> LinkReader:
        """Looks at the links of accounts."""
        return replace(self._link_reader, state=self._job.order.state.accounts)

    @cached_property
    def _link_reader(self) -> LinkReader:
        job = self._job
        return LinkReader(job.order, job.store, job.crm, job.org_id, job.order.state)

    def sort(self, batch: Plan, answer: pd.DataFrame, *, first: bool, last: bool) -> Sorted:
        """Sort the results (schemas.WRITE_RESULTS) of a batch. ``first``, ``last``: of the times that a row is sent in one load."""
        if answer["error_type"].isna().all():
            nothing = pd.Series(False, index=answer.index)
            return Sorted(batch, answer, again=nothing, locked=nothing, there=nothing)
        locked = again = answer["error_type"].eq(RecordLockedException.__name__) & (not last)
        if first:
            batch, answer, moved = follow(self._link_reader, batch, answer)
            again |= moved | self._is_in_our_own_way(answer)
        planner = self._planner()
        if not last:
            rows, answer, moved = follow_parents(lambda: self.account_reader, batch.rows, answer, unless=again)
            batch, mended = mend(replace(batch, rows=rows), answer, planner.targets, planner.fields)
            again |= moved | mended
        is_there = existing(batch.rows, answer) & ~again & (planner.lookup.has_match_keys | answer["crm_id"].notna())
        return Sorted(batch, answer, again=again, locked=locked, there=is_there)

    def _is_in_our_own_way(self, answer: pd.DataFrame) -> pd.Series:
        """Rows refused for a record that we linked, or wrote just now: this load may move it out of the way (docs/rules.md, 23)."""
        named = results.in_the_way(answer)
        written = answer["crm_id"].where(answer["error_type"].isna()).dropna()
        return self._job.holds(named) | named.isin(written)
