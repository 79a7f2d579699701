"""What an integration looks like in Dagster."""

from __future__ import annotations

from collections import Counter

import dagster as dg
import pytest

from crm_pipeline.crms import crm_kinds
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.orchestration.assets import build_integration
from crm_pipeline.schemas import OUTCOMES, RAW, normalized_schema
from crm_pipeline_tests.orchestration.conftest import ACCOUNTS, LINKS, LOADS, READS, RESYNCS
from crm_pipeline_tests.orchestration.test_schedule import EXAMPLE

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
    assert kinds["qbench/customers"] == {"qbench", "postgres"}
    assert kinds["normalized/accounts"] == {"pandas", "postgres"}
    assert (kinds["salesforce/contacts"], kinds["hubspot/companies"]) == ({"salesforce"}, {"hubspot"})


def test_nodes_of_one_name_are_told_apart_by_what_they_show_as_kinds(definitions: dg.Definitions) -> None:
    labels = Counter((spec.key.path[-1], frozenset(spec.kinds)) for spec in definitions.resolve_all_asset_specs())
    assert [label for label, count in labels.items() if count > 1] == []


def test_upkeep_stands_behind_what_it_looks_after_in_a_group_of_its_own(definitions: dg.Definitions) -> None:
    upkeep = [spec for spec in definitions.resolve_all_asset_specs() if spec.partitions_def is None]
    assert {spec.group_name for spec in upkeep} == {"acme_upkeep"}
    assert [spec.key.to_user_string() for spec in upkeep if not spec.deps] == []


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
        **dict.fromkeys(("qbench/deletions", "qbench/waiting_contacts"), "acme__qbench"),
        "records": None,
        "database": None,
    }


def test_resources_carry_the_integrations_name(definitions: dg.Definitions) -> None:
    assert clients(definitions, "acme__sync") == {"acme__qbench", "acme__salesforce", "acme__hubspot"}


def clients(definitions: dg.Definitions, job: str) -> set[str]:
    """Keys of a job's resources, Dagster's own left out."""
    return set(definitions.resolve_job_def(job).resource_defs) - {"io_manager"}


def test_job_runs_all_eight_hourly_assets(definitions: dg.Definitions, specs: dict[str, dg.AssetSpec]) -> None:
    job = definitions.resolve_job_def("acme__sync")
    assert set(job.asset_layer.executable_asset_keys) == {spec.key for spec in specs.values()}
    assert job.tags["crm_pipeline/integration"] == "acme"


def test_without_contacts_in_the_yaml_only_customers_sync() -> None:
    job = build_integration(SPEC.model_copy(update={"contacts": None})).resolve_job_def("acme__sync")
    assert {"/".join(key.path[1:]) for key in job.asset_layer.executable_asset_keys} == set(ACCOUNTS)


def test_two_integrations_live_in_one_location() -> None:
    both = dg.Definitions.merge(build_integration(SPEC), build_integration(SPEC.model_copy(update={"name": "other"})))
    dg.Definitions.validate_loadable(both)
    assert len(both.resolve_all_asset_keys()) == 32


def test_jobs_of_an_integration_hold_nothing_of_the_others_in_their_location() -> None:
    both = dg.Definitions.merge(build_integration(SPEC), build_integration(SPEC.model_copy(update={"name": "other"})))
    assert clients(both, "acme__sync_and_check") == {"acme__qbench", "acme__salesforce", "acme__hubspot"}
    assert clients(both, "other__links") == {"other__qbench", "other__salesforce", "other__hubspot"}
    assert clients(both, "acme__upkeep") == set()


def test_titles_of_crms_are_used_for_people() -> None:
    assert {kind.title for kind in crm_kinds().values()} == {"Salesforce", "HubSpot", "SugarCRM"}
