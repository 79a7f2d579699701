"""A full check of the links of one CRM, as each night makes it, without Dagster: ``python -m benchmarks.checker CRM``."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from contextlib import closing

from benchmarks.variables import SPEC_VARIABLE
from crm_pipeline.commands.options import connected
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.store.database import Store
from crm_pipeline.sync.links.check import LinkCheck


def main() -> None:
    """Check all links, twice; prints, as JSON, what the second check took, how many links it looked at, and its calls.

    The first one loads what every process loads once.
    """
    [crm] = sys.argv[1:]
    spec = IntegrationSpec.model_validate_json(os.environ[SPEC_VARIABLE])
    orders = [spec.order(crm, record, run_id="check") for record in spec.records_in(crm).values()]
    with closing(Store()) as store, connected(spec, crm) as client:
        store.open()
        LinkCheck(orders, policy=spec.links, store=store, crm=client).run("full")
        check = LinkCheck(orders, policy=spec.links, store=store, crm=client)
        before = Counter(client.calls.snapshot())
        cpu_seconds, seconds = time.process_time(), time.monotonic()
        check.run("full")
        told = {"cpu_seconds": time.process_time() - cpu_seconds, "seconds": time.monotonic() - seconds}
    found = [report.counts for report in check.reports]
    changed = sum(sum(counts.values()) - counts["checked"] for counts in found)
    told |= {"links": sum(counts["checked"] for counts in found), "changed": changed}
    told["calls"] = (Counter(client.calls.snapshot()) - before).total()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
