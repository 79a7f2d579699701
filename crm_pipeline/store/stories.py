"""Everything that the state knows of one record: what was read of QBench, and for each CRM its link, outcomes and changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, text

from crm_pipeline.model import MODELS, RecordType, WaitsOn
from crm_pipeline.store.attempts import joined, told
from crm_pipeline.store.conflicts import Conflict, Sought, conflicts_told
from crm_pipeline.store.open_rows import of_another_state
from crm_pipeline.store.tables.links import is_polled

T = TypeVar("T")

TOLD_OF_EACH = 20
"""Outcomes of the history that are told of one record in one CRM, the newest first."""

_TOLD_COLUMNS = ("outcome", "error_type", "reason", "waits_on", "waits_for", "retryable", "run_id", "partition_key", "at")
_TOLD = ", ".join(_TOLD_COLUMNS)
_OF = "integration = :integration AND crm = ANY(:crms) AND record_type = ANY(:record_types)"
_OF_RECORD = f"{_OF} AND qbench_id = :qbench_id"

_READ = """
SELECT raw.version, raw.deleted, raw.unreadable, raw.read_at, jsonb_strip_nulls(crm_pipeline.unpacked(staged.fields)) AS fields,
  staged.customer_id, staged.error_type,
  coalesce(staged.version, -1) < raw.version OR staged.revision < raw.revision AS unprepared
FROM crm_pipeline.raw_record AS raw LEFT JOIN crm_pipeline.normalized_record AS staged USING (integration, record_type, qbench_id)
WHERE raw.integration = :integration AND raw.record_type = :record_type AND raw.qbench_id = :qbench_id
"""

_OUTCOMES = f"""
SELECT crm, record_type, to_timestamp(latest.version) AS of, attempts, next_attempt_at,
  {", ".join(told("latest", column) for column in _TOLD_COLUMNS)}, coalesce((
    SELECT {of_another_state("latest")} FROM crm_pipeline.normalized_record AS staged
    WHERE staged.integration = latest.integration AND staged.record_type = latest.record_type AND staged.qbench_id = latest.qbench_id
  ), false) AS outdated
FROM crm_pipeline.outcome AS latest {joined("latest")} WHERE {_OF_RECORD}
"""

_LINKS = f"""
SELECT crm, record_type, crm_id, org_id, object, origin, status, merged_into, held, to_timestamp(version) AS of, parent_qbench_id,
  deleted_by_us, linked_at, updated_at, (
    SELECT winner.qbench_id FROM crm_pipeline.link AS winner
    WHERE (winner.crm, winner.org_id, winner.record_type, winner.crm_id) = (lost.crm, lost.org_id, lost.record_type, lost.merged_into)
  ) AS merged_into_qbench_id
FROM crm_pipeline.link AS lost WHERE {_OF_RECORD}
"""

_HISTORY = f"""
SELECT crm, record_type, to_timestamp(version) AS of, {_TOLD} FROM (
  SELECT *, row_number() OVER (PARTITION BY crm, record_type ORDER BY id DESC) AS place FROM crm_pipeline.every_outcome
  WHERE {_OF_RECORD}) AS told
WHERE place <= :most ORDER BY id DESC
"""

_INTENTS = f"SELECT crm, record_type, created_at AS since FROM crm_pipeline.intent WHERE {_OF_RECORD}"

_OPEN_CALLS = f"""
SELECT crm, record_type, max(over_at) AS since FROM crm_pipeline.open_call
WHERE {_OF} AND qbench_ids @> ARRAY[CAST(:qbench_id AS bigint)] AND over_at > now() GROUP BY crm, record_type
"""

_CHANGES = f"""
SELECT crm, record_type, crm_id, stamp AS of, attempts, next_attempt_at, {_TOLD} FROM crm_pipeline.change_outcome
WHERE {_OF} AND crm_id = ANY(:crm_ids)
"""

_CHANGE_HISTORY = f"""
SELECT crm, record_type, crm_id, stamp AS of, {_TOLD} FROM (
  SELECT *, row_number() OVER (PARTITION BY crm, record_type, crm_id ORDER BY id DESC) AS place FROM crm_pipeline.change_history
  WHERE {_OF} AND crm_id = ANY(:crm_ids)) AS told
