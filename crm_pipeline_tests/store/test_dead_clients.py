"""A client whose host is gone without a word loses its lock: two network namespaces, and a cable that is cut between them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from crm_pipeline.store.database import Store
from crm_pipeline.store.embedded import embedded_postgres
from crm_pipeline_tests.awaiting import await_that

SERVER, CLIENT = f"server-{os.getpid()}", f"client-{os.getpid()}"
SERVER_ADDRESS, CLIENT_ADDRESS = "10.213.77.1", "10.213.77.2"
IP = shutil.which("ip", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") or ""

SHORT = {"keepalives_idle": "1", "keepalives_interval": "1", "keepalives_count": "2", "tcp_user_timeout": "3000"}
"""The defaults notice a dead host in the same way, only later."""

HOLD_A_LOCK = """
import sys
from crm_pipeline.store.database import Store
with Store(sys.argv[1]).lock("busy"):
    print("held", flush=True)
    sys.stdin.read()
"""


def ip(*words: str) -> None:
    subprocess.run([IP, *words], check=True, capture_output=True)


@contextmanager
def two_hosts() -> Iterator[None]:
    """Two network namespaces joined by a cable; skips where this machine does not let us make them."""
    with ExitStack() as made:
        try:
            for host in (SERVER, CLIENT):
                ip("netns", "add", host)
                made.callback(ip, "netns", "delete", host)
            ip("-n", SERVER, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", CLIENT)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("needs root, iproute2 and network namespaces")
        for host, address in ((SERVER, SERVER_ADDRESS), (CLIENT, CLIENT_ADDRESS)):
            ip("-n", host, "address", "add", f"{address}/30", "dev", "cable")
            ip("-n", host, "link", "set", "cable", "up")
        yield


@contextmanager
def reached_by_cable(url: str) -> Iterator[str]:
    """The URL of the embedded server by its address: it is started again in its own namespace."""
    folder = Path(str(make_url(url).query["host"]))
    with psycopg.connect(url) as connection:
        programs = Path(connection.execute("SELECT setting FROM pg_config WHERE name = 'BINDIR'").fetchone()[0])  # type: ignore[index]
    with (folder / "pg_hba.conf").open("a") as rules:
        rules.write(f"host all all {CLIENT_ADDRESS}/32 trust\n")

    def control(*words: str) -> None:
        command = [IP, "netns", "exec", SERVER, "runuser", "-u", folder.owner(), "--", str(programs / "pg_ctl"), "-w", "-D", str(folder)]
        subprocess.run([*command, *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    control("-o", f"-h {SERVER_ADDRESS} -k {folder}", "-l", str(folder / "log"), "restart")
    try:
        address = make_url(url).set(host=SERVER_ADDRESS).difference_update_query(["host"]).update_query_dict(SHORT)
        yield address.render_as_string(hide_password=False)
    finally:
        control("-m", "immediate", "stop")


def test_lock_of_a_host_that_is_gone_without_a_word_is_free_after_its_keepalives() -> None:
    with two_hosts(), embedded_postgres() as url, reached_by_cable(url) as by_cable, closing(Store(url)) as store:
        command = [IP, "netns", "exec", CLIENT, sys.executable, "-c", HOLD_A_LOCK, by_cable]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            ip("-n", CLIENT, "route", "replace", "blackhole", f"{SERVER_ADDRESS}/32")
            holder.send_signal(signal.SIGKILL)
        inside = threading.Event()

        def take() -> None:
            with store.lock("busy"):
                inside.set()

        second = threading.Thread(target=take, daemon=True)
        second.start()
        await_that(inside.is_set, "the second run has the lock", patience_seconds=60)
        second.join()
