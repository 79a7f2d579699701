"""After a change of the mappings: the resync asset sends what differs now, and asks QBench for nothing."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest
from sqlalchemy import text

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.load_events import LOAD_CONFIG
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.resync import RESYNC_CONFIG
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline_tests.orchestration.conftest import ACCOUNTS, Dagster, World, failures, metadata_of, writes
from crm_pipeline_tests.tenants import FIRST, add_laboratories
from crm_pipeline_tests.tenants import integration as made

LEAN = {"name": "customer_name"}


def integration(sandbox: Sandbox, **more: str) -> IntegrationSpec:
    """The integration ``acme`` of customers alone."""
    return made(sandbox, accounts={"map": {**LEAN, **more}}, contacts=None)


def resync(dagster: Dagster, spec: IntegrationSpec, crm: str, **config: Any) -> dg.ExecuteInProcessResult:
    """Materialize a CRM's resync asset, as from the asset graph, with a config as the launchpad takes it."""
    definitions = dagster.definitions(spec)
    job = definitions.resolve_implicit_global_asset_job_def()
    key = dg.AssetKey(["acme", crm, "resync"])
    given = {"ops": {f"acme__{crm}__resync": {"config": config}}}
    return job.execute_in_process(instance=dagster.instance, asset_selection=[key], run_config=given, raise_on_error=False)


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


# --- by the config of a run


def told(result: dg.ExecuteInProcessResult) -> str:
    """What a dry run says would be sent."""
    (event,) = (event for event in result.all_events if event.event_type is dg.DagsterEventType.ASSET_OBSERVATION)
    return str(event.asset_observation_data.asset_observation.metadata["would_be_sent"].value)


def test_a_dry_run_tells_what_would_be_sent_and_sends_nothing(loaded: World) -> None:
    sandbox, dagster = loaded.sandbox, loaded.dagster
    sandbox.journal.clear()
    result = resync(dagster, integration(sandbox, description="comments"), "salesforce", force=True, dry_run=True)
    assert result.success
    assert "| accounts | update |  | 3 | 1, 2, 3 |" in told(result)
    assert result.get_asset_materialization_events() == []
    assert writes(sandbox) == []


def test_named_records_are_sent_again_by_force_and_no_others(loaded: World) -> None:
    sandbox, dagster = loaded.sandbox, loaded.dagster
    sandbox.journal.clear()
    result = resync(dagster, integration(sandbox), "salesforce", record_type="account", ids=[2, 3], force=True)
    assert metadata_of(result, "salesforce", "resync")["accounts_updated"] == 2
    assert [call.rows for call in writes(sandbox)] == [2]


def test_records_with_an_error_are_sent_again_and_no_others(loaded: World) -> None:
    sandbox, dagster = loaded.sandbox, loaded.dagster
    assert resync(dagster, integration(sandbox), "salesforce").success
    with STORE.transaction() as connection:
        connection.execute(text("UPDATE crm_pipeline.outcome SET error_type = 'InvalidValueException' WHERE qbench_id = 3"))
    result = resync(dagster, integration(sandbox), "salesforce", error="InvalidValueException")
    assert metadata_of(result, "salesforce", "resync")["dagster/row_count"] == 1


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"ids": [1]}, "config `ids` and `create_only` need `record_type`"),
        ({"record_type": "lead"}, "config `record_type: lead`: salesforce takes account"),
        ({"record_type": "account", "ids": [1, 98, 99]}, "there is no staged account 98, 99; nothing was sent"),
        ({"record_type": "account", "ids": [10**20]}, "give QBench ids as [12, 13]"),
        ({"error": "InvalidValueExeption"}, "did you mean `InvalidValueException`?"),
        ({"record_type": "account", "force": True, "create_only": ["address"]}, "give either `force` or `create_only`"),
    ],
)
def test_a_config_that_cannot_be_meant_is_refused_before_anything_is_asked(loaded: World, config: dict[str, Any], said: str) -> None:
    loaded.sandbox.journal.clear()
    assert said in failures(resync(loaded.dagster, integration(loaded.sandbox), "salesforce", **config))["salesforce/resync"]
    assert loaded.sandbox.journal.calls() == []


def test_every_key_of_a_config_is_described_with_an_example() -> None:
    fields = {**RESYNC_CONFIG, **LOAD_CONFIG}
    assert [name for name, field in fields.items() if "For example `" not in str(field.description)] == []
