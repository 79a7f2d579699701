"""What does an integration cost that stands for an hour in which nothing changes? CPU of all processes, by process.

Deployments stand side by side, each a code server, the daemon, a webserver and a PostgreSQL of its own: one without integrations,
two with ten that are not loaded, for what their sensors cost without alerts and with them, and one with a loaded integration whose
schedules have their hour meanwhile. The window is as long as the longest time between two ticks of a sensor, and begins between two.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime, timedelta

from benchmarks.deployment import deployed
from benchmarks.figures import Figure
from benchmarks.variables import COPIES_VARIABLE, SPEC_VARIABLE
from benchmarks.workbench import BenchmarkError, Workbench, one_way, workbench

CUSTOMERS, CONTACTS = 1_000, 5_000
COPIES = 10
WINDOW_SECONDS = 300
SETTLING_SECONDS = WINDOW_SECONDS / 2
"""From the first tick of all sensors to the window: the next tick is then in its middle."""
UNTIL_FIRST_TICK_SECONDS = 45
WINDOWS_PER_HOUR = 3_600 / WINDOW_SECONDS
MOST_CPU_SECONDS = {"an integration": 9.0, "one with alerts": 10.0}
WEBHOOK = {"webhook": {"env": "BENCHMARK_WEBHOOK"}}

Cost = Mapping[str, float]


def measure(scale: float) -> list[Figure]:
    """The CPU of an hour, by process, without alerts and with them; ``scale`` shrinks the tenant."""
    base, silent, alerting, loaded = _window(scale)
    # What the loaded one has beside its sensors' ticks, the schedules' ticks and the runs, comes once an hour.
    hourly = {part: loaded[part] - base[part] - _of_one(silent, base)[part] / WINDOWS_PER_HOUR for part in base}
    return [
        *_hour("an integration", _of_one(silent, base), hourly),
        *_hour("one with alerts", _of_one(alerting, base), hourly),
        Figure("standing", "a deployment without integrations: CPU of all in an hour", _total(base) * WINDOWS_PER_HOUR, unit="s"),
    ]


def _of_one(many: Cost, base: Cost) -> dict[str, float]:
    """What the sensors of one integration cost in an hour."""
    return {part: (many[part] - base[part]) / COPIES * WINDOWS_PER_HOUR for part in base}


def _hour(name: str, ticks: Cost, hourly: Cost) -> Iterator[Figure]:
    for part in ticks:
        yield Figure("standing", f"{name}, an hour: CPU of {part}", ticks[part] + hourly[part], unit="s")
    total = _total(ticks) + _total(hourly)
    yield Figure("standing", f"{name}, an hour: CPU of its sensors' ticks among these", _total(ticks), unit="s")
    yield Figure("standing", f"{name}, an hour: CPU of all (row 8)", total, unit="s", limit=MOST_CPU_SECONDS[name])
    yield Figure("standing", f"{name}: so many on a core", round(3_600 / total))


def _total(cost: Cost) -> float:
    return sum(cost.values())


def _window(scale: float) -> list[Cost]:
    """What each deployment cost in the window: without integrations, with unloaded ones, with these and alerts, with a loaded one."""
    with ExitStack() as stack:
        empty, silent, alerting, loaded = (stack.enter_context(_workbench(scale, alerts=alerts)) for alerts in (False, False, True, False))
        loaded.run(0)
        before_window = UNTIL_FIRST_TICK_SECONDS + SETTLING_SECONDS
        due = datetime.now(UTC) + timedelta(seconds=before_window + 60)
        copies = [(bench, {COPIES_VARIABLE: str(COPIES), **_scheduled(bench, due.minute + 30)}) for bench in (silent, alerting)]
        described = [(empty, {COPIES_VARIABLE: "0"}), *copies, (loaded, _scheduled(loaded, due.minute))]
        deployments = [stack.enter_context(deployed(bench, settings)) for bench, settings in described]
        time.sleep(before_window)
        before = [deployment.cost() for deployment in deployments]
        time.sleep(WINDOW_SECONDS)
        after = [deployment.cost() for deployment in deployments]
        if len(loaded.materialized_hours()) < 2:
            raise BenchmarkError("the schedule requested no run")
        return [{part: now[part] - then[part] for part in now} for now, then in zip(after, before, strict=True)]


def _scheduled(bench: Workbench, minute: int) -> dict[str, str]:
    """The integration with all its hourly schedules from this minute past the hour on."""
    crons = {"schedule": f"{minute % 60} * * * *", "links": {"recent": f"{(minute + 1) % 60} * * * *"}}
    return {SPEC_VARIABLE: json.dumps({**json.loads(bench.environment[SPEC_VARIABLE]), **crons})}


def _workbench(scale: float, *, alerts: bool) -> AbstractContextManager[Workbench]:
    more = {"alerts": WEBHOOK} if alerts else {}
    return workbench(
        customers=round(CUSTOMERS * scale),
        contacts=round(CONTACTS * scale),
        crm_limits=True,
        also=lambda written: {**one_way(written), **more},
    )
