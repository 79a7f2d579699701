"""What became of each row: one entry per row, and no row without one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from crm_pipeline.crms.batch import WriteResult
from crm_pipeline.errors import InvalidOptionException, InvalidValueException, RecordError, UnaccountedException, ValueTooLongException

VALUE_ERRORS = (ValueTooLongException, InvalidOptionException, InvalidValueException)
"""Errors that speak of the named properties' values alone."""


class Ledger:
    """The results of the rows of one batch, by position. Rows without an entry are unaccounted, hence failed."""

    def __init__(self, qbench_ids: Sequence[int]) -> None:
        self._qbench_ids = qbench_ids
        self._entries: dict[int, WriteResult] = {}
        self._idle: set[int] = set()

    def __contains__(self, position: int) -> bool:
        return position in self._entries

    @property
    def wrote_something(self) -> bool:
        """Whether the CRM has already stored a row."""
        return any(map(self.is_stored, self._entries))

    def is_stored(self, position: int) -> bool:
        """Whether the CRM stored a row."""
        entry = self._entries.get(position)
        return entry is not None and entry.error_type is None and position not in self._idle

    def open(self) -> list[int]:
        """The positions without an entry."""
        return [position for position in range(len(self._qbench_ids)) if position not in self._entries]

    def idle(self, position: int, *, crm_id: str | None) -> None:
        """A row that needed no call."""
        self._entries[position] = WriteResult(self._qbench_ids[position], crm_id)
        self._idle.add(position)

    def ok(self, position: int, *, crm_id: str, created: bool | None, parent_sent: bool) -> None:
        """A row that the CRM stored."""
        self._entries[position] = WriteResult(self._qbench_ids[position], crm_id, created, parent_sent=parent_sent)

    def without_parent(self, position: int) -> None:
        """A row that the CRM stored, but not its parent."""
        self._entries[position] = self._entries[position]._replace(parent_sent=False)

    def kept(self, position: int, values: Mapping[str, str | None]) -> None:
        """Say of a stored row what its fields hold that hold another value than was sent."""
        self._entries[position] = self._entries[position]._replace(kept=values)

    def note(self, position: int, text: str) -> None:
        """Say of a stored row what was left as it is."""
        self._entries[position] = self._entries[position]._replace(note=text)

    def failed(
        self,
        position: int,
        error: type[RecordError],
        *,
        code: str | None = None,
        fields: Iterable[str] = (),
        ids: Iterable[str] = (),
    ) -> None:
        """A row that the CRM refused; an id that it named for the row before is kept."""
        named = self._entries.get(position)
        self._entries[position] = WriteResult(
            self._qbench_ids[position],
            None if named is None else named.crm_id,
            error_type=error.__name__,
            error_code=code,
            error_fields=", ".join(sorted(fields)) or None,
            error_ids=", ".join(dict.fromkeys(ids)) or None,
            value_refused=error in VALUE_ERRORS,
        )
        self._idle.discard(position)

    def results(self) -> list[WriteResult]:
        """What became of each row, in the order of the batch."""
        for position in self.open():
            self.failed(position, UnaccountedException)
        return [self._entries[position] for position in range(len(self._qbench_ids))]
