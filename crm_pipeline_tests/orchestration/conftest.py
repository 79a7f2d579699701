"""A sandbox and a way to run an integration on it through Dagster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.assets import build_integration
from crm_pipeline.orchestration.names import job_name
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.sandbox.hubspot import HubSpotPortal
from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, Sandbox, start_sandbox


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """The three stand-ins, empty, with external keys in both CRMs and the credentials in the environment."""
    for name, value in SANDBOX_CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    org, portal = SalesforceOrg(external_keys=True), HubSpotPortal(external_keys=True)
    with start_sandbox(org=org, portal=portal) as running:
        yield running


@dataclass(frozen=True)
class Dagster:
    """Runs integrations on a Dagster instance of the test's own."""

    instance: dg.DagsterInstance

    def run(self, spec: IntegrationSpec, partition: str, *, until: str | None = None) -> dg.ExecuteInProcessResult:
        """Run the integration's job for a partition, or for the range from it ``until`` another."""
        job = build_integration(spec).resolve_job_def(job_name(spec.name))
        if until is None:
            return job.execute_in_process(partition_key=partition, instance=self.instance, raise_on_error=False)
        tags = {"dagster/asset_partition_range_start": partition, "dagster/asset_partition_range_end": until}
        return job.execute_in_process(tags=tags, instance=self.instance, raise_on_error=False)


@pytest.fixture
def dagster(database_in_environment: str) -> Iterator[Dagster]:
    """A Dagster instance, and the state database that its runs use."""
    STORE.close()
    with dg.DagsterInstance.ephemeral() as instance:
        yield Dagster(instance)
    STORE.close()


def metadata_of(result: dg.ExecuteInProcessResult, *key: str) -> dict[str, object]:
    """The metadata of one asset's materialization in a run."""
    for event in result.get_asset_materialization_events():
        if event.asset_key == dg.AssetKey(["acme", *key]):
            return {name: value.value for name, value in event.materialization.metadata.items()}
    raise AssertionError(f"{'/'.join(key)} was not materialized")
