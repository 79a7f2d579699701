"""How a process that works on many records deals with its memory."""

from __future__ import annotations

import gc
from functools import cache

import pyarrow as pa

GARBAGE_THRESHOLD = 20_000
"""New objects after which a process that works on records looks for garbage."""


@cache
def make_room_for_records() -> None:
    """Before work on many records begins, look for garbage among what it makes, not among the hundreds of thousands of objects of modules.

    Frames and records hold no cycles: reference counts free them. Texts of frames that are gone are given back: Arrow's own pool
    keeps a tenth of what the process holds for later ones.
    """
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    pa.set_memory_pool(pa.system_memory_pool())
