"""When does an hourly run take the recent check of links along? That saves the check a process of its own, which costs as much again.

The check's own schedule stays: it requests what no hourly run has done since its last tick.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorStatus, InstigatorType
from dagster._utils.schedules import get_latest_completed_cron_tick, get_next_cron_tick

from crm_pipeline.orchestration.running import at_work

A_SECOND = timedelta(seconds=1)
"""A tick of a cron at a moment is neither the next one nor the one before, as Dagster counts them."""


@dataclass(frozen=True)
class CheckAlong:
    """The recent check of an integration's links.

    ``schedule`` and ``cron``: its own. ``hourly``: cron of the hourly schedule. ``job``: the one that makes an hour and the check.
    """

    schedule: str
    cron: str
    hourly: str
    job: str
    asset_keys: Sequence[dg.AssetKey]

    def goes_along(self, instance: dg.DagsterInstance, *, at: datetime) -> bool:
        """Whether an hourly run that is requested now makes the check that its schedule would request before the next one."""
        later = at + A_SECOND
        is_next = get_next_cron_tick(self.cron, later, "UTC") <= get_next_cron_tick(self.hourly, later, "UTC")
        return is_next and not self._is_switched_off(instance) and not self.is_at_work(instance)

    def went_along(self, instance: dg.DagsterInstance, *, at: datetime) -> bool:
        """Whether an hourly run made the check since its schedule's tick before this one."""
        before = get_latest_completed_cron_tick(self.cron, at - A_SECOND, "UTC")
        entries = [record.asset_entry for record in instance.get_asset_records(list(self.asset_keys))]
        made = [entry.last_materialization for entry in entries if entry.last_materialization is not None]
        if len(made) < len(self.asset_keys) or min(each.timestamp for each in made) < before.timestamp():
            return False
        runs = instance.get_runs(dg.RunsFilter(run_ids=list({each.run_id for each in made})))
        return all(run.job_name == self.job for run in runs)

    def is_at_work(self, instance: dg.DagsterInstance) -> bool:
        """Whether a check is queued or running."""
        return bool(at_work(instance, {self.job}, {key: key.to_python_identifier() for key in self.asset_keys}))

    def _is_switched_off(self, instance: dg.DagsterInstance) -> bool:
        """Whether someone stopped the schedule in the UI: whoever does wants no check."""
        if instance.schedule_storage is None:  # in memory, without a UI
            return False
        states = instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
        return any(state.instigator_name == self.schedule and state.status is InstigatorStatus.STOPPED for state in states)
