"""Waiting for a condition instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_SECONDS = 240.0


def await_that(condition: Callable[[], object], what: str | Callable[[], str], *, every: float = 0.01) -> None:
    """Return once the condition holds; fail with what was waited for when it does not within ``PATIENCE_SECONDS``."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"not within {PATIENCE_SECONDS:.0f} s: {what if isinstance(what, str) else what()}"
        time.sleep(every)
