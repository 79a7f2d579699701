"""Which hours of a run over many are green when one CRM leaves records open, and what repairing the others costs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import dagster as dg
import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.windows import hourly_partitions
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline_tests.orchestration.conftest import ACCOUNTS, Dagster, World, metadata_of, writes
from crm_pipeline_tests.tenants import START, customized, integration

HOURS = 6
KEYS = [f"{START + timedelta(hours=number):%Y-%m-%d-%H:%M}" for number in range(HOURS)]


def customers_of_all_hours(sandbox: Sandbox) -> dict[int, int]:
    """A customer in every hour but the one before the last; its id by hour."""
    start = int(START.timestamp())
    hours = [hour for hour in range(HOURS) if hour != HOURS - 2]
    return {hour: sandbox.tenant.add_customer(customer_name=f"Lab of hour {hour}", at=start + hour * 3_600 + 1_800) for hour in hours}


def states(dagster: Dagster, spec: IntegrationSpec, asset: str) -> dict[str, str]:
    """What Dagster shows for each hour of an asset."""
    found = dagster.instance.get_status_by_partition(dg.AssetKey(["acme", *asset.split("/")]), KEYS, hourly_partitions(spec.start)) or {}
    return {key: state.value if (state := found.get(key)) else "MISSING" for key in KEYS}


def red(states_by_hour: dict[str, str]) -> list[str]:
    return [key for key, state in states_by_hour.items() if state != "MATERIALIZED"]


def stop_writes(sandbox: Sandbox, path: str) -> None:
    """Let Salesforce be down from the first such write on, also when it is asked whether it is up."""
    sandbox.faults.add(Fault(service="salesforce", path=path, times=None, status=503))
    sandbox.faults.add(Fault(service="salesforce", path="query", holding="FROM Organization", times=None, status=503))


@dataclass(frozen=True)
class Story:
    """A run over all hours with HubSpot down and Salesforce failing at two updates, and what repaired each CRM afterwards."""

    broken: dict[str, dict[str, str]]
    repaired: dict[str, dict[str, str]]
    sent_again: int
    hubspot: dg.ExecuteInProcessResult


@pytest.fixture(scope="module")
def story(world: World) -> Story:
    sandbox, dagster = world.sandbox, world.dagster
    customers = customers_of_all_hours(sandbox)
    spec = customized(sandbox, salesforce={"attempts": 1}, hubspot={"attempts": 1})
    assert dagster.run(spec, KEYS[2], until=KEYS[3], assets=ACCOUNTS[:3]).success
    for hour in (2, 3):
        at = int(START.timestamp()) + hour * 3_600 + 1_900
        sandbox.tenant.edit_customer(customers[hour], customer_name=f"Renamed in hour {hour}", at=at)
    stop_writes(sandbox, "composite/sobjects$")
    sandbox.faults.add(Fault(service="hubspot", times=None, status=503))
    assert not dagster.run(spec, KEYS[0], until=KEYS[-1], assets=ACCOUNTS).success
    broken = {load: states(dagster, spec, load) for load in ACCOUNTS[2:]}
    sandbox.faults.clear()
    sandbox.journal.clear()
    assert dagster.run(spec, KEYS[2], until=KEYS[3], assets=("salesforce/accounts",)).success
    sent_again = sum(call.rows or 0 for call in writes(sandbox))
    hubspot = dagster.run(spec, KEYS[0], until=KEYS[-1], assets=("hubspot/companies",))
    return Story(broken, {load: states(dagster, spec, load) for load in ACCOUNTS[2:]}, sent_again, hubspot)


def test_only_the_hours_with_open_records_are_red(story: Story) -> None:
    assert red(story.broken["salesforce/accounts"]) == [KEYS[2], KEYS[3]]
    assert story.broken["salesforce/accounts"][KEYS[2]] == "FAILED"


def test_crm_that_is_down_leaves_green_only_the_hours_without_records(story: Story) -> None:
    assert red(story.broken["hubspot/companies"]) == [key for key in KEYS if key != KEYS[HOURS - 2]]


def test_red_hours_turn_green_for_the_price_of_their_open_records(story: Story) -> None:
    assert red(story.repaired["salesforce/accounts"]) == []
    assert story.sent_again == 2


def test_range_of_partitions_is_one_run_over_all_its_hours(story: Story) -> None:
    assert metadata_of(story.hubspot, "hubspot", "companies")["created"] == HOURS - 1
    assert red(story.repaired["hubspot/companies"]) == []


def test_large_metadata_is_kept_with_the_last_hour_of_a_range_alone(story: Story) -> None:
    loads = [event.materialization for event in story.hubspot.get_asset_materialization_events()]
    assert [made.partition for made in loads] == KEYS
    assert [made.partition for made in loads if "recent_outcomes" in made.metadata] == [KEYS[-1]]
    assert all("fewest_write_calls" in made.metadata for made in loads)


def test_open_record_in_the_overlap_keeps_the_runs_first_hour_red(sandbox: Sandbox, dagster: Dagster) -> None:
    late = int(START.timestamp()) + 2 * 3_600 - 60
    sandbox.tenant.add_customer(customer_name="Late", at=late)
    stop_writes(sandbox, "composite/sobjects")
    spec = customized(sandbox, salesforce={"attempts": 1})
    assert not dagster.run(spec, KEYS[2], until=KEYS[4], assets=ACCOUNTS[:3]).success
    assert red({key: state for key, state in states(dagster, spec, "salesforce/accounts").items() if key in KEYS[2:5]}) == [KEYS[2]]


@pytest.mark.parametrize("remapped", [{"description": "comments"}, {"on_invalid": "fail"}], ids=["content", "rule alone"])
def test_changed_mapping_leaves_the_hours_red_that_a_failed_run_did_not_get_to(
    sandbox: Sandbox, dagster: Dagster, remapped: dict[str, str]
) -> None:
    customers_of_all_hours(sandbox)
    accounts = {"map": {"name": "customer_name", "website": {"from": "website"}}}
    before = integration(sandbox, accounts=accounts, contacts=None)
    assert dagster.run(before, KEYS[0], until=KEYS[-1], assets=ACCOUNTS[:3]).success
    field = {"description": "comments"} if "description" in remapped else {"website": {"from": "website", **remapped}}
    after = integration(sandbox, accounts={"map": accounts["map"] | field}, contacts=None)
    after = after.model_copy(update={"crms": customized(sandbox, salesforce={"attempts": 1}).crms})
    sandbox.faults.add(Fault(service="salesforce", times=None, status=503))
    assert not dagster.run(after, KEYS[0], until=KEYS[-1], assets=ACCOUNTS[:3]).success
    assert red(states(dagster, after, "salesforce/accounts")) == [key for key in KEYS if key != KEYS[HOURS - 2]]
    sandbox.faults.clear()
    assert dagster.run(after, KEYS[0], until=KEYS[-1], assets=ACCOUNTS[2:3]).success
    assert red(states(dagster, after, "salesforce/accounts")) == []
