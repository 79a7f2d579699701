"""What does a first load cost, and how near do its writes come to what the CRMs allow?

The CPU of a run that loads 1,000 customers and 5,000 contacts into both CRMs, above that of a run without changes, and how much of it
is each batch's own. And 10,000 customers and 50,000 contacts in one CRM that takes a quarter of a second for each call, beside its limit:
190 calls in ten seconds in HubSpot, a minute for all of them in Salesforce, where it is also done by jobs of Bulk API 2.0. Each is a
Dagster run in a process of its own; QBench answers at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from benchmarks.figures import Figure
from benchmarks.variables import PARTS_VARIABLE
from benchmarks.workbench import Workbench, only, workbench
from crm_pipeline.sandbox.faults import Fault

CUSTOMERS, CONTACTS = 1_000, 5_000
MANY = 10
"""How many times as many records there are where a CRM takes its time."""
FIRST_LOADS = 4
"""Each into CRMs of its own, and followed by an idle run; the least of each counts: what else a machine does only adds."""
MOST_CPU_SECONDS = 0.30
PARTS = 4
"""Of so many parts of a batch each is sent by itself, to tell what a batch costs from what its records do."""
MOST_BATCH_MILLISECONDS = 10.0
LATENCY_SECONDS = 0.25
CALLS_PER_SECOND = 19.0
"""HubSpot's limit of Professional and Enterprise accounts: 190 calls in ten seconds."""
MOST_UNUSED = 10.0
MOST_SECONDS = 60.0
MOST_CALLS = 120.0
"""Of jobs: some ten a job, whatever it carries."""
ROWS_OF_A_JOB, LEAST_OF_A_JOB = 10_000, 500
"""What ``bulk_from`` says where nobody says anything, and the least that it may say."""


def measure(scale: float) -> list[Figure]:
    """CPU per 1,000 records, calls of HubSpot by what its limit allows, and seconds in Salesforce; ``scale`` shrinks the tenants."""
    return [*_cpu(scale), *_hubspot(scale), *_salesforce(scale)]


def _cpu(scale: float) -> Iterator[Figure]:
    customers, contacts = math.ceil(CUSTOMERS * scale), math.ceil(CONTACTS * scale)
    firsts, idles, missing, batches = [], [], 0, 0
    for _ in range(FIRST_LOADS):
        with workbench(customers=customers, contacts=contacts, crm_limits=False) as bench:
            firsts.append(bench.run(0).cpu_seconds)
            missing = max(missing, 2 * (customers + contacts) - _created(bench))
            idles.append(bench.run(1).cpu_seconds)
            batches = _batches(bench)
    first = min(firsts)
    with workbench(customers=customers, contacts=contacts, crm_limits=False) as bench:
        divided = bench.run(0, settings={PARTS_VARIABLE: str(PARTS)}).cpu_seconds
        further = _batches(bench) - batches
    per_thousand = 1_000 * (first - min(idles)) / (customers + contacts)
    name = f"first load of {customers + contacts:,} records into both CRMs"
    yield Figure("loading", f"{name}: CPU above an idle run, per 1,000", per_thousand, unit="s", limit=MOST_CPU_SECONDS)
    per_batch = 1_000 * (divided - first) / further
    yield Figure("loading", f"{name}: CPU of each batch, whatever it holds", per_batch, unit="ms", limit=MOST_BATCH_MILLISECONDS)
    yield Figure("loading", f"{name}: records that did not arrive", missing, limit=0)


def _batches(bench: Workbench) -> int:
    return sum(bool(call.rows) for crm in ("salesforce", "hubspot") for call in bench.sandbox.journal.calls(crm))


def _hubspot(scale: float) -> Iterator[Figure]:
    name, bench_of = _slowly("hubspot", scale)
    with bench_of() as bench:
        (seconds, _), missing = _load(bench, "hubspot", scale)
        calls = len(bench.sandbox.journal.calls("hubspot"))
    yield Figure("loading", f"{name}: seconds of its loads", seconds, unit="s")
    unused = 100 * (1 - calls / (CALLS_PER_SECOND * seconds))
    yield Figure("loading", f"{name}: what its limit allowed and was not used", unused, unit="%", limit=MOST_UNUSED)
    yield Figure("loading", f"{name}: calls refused as too many", _refused(bench, "hubspot"), limit=0)
    yield Figure("loading", f"{name}: records that did not arrive", missing, limit=0)


def _salesforce(scale: float) -> Iterator[Figure]:
    """By calls of 200 records, and by jobs of Bulk API 2.0."""
    for way, bulk_from, limits in (("calls", "never", (MOST_SECONDS * scale, None)), ("jobs", _rows_of_a_job(scale), (None, MOST_CALLS))):
        name, bench_of = _slowly("salesforce", scale, bulk_from=bulk_from)
        with bench_of() as bench:
            loading, missing = _load(bench, "salesforce", scale)
            calls = sum("/data/" in call.path for call in bench.sandbox.journal.calls("salesforce"))
        yield Figure("loading", f"{name}, by {way}: seconds of its loads", loading.seconds, unit="s", limit=limits[0])
        yield Figure("loading", f"{name}, by {way}: calls", calls, limit=limits[1])
        yield Figure("loading", f"{name}, by {way}: CPU of the run, per 1,000", 1_000 * loading.cpu_seconds / sum(_many(scale)), unit="s")
        yield Figure("loading", f"{name}, by {way}: records that did not arrive", missing, limit=0)


def _rows_of_a_job(scale: float) -> int:
    return max(LEAST_OF_A_JOB, math.ceil(ROWS_OF_A_JOB * scale))


def _slowly(crm: str, scale: float, **settings: Any) -> tuple[str, Callable[[], Any]]:
    """What a load into a CRM that takes its time is called, and the bench that it runs on."""
    customers, contacts = _many(scale)
    name = f"first load of {customers + contacts:,} records into {crm} at {1_000 * LATENCY_SECONDS:.0f} ms"
    also = partial(only, crm=crm, settings=settings)
    return name, partial(workbench, customers=customers, contacts=contacts, crm_limits=True, also=also)


class _Loading(NamedTuple):
    """Seconds of the loads of a run, and CPU seconds of all of it."""

    seconds: float
    cpu_seconds: float


def _load(bench: Workbench, crm: str, scale: float) -> tuple[_Loading, int]:
    """What the loads into a CRM cost that answers late, and how many records are not there."""
    bench.sandbox.faults.add(Fault(service=crm, kind="delay", seconds=LATENCY_SECONDS, times=None))
    run = bench.run(0)
    loads = [metadata for name, metadata in bench.materializations().items() if name.startswith(crm) and "created" in metadata]
    return _Loading(sum(metadata["seconds"] for metadata in loads), run.cpu_seconds), sum(_many(scale)) - _created(bench)


def _many(scale: float) -> tuple[int, int]:
    return math.ceil(CUSTOMERS * MANY * scale), math.ceil(CONTACTS * MANY * scale)


def _created(bench: Workbench) -> int:
    return sum(int(metadata.get("created", 0)) for metadata in bench.materializations().values())


def _refused(bench: Workbench, crm: str) -> int:
    return sum(call.status == 429 for call in bench.sandbox.journal.calls(crm))
