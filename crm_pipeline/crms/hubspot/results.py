"""What became of each row: one entry per row, and no row without one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from crm_pipeline.errors import InvalidOptionException, InvalidValueException, RecordError, UnaccountedException, ValueTooLongException
from crm_pipeline.schemas import WRITE_RESULTS

VALUE_ERRORS = (ValueTooLongException, InvalidOptionException, InvalidValueException)
"""Errors that speak of the named properties' values alone."""


class Ledger:
    """The results of the rows of one batch, by position. Rows without an entry are unaccounted, hence failed."""

    def __init__(self, qbench_ids: Sequence[int]) -> None:
        self._qbench_ids = [int(qbench_id) for qbench_id in qbench_ids]
        self._entries: dict[int, dict[str, Any]] = {}

    def __contains__(self, position: int) -> bool:
        return position in self._entries

    @property
    def wrote_something(self) -> bool:
        """Whether the CRM has already stored a row."""
        return any(map(self.is_stored, self._entries))

    def is_stored(self, position: int) -> bool:
        """Whether the CRM stored a row."""
        entry = self._entries.get(position)
        return entry is not None and entry["called"] and entry["error_type"] is None

    def open(self) -> list[int]:
        """The positions without an entry."""
        return [position for position in range(len(self._qbench_ids)) if position not in self._entries]

    def idle(self, position: int, *, crm_id: str) -> None:
        """A row that needed no call."""
        self._entries[position] = {"crm_id": crm_id, "error_type": None, "parent_sent": False, "called": False}

    def ok(self, position: int, *, crm_id: str, created: bool | None, parent_sent: bool) -> None:
        """A row that the CRM stored."""
        self._entries[position] = {
            "crm_id": crm_id,
            "created": created,
            "parent_sent": parent_sent,
            "error_type": None,
            "called": True,
        }

    def without_parent(self, position: int) -> None:
        """A row that the CRM stored, but not its parent."""
        self._entries[position]["parent_sent"] = False

    def kept(self, position: int, values: Mapping[str, str | None]) -> None:
        """Say of a stored row what its fields hold that hold another value than was sent."""
        self._entries[position]["kept"] = values

    def note(self, position: int, text: str) -> None:
        """Say of a stored row what was left as it is."""
        self._entries[position]["note"] = text

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
        self._entries[position] = {
            "crm_id": self._entries.get(position, {}).get("crm_id"),
            "parent_sent": False,
            "error_type": error.__name__,
            "error_code": code,
            "error_fields": ", ".join(sorted(fields)) or None,
            "error_ids": ", ".join(dict.fromkeys(ids)) or None,
            "value_refused": error in VALUE_ERRORS,
            "called": True,
        }

    def frame(self) -> pd.DataFrame:
        """schemas.WRITE_RESULTS, in the order of the batch."""
        for position in self.open():
            self.failed(position, UnaccountedException)
        entries = [self._entries[position] for position in range(len(self._qbench_ids))]
        names = [name for name in WRITE_RESULTS.names if name != "qbench_id"]
        rows = [[qbench_id, *map(entry.get, names)] for qbench_id, entry in zip(self._qbench_ids, entries, strict=True)]
        return WRITE_RESULTS.of_rows(["qbench_id", *names], rows)
