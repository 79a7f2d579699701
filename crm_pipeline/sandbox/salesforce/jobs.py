"""What an ingest job of Bulk API 2.0 is: the rows that it was given as CSV, how far it came, and what became of each row.

Sources: "Bulk API 2.0 and Bulk API Developer Guide" (Job States, Prepare CSV Files, the results of a job). A job is worked at whenever it
is looked at, by ``OrgCore.job_pace`` rows a look, in chunks of 200; its results come in another order than its rows.
Assumed, because the guide does not say it: a row that names a record or an external id which another row of its chunk names is refused
with it, as in a collection; the texts behind the code of an ``errorMessage``; and that line ends within quotes must be those of the job,
as users report.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from crm_pipeline.sandbox.salesforce.errors import CallError, RowError
from crm_pipeline.sandbox.salesforce.fields import FieldSpec, ObjectSpec

State = Literal["Open", "UploadComplete", "InProgress", "JobComplete", "Failed", "Aborted"]
Operation = Literal["insert", "update", "upsert", "delete", "hardDelete"]

CHUNK = 200
NULL = "#N/A"
ENDINGS: Mapping[str, str] = MappingProxyType({"LF": "\n", "CRLF": "\r\n"})
DELIMITERS: Mapping[str, str] = MappingProxyType({"BACKQUOTE": "`", "CARET": "^", "COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "TAB": "\t"})
OVER: frozenset[State] = frozenset({"JobComplete", "Failed", "Aborted"})

Cells = Mapping[str, str]
"""A row as it was given, by column."""


class BadContentError(Exception):
    """The content cannot be processed at all; the text is the job's ``errorMessage``."""


@dataclass(kw_only=True)
class IngestJob:
    """One job. ``rows`` are there once its content was read; ``done`` and ``failed`` hold positions, in the order of their processing."""

    id: str
    object_name: str
    operation: Operation
    key: str | None
    ending: str
    delimiter: str
    assignment_rule: str | None
    api_version: float
    created: datetime
    created_by: str
    state: State = "Open"
    content: str | None = None
    columns: tuple[str, ...] = ()
    rows: list[Cells] = field(default_factory=list)
    done: dict[int, tuple[str, bool]] = field(default_factory=dict)
    failed: dict[int, tuple[str, str]] = field(default_factory=dict)
    error: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether it will process nothing more."""
        return self.state in OVER

    @property
    def processed(self) -> int:
        """How many rows it processed."""
        return len(self.done) + len(self.failed)

    def end(self, state: State, error: str | None = None) -> None:
        """End it, whatever it has not processed."""
        self.state, self.error = state, error
        if self.content is not None and not self.rows:
            try:
                self.read()
            except BadContentError:
                self.columns = ()

    def read(self) -> None:
        """Read the content's rows. Raises BadContentError."""
        self.columns, self.rows = _table(self.content or "", ending=ENDINGS[self.ending], named=self.ending, delimiter=self.delimiter)

    # --- results

    def successful(self) -> str:
        """The rows that were saved, with their records' ids and whether each is new."""
        return self._results(("sf__Id", "sf__Created"), {place: (one, str(new).lower()) for place, (one, new) in self.done.items()})

    def refused(self) -> str:
        """The rows that were not saved, with the ids that they named and why."""
        return self._results(("sf__Id", "sf__Error"), self.failed)

    def unprocessed(self) -> str:
        """The rows that were not come to."""
        left = [place for place in range(len(self.rows)) if place not in self.done and place not in self.failed]
        return self._results((), dict.fromkeys(left, ()))

    def _results(self, first: tuple[str, ...], told: Mapping[int, tuple[str, ...]]) -> str:
        text = io.StringIO()
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n", delimiter=DELIMITERS[self.delimiter])
        writer.writerow([*first, *self.columns])
        writer.writerows([*said, *(self.rows[place][name] for name in self.columns)] for place, said in reversed(list(told.items())))
        return text.getvalue()


def told(error: RowError) -> str:
    """A row's error as a job's results tell it: code, message, and the fields it names."""
    return f"{error.code}:{error.message}:{','.join(error.fields)} --"


def without_repeated(names: Sequence[Any], problems: list[RowError | None], message: str) -> list[RowError | None]:
    """The problems of a chunk's rows, with one for each row whose name occurs more than once in it."""
    counts = Counter(name for name in names if name is not None)
    return [
        problem or (RowError("DUPLICATE_VALUE", f"{message}: {name}") if name is not None and counts[name] > 1 else None)
        for name, problem in zip(names, problems, strict=True)
    ]


def values(spec: ObjectSpec, cells: Cells) -> dict[str, Any]:
    """A row's cells as the JSON of the same record: an empty one is left out, ``#N/A`` is null.

    Raises the RowError of a text that is none of its field's type.
    """
    found: dict[str, Any] = {}
    for name, text in cells.items():
        if text == "":
            continue
        relationship, dot, key = name.partition(".")
        if dot:
            found[relationship] = None if text == NULL else {key: text}
        else:
            known = spec.by_lower_name.get(name.lower())
            found[name] = None if text == NULL else text if known is None else _typed(known, text)
    return found


def columns_that_are_not_there(spec: ObjectSpec, columns: Sequence[str]) -> list[str]:
    """The columns that name neither a field nor a relationship of the object."""
    return [
        name
        for name in columns
        if name.lower() != "id"
        and (spec.by_relationship.get(name.partition(".")[0].lower()) if "." in name else spec.by_lower_name.get(name.lower())) is None
    ]


def _table(content: str, *, ending: str, named: str, delimiter: str) -> tuple[tuple[str, ...], list[Cells]]:
    others = content.replace(ending, "")
    if ending not in content or "\n" in others or "\r" in others:
        raise BadContentError(f"ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is {named}")
    try:
        # A byte order mark is taken for part of the first name, as the vendor does.
        table = list(csv.reader(io.StringIO(content, newline=""), strict=True, delimiter=DELIMITERS[delimiter]))
    except csv.Error:
        raise BadContentError("ClientInputError : Failed to parse CSV. Check the quotes around fields") from None
    columns, rows = tuple(table[0]), [row for row in table[1:] if row]
    if len(set(columns)) < len(columns):
        raise BadContentError("InvalidBatch : Duplicate column in the header row")
    if wrong := next((number for number, row in enumerate(rows, 1) if len(row) != len(columns)), None):
        raise BadContentError(f"InvalidBatch : Row {wrong} has another number of columns than the header row")
    return columns, [dict(zip(columns, row, strict=True)) for row in rows]


def _typed(known: FieldSpec, text: str) -> Any:
    try:
        return _TYPES.get(known.type, str)(text)
    except ValueError:
        message = f"{known.label}: value not of required type: {text}"
        raise RowError("INVALID_TYPE_ON_FIELD_IN_RECORD", message, (known.name,)) from None


def _flag(text: str) -> bool:
    if text.lower() not in {"true", "false", "1", "0"}:
        raise ValueError(text)
    return text.lower() in {"true", "1"}


def _moment(text: str) -> str:
    datetime.fromisoformat(text)
    return text


_TYPES: Mapping[str, Callable[[str], Any]] = MappingProxyType(
    {"int": int, "double": float, "boolean": _flag, "date": _moment, "datetime": _moment}
)


def row_error(error: RowError | CallError) -> RowError:
    """A refusal as that of one row."""
    return error if isinstance(error, RowError) else RowError("INVALID_TYPE_ON_FIELD_IN_RECORD", error.message)
