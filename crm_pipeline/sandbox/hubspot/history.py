"""Who set which value of a property, and when: what ``propertiesWithHistory`` shows.

A version is a value, its time, and where it came from. Seen live: a person's edit is ``CRM_UI``, ``userId:<id>`` and carries
``updatedByUserId``; an app's write is ``INTEGRATION`` and its app id, and carries none. What a service key leaves is unknown.
A write that changes no value leaves no version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any


@dataclass(frozen=True, slots=True)
class Source:
    """Where a change came from: HubSpot's ``sourceType`` and ``sourceId``, and the user, where one did it."""

    kind: str
    id: str | None = None
    user_id: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The members of a version that name its source."""
        members = {"sourceType": self.kind, "sourceId": self.id, "updatedByUserId": self.user_id}
        return {name: member for name, member in members.items() if member is not None}


def person(user_id: int) -> Source:
    """Someone who edits in HubSpot's own pages."""
    return Source("CRM_UI", f"userId:{user_id}", user_id)


def app(app_id: str | None) -> Source:
    """An app that writes through the API; None for one whose id does not show."""
    return Source("INTEGRATION", app_id)


IMPORT = Source("IMPORT")
CALCULATED = Source("CALCULATED")
MERGE = Source("MERGE_OBJECTS")
"""The names of these three kinds are assumed."""


@dataclass(frozen=True, slots=True)
class Version:
    """A value that a property had from a time on, in seconds since 1970; a blank is ``""`` (assumed)."""

    value: str
    at: float
    source: Source


class History:
    """What the writes of one object's records changed, the oldest first. Not safe over threads: the portal locks."""

    def __init__(self) -> None:
        self._writes: dict[str, list[tuple[Mapping[str, str], float, Source]]] = {}

    def note(self, record_id: str, changes: Mapping[str, str], *, at: float, source: Source) -> None:
        """Keep what a write changed; values are kept as they are given."""
        if changes:
            self._writes.setdefault(record_id, []).append((changes, at, source))

    def versions(self, record_id: str, name: str, *, most: int) -> list[Version]:
        """The versions of one property, the newest first; none where it never had a value."""
        return list(islice(self._versions(record_id, name), most))

    def latest(self, record_id: str, name: str) -> Version | None:
        """The version that holds now."""
        return next(self._versions(record_id, name), None)

    def forget(self, record_id: str) -> None:
        """Lose everything about a record."""
        self._writes.pop(record_id, None)

    def _versions(self, record_id: str, name: str) -> Iterator[Version]:
        for changes, at, source in reversed(self._writes.get(record_id, ())):
            if name in changes:
                yield Version(changes[name], at, source)
