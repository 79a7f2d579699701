"""A code server on each of two hosts, a daemon with its queue on a third, PostgreSQL on a fourth: what becomes of runs whose host goes.

Without external keys, so that a create which is repeated is a second record. Needs root and network namespaces.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from sqlalchemy import text

import crm_pipeline
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.hubspot import HubSpotPortal
from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, Sandbox, start_sandbox
from crm_pipeline.store.database import URL_VARIABLE, Store
from crm_pipeline.store.embedded import embedded_postgres
from crm_pipeline_tests.awaiting import await_that
from crm_pipeline_tests.integration_projects import Project
from crm_pipeline_tests.networks import Host, moved_to, network
from crm_pipeline_tests.orchestration.conftest import in_crms, written_to
from crm_pipeline_tests.tenants import FEW_FIELDS, FIRST, IN_SECOND, SECOND, add_laboratories, attributes, let_intents_settle

REPOSITORY = Path(crm_pipeline.__file__).parents[1]
SCALING = REPOSITORY / "docs/scaling.md"
CODE_SERVER_PORT = 4266
LABORATORIES = 10
EAST, WEST = "east", "west"
ENGINE_EVENT = dg.DagsterEventType.ENGINE_EVENT
ENDED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


def settings_for_hosts() -> dict[str, Any]:
    """dagster.yaml of the repository with what several hosts need besides, by the document, and less patience."""
    settings: dict[str, Any] = yaml.safe_load((REPOSITORY / "dagster.yaml").read_text())
    [written] = re.findall(r"^```yaml\n(run_coordinator:\n.*?)^```", SCALING.read_text(), re.DOTALL | re.MULTILINE)
    settings |= yaml.safe_load(written)
    settings["run_coordinator"]["config"]["user_code_failure_retry_delay"] = 1
    settings["run_launcher"]["config"]["patience_seconds"] = 1
    settings["run_monitoring"] |= {"poll_interval_seconds": 1, "free_slots_after_run_end_seconds": 1}
    return settings


@dataclass
class Hosts:
    """Two hosts with a code server each, seen from the host of the daemon."""

    sandbox: Sandbox
    store: Store
    instance: dg.DagsterInstance
    hosts: dict[str, Host]
    environment: dict[str, str]
    folder: Path
    servers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start_code_server(self, name: str) -> None:
        """What a host starts when it starts."""
        options = ["--host", "0.0.0.0", "--port", str(CODE_SERVER_PORT), "--location-name", name]  # noqa: S104 - the namespace is ours
        command = [sys.executable, "-m", "dagster", "api", "grpc", "--module-name", "hosted.definitions", *options]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.servers[name] = subprocess.Popen(
                self.hosts[name].command(*command), cwd=self.folder, env=self.environment, stdout=log, stderr=log
            )

    def serves(self, name: str) -> bool:
        """Whether the code server of a host answers."""
        with suppress(OSError), socket.create_connection((self.hosts[name].address, CODE_SERVER_PORT), timeout=1):
            return True
        return False

    def launch(self, name: str, partition: str) -> str:
        """Put a run of the integration into the queue, to be executed on a host; returns its id."""
        run_id = str(uuid.uuid4())
        words = ["job", "launch", "-w", str(self.folder / f"{name}.yaml"), "-j", "acme__sync", "--run-id", run_id]
        # A process of its own: gRPC's threads stay in the network in which this one first needed them.
        command = [sys.executable, "-m", "dagster", *words, "--tags", f'{{"dagster/partition": "{partition}"}}']
        launched = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False)
        assert launched.returncode == 0, launched.stderr
        return run_id

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.status

    def await_end(self, run_id: str) -> dg.DagsterRunStatus:
        """Wait until this run, and all others, have ended; returns how this one did."""
        unfinished = dg.RunsFilter(statuses=[status for status in dg.DagsterRunStatus if status not in ENDED])
        await_that(lambda: not self.instance.get_runs(unfinished), lambda: f"all runs end\n{self.told()}", every=0.2)
        return self.status(run_id)

    def has_exited(self, run_id: str) -> bool:
        """Whether the code server has told that a run's process is gone."""
        return any("Process for run exited" in entry.message for entry in self.instance.all_logs(run_id, of_type=ENGINE_EVENT))

    def told(self) -> str:
        """The last lines of what each process said, and how each run stands."""
        logs = [f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in sorted(self.folder.glob("*.log"))]
        return "\n".join([*logs, *(f"{run.run_id} {run.status} {run.tags}" for run in self.instance.get_runs())])

    def linked(self) -> list[tuple[str, str, int, str]]:
        """CRM, record type, QBench id and CRM id of each link."""
        with self.store.transaction() as connection:
            rows = connection.execute(text("SELECT crm, record_type, qbench_id, crm_id FROM crm_pipeline.link ORDER BY 1, 2, 3"))
            return [(row.crm, row.record_type, row.qbench_id, row.crm_id) for row in rows]

    def digests(self) -> list[tuple[object, ...]]:
        """What each link says was sent last, and when it was written."""
        statement = "SELECT crm, record_type, qbench_id, version, digest_bytes::text, updated_at FROM crm_pipeline.link ORDER BY 1, 2, 3"
        with self.store.transaction() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def left_open(self) -> tuple[int, int]:
        """How many intents and calls nobody knows the end of."""
        counts = "SELECT (SELECT count(*) FROM crm_pipeline.intent), (SELECT count(*) FROM crm_pipeline.open_call)"
        with self.store.transaction() as connection:
            intents, calls = connection.execute(text(counts)).one()
            return int(intents), int(calls)


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    folder = tmp_path_factory.mktemp("hosts")
    with ExitStack() as stack:
        database, control, east, west = stack.enter_context(network("database", "control", EAST, WEST))
        url = stack.enter_context(moved_to(database, stack.enter_context(embedded_postgres())))
        environment = stack.enter_context(pytest.MonkeyPatch.context())
        directly = {"NO_PROXY": "*", "no_proxy": "*"}
        for name, value in {**SANDBOX_CREDENTIALS, **directly, URL_VARIABLE: url, "DAGSTER_HOME": str(folder)}.items():
            environment.setenv(name, value)
        stack.enter_context(control.inside())
        portal = HubSpotPortal(external_keys=False, index_lag_seconds=0.0)
        sandbox = stack.enter_context(start_sandbox(org=SalesforceOrg(external_keys=False), portal=portal, host=control.address))
        _write(folder, sandbox, {EAST: east, WEST: west})
        store = stack.enter_context(closing(Store(url)))
        store.migrate()
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(folder)))
        made = Hosts(sandbox, store, instance, {EAST: east, WEST: west}, {**os.environ, "PYTHONPATH": f"{folder}:{REPOSITORY}"}, folder)
        stack.callback(_end, made)
        for name in (EAST, WEST):
            made.start_code_server(name)
        await_that(lambda: made.serves(EAST) and made.serves(WEST), lambda: f"the code servers answer\n{made.told()}", every=0.1)
        stack.enter_context(_daemon(made))
        yield made


