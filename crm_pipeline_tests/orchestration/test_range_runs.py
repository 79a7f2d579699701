"""Which hours of a run over many are green when one CRM leaves records open, and what repairing the others costs."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.windows import hourly_partitions
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.sync.load import ROUNDS
from crm_pipeline_tests.orchestration.conftest import ACCOUNTS, Dagster, writes
from crm_pipeline_tests.tenants import START, customized

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


def test_only_the_hours_with_open_records_are_red_and_only_these_records_are_sent_again(sandbox: Sandbox, dagster: Dagster) -> None:
    customers = customers_of_all_hours(sandbox)
    for hour in (2, 3):
        sandbox.org.lock("Account", str(customers[hour]), times=ROUNDS)
    spec = customized(sandbox)
    assert not dagster.run(spec, KEYS[0], until=KEYS[-1], assets=ACCOUNTS).success
    assert red(states(dagster, spec, "salesforce/accounts")) == [KEYS[2], KEYS[3]]
    assert states(dagster, spec, "salesforce/accounts")[KEYS[2]] == "FAILED"
    assert red(states(dagster, spec, "hubspot/companies")) == []
    sandbox.journal.clear()
    assert dagster.run(spec, KEYS[2], until=KEYS[3], assets=("salesforce/accounts",)).success
    assert red(states(dagster, spec, "salesforce/accounts")) == []
    assert sum(call.rows or 0 for call in writes(sandbox, "salesforce")) == 2


def test_crm_that_is_down_leaves_green_only_the_hours_without_records(sandbox: Sandbox, dagster: Dagster) -> None:
    customers_of_all_hours(sandbox)
    sandbox.faults.add(Fault(service="hubspot", times=None, status=503))
    spec = customized(sandbox, hubspot={"attempts": 1})
    assert not dagster.run(spec, KEYS[0], until=KEYS[-1], assets=ACCOUNTS).success
    assert red(states(dagster, spec, "hubspot/companies")) == [key for key in KEYS if key != KEYS[HOURS - 2]]


def test_open_record_in_the_overlap_keeps_the_runs_first_hour_red(sandbox: Sandbox, dagster: Dagster) -> None:
    late = int(START.timestamp()) + 2 * 3_600 - 60
    late_customer = sandbox.tenant.add_customer(customer_name="Late", at=late)
    sandbox.org.lock("Account", str(late_customer), times=ROUNDS)
    spec = customized(sandbox)
    assert not dagster.run(spec, KEYS[2], until=KEYS[4], assets=ACCOUNTS).success
    assert red({key: state for key, state in states(dagster, spec, "salesforce/accounts").items() if key in KEYS[2:5]}) == [KEYS[2]]


def test_large_metadata_is_kept_with_the_last_hour_of_a_range_alone(sandbox: Sandbox, dagster: Dagster) -> None:
    result = dagster.run(customized(sandbox), KEYS[0], until=KEYS[-1], assets=ACCOUNTS)
    made_by = dg.AssetKey(["acme", "hubspot", "companies"])
    loads = [event.materialization for event in result.get_asset_materialization_events() if event.asset_key == made_by]
    assert [made.partition for made in loads if "recent_outcomes" in made.metadata] == [KEYS[-1]]
    assert all("fewest_write_calls" in made.metadata for made in loads)
