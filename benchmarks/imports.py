"""How long does Dagster take to load the code location? The import of our definitions, by that of Dagster and pandas.

Each is timed in a fresh interpreter with its bytecode cached, turn by turn, and the medians are compared; once more with
the demo's integration built, which is what a code server does.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

from benchmarks.figures import Figure

ROUNDS = 7
MOST = 2.5
"""The most times that ``import dagster, pandas`` may fit into ours (issue 2)."""

BASE = "import dagster, pandas"
OURS = "import crm_pipeline.definitions"
WITH_INTEGRATION = "from crm_pipeline.sandbox.definitions import defs; defs()"
PLACES = {
    "SANDBOX_START": "2026-11-01T00:00Z",
    "SANDBOX_QBENCH_URL": "http://127.0.0.1:1",
    "SANDBOX_SALESFORCE_URL": "http://127.0.0.1:2",
    "SANDBOX_HUBSPOT_URL": "http://127.0.0.1:3",
}
"""What the demo's YAML asks of the environment; nothing is called."""


def measure(scale: float) -> list[Figure]:  # noqa: ARG001 - there is nothing to shrink
    """The two ratios, and the times behind them in seconds."""
    statements = (BASE, OURS, WITH_INTEGRATION)
    environment = {**os.environ, **PLACES}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    rounds = [[_seconds(statement, environment) for statement in statements] for _ in range(ROUNDS + 1)]
    # The first round writes the bytecode.
    base, ours, integration = (statistics.median(times) for times in zip(*rounds[1:], strict=True))
    return [
        Figure("imports", "definitions by dagster and pandas", ours / base, limit=MOST),
        Figure("imports", "definitions with an integration built", integration / base, limit=MOST),
        *(Figure("imports", text, seconds, unit="s") for text, seconds in zip(statements, (base, ours, integration), strict=True)),
    ]


def _seconds(statement: str, environment: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], env=environment, check=True, capture_output=True)
    return time.perf_counter() - began
