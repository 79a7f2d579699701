"""Lists of records, which HubSpot's pages call segments: which there are, and who is in them.

Static lists (MANUAL, SNAPSHOT) hold what was put into them. Active ones (DYNAMIC) hold what their filters admit, and are
evaluated in the background *after* a record changed, so that a changed record is seen before its membership follows. A
record that is deleted or merged away leaves its lists at once, and joining or leaving moves no stamp of the record: both assumed.
A deleted list is still read by its id, with ``deletedAt``, and by nothing else (seen live); after 90 days it is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, Literal

from crm_pipeline.sandbox.hubspot.records import DAYS_IN_BIN, Record, RecordStore, timestamp

Processing = Literal["MANUAL", "DYNAMIC", "SNAPSHOT"]
FIRST_ID = 41
USER = "9586504"
"""Who made and changed the lists."""


@dataclass(frozen=True, slots=True)
class Membership:
    """When a record joined a list for the first and for the last time."""

    first: float
    last: float


@dataclass(slots=True)
class Segment:
    """One list. ``matching``: the values that each property must have for a record to be in it, one of several separated by ``;``."""

    id: str
    name: str
    store: RecordStore
    processing: Processing
    matching: Mapping[str, str]
    created: float
    complete_at: float
    updated: float
    deleted: float | None = None
    members: dict[str, Membership] = field(default_factory=dict)
    left: dict[str, Membership] = field(default_factory=dict)
    _due: list[tuple[float, str, bool]] = field(default_factory=list)

    def admits(self, record: Record) -> bool:
        """Whether the filters admit a record."""
        return all(record.properties.get(name, "") in values.split(";") for name, values in self.matching.items())

    def evaluate(self, record_id: str, *, belongs: bool, at: float) -> None:
        """Have a record join or leave at a time; whoever is in already stays."""
        self._due.append((at, record_id, belongs))

    def let_go(self, record_id: str, *, at: float) -> None:
        """Have a record leave at once that is no more."""
        self._due = [entry for entry in self._due if entry[1] != record_id]
        self.evaluate(record_id, belongs=False, at=at)

    def settle(self, now: float) -> None:
        """Carry out the evaluations that are due, in the order of the changes."""
        waiting = []
        for entry in self._due:
            at, record_id, belongs = entry
            if at > now:
                waiting.append(entry)
            elif belongs and record_id not in self.members:
                earlier = self.left.pop(record_id, None)
                self.members[record_id] = Membership(earlier.first if earlier else at, at)
            elif not belongs and record_id in self.members:
                self.left[record_id] = self.members.pop(record_id)
        self._due = waiting

    def as_json(self, now: float, *, filters: bool) -> dict[str, Any]:
        """As the lists API writes it."""
        shown: dict[str, Any] = {
            "listId": self.id,
            "listVersion": 1,
            "createdAt": timestamp(self.created),
            "updatedAt": timestamp(self.updated),
            "filtersUpdatedAt": timestamp(self.created),
            "processingStatus": "COMPLETE" if now >= self.complete_at else "PROCESSING",
            "createdById": USER,
            "updatedById": USER,
            "processingType": self.processing,
            "objectTypeId": self.store.type.type_id,
            "name": self.name,
        }
        if self.deleted is not None:
            shown["deletedAt"] = timestamp(self.deleted)
        if filters and self.processing != "MANUAL":
            shown["filterBranch"] = self._filter_branch()
        return shown

    def _filter_branch(self) -> dict[str, Any]:
        filters = [
            {
                "filterType": "PROPERTY",
                "property": name,
                "operation": {"operationType": "ENUMERATION", "operator": "IS_ANY_OF", "values": values.split(";")},
            }
            for name, values in self.matching.items()
        ]
        return {
            "filterBranchType": "OR",
            "filters": [],
            "filterBranches": [{"filterBranchType": "AND", "filters": filters, "filterBranches": []}],
        }


class Segments:
    """The lists of a portal, and what its users do to them. ``object_name`` is ``"companies"`` or ``"contacts"``; safe over threads."""

    def __init__(
        self, stores: Mapping[str, RecordStore], *, lock: RLock, clock: Callable[[], float], lag_seconds: Callable[[], float]
    ) -> None:
        self._stores = stores
        self._lock = lock
        self._clock = clock
        self._lag_seconds = lag_seconds
        self._all: dict[str, Segment] = {}
        for store in stores.values():
            store.watchers.append(self._changed)

    # What users do

    def add(self, name: str, object_name: str, *, processing: Processing = "MANUAL", matching: Mapping[str, str] | None = None) -> str:
        """Make a list and return its id; ``matching``, the values of properties, makes a MANUAL one DYNAMIC.

        Raises ValueError where a list has the name: it is unique, whatever its case.
        """
        with self._lock:
            if self.named(name) is not None:
                raise ValueError("a list has this name")
            now, store = self._clock(), self._stores[object_name]
            processing = "DYNAMIC" if matching and processing == "MANUAL" else processing
            ready = now if processing == "MANUAL" else now + self._lag_seconds()
            made = Segment(str(FIRST_ID + len(self._all)), name, store, processing, dict(matching or {}), now, ready, now)
            self._all[made.id] = made
            for record in store.live.values() if processing != "MANUAL" else ():
                if made.admits(record):
                    made.evaluate(record.id, belongs=True, at=ready)
            return made.id

    def rename(self, list_id: str, name: str) -> None:
        """Give a list another name. Raises KeyError, or ValueError where another one has it."""
        with self._lock:
            if self.named(name) not in (None, self._all[list_id]):
                raise ValueError("a list has this name")
            self._all[list_id].name = name
            self._all[list_id].updated = self._clock()

    def delete(self, list_id: str) -> None:
        """Delete a list. Raises KeyError."""
        with self._lock:
            deleted = self._all[list_id]
            deleted.deleted = deleted.updated = self._clock()

    def restore(self, list_id: str) -> None:
        """Bring a deleted list back. Raises KeyError, or ValueError where another one has its name."""
        with self._lock:
            found = self.find(list_id)
            if found is None or found.deleted is None:
                raise KeyError(list_id)
            if self.named(found.name) is not None:
                raise ValueError("a list has this name")
            found.deleted, found.updated = None, self._clock()

    def join(self, list_id: str, *record_ids: str) -> list[str]:
        """Put records into a list and return those that were not in it; ids that lead nowhere are passed over.

        Raises KeyError, or ValueError for an active list.
        """
        return self._move(list_id, record_ids, belongs=True)

    def leave(self, list_id: str, *record_ids: str) -> list[str]:
        """Take records out of a list and return those that were in it. Raises KeyError, or ValueError for an active list."""
        return self._move(list_id, record_ids, belongs=False)

    # What the API and tests read

    def find(self, list_id: str) -> Segment | None:
        """A list, or a deleted one as long as it can be restored, with the members that it has now."""
        with self._lock:
            found, now = self._all.get(list_id), self._clock()
            if found is None or (found.deleted is not None and now - found.deleted > DAYS_IN_BIN * 86_400):
                return None
            found.settle(now)
            return found

    def named(self, name: str) -> Segment | None:
        """The list of a name, whatever its case; a deleted one is not found."""
        return next((one for one in self.current() if one.name.lower() == name.lower()), None)

    def current(self) -> list[Segment]:
        """The lists that are not deleted, with the members that they have now."""
        with self._lock:
            found = [one for one in self._all.values() if one.deleted is None]
            for one in found:
                one.settle(self._clock())
            return found

    def _move(self, list_id: str, record_ids: Iterable[str], *, belongs: bool) -> list[str]:
        with self._lock:
            found, now = self._all[list_id], self._clock()
            if found.processing == "DYNAMIC":
                raise ValueError("an active list follows its filters")
            found.settle(now)
            moved = [one for one in dict.fromkeys(record_ids) if one in found.store.live and (one in found.members) != belongs]
            for one in moved:
                found.evaluate(one, belongs=belongs, at=now)
            found.settle(now)
            return moved

    def _changed(self, store: RecordStore, record_id: str, record: Record | None) -> None:
        """Have the active lists evaluate a record that was changed, or every list let one go that was deleted."""
        now = self._clock()
        for one in self._all.values():
            if one.store is not store:
                continue
            if record is None:
                one.let_go(record_id, at=now)
            elif one.processing == "DYNAMIC":
                one.evaluate(record_id, belongs=one.admits(record), at=now + self._lag_seconds())
