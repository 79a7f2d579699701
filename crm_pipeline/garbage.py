"""How often a process that works on many records looks for garbage."""

from __future__ import annotations

import gc
from functools import cache

GARBAGE_THRESHOLD = 20_000
"""New objects after which a process that works on records looks for garbage."""


@cache
def look_for_garbage_seldom() -> None:
    """Before work on many records begins, look for garbage among what it makes, not among the hundreds of thousands of objects of modules.

    Frames and records hold no cycles: reference counts free them.
    """
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
