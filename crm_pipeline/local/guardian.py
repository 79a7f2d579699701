"""Ends what a process has started once that process is gone, however it went: also on Ctrl-C, a crash or kill -9.

A guardian is a process of its own that reads the orders given to it from a pipe; the pipe's end is its parent's end.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

MOST_REMOVALS = 50
REMOVAL_SECONDS = 0.1


class Guardian:
    """Orders of one guardian process; they are carried out, last first, when its parent is gone or closes it."""

    def __init__(self, pipe: IO[str]) -> None:
        self._pipe = pipe

    def end_group(self, process_group: int) -> None:
        """End this process group."""
        self._order("end_group", str(process_group))

    def signal(self, process: int, number: signal.Signals) -> None:
        """Send this process a signal."""
        self._order("signal", str(process), str(int(number)))

    def remove(self, folder: Path) -> None:
        """Remove this folder."""
        self._order("remove", str(folder))

    def _order(self, *order: str) -> None:
        self._pipe.write(json.dumps(order) + "\n")
        self._pipe.flush()


@contextmanager
def guardian() -> Iterator[Guardian]:
    """A guardian of this process; leaving the context carries its orders out and waits for them."""
    command = [sys.executable, "-m", "crm_pipeline.local.guardian"]
    # A session of its own: Ctrl-C goes to the whole group of the terminal, and the guardian must outlive it.
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True) as process:  # noqa: S603 - our own module
        if process.stdin is None:
            raise RuntimeError("a guardian has a pipe")
        try:
            yield Guardian(process.stdin)
        finally:
            process.stdin.close()
            process.wait()


def _carry_out(order: str, *arguments: str) -> None:
    if order == "end_group":
        with suppress(ProcessLookupError):
            os.killpg(int(arguments[0]), signal.SIGKILL)
    elif order == "signal":
        with suppress(ProcessLookupError):
            os.kill(int(arguments[0]), int(arguments[1]))
    elif order == "remove":
        _remove(arguments[0])


def _remove(folder: str) -> None:
    """Remove a folder that processes which are just being ended may still write to."""
    for _ in range(MOST_REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(REMOVAL_SECONDS)
        if not Path(folder).exists():
            return


if __name__ == "__main__":
    for name, *parameters in reversed([json.loads(line) for line in sys.stdin]):
        _carry_out(name, *parameters)
