"""What an hourly run costs in which nothing changed, beside a run of the same eight assets that do nothing at all."""

from __future__ import annotations

import statistics

from benchmarks.figures import Figure
from benchmarks.workbench import Workbench, workbench

CUSTOMERS, CONTACTS = 1_000, 5_000
RUNS = 3
MOST_TIMES_EMPTY = 1.5


def measure(scale: float) -> list[Figure]:
    """CPU of the whole process of a run, start and imports included, the median of a few; the records are loaded before."""
    with workbench(customers=round(CUSTOMERS * scale), contacts=round(CONTACTS * scale), crm_limits=True) as bench:
        bench.run(0)
        bench.run(1)
        ours, empty, empty_with_checks = (statistics.median(times) for times in zip(*(_once(bench) for _ in range(RUNS)), strict=True))
    return [
        Figure("hourly", "CPU of a run without changes", round(ours, 2), "s"),
        Figure("hourly", "CPU of an empty run of its assets", round(empty, 2), "s"),
        Figure("hourly", "CPU of an empty run of its assets and their checks", round(empty_with_checks, 2), "s"),
        Figure("hourly", "run without changes ÷ empty run", round(ours / empty, 2), "x", limit=MOST_TIMES_EMPTY),
    ]


def _once(bench: Workbench) -> tuple[float, float, float]:
    return bench.run(1).cpu_seconds, bench.run(1, empty="assets").cpu_seconds, bench.run(1, empty="checks").cpu_seconds
