"""After a change of the mappings: the resync asset sends what differs now, and asks QBench for nothing."""

from __future__ import annotations

import dagster as dg
import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline_tests.orchestration.conftest import ACCOUNTS, Dagster, World, metadata_of, writes
from crm_pipeline_tests.tenants import FIRST, add_laboratories
from crm_pipeline_tests.tenants import integration as made

LEAN = {"name": "customer_name"}


def integration(sandbox: Sandbox, **more: str) -> IntegrationSpec:
    """The integration ``acme`` of customers alone."""
    return made(sandbox, accounts={"map": {**LEAN, **more}}, contacts=None)


def resync(dagster: Dagster, spec: IntegrationSpec, crm: str) -> dg.ExecuteInProcessResult:
    """Materialize a CRM's resync asset, as from the asset graph."""
    definitions = dagster.definitions(spec)
    job = definitions.resolve_implicit_global_asset_job_def()
    key = dg.AssetKey(["acme", crm, "resync"])
    return job.execute_in_process(instance=dagster.instance, asset_selection=[key], raise_on_error=False)


@pytest.fixture(scope="module")
def loaded(world: World) -> World:
    """Three customers in both CRMs, of which QBench has changed one since."""
    add_laboratories(world.sandbox.tenant, 3)
    assert world.dagster.run(integration(world.sandbox), FIRST, assets=ACCOUNTS).success
    world.sandbox.tenant.edit_customer(1, website="https://one.example.org", at=1)
    return world


@pytest.mark.parametrize(("crm", "batch"), [("salesforce", "/composite/sobjects"), ("hubspot", "/batch/update")])
def test_a_changed_mapping_is_carried_out_in_one_crm_without_a_call_to_qbench(loaded: World, crm: str, batch: str) -> None:
    sandbox, dagster = loaded.sandbox, loaded.dagster
    sandbox.journal.clear()
    changed = integration(sandbox, number_of_employees="employees")
    result = resync(dagster, changed, crm)
    assert result.success
    assert metadata_of(result, crm, "resync")["accounts_updated"] == 3
    assert [(call.service, batch in call.path, call.rows) for call in writes(sandbox)] == [(crm, True, 3)]
    assert sandbox.journal.calls("qbench") == []
    sandbox.journal.clear()
    assert metadata_of(resync(dagster, changed, crm), crm, "resync")["accounts_unchanged"] == 3
    assert writes(sandbox) == []
