"""An integration whose assets have other keys, groups and owners works as one whose assets have ours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import dagster as dg
import pytest
import yaml
from sqlalchemy import text

from crm_pipeline.component import CrmIntegration
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.running import ROWS_TAG
from crm_pipeline.orchestration.translating import AssetProps
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline_tests.integration_projects import Project
from crm_pipeline_tests.orchestration.conftest import LOADS, READS, Dagster, own_world
from crm_pipeline_tests.tenants import FEW_FIELDS, FIRST, IN_SECOND, SECOND, START, add_laboratories, attributes

TRANSLATION = {
    "key": "crm/{{ props.service }}/{{ props.integration }}-{{ props.object }}",
    "group_name": "{{ props.integration }}/{{ 'upkeep' if props.upkeep else props.service }}",
    "owners": ["team:crm"],
    "tags": {"record": "{{ props.record_type or 'all' }}"},
    "kinds": ["{{ props.service }}"],
    "metadata": {"runbook": "{{ spec.key.to_user_string() }}"},
}


def shown_key(asset: str) -> dg.AssetKey:
    return dg.AssetKey(["crm", asset.partition("/")[0], f"acme-{asset.rpartition('/')[2]}"])


class OfThePlatform(CrmIntegration):
    """A project's own component, which adds a tag to what the YAML says."""

    def get_asset_spec(self, props: AssetProps) -> dg.AssetSpec:
        return super().get_asset_spec(props).merge_attributes(tags={"platform": "lab"})


@dataclass(frozen=True)
class Story:
    """The first load of two laboratories of which Salesforce does not take one at first, then what schedule and sensor request.

    ``first``: the first load; ``due``: what the retry sensor requests then, and ``retried`` the run of it; ``ticked``: what the schedule
    requests after the second hour, and ``second`` the run of it; ``upkeep``: links and resync of all CRMs, and the nightly reads.
    """

    definitions: dg.Definitions
    dagster: Dagster
    first: dg.ExecuteInProcessResult
    due: list[dg.RunRequest]
    retried: dg.ExecuteInProcessResult
    ticked: list[dg.RunRequest]
    second: dg.ExecuteInProcessResult
    upkeep: dg.ExecuteInProcessResult
    told: str | None
    names: list[str]


def component(tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox) -> CrmIntegration:
    """The integration as a code location loads it, of a component that a project has derived from ours."""
    folder = tmp_path_factory.mktemp("translated")
    chosen = attributes(sandbox) | FEW_FIELDS | {"translation": TRANSLATION, "alerts": ALERTS}
    project = Project.create(folder, "translated_project")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        project.write("acme", yaml.safe_dump({"type": f"{__name__}.OfThePlatform", "attributes": chosen}))
        tree = project.load().component_tree
        assert tree is not None
        return tree.load_component("acme", OfThePlatform)


ALERTS = {"slack": {"env": "SLACK_WEBHOOK_URL"}, "silent_hours": 6}


def sensor_requests(dagster: Dagster, spec: IntegrationSpec) -> list[dg.RunRequest]:
    definitions = dagster.definitions(spec)
    with dg.build_sensor_context(instance=dagster.instance, definitions=definitions) as context:
        return list(definitions.resolve_sensor_def("acme__retries").evaluate_tick(context).run_requests or [])


