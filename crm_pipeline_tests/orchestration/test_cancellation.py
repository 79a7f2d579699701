"""A run that someone cancels in the UI: its code server interrupts the step. What is done is kept and nothing is held."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import pytest
from sqlalchemy import text

from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.store.database import Store
from crm_pipeline_tests.awaiting import await_that
from crm_pipeline_tests.orchestration.conftest import ACCOUNTS, Dagster, in_crms, materialized, outcomes, writes
from crm_pipeline_tests.tenants import FIRST, add_laboratories, customized, let_intents_settle

HUBSPOT_BATCH = 100
CUSTOMERS = 2 * HUBSPOT_BATCH + 50
FOR_EVER = 3600.0
NO_PROCESS = "0"
"""Inode of a socket that the kernel still closes."""


@contextmanager
def cancelling(sandbox: Sandbox, fault: Fault, instance: dg.DagsterInstance) -> Iterator[None]:
    """Cancel the run that is under way once the fault holds it: as the UI's button does, and then the code server."""

    def cancel() -> None:
        await_that(lambda: fault not in sandbox.faults.open(), "the load is in the middle")
        (run,) = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        instance.report_run_canceling(run)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=cancel)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def connections(sandbox: Sandbox) -> int:
    """How many sockets of this process are connected to the services, as clients."""
    ports = {urlsplit(url).port for url in (sandbox.qbench_url, sandbox.salesforce_url, sandbox.hubspot_url)}
    _, *lines = Path("/proc/self/net/tcp").read_text().splitlines()
    remote_ports = [int(fields[2].split(":")[1], 16) for fields in map(str.split, lines) if fields[9] != NO_PROCESS]
    return sum(port in ports for port in remote_ports)


@pytest.fixture
def locks(database_url: str) -> Iterator[Callable[[], int]]:
    """How many advisory locks are held or waited for, as another connection sees it."""
    with closing(Store(database_url)) as store:

        def count() -> int:
            with store.transaction() as connection:
                return int(connection.execute(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")).scalar_one())

        yield count


@pytest.mark.parametrize("keys", ["with external keys", "without external keys"])
def test_load_cancelled_in_the_middle_goes_on_without_loss_or_double(
    credentials: object, dagster: Dagster, request: pytest.FixtureRequest, locks: Callable[[], int], store: Store, keys: str
) -> None:
    external_keys = keys == "with external keys"
    sandbox: Sandbox = request.getfixturevalue("sandbox" if external_keys else "keyless_sandbox")
    add_laboratories(sandbox.tenant, CUSTOMERS)
    spec = customized(sandbox, external_keys=external_keys)
    second = Fault(service="hubspot", path="companies/batch/(upsert|create)", kind="delay", seconds=FOR_EVER, skip=1)
    sandbox.faults.add(second)
    with cancelling(sandbox, second, dagster.instance):
        cancelled = dagster.run(spec, FIRST, assets=ACCOUNTS)
    assert [run.status for run in dagster.instance.get_runs()] == [dg.DagsterRunStatus.CANCELED]
    assert (locks(), connections(sandbox)) == (0, 0)
    assert materialized(cancelled) == set(ACCOUNTS[:2]), "a cancelled run does not go on with its other loads"
    sandbox.faults.clear()

    let_intents_settle(store)
    assert dagster.run(spec, FIRST, assets=ACCOUNTS[2:]).success
    once = Counter(f"Laboratory {number}" for number in range(1, CUSTOMERS + 1))
    assert [Counter(accounts.values()) for accounts, _ in in_crms(sandbox).values()] == [once, once]
    assert sum(call.rows or 0 for call in writes(sandbox, "hubspot")) <= CUSTOMERS + HUBSPOT_BATCH
    assert Counter(outcome for outcome, *_ in outcomes().values()) == {"created": 2 * CUSTOMERS - HUBSPOT_BATCH, "unchanged": HUBSPOT_BATCH}