def _write(folder: Path, sandbox: Sandbox, hosts: dict[str, Host]) -> None:
    """The project of the integration, the instance and its workspace, all in one folder."""
    project = Project.create(folder, "hosted")
    integration = {**attributes(sandbox, external_keys=False), **FEW_FIELDS, "active": False}
    for service in (integration["qbench"], *integration["crms"].values()):
        service["allow_http"] = True
    project.write("acme", yaml.safe_dump({"type": "crm_pipeline.CrmIntegration", "attributes": integration}))
    (folder / "dagster.yaml").write_text(yaml.safe_dump(settings_for_hosts()))
    servers = {name: {"host": host.address, "port": CODE_SERVER_PORT, "location_name": name} for name, host in hosts.items()}
    for name, part in {"workspace": servers.values(), **{name: [server] for name, server in servers.items()}}.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"load_from": [{"grpc_server": server} for server in part]}))


@contextmanager
def _daemon(hosts: Hosts) -> Iterator[None]:
    command = [sys.executable, "-m", "dagster._daemon", "run", "-w", str(hosts.folder / "workspace.yaml")]
    with (hosts.folder / "daemon.log").open("wb") as log:
        daemon = subprocess.Popen(command, cwd=hosts.folder, env=hosts.environment, stdout=log, stderr=log)
    try:
        yield
    finally:
        daemon.kill()
        daemon.wait()


def _end(hosts: Hosts) -> None:
    for name, host in hosts.hosts.items():
        host.end_all()
        hosts.servers[name].wait()


