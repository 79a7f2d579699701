"""How far is a read or a load, and how long will it take? The words for the log."""

from __future__ import annotations

import time

from crm_pipeline.counting import counted

EVERY_SECONDS = 5.0
"""So often, and at its end, a step tells how far it is: each line is an event that Dagster stores, for as much as some ten records cost."""


class Pulse:
    """Says when it is time to tell again."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def beats(self) -> bool:
        """Whether EVERY_SECONDS have passed since it did so last, or since the beginning."""
        now = time.monotonic()
        if now - self._since < EVERY_SECONDS:
            return False
        self._since = now
        return True


def progress(done: int, total: int | None, *, seconds: float, skipped: int = 0) -> str:
    """Rows done, of how many, the time taken and the time left at this pace.

    ``skipped``: rows among those done that took no time, because an earlier run had done them.
    """
    if total is None or total < done:
        return f"{counted(done, 'row')}, {seconds:.0f} s"
    worked = done - skipped
    left = f", about {seconds * (total - done) / worked:.0f} s left" if worked and total > done else ""
    return f"{done} of {counted(total, 'row')} ({100 * done // total if total else 100} %), {seconds:.0f} s{left}"
