"""What becomes of a run whose processes are gone, and of one whose code server is only reloaded, in a running `dagster dev`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from sqlalchemy import text

from crm_pipeline.sandbox.faults import Fault
from crm_pipeline_tests.awaiting import await_that
from crm_pipeline_tests.live.conftest import INTEGRATION, LOCATION, LiveDagster
from crm_pipeline_tests.orchestration.conftest import LOADS, READS, writes
from crm_pipeline_tests.tenants import add_laboratories

HUBSPOT_BATCH = 100
FOR_EVER = 3600.0
SEVERAL_CHECKS = 3

RELOAD = """
mutation Reload($location: String!) { reloadRepositoryLocation(repositoryLocationName: $location) { __typename } }
"""


@contextmanager
def halted_load(live: LiveDagster, hour: str) -> Iterator[str]:
    """A run of the hour whose first write to HubSpot is not stored before the block ends; its id."""
    write = Fault(service="hubspot", path="companies/batch", kind="delay", seconds=1.0)
    live.sandbox.faults.add(write)
    run_id = live.launch(hour)
    await_that(lambda: write not in live.sandbox.faults.open(), lambda: f"the load writes: {live.said(run_id)}")
    with live.store.transaction() as connection:
        connection.execute(text("LOCK TABLE crm_pipeline.link IN EXCLUSIVE MODE"))
        yield run_id


def is_green(live: LiveDagster, hour: str) -> bool:
    """Whether every hourly asset of the integration has materialized the hour."""
    keys = [dg.AssetKey([INTEGRATION, *asset.split("/")]) for asset in (*READS, *LOADS)]
    return all(hour in live.instance.get_materialized_partitions(key) for key in keys)


def names(live: LiveDagster, numbers: range) -> dict[str, Counter[str]]:
    """How often the laboratories of these numbers are in each CRM."""
    wanted = {f"Laboratory {number}" for number in numbers}
    accounts = Counter(str(record["Name"]) for record in live.sandbox.org.records("Account"))
    companies = Counter(str(record["properties"]["name"]) for record in live.sandbox.portal.records("companies"))
    return {
        "salesforce": Counter({name: accounts[name] for name in wanted if accounts[name]}),
        "hubspot": Counter({name: companies[name] for name in wanted if companies[name]}),
    }


def checks(live: LiveDagster, run_id: str) -> int:
    """How often the run monitoring has looked at a run."""
    return live.log().count(f"Checking run {run_id}")


def test_hour_whose_host_is_killed_in_the_middle_of_a_load_ends_green_without_a_hand(live: LiveDagster) -> None:
    numbers = range(1, 2 * HUBSPOT_BATCH + 51)
    add_laboratories(live.sandbox.tenant, len(numbers), at=live.within_hour(1), first_number=numbers.start)
    second_batch = Fault(service="hubspot", path="companies/batch/upsert", kind="delay", seconds=FOR_EVER, skip=1)
    live.sandbox.faults.add(second_batch)
    killed = live.launch(live.hour(1))
    await_that(lambda: second_batch not in live.sandbox.faults.open(), lambda: f"the second batch is on its way: {live.said(killed)}")
    live.kill()
    assert live.run(killed).status is dg.DagsterRunStatus.STARTED
    assert sum(names(live, numbers)["hubspot"].values()) == HUBSPOT_BATCH
    live.sandbox.faults.clear()

    live.start()
    await_that(lambda: is_green(live, live.hour(1)), lambda: f"the hour is green; the run says:\n{live.said(killed)}", every=0.3)
    assert live.run(killed).status is dg.DagsterRunStatus.FAILURE
    assert "the code server that executed this run is gone" in live.said(killed)
    once = Counter(f"Laboratory {number}" for number in numbers)
    assert names(live, numbers) == {"salesforce": once, "hubspot": once}
    sent = sum(call.rows or 0 for call in writes(live.sandbox, "hubspot"))
    assert sent <= len(numbers) + HUBSPOT_BATCH, "at most the batch that was under way is sent again"


def test_run_survives_the_reload_of_its_code(live: LiveDagster) -> None:
    add_laboratories(live.sandbox.tenant, 1, at=live.within_hour(2), first_number=1_000)
    with halted_load(live, live.hour(2)) as run_id:
        live.graphql(RELOAD, location=LOCATION)
        enough = checks(live, run_id) + SEVERAL_CHECKS
        await_that(lambda: checks(live, run_id) >= enough or live.run(run_id).is_finished, "it is looked at again and again", every=0.3)
        assert live.run(run_id).status is dg.DagsterRunStatus.STARTED
    assert live.await_end(run_id) is dg.DagsterRunStatus.SUCCESS
