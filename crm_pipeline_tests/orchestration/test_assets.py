"""What an integration looks like in Dagster, and what its materializations tell."""

from __future__ import annotations

import dagster as dg
import pytest

from crm_pipeline.crms import crm_kinds
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import Outcome, RecordType
from crm_pipeline.orchestration.assets import build_integration
from crm_pipeline.schemas import OUTCOMES, RAW, normalized_schema
from crm_pipeline_tests.orchestration.conftest import ACCOUNTS, LINKS, LOADS, READS, RESYNCS, World, metadata_of
from crm_pipeline_tests.orchestration.test_schedule import EXAMPLE
from crm_pipeline_tests.tenants import BEFORE_START, FIRST, IN_SECOND, SECOND, add_laboratories, integration

SALESFORCE = {"domain": "acme.my", "client_id": {"env": "D"}, "client_secret": {"env": "E"}}
CONTACTS = {"map": {"email": "email_address"}}
SPEC = IntegrationSpec.model_validate(
    {**EXAMPLE, "crms": {**EXAMPLE["crms"], "salesforce": SALESFORCE}, "contacts": CONTACTS, "owners": ["team:data"]}
)


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_integration(SPEC)


@pytest.fixture(scope="module")
def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    """The eight hourly assets by their keys without the integration's name."""
    return {"/".join(spec.key.path[1:]): spec for spec in definitions.resolve_all_asset_specs() if spec.partitions_def is not None}


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


def test_integration_has_eight_hourly_assets_under_its_name(definitions: dg.Definitions, specs: dict[str, dg.AssetSpec]) -> None:
    assert set(specs) == {*READS, *LOADS}
    assert {key.path[0] for key in definitions.resolve_all_asset_keys()} == {"acme"}


def test_assets_depend_on_what_they_read(specs: dict[str, dg.AssetSpec]) -> None:
    found = {name: {"/".join(dep.asset_key.path[1:]) for dep in spec.deps} for name, spec in specs.items()}
    assert found == {
        "qbench/customers": set(),
        "qbench/contacts": set(),
        "normalized/accounts": {"qbench/customers"},
        "normalized/contacts": {"qbench/contacts", "qbench/customers"},
        "salesforce/accounts": {"normalized/accounts"},
        "hubspot/companies": {"normalized/accounts"},
        "salesforce/contacts": {"normalized/contacts", "salesforce/accounts"},
        "hubspot/contacts": {"normalized/contacts", "hubspot/companies"},
    }


def test_assets_are_grouped_described_and_owned(specs: dict[str, dg.AssetSpec]) -> None:
    assert {spec.group_name for spec in specs.values()} == {"acme"}
    assert {tuple(spec.owners) for spec in specs.values()} == {("team:data",)}
    descriptions = [spec.description or "" for spec in specs.values()]
    assert len(set(descriptions)) == 8
    assert all(len(description) > 20 for description in descriptions)


def test_assets_show_what_they_are_made_with(specs: dict[str, dg.AssetSpec]) -> None:
    kinds = {name: spec.kinds for name, spec in specs.items()}
    assert kinds["qbench/customers"] == {"python", "postgres"}
    assert kinds["normalized/accounts"] == {"pandas", "postgres"}
    assert (kinds["salesforce/contacts"], kinds["hubspot/companies"]) == ({"salesforce"}, {"hubspot"})


def test_assets_show_the_columns_of_their_rows(specs: dict[str, dg.AssetSpec]) -> None:
    shown = {name: [column.name for column in spec.metadata["dagster/column_schema"].columns] for name, spec in specs.items()}
    assert shown["qbench/contacts"] == [*RAW.names, "customers", "email_address"]
    assert shown["normalized/accounts"] == normalized_schema(RecordType.ACCOUNT).names
    assert shown["normalized/contacts"] == normalized_schema(RecordType.CONTACT).names
    assert shown["salesforce/accounts"] == [*OUTCOMES.names, "Name"]
    assert shown["hubspot/contacts"] == [*OUTCOMES.names, "email"]


def test_assets_share_one_hourly_partitions_definition(definitions: dg.Definitions, specs: dict[str, dg.AssetSpec]) -> None:
    assert len({spec.partitions_def for spec in specs.values()}) == 1
    assert isinstance(specs["hubspot/contacts"].partitions_def, dg.HourlyPartitionsDefinition)


def test_backfills_are_one_run(definitions: dg.Definitions, specs: dict[str, dg.AssetSpec]) -> None:
    graph = definitions.resolve_asset_graph()
    policies = {graph.get(spec.key).backfill_policy for spec in specs.values()}
    assert policies == {dg.BackfillPolicy.single_run()}


def test_backfills_are_runs_of_so_many_hours_where_the_integration_says_so() -> None:
    definitions = build_integration(SPEC.model_copy(update={"hours_per_run": 24}))
    graph = definitions.resolve_asset_graph()
    hourly = [key for key in definitions.resolve_all_asset_keys() if graph.get(key).is_partitioned]
    assert {graph.get(key).backfill_policy for key in hourly} == {dg.BackfillPolicy.multi_run(24)}


