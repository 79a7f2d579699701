"""The conformance suite on Rolodex; a package of its own would call this file test_conformance.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crm_pipeline.testing.bench import Bench
from crm_pipeline.testing.suite import *  # noqa: F403 - its tests become tests of this module

from .bench import running_bench
from .server import TOKEN


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Rolodex, empty."""
    monkeypatch.setenv("ROLODEX_TOKEN", TOKEN)
    with running_bench() as running:
        yield running
