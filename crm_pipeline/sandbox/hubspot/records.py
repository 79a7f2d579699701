"""The records of one object: who exists, who holds which unique value, what was merged into what, and what search sees."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from crm_pipeline.sandbox.hubspot.history import History
from crm_pipeline.sandbox.hubspot.properties import ObjectType, Property

DAYS_IN_BIN = 90
"""How long a deleted record, or list, can be restored."""

Claim = tuple[str, str]
"""A unique property and a value of it."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record. ``properties`` holds what was set, never a blank; times are seconds since 1970."""

    id: str
    properties: Mapping[str, str]
    created: float
    updated: float
    archived: float | None = None


def timestamp(seconds: float) -> str:
    """A time as HubSpot writes it, ``2026-11-22T00:00:00.000Z``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(seconds: float) -> float:
    """A time as search compares it, in whole milliseconds, as the text of ``timestamp`` says it."""
    return float(round(seconds * 1_000_000) // 1_000)


def addresses(properties: Mapping[str, str]) -> list[str]:
    """Every email address of a contact: its own and the additional ones, which count as unique too."""
    additional = properties.get("hs_additional_emails", "").split(";")
    return [address.strip() for address in (properties.get("email", ""), *additional) if address.strip()]


class RecordStore:
    """The records of one object, indexed by id and by every unique value. Not safe over threads: the portal locks."""

    def __init__(self, object_type: ObjectType, *, keeps_archived_values: Callable[[], bool]) -> None:
        self.type = object_type
        self.properties: dict[str, Property] = {prop.name: prop for prop in object_type.properties}
        self.unique: tuple[str, ...] = ()
        self.live: dict[str, Record] = {}
        self.bin: dict[str, Record] = {}
        self.merged: dict[str, str] = {}
        self.indexed: dict[str, Record] = {}
        self.history = History()
        self.watchers: list[Callable[[RecordStore, str, Record | None], None]] = []
        """Whom to tell of a record that was changed, or is no more."""
        self._holders: dict[Claim, str] = {}
        self._pending: list[tuple[float, str, Record | None]] = []
        self._order: list[int] = []
        self._next_id = object_type.first_id
        self._keeps_archived_values = keeps_archived_values

    def define(self, prop: Property) -> None:
        """Add a property; ``unique`` names those whose values are, HubSpot's own ``email`` left out."""
        self.properties[prop.name] = prop
        if prop.unique:
            self.unique = (*self.unique, prop.name)

    def drop(self, name: str) -> None:
        """Take a property away. Raises KeyError."""
        del self.properties[name]
        self.unique = tuple(unique for unique in self.unique if unique != name)

    def new_id(self) -> str:
        """An id that was never given out."""
        self._next_id += 1
        return str(self._next_id - 1)

    def resolve(self, record_id: str) -> str:
        """The id that a record goes by since its merges."""
        while record_id in self.merged:
            record_id = self.merged[record_id]
        return record_id

    def holder(self, name: str, value: str) -> str | None:
        """The id of the record that holds a unique value."""
        return self._holders.get((name, value.lower() if name == "email" else value))

    def claims(self, properties: Mapping[str, str]) -> list[Claim]:
        """The unique values among some properties."""
        emails = [("email", address.lower()) for address in addresses(properties)] if "email" in self.properties else []
        return emails + [(name, properties[name]) for name in self.unique if properties.get(name)]

    def put(self, record: Record, *, visible: float) -> None:
        """Store a new or changed live record; search finds it from ``visible`` on."""
        before = self.live.get(record.id)
        if before is not None:
            self._release(before)
        elif not self._order or int(record.id) > self._order[-1]:
            self._order.append(int(record.id))
        elif self._order[(position := bisect_left(self._order, int(record.id)))] != int(record.id):
            self._order.insert(position, int(record.id))
        self.live[record.id] = record
        self._holders.update(dict.fromkeys(self.claims(record.properties), record.id))
        self._pending.append((visible, record.id, record))
        self._tell(record.id, record)

    def restamp(self, record_id: str, *, at: float, visible: float) -> None:
        """Move a live record's stamp on, and nothing else; it never goes back. Raises KeyError."""
        record = self.live[record_id]
        if at > record.updated:
            self.live[record_id] = replace(record, updated=at)
            self._pending.append((visible, record_id, self.live[record_id]))

    def archive(self, record_id: str, *, at: float, visible: float) -> None:
        """Move a record to the bin; does nothing for an id that is not live."""
        record = self.live.pop(record_id, None)
        if record is None:
            return
        self.bin[record_id] = replace(record, archived=at)
        if not self._keeps_archived_values():
            self._release(record)
        self._pending.append((visible, record_id, None))
        self._tell(record_id, None)

    def restore(self, record_id: str, *, at: float, visible: float) -> None:
        """Take a record out of the bin. Raises KeyError where it is not there, ValueError where a unique value is taken."""
        record = self.bin[record_id]
        if any(self._holders.get(claim, record_id) != record_id for claim in self.claims(record.properties)):
            raise ValueError("another record holds a unique value of this one")
        del self.bin[record_id]
        self.put(replace(record, archived=None, updated=at), visible=visible)

    def remove(self, record_id: str, *, merged_into: str, visible: float) -> None:
        """Take a record away for good because it is part of another one now."""
        self._release(self.live.pop(record_id))
        self.merged[record_id] = merged_into
        self._pending.append((visible, record_id, None))
        self._tell(record_id, None)

    def erase(self, record_id: str, *, visible: float) -> None:
        """Lose a record for good, live or in the bin. Raises KeyError."""
        record = self.live.pop(record_id, None) or self.bin.pop(record_id)
        self._release(record)
        self.history.forget(record_id)
        self._pending.append((visible, record_id, None))
        self._tell(record_id, None)

    def empty_bin(self, now: float) -> None:
        """Lose the records that were deleted too long ago to be restored."""
        long_ago = now - DAYS_IN_BIN * 86_400
        for record in list(self.bin.values()):
            if record.archived is not None and record.archived < long_ago:
                self.erase(record.id, visible=0)

    def searchable(self, now: float) -> Mapping[str, Record]:
        """What search sees at this time: states older than the index lag."""
        waiting: dict[str, list[tuple[float, str, Record | None]]] = {}
        for entry in self._pending:
            visible, record_id, record = entry
            if visible > now:
                waiting.setdefault(record_id, []).append(entry)
                continue
            waiting.pop(record_id, None)
            if record is None:
                self.indexed.pop(record_id, None)
            else:
                self.indexed[record_id] = record
        self._pending = [entry for entries in waiting.values() for entry in entries]
        return self.indexed

    def listed(self, *, start: int, archived: bool) -> Iterator[Record]:
        """Records in the order of their ids, from an id on."""
        source = self.bin if archived else self.live
        for position in range(bisect_left(self._order, start), len(self._order)):
            record = source.get(str(self._order[position]))
            if record is not None:
                yield record

    def _tell(self, record_id: str, record: Record | None) -> None:
        for watcher in self.watchers:
            watcher(self, record_id, record)

    def _release(self, record: Record) -> None:
        for claim in self.claims(record.properties):
            if self._holders.get(claim) == record.id:
                del self._holders[claim]
