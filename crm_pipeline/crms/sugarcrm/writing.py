"""Writes one batch of rows to SugarCRM and accounts for every row by reading it back.

The answer of ``set_entries`` says nothing: it names records that are deleted or were never there, leaves out those that the user may
not save, and a row on which it fails ends the call with those before it stored. Values are cut, changed or dropped without a word. So
what lies there afterwards is what was written. Creates carry ids of their own (own_ids) and can be sent again: from the second attempt
on it is looked first which of them are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from crm_pipeline.crms.base import CrmObject
from crm_pipeline.crms.batch import Write, WriteResult
from crm_pipeline.crms.sugarcrm import ACCOUNTS, LEADS
from crm_pipeline.crms.sugarcrm.contracts import SAVED
from crm_pipeline.crms.sugarcrm.converting import CONVERTED_FIELD, is_converted
from crm_pipeline.crms.sugarcrm.emails import Emails, same_email
from crm_pipeline.crms.sugarcrm.own_ids import AT_ONCE, own_ids
from crm_pipeline.crms.sugarcrm.queries import EMAIL
from crm_pipeline.crms.sugarcrm.reading import PARENT, Reader, Record, is_deleted
from crm_pipeline.crms.sugarcrm.transport import Label, Transport
from crm_pipeline.crms.sugarcrm.values import MOMENT, read, same, wire
from crm_pipeline.errors import (
    ConvertedLeadException,
    CrmFailsOnRecordException,
    DeletedInCrmException,
    NoAccessToRecordException,
    ParentNotFoundException,
    RecordError,
    ServiceError,
    ServiceFailedException,
    UnaccountedException,
)
from crm_pipeline.halving import Alone, code_of, in_halves, may_be_lost

ENTERED = "date_entered"
A_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Row:
    """A row to write. ``crm_id``: the record to update, null for a create; ``key``: that of which a new record's id is made.

    ``values``: CRM field to text as it is sent, the external key's and the account's among them.
    """

    qbench_id: int
    crm_id: str | None
    key: str
    values: Mapping[str, str]

    @property
    def parent(self) -> str | None:
        """The id of the account that goes with this row."""
        return self.values.get(PARENT)


@dataclass(frozen=True, slots=True)
class Target:
    """The record that a row is written to. ``is_new``: it is made; ``created``: whether this load made it, null where that is not known.

    ``is_closed``: it is a lead that people converted, which the site would take a write to all the same; nothing is written to it.
    """

    crm_id: str
    is_new: bool
    created: bool | None
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes records of one site. ``key_field``: the field that shows the external key, or null. ``prefix``: stands before each key."""

    transport: Transport
    reader: Reader
    key_field: str | None
    prefix: str

    def rows_of(self, crm_object: CrmObject, writes: Sequence[Write]) -> list[Row]:
        """The rows to write, every value in the form in which it is sent."""
        kinds = self.reader.kinds(crm_object) if any(one.payload for one in writes) else {}
        return [self._row(one, {name: wire(value, kinds.get(name, "text")) for name, value in one.payload.items()}) for one in writes]

    def write(self, crm_object: CrmObject, rows: Sequence[Row], *, label: Label) -> list[WriteResult]:
        """Write the rows and account for each.

        Raises a ServiceError only while nothing of the rows is written; later, the rows it concerns are ServiceFailedException.
        """
        sound, results = self._with_sound_parents(rows)
        work = _Work(self, crm_object, label)
        done: set[int] = set()
        try:
            for part in work.carry_out(sound):
                results += part
                done |= {result.qbench_id for result in part}
        except ServiceError:
            if not any(result.error_type is None for result in results):
                raise
            results += [_failed(row, ServiceFailedException) for row in sound if row.qbench_id not in done]
        return results

    def _row(self, given: Write, values: dict[str, str]) -> Row:
        key = given.key or f"{self.prefix}{given.qbench_id}"
        shown = {self.key_field: key} if self.key_field and given.key else {}
        parent = {PARENT: given.parent_crm_id} if given.parent_crm_id else {}
        return Row(given.qbench_id, given.crm_id or None, key, values | shown | parent)

    def _with_sound_parents(self, rows: Sequence[Row]) -> tuple[list[Row], list[WriteResult]]:
        """The rows whose accounts are live, and what becomes of the others: of a missing account SugarCRM makes one without a name."""
        parents = [row.parent for row in rows if row.parent]
        live, failed = self.reader.by_ids(ACCOUNTS, parents, []) if parents else ({}, set())
        sound = [row for row in rows if row.parent is None or row.parent in live]
        unsound = [row for row in rows if row.parent is not None and row.parent not in live]
        return sound, [
            _failed(row, CrmFailsOnRecordException if row.parent in failed else ParentNotFoundException, ids=[str(row.parent)])
            for row in unsound
        ]


