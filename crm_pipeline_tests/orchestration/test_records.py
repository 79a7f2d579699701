"""How all records stand is one cheap asset's business: its totals are those of the loads, their checks and the command."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import pytest

from crm_pipeline.orchestration.names import links_job_name
from crm_pipeline.orchestration.opening import IN_PLACE
from crm_pipeline.orchestration.records import records_metadata
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.store.standing import standings
from crm_pipeline_tests.orchestration.conftest import ACCOUNTS, World, metadata_of, numbers, verdicts_of
from crm_pipeline_tests.store.test_standing import every_kind
from crm_pipeline_tests.tenants import BEFORE_START, FIRST, add_laboratories, integration

AT_NIGHT = datetime(2026, 11, 2, 3, tzinfo=UTC)

Runs = tuple[dg.ExecuteInProcessResult, dg.ExecuteInProcessResult]


@pytest.fixture(scope="module")
def runs(world: World) -> Runs:
    """A load of two customers, one of them without a name, and what the hourly look at the links makes of the asset then."""
    spec, dagster = integration(world.sandbox), world.dagster
    add_laboratories(world.sandbox.tenant, 1)
    world.sandbox.tenant.add_customer(customer_name=None, id=77, at=BEFORE_START)
    loaded = dagster.run(spec, FIRST, assets=ACCOUNTS)
    world.sandbox.journal.clear()
    job = dagster.definitions(spec).resolve_job_def(links_job_name(spec.name))
    told = job.execute_in_process(instance=dagster.instance, asset_selection=[dg.AssetKey(["acme", "records"])])
    assert world.sandbox.journal.calls() == []
    return loaded, told


def test_it_tells_by_crm_and_record_type_how_records_stand_with_their_errors(runs: Runs) -> None:
    metadata = metadata_of(runs[1], "records")
    assert list(metadata)[:3] == ["dagster/row_count", "health", "errors"]
    assert "- → salesforce accounts\n  - 1 (+1) synced, 0 waiting\n  - 1 (+1) failed, 0 left out" in str(metadata["health"])
    assert "- → hubspot accounts\n  - **NoNameForCustomerException** 1 (+1): The customer has no value" in str(metadata["errors"])


def test_row_counts_checks_and_totals_agree(world: World, runs: Runs) -> None:
    loaded, told = runs
    total = metadata_of(told, "records")
    of_loads = [metadata_of(loaded, *asset.split("/")) for asset in ("salesforce/accounts", "hubspot/companies")]
    assert total["dagster/row_count"] == sum(int(str(load["dagster/row_count"])) for load in of_loads) == 4
    check = numbers(verdicts_of(world.dagster, loaded)["salesforce/accounts", "no_failed_records"])
    assert total["→ salesforce accounts failed"] == check["records"] == 1
    with STORE.transaction() as connection:
        assert sum(each.records for each in standings(connection, "acme") if each.error_type) == 2


@pytest.mark.parametrize("scope", ["recent", "full"])
def test_every_scheduled_look_at_the_links_makes_it(world: World, scope: str) -> None:
    requests, _ = world.dagster.ticked(integration(world.sandbox), at=AT_NIGHT, schedule_of=lambda name: f"{name}__links_{scope}")
    assert [dg.AssetKey(["acme", "records"]) in (request.asset_selection or []) for request in requests] == [True]


def test_whatever_there_is_to_tell_is_shown_in_place() -> None:
    metadata = records_metadata(every_kind())
    assert all(len(str(metadata[name].value)) <= IN_PLACE for name in ("health", "errors"))
    assert "errors_in_full" in metadata
