"""The benches that the CRM tests run on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest

from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, Sandbox, start_sandbox
from crm_pipeline.testing.bench import Bench
from crm_pipeline_tests.crms import hubspot_bench, salesforce_bench

BENCHES: Mapping[str, Callable[[Sandbox], Bench]] = {
    "salesforce": salesforce_bench.open_bench,
    "hubspot": hubspot_bench.open_bench,
}


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Fresh, empty stand-ins, with their credentials in the environment."""
    for name, value in SANDBOX_CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with start_sandbox() as running:
        yield running


@pytest.fixture(params=sorted(BENCHES))
def bench(request: pytest.FixtureRequest, sandbox: Sandbox) -> Bench:
    """Every CRM in turn."""
    return BENCHES[request.param](sandbox)
