"""Fixtures of the QBench client's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crm_pipeline.sandbox.credentials import SANDBOX_CREDENTIALS
from crm_pipeline_tests.qbench.bench import Bench, bench


@pytest.fixture(scope="session", autouse=True)
def _credentials() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        for name in ("QBENCH_CLIENT_ID", "QBENCH_CLIENT_SECRET"):
            environment.setenv(name, SANDBOX_CREDENTIALS[name])
        yield


@pytest.fixture
def qbench() -> Iterator[Bench]:
    """A quiet tenant, read in pages of 50."""
    with bench() as running:
        yield running


@pytest.fixture
def small() -> Iterator[Bench]:
    """A quiet tenant, read in pages of 3."""
    with bench(page_size=3) as running:
        yield running
