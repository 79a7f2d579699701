"""How near does reading QBench come to what its limit allows: 50 records a call, 300 calls in 60 seconds?

The customers of a tenant that takes a quarter of a second for each answer, read over whole windows of the limit: the records that its
calls brought, by those that as many calls of full pages bring in the time until the next window began.
"""

from __future__ import annotations

import math
import os
import time

from benchmarks.figures import Figure
from benchmarks.workbench import SEED
from crm_pipeline.model import RecordType
from crm_pipeline.qbench.client import QBenchClient
from crm_pipeline.qbench.reading import read_changes
from crm_pipeline.qbench.settings import LARGEST_PAGE, QBenchSettings
from crm_pipeline.sandbox.credentials import SANDBOX_CREDENTIALS
from crm_pipeline.sandbox.sandbox import start_sandbox
from crm_pipeline.sandbox.seed import seed_tenant
from crm_pipeline.sandbox.tenant import Limits

LATENCY_SECONDS = 0.25
WINDOWS = 2
CALLS, SECONDS = 300, 60.0
MOST_UNUSED = 5.0
SLACK_PAGES = 40
"""Pages behind the last window, so that the call after it is made."""


def measure(scale: float) -> list[Figure]:
    """What the limit allowed and was not used, calls refused, records missed; ``scale`` shrinks the limit's window and its calls."""
    calls, seconds = max(1, math.ceil(CALLS * scale)), SECONDS * scale
    count = (WINDOWS * calls + SLACK_PAGES) * LARGEST_PAGE
    tenant = seed_tenant(seed=SEED, customers=count, contacts=0, now=int(time.time()), dirty=False)
    tenant.latency = LATENCY_SECONDS
    tenant.limits = Limits(calls=calls, seconds=seconds)
    left: list[float] = []
    tenant.on_request = lambda path, _query: left.append(time.monotonic()) if path.endswith("/customers") else None
    os.environ.update(SANDBOX_CREDENTIALS)
    with start_sandbox(tenant=tenant) as sandbox:
        settings = QBenchSettings.model_validate(
            {
                "url": sandbox.qbench_url,
                "client_id": {"env": "QBENCH_CLIENT_ID"},
                "client_secret": {"env": "QBENCH_CLIENT_SECRET"},
                "limits": {"calls": calls, "seconds": seconds},
            }
        )
        with QBenchClient(settings, integration="bench") as client:
            ids = {
                number
                for page in read_changes(client, RecordType.ACCOUNT, since=None, until=int(time.time()))
                for number in page.frame["qbench_id"]
            }
        answers = sandbox.journal.calls("qbench")
    within = WINDOWS * calls
    waste = len(left) * LARGEST_PAGE / count
    taken = left[within] - left[0]
    unused = 100 * (1 - within * LARGEST_PAGE / waste / (calls / seconds * LARGEST_PAGE * taken))
    name = f"{count:,} customers at {1_000 * LATENCY_SECONDS:.0f} ms"
    return [
        Figure("reading", f"{name}: records a second", within * LARGEST_PAGE / waste / taken),
        Figure("reading", f"{name}: what the limit allowed and was not used", unused, unit="%", limit=MOST_UNUSED),
        Figure("reading", f"{name}: calls", len(left), floor=math.ceil(count / LARGEST_PAGE)),
        Figure("reading", f"{name}: calls refused as too many", sum(call.status == 429 for call in answers), limit=0),
        Figure("reading", f"{name}: records missed", count - len(ids), limit=0),
    ]
