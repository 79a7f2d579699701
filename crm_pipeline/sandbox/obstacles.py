"""What stands in the way of single records in a CRM's stand-in: its own failures on them, states that pass, access to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Obstacle:
    """Saves of an object's records that ``stops`` says True to, each as it would be saved, fail with ``code``, and name ``fields``."""

    object_name: str
    stops: Callable[[Mapping[str, Any]], bool]
    code: str
    fields: tuple[str, ...] = ()


def in_the_way(obstacles: Iterable[Obstacle], object_name: str, record: Mapping[str, Any]) -> Obstacle | None:
    """The first obstacle to saving this record."""
    return next((one for one in obstacles if one.object_name == object_name and one.stops(record)), None)
