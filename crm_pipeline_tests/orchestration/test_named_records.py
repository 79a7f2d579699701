"""A load whose config names records loads these alone, and leaves its hours as they are."""

from __future__ import annotations

import dagster as dg
import pytest

from crm_pipeline_tests.orchestration.conftest import ACCOUNTS, World, metadata_of
from crm_pipeline_tests.tenants import FIRST, add_laboratories, integration

NAMED = {"ops": {"acme__salesforce__accounts": {"config": {"ids": [2]}}}}
KEY = dg.AssetKey(["acme", "salesforce", "accounts"])


@pytest.fixture(scope="module")
def named(world: World) -> dg.ExecuteInProcessResult:
    """A load of one of three customers in the first partition, of which only the QBench and normalized assets were made."""
    spec, dagster = integration(world.sandbox), world.dagster
    add_laboratories(world.sandbox.tenant, 3)
    assert dagster.run(spec, FIRST, assets=ACCOUNTS[:2]).success
    job = dagster.definitions(spec).resolve_job_def("acme__sync")
    return job.execute_in_process(partition_key=FIRST, run_config=NAMED, instance=dagster.instance, asset_selection=[KEY])


def test_named_records_alone_are_loaded_and_an_observation_tells_what_became_of_them(
    world: World, named: dg.ExecuteInProcessResult
) -> None:
    assert named.success
    assert [account["QBench_Id__c"] for account in world.sandbox.org.records("Account")] == ["2"]
    (event,) = (event for event in named.all_events if event.event_type is dg.DagsterEventType.ASSET_OBSERVATION)
    observation = event.asset_observation_data.asset_observation
    assert (observation.partition, observation.metadata["created"].value) == (FIRST, 1)


def test_the_partition_stays_missing_and_its_rest_is_loaded_by_it(world: World, named: dg.ExecuteInProcessResult) -> None:
    assert world.dagster.instance.get_materialized_partitions(KEY) == set()
    assert all(check.passed for check in named.get_asset_check_evaluations())
    whole = world.dagster.run(integration(world.sandbox), FIRST, assets=("salesforce/accounts",))
    assert metadata_of(whole, "salesforce", "accounts")["created"] == 2
