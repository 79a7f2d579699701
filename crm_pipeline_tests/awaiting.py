"""Waiting for a condition instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_SECONDS = 300.0


def await_that(
    condition: Callable[[], object], what: str | Callable[[], str], *, every: float = 0.01, patience_seconds: float = PATIENCE_SECONDS
) -> None:
    """Return once the condition holds; fail with what was waited for when it does not in time."""
    end = time.monotonic() + patience_seconds
    while not condition():
        assert time.monotonic() < end, f"not within {patience_seconds:.0f} s: {what if isinstance(what, str) else what()}"
        time.sleep(every)
