"""`crm-pipeline demo` as a newcomer runs it: a process of its own that tells what happened, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

PATIENCE_SECONDS = 240.0
MARK = "CRM_PIPELINE_TEST_MARK"


@dataclass(frozen=True)
class Stage:
    """Where a demo runs: a temporary folder of its own, and a mark that all its processes inherit."""

    folder: Path
    mark: str

    def start(self) -> subprocess.Popen[str]:
        """The demo, in a process group of its own."""
        kept = {name: value for name, value in os.environ.items() if name not in {"DAGSTER_HOME", "PYTHONDONTWRITEBYTECODE"}}
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("crm-pipeline")), "demo"],
            env={**kept, "TMPDIR": str(self.folder), MARK: self.mark},
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


@pytest.fixture
def stage() -> Iterator[Stage]:
    # PostgreSQL's socket needs a short path.
    folder = Path(tempfile.mkdtemp(prefix="demo-"))
    staged = Stage(folder, uuid.uuid4().hex)
    yield staged
    for process in staged.processes():
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def await_that(condition: Callable[[], bool], what: Callable[[], str]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, what()
        time.sleep(0.05)


def left_behind(stage: Stage) -> list[str]:
    """Files and folders that the demo left. The database package's own lock file is none of them: it is shared and empty."""
    return [path.name for path in stage.folder.rglob("*") if path.is_file() and path.stat().st_size] + [
        path.name for path in stage.folder.glob("crm-pipeline-*")
    ]


@pytest.mark.timeout(600)
def test_demo_tells_what_arrived_in_both_crms_and_leaves_nothing(stage: Stage) -> None:
    with stage.start() as demo:
        output, _ = demo.communicate(timeout=500)
    assert demo.returncode == 0, output
    assert re.search(r"QBench holds \d+ customers and \d+ contacts", output)
    loads = re.findall(r"^ *(salesforce/accounts|salesforce/contacts|hubspot/companies|hubspot/contacts) +[\d·]", output, re.MULTILINE)
    assert len(loads) >= 8, f"two runs, four loads each:\n{output}"
    assert (
        len(re.findall(r"API calls: qbench \d+, hubspot \d+, salesforce \d+|API calls: qbench \d+, salesforce \d+, hubspot \d+", output))
        == 2
    )
    assert "make dev" in output
    assert (stage.processes(), left_behind(stage)) == ({}, [])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=lambda end: end.name)
def test_demo_that_is_ended_in_the_middle_leaves_nothing_running(stage: Stage, end: signal.Signals) -> None:
    with stage.start() as demo:
        await_that(stage.is_working, lambda: f"never at work: {stage.processes()}")
        demo.send_signal(end)
        output, _ = demo.communicate(timeout=PATIENCE_SECONDS)
    assert demo.returncode != 0
    await_that(lambda: not stage.processes(), lambda: f"still running: {stage.processes()}")
    await_that(lambda: not left_behind(stage), lambda: f"left behind: {left_behind(stage)}")
    assert "Traceback" not in output
