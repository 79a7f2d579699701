"""The benches that the CRM tests run on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing

import pytest

from crm_pipeline.crms.base import Crm
from crm_pipeline.sandbox.hubspot import HubSpotPortal
from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, SUGARCRM_CREDENTIALS, Sandbox, start_sandbox
from crm_pipeline.sandbox.sugarcrm import SugarSite
from crm_pipeline.testing.bench import Bench
from crm_pipeline_tests.crms import hubspot_bench, salesforce_bench, sugarcrm_bench

BENCHES: Mapping[str, Callable[[Sandbox], Bench]] = {
    "salesforce": salesforce_bench.open_bench,
    "hubspot": hubspot_bench.open_bench,
    "sugarcrm": sugarcrm_bench.open_bench,
}


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Fresh, empty stand-ins, with their credentials in the environment."""
    for name, value in {**SANDBOX_CREDENTIALS, **SUGARCRM_CREDENTIALS}.items():
        monkeypatch.setenv(name, value)
    with start_sandbox(site=SugarSite()) as running:
        yield running


@pytest.fixture(params=sorted(BENCHES))
def bench(request: pytest.FixtureRequest, sandbox: Sandbox) -> Bench:
    """Every CRM in turn."""
    return BENCHES[request.param](sandbox)


@pytest.fixture
def portal(sandbox: Sandbox) -> HubSpotPortal:
    """HubSpot's portal."""
    return sandbox.portal


@pytest.fixture
def crm(bench: Bench) -> Iterator[Crm]:
    """The bench's adapter."""
    with closing(bench.connect()) as adapter:
        yield adapter


@pytest.fixture
def keyless(bench: Bench) -> Iterator[Crm]:
    """The bench's adapter without an external key."""
    with closing(bench.connect(external_key=None)) as adapter:
        yield adapter
