"""How long does Dagster take to load the code location? The import of our definitions, by that of Dagster and pandas.

Each is timed in a fresh interpreter with its bytecode cached, turn by turn, and the medians are compared; once more with
the demo's integration built, which is what a code server does. So is the help of our commands, beside Dagster's. Then what each
integration adds to a code location, whose every run loads them all.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.workbench import SANDBOX

ROUNDS = 7
MOST = 2.5
"""The most times that ``import dagster, pandas`` may fit into ours."""
MOST_HELP_SECONDS = 0.4

BASE = "import dagster, pandas"
OURS = "import crm_pipeline.definitions"
WITH_INTEGRATION = "from crm_pipeline.sandbox.definitions import defs; defs()"
STATEMENTS = (BASE, OURS, WITH_INTEGRATION)
HELP, DAGSTER_HELP = ("-m", "crm_pipeline.cli", "--help"), ("-m", "dagster", "--help")
FEW, MANY = 1, 41
BUILD = """
import dagster as dg, pathlib, sys, time
import crm_pipeline.component, crm_pipeline.orchestration.assets
folder = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(folder))
began = time.process_time()
dg.load_from_defs_folder(path_within_project=folder / "many").get_repository_def()
print(time.process_time() - began)
"""
"""What a code server and each run do with a project; prints the CPU seconds."""

PLACES = {
    "SANDBOX_START": "2026-11-01T00:00Z",
    "SANDBOX_QBENCH_URL": "http://127.0.0.1:1",
    "SANDBOX_SALESFORCE_URL": "http://127.0.0.1:2",
    "SANDBOX_HUBSPOT_URL": "http://127.0.0.1:3",
}
"""What the demo's YAML asks of the environment; nothing is called."""


def measure(scale: float) -> list[Figure]:  # noqa: ARG001 - there is nothing to shrink
    """The two ratios, and the times behind them in seconds."""
    runs = (*(("-c", statement) for statement in STATEMENTS), HELP, DAGSTER_HELP)
    environment = {**os.environ, **PLACES}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    rounds = [[_seconds(run, environment) for run in runs] for _ in range(ROUNDS + 1)]
    # The first round writes the bytecode.
    *times, ours_help, dagsters_help = (statistics.median(each) for each in zip(*rounds[1:], strict=True))
    base, ours, integration = times
    return [
        Figure("imports", "definitions by dagster and pandas", ours / base, limit=MOST),
        Figure("imports", "definitions with an integration built", integration / base, limit=MOST),
        *(Figure("imports", text, seconds, unit="s") for text, seconds in zip(STATEMENTS, times, strict=True)),
        Figure("imports", "12 crm-pipeline --help", ours_help, unit="s", limit=MOST_HELP_SECONDS),
        Figure("imports", "12 dagster --help", dagsters_help, unit="s"),
        Figure("imports", "CPU that each integration of a code location adds to each of its runs", _each(environment), unit="s"),
    ]


def _each(environment: dict[str, str]) -> float:
    few, many = (statistics.median(_building(count, environment) for _ in range(3)) for count in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def _building(count: int, environment: dict[str, str]) -> float:
    with tempfile.TemporaryDirectory(prefix="crm-pipeline-benchmark-") as name:
        folder = Path(name)
        for number in range(count):
            shutil.copytree(SANDBOX / "defs" / "demo", folder / "many" / "defs" / f"tenant_{number}")
        for module in ("many/__init__.py", "many/defs/__init__.py"):
            (folder / module).touch()
        (folder / "pyproject.toml").write_text('[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "many"\n')
        built = subprocess.run([sys.executable, "-c", BUILD, name], env=environment, check=True, capture_output=True, text=True)
        return float(built.stdout)


def _seconds(arguments: Sequence[str], environment: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], env=environment, check=True, capture_output=True)
    return time.perf_counter() - began
