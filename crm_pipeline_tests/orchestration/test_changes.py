"""What brings changes home from the CRMs, in Dagster: its assets, its hours, and what it leaves there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test
from sqlalchemy import text

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.assets import build_integration
from crm_pipeline.orchestration.metadata import COLUMN_SCHEMA
from crm_pipeline.orchestration.names import from_crms_job_name, from_crms_schedule_name
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.running import INTEGRATION_TAG
from crm_pipeline.orchestration.translating import AssetProps
from crm_pipeline.orchestration.windows import hourly_partitions
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline_tests.orchestration.conftest import Ticking, Verdicts, World, failures, metadata_of, own_world, verdicts_of
from crm_pipeline_tests.orchestration.test_first_load import THIRD, Requested, after
from crm_pipeline_tests.orchestration.test_retries import hours
from crm_pipeline_tests.tenants import FEW_FIELDS, FIRST, SECOND, START, both_ways, customized

SPEC = IntegrationSpec.model_validate(
    {
        "name": "acme",
        "start": START.isoformat(),
        "qbench": {"url": "https://acme.qbench.net", "client_id": {"env": "A"}, "client_secret": {"env": "B"}},
        "crms": {
            "salesforce": {"url": "http://127.0.0.1:1", "client_id": {"env": "C"}, "client_secret": {"env": "D"}},
            "hubspot": {"token": {"env": "E"}},
        },
        **FEW_FIELDS,
    }
)
BOTH: dict[str, Any] = {"from": "comments", "direction": "both"}
ASSETS = {
    "salesforce/account_changes": set[str](),
    "salesforce/contact_changes": set[str](),
    "qbench/customers_from_salesforce": {"salesforce/account_changes"},
    "qbench/contacts_from_salesforce": {"salesforce/contact_changes", "qbench/customers_from_salesforce"},
    "hubspot/company_changes": set[str](),
    "hubspot/contact_changes": set[str](),
    "qbench/customers_from_hubspot": {"hubspot/company_changes"},
    "qbench/contacts_from_hubspot": {"hubspot/contact_changes", "qbench/customers_from_hubspot"},
}
"""What each is made from."""


def added(spec: IntegrationSpec) -> dict[str, dg.AssetSpec]:
    """The assets that an integration has beside those of one way."""
    one_way = {asset.key for asset in build_integration(SPEC).resolve_all_asset_specs()}
    return {"/".join(asset.key.path[1:]): asset for asset in build_integration(spec).resolve_all_asset_specs() if asset.key not in one_way}


TWO_WAY = both_ways(SPEC, accounts={"description": BOTH}, contacts={"last_name": {"from": "last_name", "direction": "both"}})


def test_integration_that_comes_back_has_a_chain_of_assets_for_each_crm() -> None:
    found = {name: {"/".join(dep.asset_key.path[1:]) for dep in asset.deps} for name, asset in added(TWO_WAY).items()}
    assert found == ASSETS


def test_only_what_comes_back_has_assets() -> None:
    spec = both_ways(SPEC, contacts={"last_name": {"from": "last_name", "direction": {"hubspot": "both"}}})
    assert set(added(spec)) == {"hubspot/contact_changes", "qbench/contacts_from_hubspot"}
    definitions = build_integration(spec)
    dg.Definitions.validate_loadable(definitions)


def test_way_back_has_a_job_a_schedule_and_a_sensor_of_its_own() -> None:
    definitions = build_integration(TWO_WAY)
    dg.Definitions.validate_loadable(definitions)
    job, hourly = definitions.resolve_job_def("acme__from_crms"), definitions.resolve_job_def("acme__sync")
    made = {"/".join(key.path[1:]) for key in job.asset_layer.selected_asset_keys}
    assert made == set(ASSETS)
    assert job.asset_layer.selected_asset_keys.isdisjoint(hourly.asset_layer.selected_asset_keys)
    schedule = definitions.resolve_schedule_def("acme__from_crms_schedule")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("35 * * * *", "UTC")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert definitions.resolve_sensor_def("acme__from_crms_retries").default_status is dg.DefaultSensorStatus.RUNNING


def test_paused_integration_brings_nothing_back_by_itself() -> None:
    definitions = build_integration(TWO_WAY.model_copy(update={"active": False}))
    assert definitions.resolve_schedule_def("acme__from_crms_schedule").default_status is dg.DefaultScheduleStatus.STOPPED
    assert definitions.resolve_sensor_def("acme__from_crms_retries").default_status is dg.DefaultSensorStatus.STOPPED


def test_assets_name_the_columns_that_come_back() -> None:
    columns = {name: {column.name for column in asset.metadata[COLUMN_SCHEMA].columns} for name, asset in added(TWO_WAY).items()}
    assert "Description" in columns["salesforce/account_changes"]
    assert "Name" not in columns["salesforce/account_changes"]
    assert "comments" in columns["qbench/customers_from_hubspot"]
    assert "last_name" in columns["qbench/contacts_from_salesforce"]


def test_translation_shows_the_way_back_by_other_keys() -> None:
    def translate(props: AssetProps) -> dg.AssetSpec:
        return props.spec.replace_attributes(key=["crm", props.service, f"{props.integration}-{props.object}"], group_name=props.service)

    definitions = build_integration(TWO_WAY, translate)
    dg.Definitions.validate_loadable(definitions)
    found = {"/".join(asset.key.path[1:]): asset for asset in definitions.resolve_all_asset_specs()}
    for name, upstream in ASSETS.items():
        shown = found[name.replace("/", "/acme-")]
        assert {"/".join(dep.asset_key.path[1:]) for dep in shown.deps} == {one.replace("/", "/acme-") for one in upstream}
        assert shown.group_name == name.split("/")[0]


@pytest.mark.parametrize(
    ("pool", "names"),
    [("acme__qbench", {name for name in ASSETS if name.startswith("qbench/")}), ("acme__hubspot", {"hubspot/company_changes"})],
)
def test_steps_wait_in_the_pool_of_what_they_write_to_or_read(pool: str, names: set[str]) -> None:
    assets = build_integration(TWO_WAY).assets or ()
    of_pool = {
        "/".join(key.path[1:]) for asset in assets if isinstance(asset, dg.AssetsDefinition) and asset.op.pool == pool for key in asset.keys
    }
    assert names <= of_pool


CHANGES = ["salesforce/account_changes", "salesforce/contact_changes", "hubspot/company_changes", "hubspot/contact_changes"]


def two_way(world: World) -> IntegrationSpec:
    """The integration whose descriptions and last names go both ways; each call to a CRM is tried once."""
    spec = customized(world.sandbox, salesforce={"attempts": 1}, hubspot={"attempts": 1})
    return both_ways(spec, accounts={"description": BOTH}, contacts={"last_name": {"from": "last_name", "direction": "both"}})


def read(world: World, spec: IntegrationSpec, partition: str, *, until: str | None = None) -> dg.ExecuteInProcessResult:
    """Read what changed in the hours, and no more."""
    return world.dagster.run(spec, partition, until=until, assets=CHANGES, job_of=from_crms_job_name)


def staged(crm: str) -> dict[str, object]:
    """What is staged of a CRM's accounts, by their ids: the description, the only field that comes back."""
    with STORE.transaction() as connection:
        rows = connection.execute(
            text("SELECT crm_id, fields FROM crm_pipeline.crm_record WHERE crm = :crm AND record_type = 'account'"), {"crm": crm}
        )
        return {row.crm_id: next(iter(row.fields.values())) for row in rows}