def every_record_once(hosts: Hosts, laboratories: int) -> None:
    """Each laboratory and its person stand once in each CRM, linked to the right record there, and nothing is in doubt."""
    found = in_crms(hosts.sandbox)
    accounts = Counter(f"Laboratory {number}" for number in range(1, laboratories + 1))
    contacts = Counter(f"Person {number}-1" for number in range(1, laboratories + 1))
    assert {crm: (Counter(a.values()), Counter(c.values())) for crm, (a, c) in found.items()} == dict.fromkeys(found, (accounts, contacts))
    assert len(hosts.sandbox.portal.associations()) == laboratories
    tenant = hosts.sandbox.tenant
    names = {
        "account": {record["id"]: record["customer_name"] for record in tenant.customers()},
        "contact": {record["id"]: record["last_name"] for record in tenant.contacts()},
    }
    linked = {(crm, kind, qbench_id): found[crm][kind == "contact"][crm_id] for crm, kind, qbench_id, crm_id in hosts.linked()}
    assert linked == {(crm, kind, number): name for crm in found for kind, of_kind in names.items() for number, name in of_kind.items()}
    assert hosts.left_open() == (0, 0)


def held_write(hosts: Hosts, path: str, made: Callable[[], bool]) -> str:
    """Launch a run on the east and leave it where a CRM carries out its creates, whose answer it will not get; returns its id."""
    held = Fault(path=path, kind="hold", method="POST", until=threading.Event())
    hosts.sandbox.faults.add(held)
    run_id = hosts.launch(EAST, FIRST if path.startswith("companies") else SECOND)
    await_that(lambda: held not in hosts.sandbox.faults.open() and made(), lambda: f"the records are made\n{hosts.told()}")
    hosts.hosts[EAST].pull_cable()
    assert held.until is not None
    held.until.set()
    return run_id


def test_what_a_host_had_begun_that_is_cut_off_another_ends_and_nothing_is_doubled(hosts: Hosts) -> None:
    sandbox = hosts.sandbox
    add_laboratories(sandbox.tenant, LABORATORIES, contacts_each=1)
    cut_off = held_write(hosts, "companies/batch/create", lambda: len(sandbox.portal.records("companies")) == LABORATORIES)
    let_intents_settle(hosts.store)
    taken_over = hosts.launch(WEST, FIRST)
    assert hosts.await_end(taken_over) is dg.DagsterRunStatus.SUCCESS, hosts.told()
    every_record_once(hosts, LABORATORIES)
    assert hosts.status(cut_off) is dg.DagsterRunStatus.FAILURE
    written, digests = written_to(sandbox), hosts.digests()
    # Its process has lived on, and gets the answer now.
    hosts.hosts[EAST].plug_in()
    await_that(lambda: hosts.has_exited(cut_off), lambda: f"the run that was cut off ends\n{hosts.told()}", every=0.2)
    assert (written_to(sandbox), hosts.digests()) == (written, digests), "it did nothing more"
    again = hosts.launch(EAST, FIRST)
    assert hosts.await_end(again) is dg.DagsterRunStatus.SUCCESS, hosts.told()
    assert written_to(sandbox) == written, "nothing was left to do"
    every_record_once(hosts, LABORATORIES)


def test_what_a_host_had_begun_that_was_killed_goes_on_once_the_host_is_back(hosts: Hosts) -> None:
    sandbox, east = hosts.sandbox, hosts.hosts[EAST]
    add_laboratories(sandbox.tenant, LABORATORIES, contacts_each=1, at=IN_SECOND, first_number=LABORATORIES + 1)
    killed = held_write(hosts, "composite/sobjects", lambda: len(sandbox.org.records("Account")) == 2 * LABORATORIES)
    east.end_all()
    hosts.servers[EAST].wait()
    let_intents_settle(hosts.store)
    assert hosts.await_end(killed) is dg.DagsterRunStatus.FAILURE, hosts.told()
    east.plug_in()
    hosts.start_code_server(EAST)
    await_that(lambda: hosts.serves(EAST), lambda: f"the code server answers\n{hosts.told()}", every=0.1)
    again = hosts.launch(EAST, SECOND)
    assert hosts.await_end(again) is dg.DagsterRunStatus.SUCCESS, hosts.told()
    every_record_once(hosts, 2 * LABORATORIES)
