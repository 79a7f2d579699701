"""The conformance suite on Rolodex Light."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crm_pipeline.testing.bench import Bench
from crm_pipeline.testing.suite import *  # noqa: F403 - its tests become tests of this module

from .bench import running_bench
from .light import KIND
from .server import LIGHT, TOKEN


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Rolodex Light, empty."""
    monkeypatch.setenv("ROLODEX_TOKEN", TOKEN)
    with running_bench(KIND, LIGHT) as running:
        yield running
