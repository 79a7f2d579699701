"""`crm-pipeline demo` as a newcomer runs it: a process of its own that tells what happened, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import httpx
import pytest
import yaml
from click.testing import CliRunner
from dagster.components.core.load_defs import load_defs
from sqlalchemy import text

from crm_pipeline.cli import main
from crm_pipeline.definitions import PACKAGE
from crm_pipeline.sandbox import defs, defs_sugarcrm
from crm_pipeline.sandbox.definitions import folder as folder_of_the_demo
from crm_pipeline.sandbox.demo import HOUR, Clock, Demo, DemoError, demo_console, demo_environment, stay_up
from crm_pipeline.sandbox.sandbox import start_sandbox
from crm_pipeline.store.database import Store
from crm_pipeline_tests.awaiting import PATIENCE_SECONDS, await_that

pytestmark = pytest.mark.timeout(1500)

MARK = "CRM_PIPELINE_TEST_MARK"


@dataclass(frozen=True)
class Stage:
    """Where a demo runs: a temporary folder of its own, and a mark that all its processes inherit."""

    folder: Path
    mark: str

    def start(self, *command: str, **settings: str) -> subprocess.Popen[str]:
        """The demo, or another command, in a process group of its own; ``settings``: more of its environment."""
        kept = {name: value for name, value in os.environ.items() if name not in {"DAGSTER_HOME", "PYTHONDONTWRITEBYTECODE"}}
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("crm-pipeline")), *(command or ["demo"])],
            cwd=self.folder,
            env={**kept, **settings, "TMPDIR": str(self.folder), MARK: self.mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def processes(self) -> dict[int, str]:
        """Living processes of this demo, whoever their parent is by now: id and command."""
        found = {}
        for folder in Path("/proc").iterdir():
            with suppress(OSError):
                if folder.name.isdigit() and f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes():
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return found

    def is_working(self) -> bool:
        """Whether both the database and the Dagster run are up."""
        commands = " ".join(self.processes().values())
        return "postgres" in commands and "dagster job execute" in commands

    def left_behind(self) -> list[str]:
        """Files and folders that the demo left. The database package's own lock file is none of them: it is shared and empty."""
        return [path.name for path in self.folder.rglob("*") if path.is_file() and path.stat().st_size] + [
            path.name for path in self.folder.glob("crm-pipeline-*")
        ]


@contextmanager
def a_stage() -> Iterator[Stage]:
    """A stage for one demo; whatever it leaves running is ended with the block."""
    # PostgreSQL's socket needs a short path.
    folder = Path(tempfile.mkdtemp(prefix="demo-"))
    staged = Stage(folder, uuid.uuid4().hex)
    yield staged
    for process in staged.processes():
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Told:
    """What a demo that was left alone said, and what was there when it had ended.

    It was started beside the `.env` of a deployment that migrates by hand; ``deployment`` listens in its database's place.
    """

    output: str
    processes: dict[int, str]
    files: list[str]
    deployment: socket.socket


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    with a_stage() as stage, socket.create_server(("127.0.0.1", 0)) as deployment:
        database = f"postgresql://127.0.0.1:{deployment.getsockname()[1]}/production?connect_timeout=2"
        env_file = stage.folder / ".env"
        env_file.write_text(f"CRM_PIPELINE_DATABASE_URL={database}")
        with stage.start("demo", "--json", CRM_PIPELINE_AUTO_MIGRATE="0") as demo:
            output, _ = demo.communicate(timeout=900)
        assert demo.returncode == 0, output
        env_file.unlink()
        # What ends with the demo's own process may take a moment more.
        with suppress(AssertionError):
            await_that(lambda: not stage.processes() and not stage.left_behind(), "nothing is left", patience_seconds=30)
        yield Told(output, stage.processes(), stage.left_behind(), deployment)


def test_demo_works_in_the_midst_of_the_hour_it_tells_of_whenever_it_is_started() -> None:
    with demo_environment(demo_console()) as demo:
        into_the_hour = datetime.fromtimestamp(demo.clock(), UTC) - (demo.start + HOUR)
    assert HOUR / 2 <= into_the_hour < HOUR * 0.9