@dataclass(slots=True)
class _Work:
    """One batch on its way."""

    writer: Writer
    crm_object: CrmObject
    label: Label
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    def carry_out(self, rows: Sequence[Row]) -> Iterator[list[WriteResult]]:
        """What became of the rows, part by part; where SugarCRM fails on a call, its halves go out."""
        for part in in_halves(rows, self._send, repeatable=True, is_up=self.writer.transport.is_up):
            if isinstance(part, Alone):
                yield [_failed(part.item, CrmFailsOnRecordException, code=code_of(part.error))]
            else:
                yield part.answer

    def _send(self, rows: Sequence[Row], /, *, again: bool) -> list[WriteResult]:
        targets = self._looked(rows) if again else self._unlooked(rows)
        try:
            named = self._save(rows, targets, again=again)
        except ServiceError as error:
            there = self._looked(rows) if may_be_lost(error) and not again else targets
            if there == targets:
                raise
            # It failed for a record that was there already, from a call before or since a database was lost.
            targets = there
            named = self._save(rows, targets, again=True)
        return self._account(list(zip(rows, targets, strict=True)), named)

    def _save(self, rows: Sequence[Row], targets: list[Target], *, again: bool) -> set[str]:
        """Make one call, and the same anew where the service was busy; the ids that it names. ``targets`` are set to what is found."""
        if all(target.is_closed for target in targets):
            return {target.crm_id for target in targets}

        def entries(attempt: int) -> list[Any]:
            if attempt > 1:
                targets[:] = self._looked(rows)
            pairs = zip(rows, targets, strict=True)
            return [self.crm_object.name, [_entry(row, target) for row, target in pairs if not target.is_closed]]

        answer = self.writer.transport.carry_out(
            "set_entries", entries, label=self.label, holds=SAVED, repeatable=not again, divisible=len(rows) > 1
        )
        return {*map(str, answer["ids"]), *(target.crm_id for target in targets if target.is_closed)}

    def _unlooked(self, rows: Sequence[Row]) -> list[Target]:
        closed = self._closed([row.crm_id for row in rows if row.crm_id is not None]) if self.crm_object == LEADS else set()
        return [
            Target(row.crm_id, is_new=False, created=False, is_closed=row.crm_id in closed)
            if row.crm_id is not None
            else Target(own_ids(self.crm_object, row.key)[0], is_new=True, created=True)
            for row in rows
        ]

    def _closed(self, leads: Sequence[str]) -> set[str]:
        """Which leads, to be updated now, people converted since the plan; those that SugarCRM fails to show among them."""
        found, failed = self.writer.reader.by_ids(LEADS, leads, [CONVERTED_FIELD]) if leads else ({}, set())
        return failed | {crm_id for crm_id, lead in found.items() if is_converted(lead)}

    def _looked(self, rows: Sequence[Row]) -> list[Target]:
        """The same where some of the records to make may be there."""
        targets = self._unlooked(rows)
        open_rows = {place: 0 for place, target in enumerate(targets) if target.is_new}
        told = [ENTERED, *([CONVERTED_FIELD] if self.crm_object == LEADS else [])]
        while open_rows:
            ids = {place: own_ids(self.crm_object, rows[place].key, after=count) for place, count in open_rows.items()}
            there, failed = self.writer.reader.by_ids(
                self.crm_object, [one for some in ids.values() for one in some], told, include="live and deleted"
            )
            open_rows = {place: count + AT_ONCE for place, count in open_rows.items()}
            for place, some in ids.items():
                free = next((one for one in some if one not in there or not is_deleted(there[one])), None)
                if free is not None:
                    del open_rows[place]
                    if free not in failed:
                        targets[place] = self._target(free, there.get(free))
        return targets

    def _target(self, crm_id: str, record: Record | None) -> Target:
        if record is None:
            return Target(crm_id, is_new=True, created=True)
        entered = _moment(record.get(ENTERED))
        # The record's time has whole seconds, and is by SugarCRM's clock.
        was_there = entered is not None and entered + A_SECOND < self.began + self.writer.transport.clock.ahead
        return Target(crm_id, is_new=False, created=False if was_there else None, is_closed=is_converted(record))

    def _account(self, written: Sequence[tuple[Row, Target]], named: set[str]) -> list[WriteResult]:
        """What became of the rows of a call, by what lies there now."""
        fields = list(dict.fromkeys(name for row, _ in written for name in row.values))
        reader = self.writer.reader
        ids = [target.crm_id for _, target in written]
        try:
            held, failed = reader.by_ids(self.crm_object, ids, fields, include="live and deleted")
            changed = {
                target.crm_id: row.values[EMAIL]
                for row, target in written
                if EMAIL in row.values
                and _is_live(held.get(target.crm_id))
                and not same_email(row.values[EMAIL], held[target.crm_id].get(EMAIL))
            }
            failed |= self._change_emails(changed, held)
            if changed:
                now, failing = reader.by_ids(self.crm_object, list(changed), [EMAIL])
                held = {crm_id: {**record, EMAIL: now[crm_id].get(EMAIL)} if crm_id in now else record for crm_id, record in held.items()}
                failed |= failing
        except ServiceError:
            # The values are stored, or not: the next run's look tells.
            return [_failed(row, ServiceFailedException) for row, _ in written]
        kinds = reader.kinds(self.crm_object)
        return [
            _failed(row, CrmFailsOnRecordException)
            if target.crm_id in failed
            else _result(row, target, held.get(target.crm_id), kinds=kinds, was_named=target.crm_id in named)
            for row, target in written
        ]

    def _change_emails(self, wanted: Mapping[str, str], held: Mapping[str, Record]) -> set[str]:
        """Give these records, by id, their new addresses; the ids of those on which SugarCRM fails. Raises ServiceError."""
        emails, transport = Emails(self.writer.transport, self.crm_object), self.writer.transport

        def send(part: Sequence[str], /, *, again: bool) -> None:  # noqa: ARG001 - the same again changes nothing
            emails.change({crm_id: wanted[crm_id] for crm_id in part}, {crm_id: held[crm_id].get(EMAIL) for crm_id in part})

        parts = in_halves(list(wanted), send, repeatable=True, is_up=transport.is_up)
        return {part.item for part in parts if isinstance(part, Alone)}


