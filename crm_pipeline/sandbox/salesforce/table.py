"""Where one object's records are: by id, and by an index on every field that the vendor indexes."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Any

from crm_pipeline.sandbox.salesforce.fields import FieldSpec, ObjectSpec

Row = dict[str, Any]
"""A record: its fields that are not null. Rows are replaced, never changed, so a reader keeps what it read."""

Undo = list[tuple["Table", str, Row | None]]


class Table:
    """The records of one object, those in the recycle bin among them. The organization's lock guards it."""

    def __init__(self, spec: ObjectSpec) -> None:
        self.spec = spec
        self.rows: dict[str, Row] = {}
        self.undo: Undo | None = None
        self._ids: list[str] = []
        self._indexes: dict[str, dict[Any, dict[str, None]]] = {}
        self.respecify(spec)

    def respecify(self, spec: ObjectSpec) -> None:
        """Take changed metadata, and index what it newly asks for."""
        self.spec = spec
        self._indexes = {field.name: self._indexed(field) for field in spec.indexed}

    def put(self, row: Row) -> None:
        """Add a record, or replace the one of the same id."""
        record_id = row["Id"]
        old = self.rows.get(record_id)
        self._remember(record_id, old)
        if old is None:
            insort(self._ids, record_id)
        self.rows[record_id] = row
        self._reindex(record_id, old or {}, row)

    def remove(self, record_id: str) -> None:
        """Take a record out for good, past the recycle bin."""
        old = self.rows.pop(record_id)
        del self._ids[bisect_left(self._ids, record_id)]
        self._remember(record_id, old)
        self._reindex(record_id, old, {})

    def live(self, record_id: str) -> Row | None:
        """The record of an id, unless it is deleted."""
        row = self.rows.get(record_id)
        return row if row is not None and not row.get("IsDeleted") else None

    def live_rows(self) -> Iterator[Row]:
        """The records outside the recycle bin, oldest first."""
        return (row for row in self.rows.values() if not row.get("IsDeleted"))

    def ids(self, *, since: str = "") -> list[str]:
        """All ids from one on, deleted records' too, in ascending order."""
        return self._ids[bisect_left(self._ids, since) :]

    def has_index(self, field: str) -> bool:
        """Whether ``ids_with`` knows the field."""
        return field == "Id" or field in self._indexes

    def ids_with(self, field: str, folded: Any) -> list[str]:
        """The ids of all records, deleted ones too, whose indexed field has this folded value."""
        if field == "Id":
            return [folded] if folded in self.rows else []
        return list(self._indexes[field].get(folded, ()))

    def find(self, field: FieldSpec, value: Any) -> list[Row]:
        """The live records whose field has a value, by the field's own comparison."""
        folded = field.fold(value)
        if self.has_index(field.name):
            return [row for record_id in self.ids_with(field.name, folded) if (row := self.live(record_id))]
        return [row for row in self.live_rows() if field.fold(row.get(field.name)) == folded]

    def _indexed(self, field: FieldSpec) -> dict[Any, dict[str, None]]:
        index: dict[Any, dict[str, None]] = {}
        for record_id, row in self.rows.items():
            if (value := row.get(field.name)) is not None:
                index.setdefault(field.fold(value), {})[record_id] = None
        return index

    def _reindex(self, record_id: str, old: Row, new: Row) -> None:
        for name, index in self._indexes.items():
            before, after = old.get(name), new.get(name)
            if before == after:
                continue
            field = self.spec.fields[name]
            if before is not None:
                index[field.fold(before)].pop(record_id)
            if after is not None:
                index.setdefault(field.fold(after), {})[record_id] = None

    def _remember(self, record_id: str, old: Row | None) -> None:
        if self.undo is not None:
            self.undo.append((self, record_id, old))


def roll_back(undo: Undo, *, down_to: int) -> None:
    """Undo the changes made since the log had this length."""
    while len(undo) > down_to:
        table, record_id, old = undo.pop()
        table.undo = None
        if old is None:
            table.remove(record_id)
        else:
            table.put(old)
        table.undo = undo
