"""What the materializations of a first load, and the checks beside them, tell."""

from __future__ import annotations

import dagster as dg
import pytest

from crm_pipeline.model import Outcome
from crm_pipeline.orchestration.checks import LOAD_CHECKS
from crm_pipeline_tests.orchestration.conftest import ACCOUNTS, LOADS, READS, Verdicts, World, metadata_of, numbers, verdicts_of
from crm_pipeline_tests.tenants import BEFORE_START, FIRST, IN_SECOND, SECOND, add_laboratories, integration


@pytest.fixture(scope="module")
def loaded(world: World) -> dg.ExecuteInProcessResult:
    """A first load of two customers, one of them without a name, and their contacts."""
    add_laboratories(world.sandbox.tenant, 1, contacts_each=2)
    world.sandbox.tenant.add_customer(customer_name=None, id=77, at=BEFORE_START)
    return world.dagster.run(integration(world.sandbox), FIRST)


@pytest.fixture(scope="module")
def edited(world: World, loaded: dg.ExecuteInProcessResult) -> dg.ExecuteInProcessResult:
    """The next hour, in which someone emptied the name of the customer that both CRMs have."""
    (customer,) = (record["QBench_Id__c"] for record in world.sandbox.org.records("Account"))
    world.sandbox.tenant.edit_customer(int(customer), customer_name=None, at=IN_SECOND)
    return world.dagster.run(integration(world.sandbox), SECOND, assets=ACCOUNTS)


@pytest.fixture(scope="module")
def verdicts(world: World, loaded: dg.ExecuteInProcessResult) -> Verdicts:
    return verdicts_of(world.dagster, loaded)


