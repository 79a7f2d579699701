"""Dagster for real: a code server, a webserver and a daemon on the session's PostgreSQL and a sandbox, begun as `dagster dev`.

One start serves all tests of this folder. Each takes hours of its own (``live.hour(n)``) and laboratories of its own numbers.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dagster as dg
import httpx
import pytest
import yaml
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._grpc.client import DagsterGrpcClient

import crm_pipeline
from crm_pipeline.local.guardian import Guardian, guardian
from crm_pipeline.orchestration.names import job_name
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, Sandbox
from crm_pipeline.store.database import URL_VARIABLE, Store
from crm_pipeline_tests import awaiting
from crm_pipeline_tests.conftest import own_database
from crm_pipeline_tests.integration_projects import Project
from crm_pipeline_tests.orchestration.conftest import running_sandbox
from crm_pipeline_tests.tenants import attributes

REPOSITORY = Path(crm_pipeline.__file__).parents[1]
INTEGRATION = "acme"
PACKAGE = "live_project"
LOCATION = "live"
HOURS = 48
NEVER = "0 0 29 2 *"

await_that = partial(awaiting.await_that, patience_seconds=600)
"""Several processes of Dagster take their time."""

LEFT_ALONE = {"links": {"recent": NEVER, "full": NEVER}, "retries": {"first_after_minutes": 600}}
"""Nothing of the integration begins by itself while tests look at it."""

DEFINITIONS = """
from functools import cache
from pathlib import Path

import dagster as dg


@dg.definitions
@cache
def defs():
    integrations = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
    return dg.Definitions.merge(dg.Definitions(executor=dg.in_process_executor), integrations)
"""
"""As crm_pipeline.definitions: built once per process, and one process per run, also of the jobs that the UI makes."""

LAUNCH = """
mutation Launch($execution: ExecutionParams!) {
  launchRun(executionParams: $execution) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}
