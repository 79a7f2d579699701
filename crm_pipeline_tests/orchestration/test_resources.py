"""What a run, and a command that asks a CRM, does before its first client is asked for anything."""

from __future__ import annotations

import gc
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