@pytest.fixture(scope="module")
def story(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Story:
    with own_world(postgres) as world:
        sandbox = world.sandbox
        made = component(tmp_path_factory, sandbox)
        spec, dagster = made.spec("acme"), replace(world.dagster, translate=made.get_asset_spec)
        add_laboratories(sandbox.tenant, 2, contacts_each=1)
        sandbox.org.lock("Account", "1", times=3)
        job = dagster.definitions(spec).resolve_job_def("acme__sync")
        first = job.execute_in_process(partition_key=FIRST, instance=dagster.instance, raise_on_error=False)
        with STORE.transaction() as connection:
            connection.execute(text("UPDATE crm_pipeline.outcome SET next_attempt_at = next_attempt_at - interval '1 day'"))
        due = sensor_requests(dagster, spec)
        retried = dagster.launch(spec, due[0])
        sandbox.tenant.edit_customer(1, customer_name="Renamed", at=IN_SECOND)
        ticked, _ = dagster.ticked(spec, at=START + timedelta(hours=2, minutes=5))
        second = dagster.launch(spec, ticked[0])
        upkeep = [shown_key(asset) for asset in UPKEEP]
        everything = dagster.definitions(spec).resolve_implicit_global_asset_job_def()
        kept_up = everything.execute_in_process(instance=dagster.instance, asset_selection=upkeep, raise_on_error=False)
        with dg.build_sensor_context(instance=dagster.instance, definitions=dagster.definitions(spec)) as context:
            told = dagster.definitions(spec).resolve_sensor_def("acme__alerts").evaluate_tick(context).skip_message
        names = sorted(record["Name"] for record in sandbox.org.records("Account"))
        return Story(dagster.definitions(spec), dagster, first, due, retried, ticked, second, kept_up, told, names)


UPKEEP = (
    "salesforce/links",
    "hubspot/links",
    "salesforce/resync",
    "hubspot/resync",
    "qbench/deletions",
    "qbench/waiting_contacts",
    "records",
    "database",
)


def materialized(result: dg.ExecuteInProcessResult) -> set[dg.AssetKey]:
    return {event.asset_key for event in result.get_asset_materialization_events() if event.asset_key is not None}


def test_every_asset_is_shown_as_the_translation_says(story: Story) -> None:
    specs = {spec.key: spec for spec in story.definitions.resolve_all_asset_specs()}
    assert set(specs) == {shown_key(asset) for asset in (*READS, *LOADS, *UPKEEP)}
    load, links = specs[shown_key("hubspot/contacts")], specs[shown_key("hubspot/links")]
    assert (load.group_name, links.group_name) == ("acme/hubspot", "acme/upkeep")
    assert (list(load.owners), load.kinds, load.tags["record"], load.tags["platform"]) == (["team:crm"], {"hubspot"}, "contact", "lab")
    assert load.metadata["runbook"] == "acme/hubspot/contacts"
    assert "dagster/column_schema" in load.metadata


def test_an_hour_runs_whole(story: Story) -> None:
    assert story.first.success
    assert materialized(story.first) == {shown_key(asset) for asset in (*READS, *LOADS)}


def test_the_checks_are_those_of_the_assets_as_shown(story: Story) -> None:
    checked = {(found.asset_key, found.check_name) for found in story.first.get_asset_check_evaluations()}
    assert {key for key, _ in checked} == {shown_key(asset) for asset in (*READS, *LOADS)}
    assert (shown_key("salesforce/accounts"), "no_open_records") in checked


def test_the_lineage_of_columns_leads_through_the_assets_as_shown(story: Story) -> None:
    raw = {shown_key(asset) for asset in READS[:2]}
    upstream = {
        event.asset_key: {dep.asset_key for deps in lineage.deps_by_column.values() for dep in deps}
        for event in story.first.get_asset_materialization_events()
        if event.asset_key not in raw
        and isinstance(lineage := event.materialization.metadata["dagster/column_lineage"].value, dg.TableColumnLineage)
    }
    assert upstream[shown_key("hubspot/companies")] == {shown_key("normalized/accounts")}
    assert upstream[shown_key("normalized/contacts")] == {shown_key("qbench/contacts")}


def test_the_retry_sensor_requests_the_loads_as_shown(story: Story) -> None:
    [request] = story.due
    assert (set(request.asset_selection or ()), request.tags[ROWS_TAG]) == (
        {shown_key("salesforce/accounts"), shown_key("salesforce/contacts")},
        "due",
    )
    assert story.retried.success


def test_the_schedule_takes_up_the_hour_that_closed_and_not_what_is_green(story: Story) -> None:
    assert [request.run_key for request in story.ticked] == [f"{SECOND}...{SECOND}"]
    assert story.second.success
    assert story.names == ["Laboratory 2", "Renamed"]


def test_links_resync_and_the_nightly_reads_run(story: Story) -> None:
    assert story.upkeep.success
    assert materialized(story.upkeep) == {shown_key(asset) for asset in UPKEEP}


def test_the_alert_sensor_knows_the_loads_as_shown(story: Story) -> None:
    assert story.told == "integration acme: 0 open incidents, 0 messages sent"