WHERE place <= :most ORDER BY id DESC
"""

_WAITING_CHANGES = f"""
SELECT crm, record_type, crm_id, staged.stamp FROM crm_pipeline.crm_record AS staged
LEFT JOIN crm_pipeline.change_outcome AS latest USING (integration, crm, record_type, crm_id)
WHERE {_OF} AND crm_id = ANY(:crm_ids) AND (staged.pending OR latest.crm_id IS NULL OR latest.stamp IS DISTINCT FROM staged.stamp)
"""

_NAMING = f"""
SELECT qbench_id FROM crm_pipeline.outcome
WHERE integration = :integration AND crm = :crm AND record_type = :record_type AND waits_on = ANY(:waits_on) AND {is_polled()}
  AND :crm_id = ANY(regexp_split_to_array(reason, '[^A-Za-z0-9-]+'))
ORDER BY qbench_id LIMIT :most
"""
"""The index of what waits holds few of all outcomes, so that their reasons can be looked into."""


@dataclass(frozen=True, slots=True)
class Told:
    """What was said of a record ``at`` this time, and of which of its states: ``of``, QBench's version or the CRM's stamp.

    ``outdated``: its state in QBench is another one by now. ``attempts`` and ``next_attempt_at``: of what is tried again.
    """

    outcome: str
    error_type: str | None
    reason: str | None
    waits_on: str | None
    waits_for: str | None
    retryable: bool
    run_id: str
    partition_key: str | None
    at: datetime
    of: datetime | None
    attempts: int = 0
    next_attempt_at: datetime | None = None
    outdated: bool = False


@dataclass(frozen=True, slots=True)
class Pair:
    """The link of a record (schemas.LINKS); ``of``: the version that was sent last. ``deleted_by_us``: when we deleted the CRM record.

    ``merged_into_qbench_id``: of a record that was merged away, the QBench id that the record is linked to which it was merged into.
    """

    crm_id: str
    org_id: str
    object: str | None
    origin: str
    status: str
    merged_into: str | None
    merged_into_qbench_id: int | None
    held: bool
    of: datetime
    parent_qbench_id: int | None
    deleted_by_us: datetime | None
    linked_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Part:
    """One record in one CRM: what became of it on its way there, and what became of the CRM's changes on their way back.

    ``creating_since``: a create whose answer is not known. ``writing_until``: a write that may still be carried out.
    ``change_waits``: a change of the CRM's was read that no outcome speaks of yet. ``named_by``: of a CRM's record without a link, the
    QBench ids of those whose outcome names it.
    """

    crm: str
    record_type: RecordType
    pair: Pair | None = None
    latest: Told | None = None
    history: tuple[Told, ...] = ()
    creating_since: datetime | None = None
    writing_until: datetime | None = None
    crm_id: str | None = None
    change: Told | None = None
    change_history: tuple[Told, ...] = ()
    change_waits: bool = False
    named_by: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Read:
    """What was read of a record in QBench: its ``version`` (last_updated) and when that was read, ``fields`` as they are normalized.

    ``unprepared``: it is to be normalized still.
    """

    version: int
    read_at: datetime
    deleted: bool
    unreadable: str | None
    unprepared: bool
    customer_id: int | None
    error_type: str | None
    fields: Mapping[str, Any]


class Key(NamedTuple):
    """Which record: of an integration, by the type and id that it has in QBench."""

    integration: str
    record_type: RecordType
    qbench_id: int


@dataclass(frozen=True, slots=True)
class Story:
    """All of one record. ``key``: None of a CRM's record that is linked to none. ``read``: None where it was never read."""

    integration: str
    record_type: RecordType
    qbench_id: int | None
    read: Read | None
    parts: tuple[Part, ...]
    conflicts: tuple[Conflict, ...] = ()


_Places = defaultdict[tuple[str, str], dict[str, Any]]


