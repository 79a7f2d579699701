"""What becomes of a run whose code server is reloaded, and of one whose processes are all gone, in a running Dagster.

It is one run: its code is reloaded while it writes its first batch to HubSpot, its host is killed while it writes its second.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg
import pytest
from sqlalchemy import text

from crm_pipeline.sandbox.faults import Fault
from crm_pipeline_tests.live.conftest import INTEGRATION, LOCATION, LiveDagster, await_that
from crm_pipeline_tests.orchestration.conftest import LOADS, READS, writes
from crm_pipeline_tests.tenants import add_laboratories

pytestmark = pytest.mark.timeout(1800)

HUBSPOT_BATCH = 100
SALESFORCE_BATCH = 200
NUMBERS = range(1, 2 * HUBSPOT_BATCH + 51)
SEVERAL_CHECKS = 3

RELOAD = """
mutation Reload($location: String!) { reloadRepositoryLocation(repositoryLocationName: $location) { __typename } }
"""


def held_write(live: LiveDagster) -> threading.Event:
    """Hold HubSpot's next write of companies until the event is set."""
    let_go = threading.Event()
    live.sandbox.faults.add(Fault(service="hubspot", path="companies/batch/upsert", kind="delay", until=let_go))
    return let_go


@contextmanager
def answer_held_back(live: LiveDagster, run_id: str, let_go: threading.Event) -> Iterator[None]:
    """Once the held write is under way, let HubSpot carry it out; what HubSpot answers is not stored before the block ends."""
    await_that(lambda: not live.sandbox.faults.open() or live.run(run_id).is_finished, "the load writes", every=0.05)
    assert not live.run(run_id).is_finished, f"the run ended too soon:\n{live.said(run_id)}"
    with live.store.transaction() as connection:
        connection.execute(text("LOCK TABLE crm_pipeline.link IN EXCLUSIVE MODE"))
        let_go.set()
        yield


def is_green(live: LiveDagster, hour: str) -> bool:
    """Whether every hourly asset of the integration has materialized the hour."""
    keys = [dg.AssetKey([INTEGRATION, *asset.split("/")]) for asset in (*READS, *LOADS)]
    return all(hour in live.instance.get_materialized_partitions(key) for key in keys)


def names(live: LiveDagster) -> dict[str, Counter[str]]:
    """How often each of the laboratories is in each CRM."""
    wanted = {f"Laboratory {number}" for number in NUMBERS}
    accounts = [record["Name"] for record in live.sandbox.org.records("Account")]
    companies = [record["properties"]["name"] for record in live.sandbox.portal.records("companies")]
    return {
        "salesforce": Counter(name for name in accounts if name in wanted),
        "hubspot": Counter(name for name in companies if name in wanted),
    }


def checks(live: LiveDagster, run_id: str) -> int:
    """How often the run monitoring has looked at a run."""
    return live.log().count(f"Checking run {run_id}")


@dataclass(frozen=True)
class Killed:
    """The run, its status when the monitoring had looked at it several times since the reload, and the companies made by its end."""

    run_id: str
    status_after_reload: dg.DagsterRunStatus
    companies: int


@pytest.fixture(scope="module")
def killed(live: LiveDagster) -> Killed:
    """The killed run; Dagster is up again."""
    add_laboratories(live.sandbox.tenant, len(NUMBERS), at=live.within_hour(1), first_number=NUMBERS.start)
    first = held_write(live)
    run_id = live.launch(live.hour(1))
    with answer_held_back(live, run_id, first):
        live.graphql(RELOAD, location=LOCATION)
        enough = checks(live, run_id) + SEVERAL_CHECKS
        await_that(lambda: checks(live, run_id) >= enough or live.run(run_id).is_finished, "it is looked at again and again", every=0.3)
        status = live.run(run_id).status
        second = held_write(live)
    with answer_held_back(live, run_id, second):
        await_that(lambda: len(live.sandbox.portal.records("companies")) > HUBSPOT_BATCH, "HubSpot wrote the second batch")
        live.kill()
    made = len(live.sandbox.portal.records("companies"))
    live.start_again()
    return Killed(run_id, status, made)


def test_run_survives_the_reload_of_its_code(killed: Killed) -> None:
    assert killed.status_after_reload is dg.DagsterRunStatus.STARTED
    assert killed.companies >= 2 * HUBSPOT_BATCH, "it went on with its second batch"


def test_hour_whose_host_is_killed_in_the_middle_of_a_load_ends_green_without_a_hand(live: LiveDagster, killed: Killed) -> None:
    await_that(lambda: is_green(live, live.hour(1)), lambda: f"the hour is green; the run says:\n{live.said(killed.run_id)}", every=0.5)
    assert live.run(killed.run_id).status is dg.DagsterRunStatus.FAILURE
    assert "the code server that executed this run is gone" in live.said(killed.run_id)
    once = Counter(f"Laboratory {number}" for number in NUMBERS)
    assert names(live) == {"salesforce": once, "hubspot": once}
    # What HubSpot answered to the first batch was stored before the kill; the other ones may have been under way together.
    for crm, under_way in (("salesforce", SALESFORCE_BATCH), ("hubspot", len(NUMBERS) - HUBSPOT_BATCH)):
        sent = sum(call.rows or 0 for call in writes(live.sandbox, crm))
        assert sent <= len(NUMBERS) + under_way, f"at most the batches that were under way are sent to {crm} again"
