"""How old may a load be before it is called stale?"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice, pairwise

import dagster as dg
from dagster._utils.schedules import cron_string_iterator

from crm_pipeline.integration import IntegrationSpec

HOUR = timedelta(hours=1)
WARN_AFTER_INTERVALS = 1.5
FAIL_AFTER_INTERVALS = 3
_TICKS = 24 * 8
"""Hourly ticks of a little more than a week, which every pause of a weekly schedule lies within."""


def freshness_policy(spec: IntegrationSpec, schedule: str) -> dg.FreshnessPolicy | None:
    """Late after one and a half intervals of the schedule (cron), stale after three; none for a paused integration."""
    if not spec.active:
        return None
    interval = longest_interval(spec.start, schedule)
    return dg.FreshnessPolicy.time_window(fail_window=interval * FAIL_AFTER_INTERVALS, warn_window=interval * WARN_AFTER_INTERVALS)


def longest_interval(start: datetime, schedule: str) -> timedelta:
    """The longest time between two ticks of the schedule, an hour at least: hours are what it runs for."""
    # The minute does not matter, and a tick per hour is enough to see the nights and weekends that a schedule leaves out.
    _, *beyond_the_minute = schedule.split()
    hours = " ".join(["0", *beyond_the_minute]) if beyond_the_minute else schedule  # a word: @daily
    ticks = islice(cron_string_iterator(start.timestamp(), hours, "UTC"), _TICKS)
    return max([HOUR, *(later - earlier for earlier, later in pairwise(ticks))])