def story_of(connection: Connection, key: Key, *, places: Sequence[tuple[str, RecordType]]) -> Story:
    """The story of a QBench record, with a part for each of these places: CRMs, and the record types that they take it as."""
    integration, record_type, qbench_id = key
    crms, record_types = {crm for crm, _ in places}, {each for _, each in places}
    of = {"integration": integration, "crms": list(crms), "record_types": list(record_types), "qbench_id": qbench_id}
    read = [{**row, "fields": row["fields"] or {}} for row in _rows(connection, _READ, {**of, "record_type": record_type})]
    found: _Places = defaultdict(dict)
    for found_row in _rows(connection, _LINKS, of):
        pair = _made(Pair, found_row)
        _at(found, found_row).update(pair=pair, crm_id=pair.crm_id)
    for found_row in _rows(connection, _OUTCOMES, of):
        _at(found, found_row)["latest"] = _made(Told, found_row)
    for found_row in _rows(connection, _HISTORY, {**of, "most": TOLD_OF_EACH}):
        _at(found, found_row).setdefault("history", []).append(_made(Told, found_row))
    for name, statement in (("creating_since", _INTENTS), ("writing_until", _OPEN_CALLS)):
        for found_row in _rows(connection, statement, of):
            _at(found, found_row)[name] = found_row["since"]
    _add_changes(connection, found, of)
    conflicts = conflicts_told(connection, Sought([integration], qbench_ids=[qbench_id]), most=TOLD_OF_EACH)
    return Story(
        integration,
        record_type,
        qbench_id,
        read=_made(Read, read[0]) if read else None,
        parts=tuple(_part(crm, each, found[crm, each]) for crm, each in places),
        conflicts=tuple(one for one in conflicts if (one.state.crm, one.state.record_type) in places),
    )


def story_of_unlinked(connection: Connection, integration: str, crm: str, record_type: RecordType, *, crm_id: str) -> Story | None:
    """The story of a CRM's record without a link; None where nothing was read of it, and no other record's outcome names it."""
    of = {"integration": integration, "crms": [crm], "record_types": [record_type]}
    found: _Places = defaultdict(dict, {(crm, record_type): {"crm_id": crm_id}})
    _add_changes(connection, found, of)
    waits_on = [WaitsOn.LINK, WaitsOn.HOLDER, WaitsOn.EMAIL]
    naming = {"integration": integration, "crm": crm, "record_type": record_type, "crm_id": crm_id, "waits_on": waits_on}
    named_by = connection.execute(text(_NAMING), {**naming, "most": TOLD_OF_EACH}).scalars()
    part = replace(_part(crm, record_type, found[crm, record_type]), named_by=tuple(named_by))
    known = part.change is not None or part.change_waits or part.change_history or part.named_by
    return Story(integration, MODELS[record_type].source, None, None, (part,)) if known else None


def _add_changes(connection: Connection, found: _Places, of: Mapping[str, Any]) -> None:
    """What became of the CRM's changes of the records that were found."""
    crm_ids = [place["crm_id"] for place in found.values() if "crm_id" in place]
    if not crm_ids:
        return
    of = {**of, "crm_ids": crm_ids, "most": TOLD_OF_EACH}

    def own(statement: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        rows = [(_at(found, row), row) for row in _rows(connection, statement, of)]
        return [(place, row) for place, row in rows if place.get("crm_id") == row["crm_id"]]

    for place, row in own(_CHANGES):
        place["change"] = _made(Told, row)
    for place, row in own(_CHANGE_HISTORY):
        place.setdefault("change_history", []).append(_made(Told, row))
    for place, _ in own(_WAITING_CHANGES):
        place["change_waits"] = True


def _rows(connection: Connection, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in connection.execute(text(statement), parameters)]


def _at(found: _Places, row: Mapping[str, Any]) -> dict[str, Any]:
    return found[row["crm"], row["record_type"]]


def _made(kind: type[T], row: Mapping[str, Any]) -> T:
    """One of these dataclasses of what a row has for its fields."""
    names: Sequence[str] = kind.__match_args__  # type: ignore[attr-defined]
    return kind(**{name: row[name] for name in names if name in row})


def _part(crm: str, record_type: RecordType, place: Mapping[str, Any]) -> Part:
    histories = {name: tuple(place.get(name, ())) for name in ("history", "change_history")}
    return Part(crm, record_type, **{**place, **histories})
