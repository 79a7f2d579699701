"""The hourly run takes the recent check of links along, which costs no process of its own then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, InstigatorType, ScheduleInstigatorData
from dagster._core.test_utils import instance_for_test

from crm_pipeline.orchestration.check_along import CheckAlong
from crm_pipeline.orchestration.names import links_schedule_name, sync_and_check_job_name
from crm_pipeline.orchestration.running import SCOPE_TAG
from crm_pipeline_tests.orchestration.conftest import World, materialized, metadata_of
from crm_pipeline_tests.tenants import FIRST, SECOND, START, add_laboratories, customized

PAST_THE_HOUR = timedelta(minutes=5)
A_TICK = datetime.now(UTC).replace(minute=35, second=0, microsecond=0)
CHECK = ("salesforce/links", "hubspot/links", "records")


def along(**changes: Any) -> CheckAlong:
    keys = [dg.AssetKey(["acme", *asset.split("/")]) for asset in CHECK]
    usual = {"schedule": "acme__links_recent", "cron": "35 * * * *", "hourly": "5 * * * *", "job": "acme__sync_and_check"}
    return CheckAlong(**{**usual, "asset_keys": keys, **changes})


@dataclass(frozen=True)
class Hour:
    """Two hours after the first load: what the hourly schedule requested, and its run.

    ``beforehand``, ``said`` and ``later``: what the check's own schedule requested before that run, said behind it, and requested three
    hours later.
    """

    requests: list[dg.RunRequest]
    run: dg.ExecuteInProcessResult
    said: str | None
    later: list[dg.RunRequest]
    beforehand: list[dg.RunRequest]


@pytest.fixture(scope="module")
def hour(world: World) -> Hour:
    dagster, spec = world.dagster, customized(world.sandbox)
    add_laboratories(world.sandbox.tenant, 2, contacts_each=1)
    assert dagster.run(spec, FIRST).success

    def check_at(at: datetime) -> tuple[list[dg.RunRequest], str | None]:
        return dagster.ticked(spec, at=at, schedule_of=lambda name: links_schedule_name(name, "recent"))

    beforehand = check_at(A_TICK)[0]
    requests, _ = dagster.ticked(spec, at=START + timedelta(hours=3) + PAST_THE_HOUR)
    run = dagster.launch(spec, requests[-1], job_of=sync_and_check_job_name)
    _, said = check_at(A_TICK)
    later, _ = check_at(A_TICK + timedelta(hours=3))
    return Hour(requests, run, said, later, beforehand)


def test_scheduled_hour_makes_the_check_in_the_same_run(hour: Hour) -> None:
    [request] = hour.requests
    assert (request.asset_selection, request.tags[SCOPE_TAG]) == (None, "recent")
    assert hour.run.success
    assert set(CHECK) <= materialized(hour.run)
    assert {metadata_of(hour.run, crm, "links")["scope"] for crm in ("salesforce", "hubspot")} == {"recent"}
    assert {SECOND} <= {event.partition for event in hour.run.get_asset_materialization_events()}


def test_schedule_of_the_check_requests_what_no_hourly_run_made_since_its_last_tick(hour: Hour) -> None:
    assert len(hour.beforehand) == 1
    assert str(hour.said).endswith("the links were checked with the hourly run")
    assert len(hour.later) == 1


def test_check_of_another_rhythm_goes_along_with_the_hour_before_its_tick_alone(state_database: str) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        daily = along(cron="0 6 * * *")
        hours = [at for at in range(24) if daily.goes_along(instance, at=START + timedelta(hours=at) + PAST_THE_HOUR)]
    assert hours == [5]


def test_check_that_someone_switched_off_does_not_go_along() -> None:
    at = START + PAST_THE_HOUR
    with instance_for_test() as instance:
        assert along().goes_along(instance, at=at)
        location = RegisteredCodeLocationOrigin("acme")
        origin = RemoteRepositoryOrigin(location, "__repository__").get_instigator_origin("acme__links_recent")
        instance.add_instigator_state(
            InstigatorState(origin, InstigatorType.SCHEDULE, InstigatorStatus.STOPPED, ScheduleInstigatorData("35 * * * *"))
        )
        assert not along().goes_along(instance, at=at)
