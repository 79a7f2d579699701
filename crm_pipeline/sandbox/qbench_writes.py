"""What becomes of the rows of a POST or PATCH: which are refused, what of the others is kept, and what is answered?

Source: QBench's OpenAPI document, v2. Unknown keys are dropped without a word, as was observed. What it leaves open is a setting
(``WriteHabits``). Assumed beside these: null clears a field, and an empty text is kept; a blank name is refused; a value of another JSON
type is refused; an id that comes twice in one array is written twice, in order; refused rows are described as pydantic describes them,
after whose habits the document's schemas are named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse

from crm_pipeline.sandbox.qbench_access import problem, refused
from crm_pipeline.sandbox.qbench_fields import EMPTY_LISTS, FIELDS, JSON_TYPES, REQUIRED
from crm_pipeline.sandbox.qbench_lists import shown
from crm_pipeline.sandbox.tenant import Kind, QBenchTenant, Record

Operation = Literal["create", "update"]
STATUS: Mapping[Operation, int] = {"create": 201, "update": 200}
NESTED: Mapping[Kind, Kind] = {"customers": "contacts", "contacts": "customers"}


@dataclass(frozen=True, slots=True)
class _Wrong:
    """Why a row is refused."""

    status: int
    problems: tuple[Record, ...]


async def write(tenant: QBenchTenant, kind: Kind, operation: Operation, request: Request) -> JSONResponse:
    """Answer ``POST`` or ``PATCH`` of ``/customers`` or ``/contacts``."""
    rows = await read_array(request, longest=tenant.habits.longest_array)
    with tenant.lock:
        wrong = {position: found for position, row in enumerate(rows) if (found := _wrong(tenant, kind, operation, rows, position))}
        last = _written_until(tenant, len(rows), wrong)
        written = [_put(tenant, kind, operation, row) for position, row in enumerate(rows[:last]) if position not in wrong]
        if wrong and tenant.habits.wrong_rows != "leave_out":
            raise _refusal(list(wrong.values()))
        answered = [shown(tenant, kind, record_id) for record_id in written]
    if tenant.habits.answer_order == "reversed":
        answered.reverse()
    return JSONResponse({"data": answered}, status_code=STATUS[operation])


async def read_array(request: Request, *, longest: int) -> list[Record]:
    """The body's rows; raises Refused where it is no JSON array of objects, or too long."""
    try:
        content = await request.json()
    except ValueError:
        content = None
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise refused(400, "bad_request", "the body is to be a JSON array of objects")
    if len(content) > longest:
        raise refused(400, "bad_request", f"the body is to hold at most {longest} rows")
    return content


def _written_until(tenant: QBenchTenant, count: int, wrong: Mapping[int, _Wrong]) -> int:
    if not wrong or tenant.habits.wrong_rows == "leave_out":
        return count
    return min(wrong) if tenant.habits.wrong_rows == "stop" else 0


def _refusal(wrong: list[_Wrong]) -> Exception:
    if any(found.status == 404 for found in wrong):
        return refused(404, "not_found", "a record does not exist")
    return refused(400, "bad_request", "the records are not valid", errors=[each for found in wrong for each in found.problems])


def _wrong(tenant: QBenchTenant, kind: Kind, operation: Operation, rows: list[Record], position: int) -> _Wrong | None:
    row = rows[position]
    if operation == "update":
        record_id = row.get("id")
        if type(record_id) is not int:
            return _Wrong(400, (problem(position, "id", "value_error.missing" if record_id is None else "type_error.integer"),))
        if record_id not in tenant.tables[kind].rows or record_id in tenant.tables[kind].deleted_at:
            return _Wrong(404, ())
    problems = [
        problem(position, name, kind_of_error)
        for name, kind_of_error in (
            *_missing(row, kind, operation),
            *_of_wrong_form(row, kind),
            *_taken(tenant, kind, operation, rows, position),
            *_misnamed(tenant, kind, operation, rows, position),
        )
    ]
    return _Wrong(400, tuple(problems)) if problems else None


def _missing(row: Record, kind: Kind, operation: Operation) -> list[tuple[str, str]]:
    required = REQUIRED[kind]
    asked = operation == "create" or required in row
    return [(required, "value_error.missing")] if asked and row.get(required) in (None, "") else []


def _of_wrong_form(row: Record, kind: Kind) -> list[tuple[str, str]]:
    found = []
    for name, longest in FIELDS[kind].items():
        value = row.get(name)
        if value is None:
            continue
        if type(value) is not JSON_TYPES.get(name, str):
            found.append((name, "type_error"))
        elif isinstance(value, str) and longest is not None and len(value) > longest:
            found.append((name, "value_error.any_str.max_length"))
    return found


