"""Do three processes with one HubSpot token use what its limit allows, and no more?

Each makes its calls ten at a time, each of which takes a quarter of a second, with the client that runs use. The limit is that of
Professional and Enterprise accounts, and the stand-in is as strict.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

from benchmarks.figures import Figure
from benchmarks.workbench import BenchmarkError, workbench
from crm_pipeline.crms.hubspot import COMPANIES, KIND, HubSpotSettings
from crm_pipeline.pacing import share_pace
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.store.database import URL_VARIABLE, Store
from crm_pipeline.store.pacing import PaceLeases

PROCESSES = 3
WINDOWS = 3
"""How often each process makes the calls of a whole window, which it never has for itself."""
AT_ONCE = 10
LATENCY_SECONDS = 0.25
BURST, PER_SECOND = 190, 19.0
"""HubSpot's limit: so many calls in ten seconds."""
KEY = "qbench_id"
MOST_UNUSED = 10.0


def measure(scale: float) -> list[Figure]:
    """Calls refused, and what the limit allowed and was not used behind the first window, all calls of which may leave at once."""
    calls = BURST * max(math.ceil(WINDOWS * scale), 1)
    with workbench(customers=1, contacts=1, crm_limits=True) as bench, ExitStack() as stack:
        sandbox = bench.sandbox
        sandbox.faults.add(Fault(service="hubspot", kind="delay", seconds=LATENCY_SECONDS, times=None))
        command = [sys.executable, "-m", "benchmarks.pacing", os.environ[URL_VARIABLE], sandbox.hubspot_url, str(calls)]
        processes = [
            stack.enter_context(subprocess.Popen(command, env=dict(bench.environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            for _ in range(PROCESSES)
        ]
        for process in processes:
            _line(process)
        began = time.monotonic()
        for process in processes:
            if process.stdin is not None:
                process.stdin.close()
        cpu_seconds = sum(float(_line(process)) for process in processes)
        seconds = time.monotonic() - began
        made = sandbox.journal.calls("hubspot")
    unused = 100 * (1 - (len(made) - BURST) / (PER_SECOND * seconds))
    name = f"{PROCESSES} processes, {len(made):,} calls to HubSpot at {1_000 * LATENCY_SECONDS:.0f} ms"
    return [
        Figure("pacing", f"{name}: seconds", seconds, unit="s"),
        Figure("pacing", f"{name}: calls refused as too many", sum(call.status == 429 for call in made), limit=0),
        Figure("pacing", f"{name}: what the limit allowed and was not used", unused, unit="%", limit=MOST_UNUSED),
        Figure("pacing", f"{name}: CPU of the processes, per call", 1_000 * cpu_seconds / len(made), unit="ms"),
    ]


def _line(process: subprocess.Popen[bytes]) -> str:
    line = process.stdout.readline() if process.stdout is not None else b""
    if not line:
        raise BenchmarkError("a process ended before its calls were made")
    return line.decode()


def main() -> None:
    """``python -m benchmarks.pacing DATABASE URL CALLS``: makes them once standard input is closed; prints the CPU seconds they took."""
    database, url, calls = sys.argv[1:]
    settings = HubSpotSettings.model_validate({"url": url, "token": {"env": "HUBSPOT_TOKEN"}, "external_key": KEY})
    with closing(Store(database)) as store, closing(KIND.connect(settings, "bench")) as crm, ThreadPoolExecutor(AT_ONCE) as threads:
        share_pace(crm, PaceLeases(store))
        store.open()
        print("ready", flush=True)
        sys.stdin.read()
        began = time.process_time()
        for _ in threads.map(lambda number: crm.find(COMPANIES, KEY, [str(number)]), range(int(calls))):
            pass
        print(time.process_time() - began, flush=True)


if __name__ == "__main__":
    main()
