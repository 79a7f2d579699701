"""A standing deployment: a code server, the daemon and a webserver on a workbench's instance, and what each has cost so far."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import yaml

from benchmarks.workbench import BenchmarkError, Workbench
from crm_pipeline.local.guardian import Guardian, guardian
from crm_pipeline.store.database import URL_VARIABLE

HOST = "127.0.0.1"
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Deployment:
    """Its processes by what they are; ``runs`` are the children of the code server. ``url``: the webserver's."""

    processes: Mapping[str, int]
    url: str

    def cost(self) -> dict[str, float]:
        """CPU seconds of each so far, with all that they started: daemon, code server, webserver, PostgreSQL, and the runs."""
        found = {name: _cpu_of_tree(process) for name, process in self.processes.items()}
        own = _cpu_seconds(self.processes["code server"])[0]
        return {**found, "code server": own, "runs": found["code server"] - own}


@contextmanager
def deployed(bench: Workbench, settings: Mapping[str, str], *, without: Collection[str] = ()) -> Iterator[Deployment]:
    """The deployment of the definitions that these settings describe, ``without`` some processes, until the block ends."""
    port, page_port = _free_port(), _free_port()
    environment = {**bench.environment, **settings}
    location = {"grpc_server": {"host": HOST, "port": port, "location_name": "bench"}}
    workspace = bench.home / "workspace.yaml"
    workspace.write_text(yaml.safe_dump({"load_from": [location]}))
    commands = {
        "code server": ["dagster", "api", "grpc", "-m", "benchmarks.definitions", "--host", HOST, "--port", str(port)],
        "daemon": ["dagster._daemon", "run", "-w", str(workspace)],
        "webserver": ["dagster_webserver", "-w", str(workspace), "--host", HOST, "--port", str(page_port)],
    }
    with guardian() as guard, ExitStack() as stack:
        processes = {}
        for name in (name for name in commands if name not in without):
            processes[name] = stack.enter_context(_started(name, commands[name], bench.home, environment, guard))
        yield Deployment({**processes, "PostgreSQL": _postmaster(environment[URL_VARIABLE])}, url=f"http://{HOST}:{page_port}")


def postgres_cpu_seconds(url: str) -> float:
    """CPU seconds of all processes of the PostgreSQL behind a socket so far."""
    return _cpu_of_tree(_postmaster(url))


@contextmanager
def _started(name: str, command: list[str], home: Path, environment: Mapping[str, str], guard: Guardian) -> Iterator[int]:
    with (home / f"{name.replace(' ', '-')}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=home, env=dict(environment), stdout=log, stderr=log, start_new_session=True
        )
        guard.end_group(process.pid)
        yield process.pid
        if process.poll() is not None:
            raise BenchmarkError(f"the {name} ended by itself; see {log.name}")
        # Nothing of it is read any more, and the daemon takes its time over a friendly end.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _postmaster(url: str) -> int:
    """The server's first process, by the folder of its socket."""
    [folder] = parse_qs(urlsplit(url).query)["host"]
    return int((Path(folder) / "postmaster.pid").read_text().splitlines()[0])


def _cpu_of_tree(process: int) -> float:
    """CPU seconds of a process, of all that it started, and of all that these waited for."""
    own, ended = _cpu_seconds(process)
    return own + ended + sum(_cpu_of_tree(child) for child in _children(process))


def _children(process: int) -> list[int]:
    lists = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for one in lists for child in one.read_text().split()]


def _cpu_seconds(process: int) -> tuple[float, float]:
    """CPU seconds of a process, and of the ended ones that it waited for; none once it is gone."""
    try:
        told = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0, 0.0
    user, system, of_ended_user, of_ended_system = (int(ticks) / CLOCK_TICKS for ticks in told[11:15])
    return user + system, of_ended_user + of_ended_system
