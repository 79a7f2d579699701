"""Runs that work on the same records at once: by hand, from the schedule, in a backfill. They wait for each other, and that is all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import pytest
from dagster._utils.concurrency import ConcurrencyKeyInfo
from sqlalchemy import text

import crm_pipeline
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.qbench.source import QBench
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.store.database import Store
from crm_pipeline.store.staging import Window
from crm_pipeline.sync.extracting.extract import Extract
from crm_pipeline_tests.awaiting import await_that
from crm_pipeline_tests.orchestration.conftest import READS, Dagster, failures, in_crms, outcomes
from crm_pipeline_tests.tenants import FIRST, IN_SECOND, SECOND, add_laboratories, attributes, customized, let_intents_settle

REPOSITORY = Path(crm_pipeline.__file__).parents[1]
LABORATORIES = 10
EVERYTHING = Window(since=None, until=IN_SECOND)
COMPANIES = ("qbench/customers", "normalized/accounts", "hubspot/companies")

WORKER = """
import json, sys
import dagster as dg
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.assets import build_integration

attributes, partition, *assets = map(json.loads, sys.argv[1:])
job = build_integration(IntegrationSpec.model_validate(attributes)).resolve_job_def("acme__sync")
selection = [dg.AssetKey(["acme", *asset.split("/")]) for asset in assets]
with dg.DagsterInstance.ephemeral() as instance:
    job.execute_in_process(partition_key=partition, instance=instance, asset_selection=selection)
