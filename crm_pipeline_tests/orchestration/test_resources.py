"""What a run does before its first client is asked for anything."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import dagster as dg
import pytest

from crm_pipeline.orchestration import resources
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline_tests.tenants import integration


@pytest.fixture
def new_process() -> Iterator[None]:
    """As Python begins: garbage is looked for often, and among everything."""
    threshold = gc.get_threshold()
    resources._look_for_garbage_seldom.cache_clear()
    gc.unfreeze()
    gc.set_threshold(700, *threshold[1:])
    yield
    gc.freeze()
    gc.set_threshold(*threshold)


def test_garbage_is_looked_for_seldom_and_not_among_the_modules(sandbox: Sandbox, new_process: None) -> None:
    spec = integration(sandbox)
    with dg.build_resources({"qbench": resources.qbench_resource(spec.qbench, spec.name)}):
        assert gc.get_threshold()[0] == resources.GARBAGE_THRESHOLD
        assert gc.get_freeze_count() > resources.GARBAGE_THRESHOLD
