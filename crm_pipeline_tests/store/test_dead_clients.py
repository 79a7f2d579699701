"""A client whose host is gone without a word loses its lock: two hosts, and a cable that is pulled between them."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from contextlib import closing

from crm_pipeline.store.database import Store
from crm_pipeline.store.embedded import embedded_postgres
from crm_pipeline_tests.awaiting import await_that
from crm_pipeline_tests.networks import moved_to, network

HOLD_A_LOCK = """
import sys
from crm_pipeline.store.database import Store
with Store(sys.argv[1]).lock("busy"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_lock_of_a_host_that_is_gone_without_a_word_is_free_after_its_keepalives() -> None:
    with (
        network("database", "client") as (database, client),
        embedded_postgres() as url,
        moved_to(database, url) as by_cable,
        database.inside(),
        closing(Store(by_cable)) as store,
    ):
        command = client.command(sys.executable, "-c", HOLD_A_LOCK, by_cable)
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            client.pull_cable()
            holder.send_signal(signal.SIGKILL)
        inside = threading.Event()

        def take() -> None:
            with store.lock("busy"):
                inside.set()

        second = threading.Thread(target=take, daemon=True)
        second.start()
        await_that(inside.is_set, "the second run has the lock", patience_seconds=60)
        second.join()