def status_of(world: World, spec: IntegrationSpec, *hours: str) -> dict[str, list[str]]:
    """How these hours stand in Dagster, by asset."""
    partitions = hourly_partitions(START)
    found = {}
    for name in CHANGES:
        status = world.dagster.instance.get_status_by_partition(dg.AssetKey(["acme", *name.split("/")]), hours, partitions) or {}
        found[name] = [state.value if (state := status.get(hour)) else "MISSING" for hour in hours]
    return found


@dataclass(frozen=True)
class Read:
    """An hour with an edit in each CRM, one without changes, which are brought home, and one in which HubSpot is down; then that again."""

    edited: dict[str, dict[str, object]]
    staged: dict[str, set[object]]
    quiet: dict[str, dict[str, object]]
    quiet_calls: Counter[str]
    verdicts: Verdicts
    down: dict[str, list[str]]
    said: dict[str, str]
    healed: dict[str, list[str]]


@pytest.fixture(scope="module")
def hours_read(postgres: str) -> Read:
    with own_world(postgres) as world:
        org, portal, spec = world.sandbox.org, world.sandbox.portal, two_way(world)
        org.add("Account", {"Name": "Laboratory 1", "Description": "in Salesforce"}, at=START + timedelta(hours=1, minutes=5))
        portal.add(
            "companies", {"name": "Laboratory 1", "description": "in HubSpot"}, at=(START + timedelta(hours=1, minutes=5)).timestamp()
        )
        edited = read(world, spec, SECOND)
        found = {crm: set(staged(crm).values()) for crm in ("salesforce", "hubspot")}
        world.sandbox.journal.clear()
        quiet = world.dagster.run(spec, "2026-11-01-05:00", job_of=from_crms_job_name)
        calls = Counter(call.service for call in world.sandbox.journal.calls() if not call.path.endswith("/token"))
        world.sandbox.faults.add(Fault(service="hubspot", status=503, times=None))
        broken = read(world, spec, THIRD)
        of_broken = verdicts_of(world.dagster, broken)
        down = status_of(world, spec, SECOND, THIRD)
        world.sandbox.faults.clear()
        healed = read(world, spec, THIRD)
        assert healed.success
        return Read(
            {name: metadata_of(edited, *name.split("/")) for name in CHANGES},
            found,
            {name: metadata_of(quiet, *name.split("/")) for name in CHANGES},
            calls,
            verdicts_of(world.dagster, edited) | {("down", check): one for (_, check), one in of_broken.items() if not one.passed},
            down,
            failures(broken),
            status_of(world, spec, THIRD),
        )


