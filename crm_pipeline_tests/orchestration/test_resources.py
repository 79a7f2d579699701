"""What a run, and a command that asks a CRM, does before its first client is asked for anything."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator

import dagster as dg
import pyarrow as pa
import pytest

from crm_pipeline.commands.options import connected
from crm_pipeline.memory import GARBAGE_THRESHOLD, make_room_for_records
from crm_pipeline.orchestration import resources
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline_tests.tenants import integration


@pytest.fixture
def new_process() -> Iterator[None]:
    """As Python begins: garbage is looked for often, and among everything; Arrow keeps the memory that it had."""
    threshold = gc.get_threshold()
    make_room_for_records.cache_clear()
    gc.unfreeze()
    gc.set_threshold(700, *threshold[1:])
    pool = pa.default_memory_pool()
    pa.set_memory_pool(pa.mimalloc_memory_pool())
    yield
    pa.set_memory_pool(pool)
    gc.freeze()
    gc.set_threshold(*threshold)


@pytest.mark.parametrize("by", ["run", "command"])
def test_garbage_is_looked_for_seldom_and_memory_is_given_back(sandbox: Sandbox, new_process: None, by: str) -> None:
    spec = integration(sandbox)
    run = dg.build_resources({"qbench": resources.qbench_resource(spec.qbench, spec.name)})
    with connected(spec, "salesforce") if by == "command" else run:
        assert gc.get_threshold()[0] == GARBAGE_THRESHOLD
        assert gc.get_freeze_count() > GARBAGE_THRESHOLD
        assert pa.default_memory_pool().backend_name == "system"


HELD_BEFORE_AND_AFTER = """
from pathlib import Path
from crm_pipeline.memory import make_room_for_records

def held():
    return int(Path("/proc/self/statm").read_text().split()[1])

del [b"x" * 30_000_000][:]
make_room_for_records()
at_first = held()
large, small = zip(*((b"x" * 3_000_000, b"x" * 20_000) for _ in range(20)), strict=True)
most = held()
del large
print(at_first, most, held())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and it is glibc that is told")
def test_memory_goes_back_to_the_system_though_what_was_made_beside_it_stays() -> None:
    told = subprocess.run([sys.executable, "-c", HELD_BEFORE_AND_AFTER], capture_output=True, text=True, check=True)
    at_first, most, at_last = map(int, told.stdout.split())
    assert at_last - at_first < (most - at_first) / 5