def _entry(row: Row, target: Target) -> list[dict[str, Any]]:
    new = {"new_with_id": 1} if target.is_new else {}
    return [{"name": name, "value": value} for name, value in {"id": target.crm_id, **new, **row.values}.items()]


def _result(row: Row, target: Target, record: Record | None, *, kinds: Mapping[str, str], was_named: bool) -> WriteResult:
    if record is None and target.is_new:
        return _failed(row, UnaccountedException if was_named else NoAccessToRecordException)
    if not _is_live(record) or record is None:
        return _failed(row, DeletedInCrmException, ids=[target.crm_id])
    if target.is_closed and row.crm_id is not None:
        return _failed(row, ConvertedLeadException, ids=[target.crm_id])
    other = {name: record.get(name) for name, sent in row.values.items() if not _lies_there(sent, name, record, kinds)}
    if not was_named and len(other) == len(row.values):
        return _failed(row, NoAccessToRecordException, ids=[target.crm_id])
    parent_sent = row.parent is not None and PARENT not in other
    return WriteResult(row.qbench_id, target.crm_id, target.created, parent_sent=parent_sent, kept=other or None)


def _lies_there(sent: str, name: str, record: Record, kinds: Mapping[str, str]) -> bool:
    """Whether a record shows what was sent; an address has the letters in which the site saw it first."""
    if name == EMAIL:
        return same_email(sent, record.get(name))
    return same(read(sent, kinds.get(name, "text"), field=name) or "", record.get(name))


def _failed(row: Row, error: type[RecordError], *, code: str | None = None, ids: Sequence[str] = ()) -> WriteResult:
    return WriteResult(row.qbench_id, error_type=error.__name__, error_code=code, error_ids=", ".join(ids) or None)


def _is_live(record: Record | None) -> bool:
    return record is not None and not is_deleted(record)


def _moment(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.strptime(text.replace("T", " ").removesuffix("Z"), MOMENT).replace(tzinfo=UTC)
    except ValueError:
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
