"""How a process that works on many records deals with its memory."""

from __future__ import annotations

import ctypes
import gc
from functools import cache

import pyarrow as pa

GARBAGE_THRESHOLD = 100_000
"""New objects after which a process that works on records looks for garbage."""

BLOCK_BYTES = 512 * 1024
"""From this size on, memory is a block of the system's own, which goes back as soon as it is free. Smaller ones, which the columns of
frames take all the time, would be cleared page by page each time: two or three hundredths of a load's CPU."""
ARENAS = 2
"""From so many places glibc gives memory to threads; each keeps for itself what was freed in it."""
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
"""glibc's numbers of what mallopt(3) sets (malloc.h)."""


@cache
def make_room_for_records() -> None:
    """Before work on many records begins, look for garbage among what it makes, not among the hundreds of thousands of objects of modules.

    Frames and records hold no cycles: reference counts free them. Texts of frames that are gone are given back: Arrow's own pool
    keeps a tenth of what the process holds for later ones, and glibc keeps larger blocks, the larger those are that were freed.
    """
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    pa.set_memory_pool(pa.system_memory_pool())
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_MMAP_THRESHOLD, BLOCK_BYTES)
        mallopt(_M_ARENA_MAX, ARENAS)
