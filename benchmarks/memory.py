"""How much memory does a worker need? A first load of 100,000 contacts in one partition, and of 200,000.

The run is a Dagster run in a process of its own, whose peak resident memory the kernel tells when it ends; the stand-ins
are in this process, PostgreSQL in its own. The services' rate limits are off, so that it ends in minutes.
"""

from __future__ import annotations

import math

from benchmarks.figures import Figure
from benchmarks.workbench import Worker, workbench

CONTACTS = 100_000
CONTACTS_PER_CUSTOMER = 10
LIMIT_MB = 400
NOISE = 1.10
"""How much more the peak may be for twice the contacts."""


def measure(scale: float) -> list[Figure]:
    """The worker's peak at one and at two hundred thousand contacts, times ``scale``, and what the runs took."""
    contacts = math.ceil(CONTACTS * scale)
    once, once_missing = _load(contacts)
    twice, twice_missing = _load(2 * contacts)
    return [
        Figure("memory", f"peak at {contacts:,} contacts", once.peak_mb, unit="MB", limit=LIMIT_MB),
        Figure("memory", f"peak at {2 * contacts:,} contacts", twice.peak_mb, unit="MB", limit=LIMIT_MB),
        Figure("memory", "peak of the second by that of the first", twice.peak_mb / once.peak_mb, limit=NOISE),
        Figure("memory", "records that did not arrive in both CRMs", once_missing + twice_missing, limit=0),
        Figure("memory", f"run at {contacts:,} contacts", once.seconds, unit="s"),
        Figure("memory", f"run at {2 * contacts:,} contacts", twice.seconds, unit="s"),
        Figure("memory", f"CPU of the worker at {contacts:,} contacts", once.cpu_seconds, unit="s"),
        Figure("memory", f"CPU of the worker at {2 * contacts:,} contacts", twice.cpu_seconds, unit="s"),
    ]


def _load(contacts: int) -> tuple[Worker, int]:
    """A first load's cost, and how many records are in only one CRM or none."""
    customers = math.ceil(contacts / CONTACTS_PER_CUSTOMER)
    with workbench(customers=customers, contacts=contacts, crm_limits=False) as bench:
        worker = bench.run(0)
        created = sum(int(metadata.get("created", 0)) for metadata in bench.materializations().values())
        return worker, 2 * (customers + contacts) - created
