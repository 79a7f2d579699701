"""Where the records come from: the protocol that QBench fulfils, and all that extracting knows of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol, runtime_checkable

import pandas as pd

from crm_pipeline.calls import CallCounter
from crm_pipeline.model import RecordType


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a read.

    ``frame`` (schemas.RAW) holds no (id, version) twice. Every record whose version is below ``position`` (Unix seconds) has been
    yielded with this page or before it, so a read that broke off here resumes from it. ``total`` is the number of records that
    the source announced at the read's start, those behind the window's end included; None where it said none.
    """

    frame: pd.DataFrame
    position: int
    total: int | None


@dataclass(frozen=True, slots=True)
class Gap:
    """A record that the source fails to list, of which nobody knows the id.

    It stands in the list ``name``, at ``place`` (from 1 on) of the records last updated at ``position`` or later; its last update lies
    at ``since`` or later, up to ``until``, not included (Unix seconds; infinite where nothing behind it was read).
    """

    name: str
    place: int
    position: int
    since: int
    until: float


class Changes(Iterator[Page], Protocol):
    """The pages of one read."""

    @property
    def newest(self) -> int | None:
        """The latest version seen so far, behind the window's end too; None where none was seen."""
        ...

    @property
    def gaps(self) -> list[Gap]:
        """The records of the window that could not be listed so far."""
        ...


@dataclass(frozen=True, slots=True)
class ReadById:
    """Records read one by one: ``frame`` as changes have them (schemas.RAW), and the ``failed`` ids, whose own reads fail."""

    frame: pd.DataFrame
    failed: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ContactIds:
    """The ids of a customer's contacts; ``complete`` is False where there may be others."""

    ids: tuple[int, ...]
    complete: bool


class Source(Protocol):
    """One tenant's records, read only. Every method but ``organization`` may raise a ServiceError."""

    @property
    def calls(self) -> CallCounter:
        """The HTTP calls made so far."""
        ...

    def organization(self) -> str:
        """What tells this tenant from every other one. Makes no call."""
        ...

    def changes(self, record_type: RecordType, *, since: int | None, until: int, resume: int | None = None) -> Changes:
        """The records last updated in ``since <= version < until`` (Unix seconds), oldest first.

        ``since`` None is the beginning of time; ``resume`` is the ``position`` of the last page of a read of the same window that
        broke off. When the iterator ends, everything before ``until`` has been yielded; a window without records yields no page.
        A record that is edited during the read may come twice, with two versions.
        """
        ...

    def deletions(self, record_type: RecordType, *, since: int | None, until: int) -> Changes:
        """The records deleted in ``since <= version < until``, as changes have them."""
        ...

    def deleted_ids(self, record_type: RecordType, *, since: int) -> frozenset[int] | None:
        """Ids of the records deleted since then, whatever date they carry; None where the source is not asked, or does not say."""
        ...

    def by_id(self, record_type: RecordType, ids: Sequence[int]) -> ReadById:
        """These records, those that the source does not have (any more) left out."""
        ...

    def restored(self, record_type: RecordType, ids: Sequence[int]) -> ReadById:
        """Those of these records, once deleted, that the source has again."""
        ...

    def contacts_of(self, customer: Mapping[str, Any]) -> ContactIds:
        """The contacts of a customer, which has this content (schemas.RAW)."""
        ...

    def close(self) -> None:
        """Give the connections back."""
        ...


@runtime_checkable
class DatedSource(Protocol):
    """A source whose answers show what time it thinks it is."""

    @property
    def clock_ahead(self) -> timedelta:
        """How far its clock is ahead of ours, as far as its answers told; zero before the first."""
        ...


def clock_ahead_of(source: Source) -> timedelta:
    """How far the source's clock is ahead of ours; zero of one that does not tell."""
    return source.clock_ahead if isinstance(source, DatedSource) else timedelta(0)


class WritableSource(Source, DatedSource, Protocol):
    """A source that records can be written into as well. Every method but the properties may raise a ServiceError.

    Nothing is written but what is given. An error names fields, codes and ids, never values.
    """

    @property
    def longest_batch(self) -> int:
        """How many records one call changes."""
        ...

    def read_again(self, record_type: RecordType, known: pd.DataFrame) -> ReadById:
        """These records (schemas.RAW, as they were) as they are now, many with one call; those that are gone are left out."""
        ...

    def change(self, record_type: RecordType, changes: pd.DataFrame) -> pd.DataFrame:
        """Write values into records (schemas.SOURCE_CHANGES, at most ``longest_batch``); what became of each (schemas.SOURCE_RESULTS).

        Where a ServiceError is raised, any of them may be written; writing them again does no harm.
        """
        ...

    def create(self, record_type: RecordType, values: Mapping[str, Any]) -> pd.DataFrame:
        """Make one record, sent once; what became of it, one row of schemas.SOURCE_RESULTS.

        ``executed`` of a ServiceError says whether the record may be there.
        """
        ...

    def connect(self, *, contact_id: int, customer_id: int) -> pd.DataFrame:
        """Link a contact to a customer, without inviting it anywhere; the contact then, one row of schemas.SOURCE_RESULTS.

        Nothing is sent where they are linked already; doing it again does no harm.
        """
        ...

    def matching(self, record_type: RecordType, value: str) -> pd.DataFrame:
        """Live records that may have this name (customers) or email address (contacts), and maybe others (schemas.RAW)."""
        ...
