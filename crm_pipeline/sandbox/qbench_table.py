"""Where a tenant's records of one kind are, in the orders that lists are read in."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Any, Literal

Kind = Literal["customers", "contacts"]
Record = dict[str, Any]


class _Index:
    """Tuples kept in order; appended in bulk they are put in order when next read."""

    def __init__(self) -> None:
        self._keys: list[tuple[int, ...]] = []
        self._ordered = True

    def keys(self) -> list[tuple[int, ...]]:
        if not self._ordered:
            self._keys.sort()
            self._ordered = True
        return self._keys

    def append(self, key: tuple[int, ...]) -> None:
        self._ordered = self._ordered and (not self._keys or self._keys[-1] < key)
        self._keys.append(key)

    def insert(self, key: tuple[int, ...]) -> None:
        insort(self.keys(), key)

    def remove(self, key: tuple[int, ...]) -> None:
        keys = self.keys()
        position = bisect_left(keys, key)
        if keys[position] != key:
            raise KeyError(key)
        del keys[position]


class Table:
    """The records of one kind, with the orders that lists are read in: by id and by (last_updated, id).

    ``live``, ``deleted`` and ``all`` are the three sets of records that a list can ask for.
    """

    def __init__(self) -> None:
        self.rows: dict[int, Record] = {}
        self.deleted_at: dict[int, int] = {}
        self._by_id = {"live": _Index(), "deleted": _Index(), "all": _Index()}
        self._by_update = {"live": _Index(), "deleted": _Index(), "all": _Index()}
        self._last_id = 0

    def next_id(self) -> int:
        """An id above every id so far."""
        return self._last_id + 1

    def by_id(self, which: str) -> list[tuple[int, ...]]:
        """``(id,)`` in ascending order; not to be changed."""
        return self._by_id[which].keys()

    def by_update(self, which: str) -> list[tuple[int, ...]]:
        """``(last_updated, id)`` in ascending order; not to be changed."""
        return self._by_update[which].keys()

    def add(self, row: Record) -> None:
        """Take up a record with ``id`` and ``last_updated``. Raises ValueError when the id is taken."""
        if row["id"] in self.rows:
            raise ValueError(f"id {row['id']} is taken")
        self.rows[row["id"]] = row
        self._last_id = max(self._last_id, row["id"])
        for which in ("live", "all"):
            self._by_id[which].append((row["id"],))
            self._by_update[which].append((row["last_updated"], row["id"]))

    def live(self, record_id: int) -> Record:
        """The record. Raises KeyError when there is none or it is deleted."""
        if record_id in self.deleted_at:
            raise KeyError(record_id)
        return self.rows[record_id]

    def touch(self, record_id: int, at: int) -> None:
        """Set ``last_updated``."""
        row = self.rows[record_id]
        side = "deleted" if record_id in self.deleted_at else "live"
        for which in (side, "all"):
            self._by_update[which].remove((row["last_updated"], record_id))
            self._by_update[which].insert((at, record_id))
        row["last_updated"] = at

    def delete(self, record_id: int, at: int, *, touched: bool) -> None:
        """Move a record to the deleted ones. Raises KeyError when there is none or it is deleted."""
        updated = self.live(record_id)["last_updated"]
        self._by_id["live"].remove((record_id,))
        self._by_id["deleted"].insert((record_id,))
        self._by_update["live"].remove((updated, record_id))
        self._by_update["deleted"].insert((updated, record_id))
        self.deleted_at[record_id] = at
        if touched:
            self.touch(record_id, at)

    def restore(self, record_id: int, at: int, *, touched: bool) -> None:
        """Move a record back to the live ones. Raises KeyError when it is not deleted."""
        del self.deleted_at[record_id]
        updated = self.rows[record_id]["last_updated"]
        self._by_id["deleted"].remove((record_id,))
        self._by_id["live"].insert((record_id,))
        self._by_update["deleted"].remove((updated, record_id))
        self._by_update["live"].insert((updated, record_id))
        if touched:
            self.touch(record_id, at)