def test_demo_tells_what_arrived_in_both_crms(told: Told) -> None:
    assert re.search(r"QBench holds \d+ customers and \d+ contacts", told.output)
    asset = "salesforce/accounts|salesforce/contacts|hubspot/companies|hubspot/contacts"
    loads = re.findall(rf"^ *({asset}) +[\d·]", told.output, re.MULTILINE)
    assert len(loads) >= 8, f"two runs, four loads each:\n{told.output}"


def test_demo_tells_what_came_back_from_each_crm_and_which_value_lost(told: Told) -> None:
    back = re.findall(r"^ *(salesforce|hubspot) +\d+ +updated +written: (\w+)", told.output, re.MULTILINE)
    assert set(back) == {("salesforce", "comments"), ("hubspot", "special_instructions")}, told.output
    assert re.search(r"^ *salesforce +\d+ +Description +crm +record stamp", told.output, re.MULTILINE), told.output


def test_demo_tells_its_figures_as_json_at_the_end(told: Told) -> None:
    runs = json.loads(told.output[told.output.index("\n[\n") :])
    assert [run["job"] for run in runs] == ["demo__sync", "demo__sync", "demo__from_crms"]
    assert sum(row["records"] for row in runs[0]["outcomes"] if row["crm"] == "hubspot") == 800
    assert {row["reason"] for row in runs[2]["changes"]} == {"written: comments", "written: special_instructions"}


def test_demo_tells_what_it_called(told: Told) -> None:
    calls = re.findall(r"API calls: ((?:, )?(?:qbench|hubspot|salesforce) \d+){3}$", told.output, re.MULTILINE)
    assert len(calls) == 3, f"three runs:\n{told.output}"


def test_demo_says_how_to_look_around(told: Told) -> None:
    assert "make dev" in told.output


def test_demo_stays_out_of_the_database_that_an_env_file_names(told: Told) -> None:
    told.deployment.setblocking(False)
    with pytest.raises(BlockingIOError):
        told.deployment.accept()


def test_demo_leaves_nothing(told: Told) -> None:
    assert (told.processes, told.files) == ({}, [])


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=lambda end: end.name)
def test_demo_that_is_ended_in_the_middle_leaves_nothing(end: signal.Signals) -> None:
    with a_stage() as stage:
        with stage.start() as demo:
            await_that(stage.is_working, lambda: f"the demo is at work: {stage.processes()}", every=0.2)
            demo.send_signal(end)
            output, _ = demo.communicate(timeout=PATIENCE_SECONDS)
        assert demo.returncode != 0
        await_that(lambda: not stage.processes(), lambda: f"nothing runs any more: {stage.processes()}", every=0.2)
        await_that(lambda: not stage.left_behind(), lambda: f"nothing is left behind: {stage.left_behind()}", every=0.2)
        assert "Traceback" not in output


def a_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def test_dev_refuses_a_taken_port_before_it_starts_anything() -> None:
    with a_stage() as stage, socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with stage.start("dev", "--port", port) as dev:
            output, _ = dev.communicate(timeout=PATIENCE_SECONDS)
    assert dev.returncode == 2
    assert f"port {port} cannot be used" in output
    assert "Invalid value for --port" in output


@pytest.mark.timeout(300)
def test_dagster_that_ends_by_itself_is_an_error(store: Store, tmp_path: Path) -> None:
    homeless = {**os.environ, "DAGSTER_HOME": str(tmp_path / "nowhere")}
    with start_sandbox() as sandbox, pytest.raises(DemoError, match="dagster dev ended with exit code"):
        stay_up(Demo(sandbox, store, tmp_path, homeless, datetime.now(UTC), demo_console(), Clock()), port=a_free_port())


