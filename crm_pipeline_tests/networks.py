"""Hosts of a network that is all our own: network namespaces on one switch, with cables that are pulled and plugged in again."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

IP = shutil.which("ip", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") or ""
NETWORK = "10.213.77"
CLONE_NEWNET = 0x40000000

NOTICED_SOON = {"keepalives_idle": "1", "keepalives_interval": "1", "keepalives_count": "2", "tcp_user_timeout": "3000"}
"""What to add to the database's URL: the defaults notice a dead host in the same way, only later."""


def _ip(*words: str) -> None:
    subprocess.run([IP, *words], check=True, capture_output=True)


@dataclass(frozen=True)
class Host:
    """A host of the network: its address, and its cable, which leads to the switch."""

    namespace: str
    address: str
    switch: str
    port: str

    def command(self, *words: str) -> list[str]:
        """A command as it is started on this host."""
        return [IP, "netns", "exec", self.namespace, *words]

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Let this thread, and what it starts, be on this host until the block ends."""
        libc = ctypes.CDLL(None, use_errno=True)
        with Path("/proc/thread-self/ns/net").open() as before, Path("/run/netns", self.namespace).open() as here:
            _succeed(libc.setns(here.fileno(), CLONE_NEWNET))
            try:
                yield
            finally:
                _succeed(libc.setns(before.fileno(), CLONE_NEWNET))

    def pull_cable(self) -> None:
        """Cut the host off: what it sends is lost, and nobody is told so."""
        _ip("-n", self.switch, "link", "set", self.port, "down")

    def plug_in(self) -> None:
        """Bring the host back to the network."""
        _ip("-n", self.switch, "link", "set", self.port, "up")

    def end_all(self) -> None:
        """End every process of the host with kill -9, as a power cut does."""
        found = subprocess.run([IP, "netns", "pids", self.namespace], check=True, capture_output=True, text=True)
        for process in map(int, found.stdout.split()):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def _succeed(code: int) -> None:
    if code:
        raise OSError(ctypes.get_errno(), "this thread cannot move to another host")


@contextmanager
def network(*names: str) -> Iterator[list[Host]]:
    """Hosts of these names on one switch; skips where this machine does not let us make them."""
    switch = f"switch-{os.getpid()}"
    hosts = [Host(f"{name}-{os.getpid()}", f"{NETWORK}.{number}", switch, f"port{number}") for number, name in enumerate(names, start=1)]
    with ExitStack() as made:
        try:
            for namespace in (switch, *(host.namespace for host in hosts)):
                _ip("netns", "add", namespace)
                made.callback(_ip, "netns", "delete", namespace)
            _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
            for host in hosts:
                _ip("-n", switch, "link", "add", host.port, "type", "veth", "peer", "name", "cable", "netns", host.namespace)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("needs root, iproute2 and network namespaces")
        _ip("-n", switch, "link", "set", "bridge", "up")
        for host in hosts:
            _ip("-n", switch, "link", "set", host.port, "master", "bridge", "up")
            _ip("-n", host.namespace, "address", "add", f"{host.address}/24", "dev", "cable")
            for interface in ("lo", "cable"):
                _ip("-n", host.namespace, "link", "set", interface, "up")
        yield hosts


@contextmanager
def moved_to(host: Host, url: str) -> Iterator[str]:
    """An embedded server on a host of its own: it is started again there. Yields the URL by which the other hosts reach it."""
    folder = Path(str(make_url(url).query["host"]))
    with psycopg.connect(url) as connection:
        programs = Path(connection.execute("SELECT setting FROM pg_config WHERE name = 'BINDIR'").fetchone()[0])  # type: ignore[index]
    with (folder / "pg_hba.conf").open("a") as rules:
        rules.write(f"host all all {NETWORK}.0/24 trust\n")

    def control(*words: str) -> None:
        command = host.command("runuser", "-u", folder.owner(), "--", str(programs / "pg_ctl"), "-w", "-D", str(folder), *words)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    control("-o", f"-h {host.address} -k {folder}", "-l", str(folder / "log"), "restart")
    try:
        address = make_url(url).set(host=host.address).difference_update_query(["host"]).update_query_dict(NOTICED_SOON)
        yield address.render_as_string(hide_password=False)
    finally:
        control("-m", "immediate", "stop")