def test_hour_stages_what_changed_in_each_crm_and_says_how_much(hours_read: Read) -> None:
    assert hours_read.staged == {"salesforce": {"in Salesforce"}, "hubspot": {"in HubSpot"}}
    assert {name: found["dagster/row_count"] for name, found in hours_read.edited.items()} == {
        name: 1 if name in {"salesforce/account_changes", "hubspot/company_changes"} else 0 for name in CHANGES
    }


def test_hour_without_changes_costs_a_composite_call_and_a_search_for_each_object(hours_read: Read) -> None:
    assert hours_read.quiet_calls == {"salesforce": 1, "hubspot": 2}
    assert {name: (found["dagster/row_count"], found["calls_read"]) for name, found in hours_read.quiet.items()} == {
        name: (0, 1 if name.startswith("salesforce") else 2) for name in CHANGES
    }


def test_one_crm_that_is_down_turns_its_own_hour_red_alone(hours_read: Read) -> None:
    for name, states in hours_read.down.items():
        assert states == ["MATERIALIZED", "MATERIALIZED" if name.startswith("salesforce") else "FAILED"]
    assert set(hours_read.said) == {"hubspot/company_changes"}
    assert not hours_read.verdicts["down", "changes_complete"].passed
    assert hours_read.verdicts["down", "changes_complete"].severity is dg.AssetCheckSeverity.ERROR
    assert hours_read.verdicts["salesforce/account_changes", "changes_complete"].passed


def test_failed_hour_is_green_once_it_is_materialized_again(hours_read: Read) -> None:
    assert all(states == ["MATERIALIZED"] for states in hours_read.healed.values())


def receiving(spec: IntegrationSpec, **crms: bool) -> IntegrationSpec:
    """The integration with this said of whether its CRMs' changes are received."""
    settings = {crm: spec.crms.configured[crm].model_copy(update={"receive": receive}) for crm, receive in crms.items()}
    return spec.model_copy(update={"crms": spec.crms.model_copy(update=settings)})