"""


@dataclass
class LiveDagster:
    """A Dagster that tests may kill and start again, what it works on, and the ways to look at it.

    ``url``: of the UI. ``instance``: its runs and events, seen from here. ``store`` and ``sandbox`` outlive it.
    """

    url: str
    project: Project
    sandbox: Sandbox
    store: Store
    instance: dg.DagsterInstance
    client: httpx.Client
    first_hour: datetime
    guard: Guardian
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list, init=False)

    def start(self) -> None:
        """Start `dagster dev`, and return once the UI has the integration."""
        self._start("dagster", "dev", *self._address())
        self._await_up(self._has_location)

    def start_again(self) -> None:
        """Start a code server, a webserver and a daemon one by one as a deployment does, with no `dagster dev` around them.

        It takes two processes less; the code server is at another address than the one before.
        """
        socket = str(self.project.folder / "code.sock")
        self._start("dagster", "api", "grpc", "--socket", socket, "-m", f"{PACKAGE}.definitions", "--location-name", LOCATION)
        workspace = self.project.folder / "workspace.yaml"
        workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": {"socket": socket, "location_name": LOCATION}}]}))
        self._await_up(lambda: _answers(DagsterGrpcClient(socket=socket)))
        self._start("dagster_webserver", "-w", str(workspace), *self._address())
        self._start("dagster._daemon", "run", "-w", str(workspace))
        self._await_up(self._has_location)

    def kill(self) -> None:
        """Kill -9 all its processes: daemon, webserver, code servers and the runs under way."""
        for process in self._processes:
            os.killpg(process.pid, signal.SIGKILL)
        for process in self._processes:
            process.wait()
        self._processes.clear()

    def log(self) -> str:
        """What all its processes have written so far, over all starts."""
        return self._log.read_text(errors="replace")

    def graphql(self, query: str, **variables: Any) -> Any:
        """The ``data`` of a GraphQL query or mutation. Fails when the answer holds errors."""
        answer = self.client.post("/graphql", json={"query": query, "variables": variables}).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def hour(self, number: int) -> str:
        """The key of one of the ``HOURS`` closed partitions; 0 is the first load."""
        return (self.first_hour + timedelta(hours=number)).strftime("%Y-%m-%d-%H:%M")

    def within_hour(self, number: int) -> int:
        """A moment of that hour, in Unix seconds: when records are edited that the partition is to read."""
        return int((self.first_hour + timedelta(hours=number, minutes=10)).timestamp())

    def launch(self, hour: str, *, assets: Sequence[str] | None = None) -> str:
        """Materialize an hour of all assets, or of some of them (``hubspot/companies``), as the UI does; the run's id."""
        selector: dict[str, Any] = {
            "repositoryLocationName": LOCATION,
            "repositoryName": "__repository__",
            "jobName": job_name(INTEGRATION),
        }
        if assets is not None:
            selector["assetSelection"] = [{"path": [INTEGRATION, *asset.split("/")]} for asset in assets]
        tags = [{"key": "dagster/partition", "value": hour}]
        execution = {"selector": selector, "executionMetadata": {"tags": tags}, "runConfigData": {}}
        launched = self.graphql(LAUNCH, execution=execution)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def run_here(self, hour: str, *, assets: Sequence[str]) -> None:
        """Materialize an hour of some assets like ``launch``, but in this process, which is seconds faster."""
        # This process's store may be open on another test's database.
        STORE.close()
        job = self.project.load().resolve_job_def(job_name(INTEGRATION))
        selection = [dg.AssetKey([INTEGRATION, *asset.split("/")]) for asset in assets]
        job.execute_in_process(partition_key=hour, instance=self.instance, raise_on_error=False, asset_selection=selection)
        STORE.close()

    def run(self, run_id: str) -> dg.DagsterRun:
        """A run as it stands now."""
        run = self.instance.get_run_by_id(run_id)
        assert run is not None, f"no run {run_id}"
        return run

    def await_end(self, run_id: str) -> dg.DagsterRunStatus:
        """Wait until a run has ended; how."""
        await_that(lambda: self.run(run_id).is_finished, lambda: f"run {run_id} is still {self.run(run_id).status}", every=0.3)
        return self.run(run_id).status

    def said(self, run_id: str) -> str:
        """Every message in a run's event log."""
        return "\n".join(entry.user_message or entry.message for entry in self.instance.all_logs(run_id))

    @property
    def _log(self) -> Path:
        return self.project.folder / "dagster.log"

    def _address(self) -> list[str]:
        return ["--host", "127.0.0.1", "--port", str(urlsplit(self.url).port), "--live-data-poll-rate", "5000"]

    def _start(self, module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", module, *arguments]
        with self._log.open("ab") as log:
            process = subprocess.Popen(command, cwd=self.project.folder, stdout=log, stderr=log, start_new_session=True)
        self._processes.append(process)
        self.guard.end_group(process.pid)

    def _has_location(self) -> bool:
        try:
            located = self.graphql("{ repositoriesOrError { ... on RepositoryConnection { nodes { location { name } } } } }")
        except (httpx.TransportError, ValueError):
            return False
        return {"location": {"name": LOCATION}} in located["repositoriesOrError"]["nodes"]

    def _await_up(self, answers: Callable[[], bool]) -> None:
        def is_up() -> bool:
            assert all(process.poll() is None for process in self._processes), f"a process ended; the log:\n{self.log()[-5000:]}"
            return answers()

        await_that(is_up, lambda: f"Dagster is up; its log:\n{self.log()[-5000:]}", every=0.3)


def _answers(server: DagsterGrpcClient) -> bool:
    try:
        server.ping("")
    except DagsterUserCodeUnreachableError:
        return False
    return True


def _impatient_instance() -> dict[str, Any]:
    """The dagster.yaml that ships, the waits that tests wait for shortened."""
    settings: dict[str, Any] = yaml.safe_load((REPOSITORY / "dagster.yaml").read_text())
    settings["run_launcher"]["config"]["patience_seconds"] = 5
    settings["run_monitoring"] |= {"poll_interval_seconds": 2, "free_slots_after_run_end_seconds": 1}
    settings["run_queue"] = {"dequeue_interval_seconds": 2}
    return settings


def _project(folder: Path, sandbox: Sandbox, *, start: datetime) -> Project:
    """A user's project in a folder that is its DAGSTER_HOME too, with one integration whose schedule leaves the tests alone."""
    project = Project.create(folder, PACKAGE)
    (folder / PACKAGE / "definitions.py").write_text(DEFINITIONS)
    with (folder / "pyproject.toml").open("a") as file:
        file.write(f'code_location_name = "{LOCATION}"\n')
    chosen = attributes(sandbox) | {"start": start.isoformat(), "schedule": NEVER, **LEFT_ALONE}
    for service in chosen["crms"].values():
        service["attempts"] = 1
    project.write(INTEGRATION, yaml.safe_dump({"type": "crm_pipeline.CrmIntegration", "attributes": chosen}))
    (folder / "dagster.yaml").write_text(yaml.safe_dump(_impatient_instance()))
    return project


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="package")
def live(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDagster]:
    """A running `dagster dev`. It ends with the tests of this folder, with their failure, and with this process however it ends."""
    folder = tmp_path_factory.mktemp("live")
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS)
    with own_database(postgres) as database_url, running_sandbox() as sandbox, pytest.MonkeyPatch.context() as environment:
        for name, value in {
            **SANDBOX_CREDENTIALS,
            URL_VARIABLE: database_url,
            "DAGSTER_HOME": str(folder),
            # Dagster passes over a failure that it reads before the run's status is stored, so it is not to look all the time.
            "DAGSTER_EVENT_LOG_CONSUMER_DAEMON_INTERVAL_SECONDS": "15",
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(folder)]),
        }.items():
            environment.setenv(name, value)
        # Bytecode that is not written costs every process of Dagster seconds.
        environment.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        environment.syspath_prepend(folder)
        project, store = _project(folder, sandbox, start=start), Store(database_url)
        url = f"http://127.0.0.1:{_free_port()}"
        with (
            guardian() as guard,
            dg.DagsterInstance.from_config(str(folder)) as instance,
            httpx.Client(base_url=url, timeout=240) as client,
        ):
            running = LiveDagster(
                url=url,
                project=project,
                sandbox=sandbox,
                store=store,
                instance=instance,
                client=client,
                first_hour=start,
                guard=guard,
            )
            try:
                running.start()
                yield running
            finally:
                running.kill()
                store.close()


@pytest.fixture(autouse=True)
def no_faults_left(live: LiveDagster) -> Iterator[None]:
    """Every test finds the services well."""
    yield
    live.sandbox.faults.clear()
