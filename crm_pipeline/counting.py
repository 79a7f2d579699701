"""Counts in sentences: one record, two records."""

from __future__ import annotations


def counted(count: int, one: str, many: str | None = None, *, form: str = "") -> str:
    """The count before what it counts: ``one`` of it, or ``many``, which is the same with an s where it is left out.

    ``form``: how the number is written, "," for instance.
    """
    return f"{count:{form}} {one if count == 1 else many or one + 's'}"


def changed(difference: int) -> str:
    """How many more, or fewer, there are than before."""
    return f"{difference:+,}".replace("-", "−") if difference else "·"
