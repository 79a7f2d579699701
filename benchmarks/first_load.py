"""How long does a first load take in which every service takes its time?

10,000 customers and 50,000 contacts, from a QBench with its limit (300 calls a minute, 50 records each, so 240 s at the least) into both
CRMs with theirs; each service answers after a quarter of a second. A Dagster run whose steps go three at a time, as the schedule starts it.
"""

from __future__ import annotations

import math
from typing import Any

from benchmarks.figures import Figure
from benchmarks.workbench import workbench
from crm_pipeline.orchestration.executor import steps_at_once
from crm_pipeline.sandbox.faults import Fault

CUSTOMERS, CONTACTS = 10_000, 50_000
LATENCY_SECONDS = 0.25
STEPS = 3
MOST_SECONDS = 320.0


def measure(scale: float) -> list[Figure]:
    """Seconds of the run, by parts; ``scale`` shrinks the tenant and the limit."""
    customers, contacts = math.ceil(CUSTOMERS * scale), math.ceil(CONTACTS * scale)
    with workbench(customers=customers, contacts=contacts, crm_limits=True, qbench_limits=True) as bench:
        for service in ("qbench", "hubspot", "salesforce"):
            bench.sandbox.faults.add(Fault(service=service, kind="delay", seconds=LATENCY_SECONDS, times=None))
        ran = bench.run(0, config=steps_at_once(STEPS))
        told = bench.materializations()
        refused = sum(call.status == 429 for call in bench.sandbox.journal.calls())
    name = f"first load of {customers + contacts:,} records into both CRMs at {1_000 * LATENCY_SECONDS:.0f} ms"
    created = sum(int(metadata.get("created", 0)) for metadata in told.values())
    return [
        Figure("first-load", f"{name}: seconds", ran.seconds, unit="s", limit=MOST_SECONDS * scale),
        *(
            Figure("first-load", f"{asset}: seconds", _seconds(metadata), unit="s")
            for asset, metadata in told.items()
            if _seconds(metadata)
        ),
        Figure("first-load", f"{name}: CPU of the run", ran.cpu_seconds, unit="s"),
        Figure("first-load", f"{name}: calls refused as too many", refused, limit=0),
        Figure("first-load", f"{name}: records that did not arrive", 2 * (customers + contacts) - created, limit=0),
    ]


def _seconds(metadata: dict[str, Any]) -> float:
    return float(metadata.get("seconds", 0))
