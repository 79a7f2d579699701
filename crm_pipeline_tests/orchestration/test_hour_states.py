"""How hours stand is told as Dagster tells it, and costs the same at a year of hours as at a day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg
import pytest
from dagster._core.definitions.partitions.subset import TimeWindowPartitionsSubset
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent
from dagster._core.test_utils import create_run_for_test

from crm_pipeline.orchestration.hour_states import HourStates, hour_states
from crm_pipeline_tests.orchestration.test_schedule import hour, scheduled
from crm_pipeline_tests.tenants import START

KEY = dg.AssetKey(["acme", "hubspot", "companies"])
HOURS = dg.HourlyPartitionsDefinition(START)
DAY = [hour(number) for number in range(24)]


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    """Hours 0 to 9 are green, 4, 8 and 12 red, 7 and 15 under way."""
    with dg.DagsterInstance.ephemeral() as instance:

        def planned(number: int) -> dg.DagsterRun:
            run: dg.DagsterRun = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED)
            event = AssetMaterializationPlannedData(KEY, partition=hour(number))
            instance.report_dagster_event(DagsterEvent.build_asset_materialization_planned_event("job", "step", event), run.run_id)
            return run

        for number in range(10):
            instance.report_runless_asset_event(dg.AssetMaterialization(KEY, partition=hour(number)))
        for number in (4, 8, 12):
            instance.report_run_failed(planned(number))
        for number in (7, 15):
            planned(number)
        yield instance


@pytest.mark.parametrize("hours", [DAY, DAY[3:9], DAY[20:], [DAY[0], *DAY[7:14]], []])
def test_hours_stand_as_dagster_says(instance: dg.DagsterInstance, hours: list[str]) -> None:
    told = instance.get_status_by_partition(KEY, hours, HOURS) or {}
    states = hour_states(instance, KEY, hours, HOURS)
    found = {"MATERIALIZED": states.materialized, "FAILED": states.failed, "IN_PROGRESS": states.under_way}
    assert {key: state for state, keys in found.items() for key in keys} == {key: state.value for key, state in told.items() if state}
    assert sum(map(len, found.values())) == len([state for state in told.values() if state])


def test_asset_that_was_never_run_has_no_state(instance: dg.DagsterInstance) -> None:
    assert hour_states(instance, dg.AssetKey("never"), DAY, HOURS) == HourStates()


def test_tick_of_the_schedule_looks_at_no_hour_alone(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    integration = scheduled(instance)
    integration.done(*range(24))
    looked = []

    def contains(subset: TimeWindowPartitionsSubset, key: str) -> bool:
        looked.append(key)
        return key in set(subset.get_partition_keys())

    monkeypatch.setattr(TimeWindowPartitionsSubset, "__contains__", contains)
    assert integration.tick(at=START + timedelta(hours=24, minutes=5))[0] == []
    assert not looked
