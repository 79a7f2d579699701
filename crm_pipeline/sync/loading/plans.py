"""Decides what is done with the frames of one load, creates of earlier loads that got no answer included."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import pandas as pd

from crm_pipeline.errors import LinkConflictException, MappingError, RequestRefusedError, SyncsAsContactException
from crm_pipeline.model import MODELS, Operation
from crm_pipeline.sync.links.converting import follow_conversions
from crm_pipeline.sync.loading.intents import settle_intents
from crm_pipeline.sync.loading.job import Job
from crm_pipeline.sync.planning.lookup import Undecided
from crm_pipeline.sync.planning.plan import Plan, left_alone, undone, with_verbs
from crm_pipeline.sync.planning.planner import Planner


class Plans:
    """The plans of one load. ``apart``: takes by QBench id of a create that was not made, how many may go with it in one call."""

    def __init__(self, job: Job, *, apart: dict[int, int]) -> None:
        self._job = job
        self._apart = apart

    @cached_property
    def planner(self) -> Planner:
        """Makes the plans; the CRM's organization is proven by then."""
        job, order = self._job, self._job.order
        return Planner(
            order,
            store=job.store,
            crm=job.crm,
            org_id=job.org_id,
            notes=job.report.notes,
            accounts=order.state.accounts,
            description=job.description,
        )

    def of(self, frame: pd.DataFrame, *, matches: pd.DataFrame | None = None) -> Plan:
        """The plan of normalized rows; ``matches``: matching.MATCHES where they are known already."""
        with self._job.report.timed("plan"):
            return self._without_converted(self._planned(frame, matches))

    def describe_anew(self) -> bool:
        """Ask the CRM for its fields, where kept ones are used; whether they differ, so that plans may."""
        differs = self._job.description.renew()
        if differs:
            del self.planner
        return differs

    def _planned(self, frame: pd.DataFrame, matches: pd.DataFrame | None) -> Plan:
        """The plan by fields that the CRM described just now, or by kept ones of which nothing speaks against."""

        def planned() -> Plan:
            return self.planner.plan(frame, undecided=self._undecided, matches=matches)

        try:
            made = planned()
        except (MappingError, RequestRefusedError):
            if not self.describe_anew():
                raise
            return planned()
        return planned() if self.planner.has_problems and self.describe_anew() else made

    def settle_anew(self) -> None:
        """Ask again, before the next plan, what became of creates that got no answer: some were sent since."""
        del self._undecided

    def _without_converted(self, planned: Plan) -> Plan:
        """The plan without the leads that people converted; their links are moved by now, and their contacts are planned next."""
        job, known = self._job, planned.rows["operation"].isin([Operation.UPDATE, Operation.LINK])
        if MODELS[job.record_type].made_of is None or not known.any():
            return planned
        found, unread = follow_conversions(job.order, planned.rows[known], store=job.store, crm=job.crm, org_id=job.org_id)
        planned = left_alone(planned, pd.Series(unread, dtype="str"))
        for error, rows, reason in (
            (SyncsAsContactException, found[found["obstacle"].isna()], "contact:" + found["contact_crm_id"]),
            (LinkConflictException, found[found["obstacle"].notna()], found["obstacle"]),
        ):
            if len(rows):
                told = planned.rows["qbench_id"].map(reason.set_axis(found["qbench_id"]))
                planned = undone(planned, planned.rows["qbench_id"].isin(rows["qbench_id"]), error=error, reason=told)
        return with_verbs(planned, parent_goes_with=job.crm.capabilities.parent_goes_with)

    @cached_property
    def _undecided(self) -> Mapping[int, Undecided]:
        """By QBench id, why an earlier create can neither be linked nor ruled out."""
        job = self._job
        settled = settle_intents(job.order.state, store=job.store, crm=job.crm, org_id=job.org_id)
        self._apart.update(settled.parts)
        return settled.undecided