def test_steps_that_call_a_service_wait_in_its_pool(definitions: dg.Definitions) -> None:
    pools = {"/".join(key.path[1:]): definitions.resolve_assets_def(key).op.pool for key in definitions.resolve_all_asset_keys()}
    assert pools == {
        **dict.fromkeys(READS[:2], "acme__qbench"),
        **dict.fromkeys(READS[2:]),
        **dict.fromkeys(LOADS[:2], "acme__salesforce"),
        **dict.fromkeys(LOADS[2:], "acme__hubspot"),
        **dict(zip(LINKS, ("acme__salesforce", "acme__hubspot"), strict=True)),
        **dict(zip(RESYNCS, ("acme__salesforce", "acme__hubspot"), strict=True)),
        "qbench/waiting_contacts": "acme__qbench",
    }


def test_resources_carry_the_integrations_name(definitions: dg.Definitions) -> None:
    assert set(definitions.resources or {}) == {"acme__qbench", "acme__salesforce", "acme__hubspot"}


def test_job_runs_all_eight_hourly_assets(definitions: dg.Definitions, specs: dict[str, dg.AssetSpec]) -> None:
    job = definitions.resolve_job_def("acme__sync")
    assert set(job.asset_layer.executable_asset_keys) == {spec.key for spec in specs.values()}
    assert job.tags["crm_pipeline/integration"] == "acme"


def test_two_integrations_live_in_one_location() -> None:
    both = dg.Definitions.merge(build_integration(SPEC), build_integration(SPEC.model_copy(update={"name": "other"})))
    dg.Definitions.validate_loadable(both)
    assert len(both.resolve_all_asset_keys()) == 26


@pytest.mark.parametrize("load", LOADS)
def test_load_shows_rows_per_outcome_calls_and_seconds(loaded: dg.ExecuteInProcessResult, load: str) -> None:
    metadata = metadata_of(loaded, *load.split("/"))
    rows = {outcome: metadata[outcome] for outcome in map(str, Outcome)}
    expected = {"created": 2} if load.endswith("/contacts") else {"created": 1, "skipped": 1}
    assert {outcome: count for outcome, count in rows.items() if count} == expected
    assert metadata["dagster/row_count"] == metadata["rows"] == 2
    assert isinstance(metadata["calls"], int)
    assert metadata["calls"] >= 1
    assert metadata["calls"] == sum(count for name, count in metadata.items() if name.startswith("calls_") and isinstance(count, int))
    assert isinstance(metadata["seconds"], float)


def test_load_shows_its_errors_as_a_table_with_ids_and_meaning(loaded: dg.ExecuteInProcessResult) -> None:
    table = str(metadata_of(loaded, "salesforce", "accounts")["errors"])
    assert table.startswith("| error | records |")
    assert "| NoNameForCustomerException | 1 | 77 | The customer has no value" in table


@pytest.mark.parametrize("load", LOADS)
def test_load_shows_calls_against_the_fewest_possible_limits_and_phases(loaded: dg.ExecuteInProcessResult, load: str) -> None:
    metadata = metadata_of(loaded, *load.split("/"))
    made = int(str(metadata["calls_write"])) + int(str(metadata.get("calls_associate", 0)))
    assert made == metadata["fewest_write_calls"] == (2 if load == "hubspot/contacts" else 1)
    assert {"seconds_plan", "seconds_write", "seconds_store"} <= set(metadata)
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


def test_sample_ids_lead_to_the_records_in_the_crm(edited: dg.ExecuteInProcessResult, world: World) -> None:
    (account,) = (record["Id"] for record in world.sandbox.org.records("Account"))
    (company,) = (record["id"] for record in world.sandbox.portal.records("companies"))
    in_salesforce = str(metadata_of(edited, "salesforce", "accounts")["errors"])
    assert f"]({world.sandbox.salesforce_url}/lightning/r/Account/{account}/view)" in in_salesforce
    assert f"/record/0-2/{company})" in str(metadata_of(edited, "hubspot", "companies")["errors"])


def test_extract_shows_rows_and_calls(loaded: dg.ExecuteInProcessResult) -> None:
    metadata = metadata_of(loaded, "qbench", "customers")
    assert (metadata["dagster/row_count"], metadata["resumed_at_row"]) == (2, 0)
    assert metadata["calls_read"] == 2, "one for what changed, one for what was deleted"


def test_normalize_shows_what_it_met(loaded: dg.ExecuteInProcessResult) -> None:
    assert metadata_of(loaded, "normalized", "accounts")["NoNameForCustomerException"] == 1


def test_titles_of_crms_are_used_for_people() -> None:
    assert {kind.title for kind in crm_kinds().values()} == {"Salesforce", "HubSpot"}
