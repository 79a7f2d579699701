"""Bends the answers of the stand-ins on their way: one member away, null, or of another type."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from crm_pipeline.sandbox.faults import Fault, Faults

Way = tuple[str | int, ...]
"""The way to a member: names and positions."""

OF_ANOTHER_TYPE: dict[type, Any] = {list: {}, dict: [], str: 7, object: "x"}
"""Of lists and objects an empty one of the other: what is likeliest to be taken for an empty one of the right type."""


def ways(answer: Any, *, free: Collection[str] = (), way: Way = ()) -> Iterator[Way]:
    """The way to each member, of lists by their first entry; not to those within a ``free`` one."""
    if isinstance(answer, dict):
        for name, member in answer.items():
            yield (*way, name)
            if name not in free:
                yield from ways(member, free=free, way=(*way, name))
    elif isinstance(answer, list) and answer:
        yield from ways(answer[0], free=free, way=(*way, 0))


def bent(answer: Any, way: Way, *value: Any) -> Any:
    """A copy of an answer with another value at a place, or none. Raises LookupError or TypeError for one without the place."""
    copy = deepcopy(answer)
    holder = copy
    for step in way[:-1]:
        holder = holder[step]
    if value:
        holder[way[-1]] = value[0]
    else:
        del holder[way[-1]]
    return copy


def bending(way: Way, *value: Any) -> Callable[[Any], Any]:
    """``bent`` as a fault takes it."""
    return lambda answer: bent(answer, way, *value)


def others(member: Any) -> Iterator[tuple[Any, ...]]:
    """What may stand in a member's place, as ``bent`` takes it: nothing, null, and a value of another type."""
    yield ()
    if member is not None:
        yield (None,)
    yield (next(value for kind, value in OF_ANOTHER_TYPE.items() if isinstance(member, kind)),)


def member(answer: Any, way: Way) -> Any:
    """What stands at the end of a way."""
    for step in way:
        answer = answer[step]
    return answer


@contextmanager
def recorded(faults: Faults) -> Iterator[list[Any]]:
    """The JSON of every answer that is given meanwhile."""
    answers: list[Any] = []

    def keep(answer: Any) -> Any:
        answers.append(answer)
        return answer

    with planned(faults, Fault(kind="bend", times=None, bend=keep)):
        yield answers


@contextmanager
def planned(faults: Faults, fault: Fault) -> Iterator[None]:
    """A fault that ends with the block."""
    faults.add(fault)
    try:
        yield
    finally:
        faults.clear()