def _taken(tenant: QBenchTenant, kind: Kind, operation: Operation, rows: list[Record], position: int) -> list[tuple[str, str]]:
    """The unique fields whose value another live record has, or an earlier row brings."""
    row, table = rows[position], tenant.tables[kind]
    others = [other for other in rows[:position] if operation == "create" or other.get("id") != row["id"]]
    found = []
    for name in sorted(tenant.habits.unique[kind]):
        value = row.get(name)
        if value is None:
            continue
        held = any(table.rows[key[0]].get(name) == value for key in table.by_id("live") if key[0] != row.get("id"))
        if held or any(other.get(name) == value for other in others):
            found.append((name, "value_error.unique"))
    return found


def _misnamed(tenant: QBenchTenant, kind: Kind, operation: Operation, rows: list[Record], position: int) -> list[tuple[str, str]]:
    """What names records that do not exist, a new record's id that is taken, and dates that are none."""
    found: list[tuple[str, str]] = []
    row, other = rows[position], NESTED[kind]
    if tenant.habits.nested != "drop" and row.get(other) is not None and _nested_ids(tenant, other, row[other]) is None:
        found.append((other, "value_error.unknown"))
    if not tenant.habits.takes_system_fields:
        return found
    own_id = row.get("id")
    if operation == "create" and own_id is not None and (type(own_id) is not int or own_id in _used(tenant, kind, rows[:position])):
        found.append(("id", "value_error.taken"))
    dates = ("last_updated", "date_created")
    return [*found, *((name, "value_error.datetime") for name in dates if row.get(name) is not None and _seconds(row[name]) is None)]


def _used(tenant: QBenchTenant, kind: Kind, rows: list[Record]) -> set[int]:
    """The ids in use once these new records are written."""
    used, following = set(tenant.tables[kind].rows), tenant.tables[kind].next_id()
    for row in rows:
        own_id = row.get("id")
        used.add(own_id if type(own_id) is int else following)
        following = max(following, *used) + 1
    return used


def _nested_ids(tenant: QBenchTenant, kind: Kind, items: Any) -> list[int] | None:
    """The ids of nested records; None where they are no objects with ids of live records."""
    if not isinstance(items, list) or not all(isinstance(item, dict) and type(item.get("id")) is int for item in items):
        return None
    table = tenant.tables[kind]
    ids = [item["id"] for item in items]
    return ids if all(key in table.rows and key not in table.deleted_at for key in ids) else None


def _put(tenant: QBenchTenant, kind: Kind, operation: Operation, row: Record) -> int:
    """Write a row that is right; returns the record's id."""
    values = _kept(tenant, kind, row)
    own_stamp = values.get("last_updated")
    if operation == "create":
        own_id = row.get("id") if tenant.habits.takes_system_fields else None
        record_id = tenant.add(kind, values, stamp=tenant.stamp(), id=own_id)
    else:
        record_id = row["id"]
        values.pop("last_updated", None)
        stored = tenant.tables[kind].rows[record_id]
        moves = any(stored.get(name) != value for name, value in values.items()) or tenant.habits.touches_unchanged
        usual = tenant.stamp() if tenant.habits.touches and moves else None
        tenant.edit(kind, record_id, values, stamp=usual if own_stamp is None else own_stamp)
    _relate(tenant, kind, record_id, row)
    return record_id


def _kept(tenant: QBenchTenant, kind: Kind, row: Record) -> Record:
    """What of a row the tenant has a place for."""
    known = {*FIELDS[kind], *tenant.additional_fields[kind]}
    values = {name: [] if value is None and name in EMPTY_LISTS[kind] else value for name, value in row.items() if name in known}
    if tenant.habits.takes_system_fields:
        own = ("last_updated", "date_created") if kind == "customers" else ("last_updated",)
        values |= {name: seconds for name in own if (seconds := _seconds(row.get(name))) is not None}
    return values


def _relate(tenant: QBenchTenant, kind: Kind, record_id: int, row: Record) -> None:
    other = NESTED[kind]
    items, ids = row.get(other), _nested_ids(tenant, other, row.get(other))
    if items is None or ids is None or tenant.habits.nested == "drop":
        return
    adds = tenant.habits.nested == "add"
    if kind == "contacts":
        tenant.belong(record_id, [*(tenant.customer_ids[record_id] if adds else ()), *ids])
        return
    for contact_id in () if adds else [key for key in tenant.contact_ids[record_id] if key not in ids]:
        tenant.belong(contact_id, [key for key in tenant.customer_ids[contact_id] if key != record_id])
    for contact_id, item in zip(ids, items, strict=True):
        tenant.belong(contact_id, [*tenant.customer_ids[contact_id], record_id])
        if tenant.habits.edits_nested and (values := _kept(tenant, "contacts", item)):
            tenant.edit("contacts", contact_id, values, stamp=tenant.stamp() if tenant.habits.touches else None)


def _seconds(value: Any) -> int | None:
    """A date as the API takes it: Unix seconds, also as digits, or ISO 8601."""
    if type(value) is int:
        return value
    if not isinstance(value, str):
        return None
    if value.isdecimal():
        return int(value)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