def purposes(metadata: dict[str, object]) -> dict[str, int]:
    """The calls of a load by what for."""
    found = metadata["calls_by_purpose"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("load", LOADS)
def test_load_shows_rows_per_outcome_calls_and_seconds(loaded: dg.ExecuteInProcessResult, load: str) -> None:
    metadata = metadata_of(loaded, *load.split("/"))
    rows = {outcome: metadata[outcome] for outcome in map(str, Outcome)}
    expected = {"created": 2} if load.endswith("/contacts") else {"created": 1, "skipped": 1}
    assert {outcome: count for outcome, count in rows.items() if count} == expected
    assert metadata["dagster/row_count"] == metadata["rows"] == 2
    assert isinstance(metadata["calls"], int)
    assert metadata["calls"] >= 1
    assert metadata["calls"] == sum(purposes(metadata).values())
    assert isinstance(metadata["seconds"], float)


def test_load_opens_with_its_errors_and_some_records_linked_to_qbench(loaded: dg.ExecuteInProcessResult, world: World) -> None:
    metadata = metadata_of(loaded, "salesforce", "accounts")
    assert list(metadata)[:2] == ["errors", "records"]
    row = str(metadata["errors"]).splitlines()[-1]
    assert row.startswith("- **NoNameForCustomerException** 1 / 1 (+1): The customer has no value in the field mapped to name. [77]")
    assert row.endswith(f"({world.sandbox.qbench_url}/customer?id=77)")


@pytest.mark.parametrize("load", LOADS)
def test_load_shows_calls_against_the_fewest_possible_limits_and_phases(loaded: dg.ExecuteInProcessResult, load: str) -> None:
    metadata = metadata_of(loaded, *load.split("/"))
    calls = purposes(metadata)
    assert calls["write"] + calls.get("associate", 0) == metadata["fewest_write_calls"] == (2 if load == "hubspot/contacts" else 1)
    assert {"plan", "write", "store"} <= set(str(metadata["seconds_by_step"]).split("'"))
    assert 0 < float(str(metadata["daily_limit_used_percent"])) < 1
    assert ("rate_limit_used_percent" in metadata) == load.startswith("hubspot")


@pytest.mark.parametrize("load", LOADS)
def test_load_shows_the_last_hours_as_a_picture(loaded: dg.ExecuteInProcessResult, load: str) -> None:
    picture = str(metadata_of(loaded, *load.split("/"))["recent_outcomes"])
    assert picture.startswith("![outcomes per hour](data:image/svg+xml;base64,")
    assert f"{2 if load.endswith('/contacts') else 1} synced" in picture


def test_crm_field_leads_back_to_its_qbench_field(loaded: dg.ExecuteInProcessResult) -> None:
    def sources(asset: str, column: str) -> set[tuple[str, str]]:
        lineage = metadata_of(loaded, *asset.split("/"))["dagster/column_lineage"]
        assert isinstance(lineage, dg.TableColumnLineage)
        return {("/".join(dep.asset_key.path[1:]), dep.column_name) for dep in lineage.deps_by_column[column]}

    assert sources("salesforce/accounts", "BillingCity") == {("normalized/accounts", "billing_city")}
    assert sources("normalized/accounts", "billing_city") == {("qbench/customers", "city_name")}
    assert sources("hubspot/contacts", "lastname") == {("normalized/contacts", "last_name")}


def test_load_shows_how_all_records_stand_beside_those_of_the_run(edited: dg.ExecuteInProcessResult) -> None:
    metadata = metadata_of(edited, "salesforce", "accounts")
    assert str(metadata["records"]).splitlines()[2:] == [
        "| synced | 0 | 0 | · |",
        "| waiting | 0 | 0 | · |",
        "| failed or skipped | 1 | 2 | +2 |",
        "| left out | 0 | 0 | · |",
    ]
    assert metadata["dagster/row_count"] == 2, "all records, not those of the hour"
    assert "- **NoNameForCustomerException** 1 / 2 (+2): " in str(metadata["errors"])


def test_sample_ids_lead_to_the_records_in_the_crm(edited: dg.ExecuteInProcessResult, world: World) -> None:
    (account,) = (record["Id"] for record in world.sandbox.org.records("Account"))
    (company,) = (record["id"] for record in world.sandbox.portal.records("companies"))
    in_salesforce = str(metadata_of(edited, "salesforce", "accounts")["errors"])
    assert f" [↗]({world.sandbox.salesforce_url}/lightning/r/Account/{account}/view)" in in_salesforce
    assert f"/record/0-2/{company})" in str(metadata_of(edited, "hubspot", "companies")["errors"])


def test_extract_shows_rows_and_calls(loaded: dg.ExecuteInProcessResult) -> None:
    metadata = metadata_of(loaded, "qbench", "customers")
    assert (metadata["dagster/row_count"], metadata["resumed_at_row"]) == (2, 0)
    assert metadata["calls_read"] == 2, "one for what changed, one for what was deleted"


def test_normalize_shows_what_it_met(loaded: dg.ExecuteInProcessResult) -> None:
    assert metadata_of(loaded, "normalized", "accounts")["NoNameForCustomerException"] == 1


def test_every_asset_has_its_checks(verdicts: Verdicts) -> None:
    of_loads = {(load, check) for load in LOADS for check in LOAD_CHECKS}
    of_reads = {(asset, "window_complete") for asset in READS[:2]} | {(asset, "mapping_current") for asset in READS[2:]}
    assert set(verdicts) == of_loads | of_reads


def test_records_with_something_wrong_are_a_warning_with_counts_by_error(verdicts: Verdicts) -> None:
    verdict = verdicts["salesforce/accounts", "no_failed_records"]
    assert (verdict.passed, verdict.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert numbers(verdict) == {"records": 1, "NoNameForCustomerException": 1}


def test_all_other_checks_of_a_sound_load_pass(verdicts: Verdicts) -> None:
    failed = {key for key, verdict in verdicts.items() if not verdict.passed}
    assert failed == {("salesforce/accounts", "no_failed_records"), ("hubspot/companies", "no_failed_records")}


def test_counts_are_told(verdicts: Verdicts) -> None:
    counted = numbers(verdicts["salesforce/accounts", "counts_add_up"])
    assert (counted["rows"], counted["outcomes"], counted["open_records"], counted["lost_records"]) == (2, 2, 0, 0)