TOUR = """
import sys
from crm_pipeline.sandbox.control import controlled
from crm_pipeline.sandbox.demo import demo_console, demo_environment, run, stay_up
from crm_pipeline.sandbox.tour import environment_of, exported, prepare_tour
with demo_environment(demo_console(), hours=3) as demo, controlled(demo.sandbox) as control_url:
    run(demo, demo.first_partition, title="First load")
    prepare_tour(demo)
    print(exported(environment_of(demo, control_url)))
    stay_up(demo, port=int(sys.argv[1]))
"""
"""What `crm-pipeline dev` does, but for the runs that test_demo_tells_what_arrived_in_both_crms sees."""


@pytest.mark.timeout(600)
def test_the_tour_stands_ready_once_the_ui_answers_and_ctrl_c_ends_it_quietly() -> None:
    port = a_free_port()
    command = [sys.executable, "-c", TOUR, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True) as dev:
        try:
            assert dev.stdout is not None
            said = []
            for line in dev.stdout:
                said.append(line)
                # Dagster names its address too, a moment before anything answers there.
                if found := re.search(r"Dagster UI: (http://127\.0\.0\.1:\d+)", line):
                    assert httpx.get(f"{found[1]}/server_info").is_success
                    break
            in_another_shell(said)
            dev.send_signal(signal.SIGINT)
            assert dev.wait(PATIENCE_SECONDS) == 0
        finally:
            dev.kill()


def in_another_shell(said: list[str]) -> None:
    """What a visitor sees who takes the printed environment."""
    told = "".join(said)
    environment = dict(shlex.split(line)[1].split("=", 1) for line in said if line.startswith("export "))
    hour, winner = re.findall(r"The hour (\S+) .* is red", told)[0], re.findall(r"was merged into\s+(\w+),", told)[0]
    with pytest.MonkeyPatch.context() as shell:
        for name, value in environment.items():
            shell.setenv(name, value)
        shown = CliRunner().invoke(
            main, ["link", "show", *["--integration", "demo", "--crm", "salesforce", "--record-type", "account", "--crm-id"], winner]
        )
        assert (shown.exit_code, "live" in shown.output) == (0, True), shown.output
        mended = CliRunner().invoke(main, ["sandbox", "mend", "hubspot"])
        assert mended.exit_code == 0, mended.output
        with closing(Store()) as store, store.transaction() as connection:
            attempts = "crm_pipeline.outcome JOIN crm_pipeline.attempt ON attempt.id = outcome.run_id"
            statement = text(f"SELECT DISTINCT crm FROM {attempts} WHERE attempt.partition_key = :hour")
            assert connection.execute(statement, {"hour": hour}).scalars().all() == ["salesforce"]
        with dg.DagsterInstance.get() as instance:
            statuses = {run.status for run in instance.get_runs() if run.tags.get("dagster/partition") == hour}
        assert statuses == {dg.DagsterRunStatus.FAILURE}


def test_demo_with_sugarcrm_is_the_same_integration_with_one_crm_more() -> None:
    usual, more = (yaml.safe_load((Path(str(one.__file__)).parent / "demo" / "defs.yaml").read_text()) for one in (defs, defs_sugarcrm))
    assert more["attributes"]["crms"].pop("sugarcrm")["external_key"] == "qbench_id_c"
    for record_type, field in (("accounts", "name"), ("contacts", "email")):
        assert more["attributes"][record_type]["sync_on"][0][field].pop("sugarcrm")
    assert more == usual


@pytest.mark.filterwarnings("ignore:Function `load_defs` is deprecated")
def test_demo_with_sugarcrm_has_its_assets_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("QBENCH", "SALESFORCE", "HUBSPOT", "SUGARCRM"):
        monkeypatch.setenv(f"SANDBOX_{name}_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SANDBOX_START", "2026-11-01T00:00Z")
    integration = load_defs(folder_of_the_demo(), project_root=PACKAGE.parent)
    keys = {key.to_user_string() for key in integration.resolve_asset_graph().get_all_asset_keys()}
    assert {"demo/sugarcrm/accounts", "demo/sugarcrm/contacts", "demo/qbench/customers_from_sugarcrm", "demo/hubspot/companies"} <= keys