@dataclass(frozen=True)
class Ticks:
    """An integration on an instance in which hours are reported as done or failed, and what its way back requests."""

    instance: dg.DagsterInstance
    spec: IntegrationSpec

    def key(self, asset: str) -> dg.AssetKey:
        return dg.AssetKey([self.spec.name, *asset.split("/")])

    def done(self, *partitions: str, assets: Collection[str] = tuple(ASSETS)) -> None:
        """Let these hours of the assets be green."""
        for asset in assets:
            for partition in partitions:
                self.instance.report_runless_asset_event(dg.AssetMaterialization(self.key(asset), partition=partition))

    def tick(self, *, closed: int) -> tuple[Requested, str | None]:
        """What the schedule requests once so many hours have closed; no assets where it is all of them."""
        definitions = build_integration(self.spec)
        with Ticking(self.instance, at=after(closed), definitions=definitions) as context:
            evaluated = definitions.resolve_schedule_def(from_crms_schedule_name(self.spec.name)).evaluate_tick(context)
        return hours(list(evaluated.run_requests or [])), evaluated.skip_message


@pytest.fixture
def ticks() -> Iterator[Ticks]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Ticks(instance, TWO_WAY)


def test_first_window_is_a_persons_to_begin(ticks: Ticks) -> None:
    requested, skipped = ticks.tick(closed=2)
    assert requested == []
    assert f"first load not done; materialize partition {FIRST} of acme/hubspot/company_changes" in str(skipped)
    ticks.done(FIRST)
    assert ticks.tick(closed=3) == ([(SECOND, THIRD, set())], None)


@pytest.mark.parametrize("first_load", ["automatic", "none"])
def test_first_window_is_read_by_itself_where_no_person_is_to_begin(ticks: Ticks, first_load: str) -> None:
    """Also where records are to sync once they are edited: who was never read has no value that an edit differs from."""
    spec = TWO_WAY.model_copy(update={"first_load": first_load})
    assert Ticks(ticks.instance, spec).tick(closed=2) == ([(FIRST, SECOND, set())], None)


def test_one_crms_missing_hours_hold_nothing_of_the_other_back(ticks: Ticks) -> None:
    ticks.done(FIRST)
    of_salesforce = {name for name in ASSETS if "salesforce" in name}
    ticks.done(SECOND, assets=of_salesforce)
    assert ticks.tick(closed=3)[0] == [(SECOND, SECOND, set(ASSETS) - of_salesforce), (THIRD, THIRD, set())]


def test_hours_missed_while_nothing_is_received_are_requested_once_it_goes_on(ticks: Ticks) -> None:
    ticks.done(FIRST)
    held = Ticks(ticks.instance, receiving(TWO_WAY, hubspot=False))
    of_salesforce = {name for name in ASSETS if "salesforce" in name}
    assert held.tick(closed=2)[0] == [(SECOND, SECOND, of_salesforce)]
    held.done(SECOND, THIRD, assets=of_salesforce)
    requested, skipped = held.tick(closed=3)
    assert requested == []
    assert "nothing comes back from HubSpot while `crms.hubspot.receive` is false; its hours stay missing until then" in str(skipped)
    assert ticks.tick(closed=3)[0] == [(SECOND, THIRD, set(ASSETS) - of_salesforce)]


def test_run_of_the_way_out_is_no_obstacle_to_the_way_back(ticks: Ticks) -> None:
    ticks.done(FIRST)
    create_run_for_test(ticks.instance, status=dg.DagsterRunStatus.STARTED, job_name="acme__sync", tags={INTEGRATION_TAG: "acme"})
    assert ticks.tick(closed=2)[0] == [(SECOND, SECOND, set())]
    create_run_for_test(ticks.instance, status=dg.DagsterRunStatus.STARTED, job_name="acme__from_crms", tags={INTEGRATION_TAG: "acme"})
    requested, skipped = ticks.tick(closed=2)
    assert requested == []
    assert "a run is queued or running" in str(skipped)