"""


def at_once(*runs: Callable[[Dagster], dg.ExecuteInProcessResult]) -> list[dg.ExecuteInProcessResult]:
    """Runs in threads, each with a Dagster of its own; the database is one."""

    def carry_out(run: Callable[[Dagster], dg.ExecuteInProcessResult]) -> dg.ExecuteInProcessResult:
        with dg.DagsterInstance.ephemeral() as instance:
            return run(Dagster(instance))

    with ThreadPoolExecutor(len(runs)) as threads:
        return list(threads.map(carry_out, runs))


def waiting(store: Store) -> int:
    """How many connections wait for a lock of ours."""
    with store.transaction() as connection:
        return int(connection.execute(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")).scalar_one())


@contextmanager
def worker(attributes: dict[str, object], partition: str, assets: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A run of the integration ``acme`` in a process of its own; killed at the end if it still runs."""
    arguments = [json.dumps(argument) for argument in ({"name": "acme", **attributes}, partition, *assets)]
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, *arguments], env=dict(os.environ), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_overlapping_runs_of_every_origin_lose_and_double_nothing(
    keyless_sandbox: Sandbox, dagster: Dagster, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    # Without keys, a create that is repeated is a second record.
    sandbox, spec = keyless_sandbox, customized(keyless_sandbox, external_keys=False)
    # The locks that a run takes, in the order in which it comes to them.
    meeting_places = (f"reading {urlsplit(sandbox.qbench_url).netloc}", "acme: writing hubspot", "acme: writing salesforce")
    add_laboratories(sandbox.tenant, LABORATORIES, contacts_each=1)
    add_laboratories(sandbox.tenant, LABORATORIES, contacts_each=1, at=IN_SECOND, first_number=LABORATORIES + 1)
    runs: list[Callable[[Dagster], dg.ExecuteInProcessResult]] = [
        lambda by_hand: by_hand.run(spec, FIRST, assets=(*READS, "salesforce/accounts", "salesforce/contacts")),
        lambda backfill: backfill.run(spec, FIRST, until=SECOND),
        lambda hourly: hourly.run(spec, SECOND),
        lambda rematerialized: rematerialized.run(spec, SECOND, assets=("hubspot/companies", "hubspot/contacts")),
    ]
    # Each place where they can meet is held until one of them stands there, so that the others come up behind it.
    with caplog.at_level("INFO", logger="crm_pipeline"), ThreadPoolExecutor(1) as threads, ExitStack() as held:
        holds = {name: held.enter_context(ExitStack()) for name in meeting_places}
        for name, hold in holds.items():
            hold.enter_context(store.lock(name))
        ending = threads.submit(at_once, *runs)
        for name, hold in holds.items():
            await_that(lambda name=name: f"{name}: another run is at work" in caplog.text, f"somebody waits for {name}")  # type: ignore[misc]
            hold.close()
        results = ending.result()
    assert [failures(result) for result in results] == [{}] * len(results)
    once = Counter(f"Laboratory {number}" for number in range(1, 2 * LABORATORIES + 1))
    people = Counter(f"Person {number}-1" for number in range(1, 2 * LABORATORIES + 1))
    for crm, (accounts, contacts) in in_crms(sandbox).items():
        assert (crm, Counter(accounts.values()), Counter(contacts.values())) == (crm, once, people)
    assert len(sandbox.portal.associations()) == 2 * LABORATORIES
    assert len(outcomes()) == 2 * 2 * 2 * LABORATORIES, "one outcome per CRM and record"
    assert {outcome for outcome, *_ in outcomes().values()} <= {"created", "linked", "updated", "unchanged"}


def test_run_that_waits_for_one_that_is_killed_doubles_nothing(keyless_sandbox: Sandbox, dagster: Dagster, store: Store) -> None:
    # Without keys, the creates that the killed run had no answer to are known by their intents alone.
    sandbox = keyless_sandbox
    add_laboratories(sandbox.tenant, LABORATORIES)
    held = Fault(path="companies/batch/create", kind="delay", until=threading.Event())
    sandbox.faults.add(held)

    def made() -> int:
        return len(sandbox.portal.records("companies"))

    spec = customized(sandbox, external_keys=False)
    with worker(attributes(sandbox, external_keys=False), FIRST, COMPANIES) as process, ThreadPoolExecutor(1) as threads:
        await_that(lambda: held not in sandbox.faults.open(), "the creates are on their way")
        # With the links locked, what the CRM answers cannot be stored before the kill.
        with store.transaction() as connection:
            connection.execute(text("LOCK TABLE crm_pipeline.link IN EXCLUSIVE MODE"))
            assert held.until is not None
            held.until.set()
            await_that(lambda: made() == LABORATORIES, "HubSpot made the companies")
            let_intents_settle(store)
            other = threads.submit(lambda: dagster.run(spec, FIRST, assets=COMPANIES))
            await_that(lambda: waiting(store) == 1, "the other run waits")
            process.kill()
            process.wait()
        assert failures(other.result()) == {}
    assert Counter(in_crms(sandbox)["hubspot"][0].values()) == Counter(f"Laboratory {number}" for number in range(1, LABORATORIES + 1))
    assert Counter(outcome for outcome, *_ in outcomes().values()) == {"updated": LABORATORIES}, "each was known again"


def test_integrations_of_one_tenant_read_it_one_after_the_other(sandbox: Sandbox, store: Store, database_url: str) -> None:
    add_laboratories(sandbox.tenant, LABORATORIES)

    def read(name: str) -> int:
        spec = IntegrationSpec.model_validate({"name": name, **attributes(sandbox)})
        with closing(Store(database_url)) as own_store, closing(QBench(spec.qbench, integration=name)) as source:
            extract = Extract(name, RecordType.ACCOUNT, store=own_store, source=source)
            extract.run(EVERYTHING)
            return extract.rows

    def calls() -> int:
        return len(sandbox.journal.calls("qbench"))

    with ThreadPoolExecutor(2) as threads:
        # The reader is held where it stages its first page.
        with store.transaction() as connection:
            connection.execute(text("LOCK TABLE crm_pipeline.raw_record IN EXCLUSIVE MODE"))
            first = threads.submit(read, "acme")
            await_that(calls, "the first integration reads")
            second = threads.submit(read, "branch")
            await_that(lambda: waiting(store) == 1, "the second integration waits")
            calls_before = calls()
        assert (first.result(), second.result()) == (LABORATORIES, LABORATORIES)
    assert calls() > calls_before, "the second integration called QBench only once the first was done"


def test_second_load_of_a_crm_waits_in_its_pool_where_the_ui_shows_it(
    sandbox: Sandbox, store: Store, database_in_environment: str, tmp_path: Path
) -> None:
    spec = customized(sandbox)
    # Runs in threads share the process's output, which Dagster would capture for each of them.
    no_capture = "\ncompute_logs: {module: dagster._core.storage.noop_compute_log_manager, class: NoOpComputeLogManager}\n"
    (tmp_path / "dagster.yaml").write_text((REPOSITORY / "dagster.yaml").read_text() + no_capture)

    with dg.DagsterInstance.from_config(str(tmp_path)) as instance, ThreadPoolExecutor(2) as threads:

        def load(hour: str) -> dg.ExecuteInProcessResult:
            return Dagster(instance).run(spec, hour, assets=("hubspot/companies",))

        def pool() -> ConcurrencyKeyInfo:
            return instance.event_log_storage.get_concurrency_info("acme__hubspot")

        # Every load looks at the links first.
        with store.transaction() as connection:
            connection.execute(text("LOCK TABLE crm_pipeline.link IN EXCLUSIVE MODE"))
            first = threads.submit(load, FIRST)
            await_that(lambda: pool().active_run_ids, "the first load works", every=0.1)
            second = threads.submit(load, SECOND)
            await_that(lambda: pool().pending_run_ids - pool().active_run_ids, "the second load waits", every=0.1)
            assert (pool().slot_count, pool().active_slot_count) == (1, 1)
        assert (first.result().success, second.result().success) == (True, True)
