"""Runs a command and writes to a file, as JSON, what it cost: ``python -m benchmarks.worker FILE COMMAND …``.

A process of its own because the kernel counts to a started process's peak memory what its parent held at that moment:
started from the one that holds the stand-ins, the peak would be theirs.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path


def main() -> int:
    """Run the command; returns its exit code."""
    file, *command = sys.argv[1:]
    began = time.monotonic()
    ended = subprocess.run(command, check=False)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    cost = {
        "seconds": time.monotonic() - began,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        # Linux counts in kilobytes, macOS in bytes.
        "peak_mb": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6,
    }
    Path(file).write_text(json.dumps(cost))
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
