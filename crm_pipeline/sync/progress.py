"""How far is a read or a load, and how long will it take? The words for the log."""

from __future__ import annotations

from crm_pipeline.counting import counted


def progress(done: int, total: int | None, *, seconds: float, skipped: int = 0) -> str:
    """Rows done, of how many, the time taken and the time left at this pace.

    ``skipped``: rows among those done that took no time, because an earlier run had done them.
    """
    if total is None or total < done:
        return f"{counted(done, 'row')}, {seconds:.0f} s"
    worked = done - skipped
    left = f", about {seconds * (total - done) / worked:.0f} s left" if worked and total > done else ""
    return f"{done} of {counted(total, 'row')} ({100 * done // total if total else 100} %), {seconds:.0f} s{left}"
