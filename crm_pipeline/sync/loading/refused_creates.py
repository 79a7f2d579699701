"""Creates that the CRM refused because the record is there already: gathered, and linked where that record is found (docs/rules.md, 8)."""

from __future__ import annotations

import pandas as pd

from crm_pipeline.store.normalized_records import normalized_by_id
from crm_pipeline.sync.loading.job import Job
from crm_pipeline.sync.loading.plans import Plans
from crm_pipeline.sync.loading.results import in_the_way, named_ids, unread
from crm_pipeline.sync.loading.storing import Storing
from crm_pipeline.sync.planning.plan import Plan


class RefusedCreates:
    """The refused creates of one load that are not stored."""

    def __init__(self, job: Job, storing: Storing) -> None:
        self._job = job
        self._storing = storing
        self._gathered: list[tuple[pd.DataFrame, pd.DataFrame]] = []

    @property
    def waiting(self) -> list[pd.DataFrame]:
        """The rows (plan.PLAN) that wait."""
        return [rows for rows, _ in self._gathered]

    def add(self, rows: pd.DataFrame, answer: pd.DataFrame) -> None:
        """Gather refused creates (plan.PLAN, and their results in schemas.WRITE_RESULTS)."""
        if len(rows):
            self._gathered.append((rows, answer))

    def found(self, plans: Plans) -> Plan:
        """The plan of those whose record carries their key, or is found by a match key now, or that one of ours was in the way of.

        The others are stored as refused.
        """
        rows, answer = self._all()
        ids = rows["qbench_id"].tolist()
        self._storing.close_intents(ids)
        with self._job.store.transaction() as connection:
            frame = normalized_by_id(connection, self._job.order.integration, self._job.record_type, ids=ids)
        lookup = plans.planner.lookup
        matches = lookup.among_named(frame, named_ids(answer), own=answer.dropna(subset="crm_id").reset_index(drop=True))
        # What was in the way of the others may have moved: this load has written it by now.
        ours = rows.loc[self._job.holds(in_the_way(answer)), "qbench_id"]
        known = frame[frame["qbench_id"].isin(matches["qbench_id"]) | frame["qbench_id"].isin(ours)].reset_index(drop=True)
        planned = plans.of(known, matches=matches)
        # Only now: what a failing look-up leaves here is stored as refused.
        self._gathered = []
        unknown = ~rows["qbench_id"].isin(known["qbench_id"])
        refused = unread(answer[unknown].reset_index(drop=True), lookup.unread)
        self._storing.written(rows[unknown].reset_index(drop=True), refused)
        return planned

    def leave_refused(self) -> None:
        """Store as refused what the load did not get to."""
        if self._gathered:
            rows, answer = self._all()
            self._gathered = []
            self._storing.written(rows, answer)

    def _all(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        rows, answers = zip(*self._gathered, strict=True)
        return pd.concat(rows, ignore_index=True), pd.concat(answers, ignore_index=True)
