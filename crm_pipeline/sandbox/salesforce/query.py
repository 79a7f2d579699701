"""Which records does a query find, and how are they shown? Runs a parsed statement on the organization's tables.

Comparisons are the vendor's: texts without regard to case (unless the field is case-sensitive), ids of 15 or 18 characters,
the empty text as null, ``!=`` and NOT IN true for nulls, ``<`` and LIKE false for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from operator import ge, gt, le, lt
from types import MappingProxyType
from typing import Any

from crm_pipeline.sandbox.salesforce.errors import CallError
from crm_pipeline.sandbox.salesforce.fields import ID_TYPES, TEXT_TYPES, FieldSpec, ObjectSpec
from crm_pipeline.sandbox.salesforce.ids import canonical
from crm_pipeline.sandbox.salesforce.org import SalesforceOrg
from crm_pipeline.sandbox.salesforce.soql import Combination, Comparison, Condition, Order, Query, Value, unescaped
from crm_pipeline.sandbox.salesforce.table import Row, Table
from crm_pipeline.sandbox.salesforce.values import shown

Read = Callable[[Row], Any]
Test = Callable[[Row], bool]

_ORDERINGS: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType({"<": lt, ">": gt, "<=": le, ">=": ge})
# The kind of literal that a field's type takes, and whether the vendor's message says it stands in quotes.
_KIND_OF_TYPE: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(TEXT_TYPES | ID_TYPES, "text"),
        "int": "number",
        "double": "number",
        "boolean": "boolean",
        "datetime": "datetime",
        "date": "date",
    }
)
DEEPEST_RELATIONSHIP = 5


@dataclass(frozen=True, slots=True)
class Found:
    """What a query found: the rows in order, and how one of them is shown; for a count, only ``total``."""

    total: int
    rows: list[Row]
    show: Callable[[Row, str], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Step:
    """One reference on the way to a field: its relationship's name, the object behind it, and how its record is found."""

    name: str
    spec: ObjectSpec
    follow: Callable[[Row], Row | None]


@dataclass(frozen=True, slots=True)
class _Path:
    """A field, reached over references from the queried object."""

    steps: tuple[_Step, ...]
    field: FieldSpec

    def reader(self) -> Read:
        """How a row's value is read; None where a reference on the way is empty."""
        value_of = self.field.of
        if not self.steps:
            return value_of
        follow = self.steps[-1].follow

        def read(row: Row) -> Any:
            owner = follow(row)
            return None if owner is None else value_of(owner)

        return read


def run(org: SalesforceOrg, query: Query, *, deleted_too: bool) -> Found:
    """Run a query; raises CallError (INVALID_TYPE, INVALID_FIELD, INVALID_QUERY_FILTER_OPERATOR). The caller holds the mutex."""
    table = org.table(query.object_name)
    if table is None or not org.is_queryable(table.spec.name):
        message = (
            f"sObject type '{query.object_name}' is not supported. If you are attempting to use a custom object, be sure to append '__c'"
        )
        raise CallError(400, "INVALID_TYPE", message)
    paths = [_path(org, table.spec, name) for name in query.fields]
    rows = _matching(org, table, query, deleted_too=deleted_too)
    if query.count is not None:
        return _counted(org, table, query, rows)
    if query.order and not _by_id(query):
        rows = iter(_sorted(list(rows), [(_path(org, table.spec, order.path), order) for order in query.order]))
    end = None if query.limit is None else query.offset + query.limit
    found = list(islice(rows, query.offset, end))
    return Found(len(found), found, lambda row, base: _record(table.spec, paths, row, base))


def _matching(org: SalesforceOrg, table: Table, query: Query, *, deleted_too: bool) -> Iterator[Row]:
    rows: Iterable[Row] = table.rows.values()
    if _by_id(query):
        rows = (table.rows[record_id] for record_id in table.ids())
    if query.where is not None:
        test = _test(org, table.spec, query.where)
        candidates = _candidates(table, query.where)
        if candidates is not None:
            rows = (table.rows[record_id] for record_id in candidates)
        rows = (row for row in rows if test(row))
    return (row for row in rows if deleted_too or not row.get("IsDeleted"))


def _counted(org: SalesforceOrg, table: Table, query: Query, rows: Iterator[Row]) -> Found:
    if not query.count:
        total = sum(1 for _ in (rows if query.limit is None else islice(rows, query.limit)))
        return Found(total, [], lambda row, base: {})  # noqa: ARG005 - there is no row to show
    read = _path(org, table.spec, query.count).reader()
    total = sum(1 for row in rows if read(row) is not None)
    return Found(1, [{"total": total}], lambda row, base: {"attributes": {"type": "AggregateResult"}, "expr0": row["total"]})  # noqa: ARG005


def _by_id(query: Query) -> bool:
    """Whether the rows are to come by ascending id, as a table has them at hand."""
    return len(query.order) == 1 and query.order[0].path.lower() == "id" and not query.order[0].descending


def _candidates(table: Table, where: Condition) -> list[str] | None:
    """The ids, in order, that an index leaves to test, by the condition that leaves fewest; None if no index helps."""
    conditions = where.conditions if isinstance(where, Combination) and where.operator == "and" else (where,)
    best: list[str] | None = None
    for condition in conditions:
        if not isinstance(condition, Comparison) or condition.operator not in ("=", "in", ">", ">=") or "." in condition.path:
            continue
        field = _field(table.spec, condition.path)
        wanted = _wanted(field, condition)
        ids: list[str] | None = None
        if condition.operator in (">", ">="):
            ids = table.ids(since=next(iter(wanted))) if field.name == "Id" else None
        elif None not in wanted and table.has_index(field.name):
            ids = sorted({record_id for value in wanted for record_id in table.ids_with(field.name, value)})
        if ids is not None and (best is None or len(ids) < len(best)):
            best = ids
    return best


def _test(org: SalesforceOrg, spec: ObjectSpec, condition: Condition) -> Test:
    if isinstance(condition, Comparison):
        return _comparison(_path(org, spec, condition.path), condition)
    tests = [_test(org, spec, part) for part in condition.conditions]
    if condition.operator == "not":
        return lambda row: not tests[0](row)
    if condition.operator == "and":
        return lambda row: all(test(row) for test in tests)
    return lambda row: any(test(row) for test in tests)


def _comparison(path: _Path, condition: Comparison) -> Test:
    field, read = path.field, path.reader()
    if not field.filterable:
        raise CallError(400, "INVALID_FIELD", f"field '{field.name}' can not be filtered in a query call")
    wanted = _wanted(field, condition)
    fold = field.fold
    if condition.operator in ("=", "in"):
        return lambda row: fold(read(row)) in wanted
    if condition.operator == "!=":
        return lambda row: fold(read(row)) not in wanted
    if condition.operator == "like":
        return _like(field, read, condition.values[0])
    (limit,) = wanted
    if limit is None or field.type == "boolean":
        raise CallError(400, "INVALID_QUERY_FILTER_OPERATOR", f"invalid operator on {field.name}")
    compare = _ORDERINGS[condition.operator]

    def ordered(row: Row) -> bool:
        value = fold(read(row))
        return value is not None and compare(value, limit)

    return ordered


def _like(field: FieldSpec, read: Read, value: Value) -> Test:
    if value.kind != "text" or field.type not in TEXT_TYPES:
        raise CallError(400, "INVALID_QUERY_FILTER_OPERATOR", f"invalid operator on {field.name}")
    pieces = re.findall(r"\\u[0-9A-Fa-f]{4}|\\.|.", value.source, re.DOTALL)
    wildcards = {"%": ".*", "_": "."}
    pattern = "".join(wildcards[piece] if piece in wildcards else re.escape(unescaped(piece)) for piece in pieces)
    matches = re.compile(pattern, re.IGNORECASE | re.DOTALL).fullmatch

    def like(row: Row) -> bool:
        text = read(row)
        return text is not None and matches(text) is not None

    return like


def _wanted(field: FieldSpec, condition: Comparison) -> frozenset[Any]:
    return frozenset(field.fold(_literal(field, value)) for value in condition.values)


def _literal(field: FieldSpec, value: Value) -> Any:
    """The literal as the field keeps values; raises CallError for one of another kind."""
    if value.kind == "null" or (value.kind == "text" and not value.value and field.type in TEXT_TYPES | ID_TYPES):
        return None
    kind = _KIND_OF_TYPE[field.type]
    if value.kind != kind:
        quotes = "should be enclosed in quotes" if kind == "text" else "should not be enclosed in quotes"
        raise CallError(
            400, "INVALID_FIELD", f"value of filter criterion for field '{field.name}' must be of type {field.type} and {quotes}"
        )
    if field.type in ID_TYPES:
        known = canonical(value.value)
        if known is None:
            raise CallError(400, "INVALID_QUERY_FILTER_OPERATOR", f"invalid ID field: {value.value}")
        return known
    return value.value


def _path(org: SalesforceOrg, spec: ObjectSpec, dotted: str) -> _Path:
    *names, last = dotted.split(".")
    if names and names[0].lower() == spec.name.lower() and names[0].lower() not in spec.by_relationship:
        names = names[1:]
    if len(names) > DEEPEST_RELATIONSHIP:
        raise CallError(400, "MALFORMED_QUERY", f"relationships may be at most {DEEPEST_RELATIONSHIP} levels deep")
    steps: list[_Step] = []
    for name in names:
        steps.append(_step(org, spec, name, follow=steps[-1].follow if steps else None))
        spec = steps[-1].spec
    return _Path(tuple(steps), _field(spec, last))


def _step(org: SalesforceOrg, spec: ObjectSpec, name: str, *, follow: Callable[[Row], Row | None] | None) -> _Step:
    reference = spec.by_relationship.get(name.lower())
    target = org.table(reference.reference_to[0]) if reference else None
    if reference is None or target is None:
        message = f"Didn't understand relationship '{name}' in field path. If you are attempting to use a custom relationship, be sure"
        raise CallError(400, "INVALID_FIELD", f"{message} to append the '__r' after the custom relationship name.")
    rows, field = target.rows, reference.name

    def next_row(row: Row) -> Row | None:
        current = follow(row) if follow else row
        return None if current is None else rows.get(current.get(field, ""))

    return _Step(reference.relationship_name or "", target.spec, next_row)


def _field(spec: ObjectSpec, name: str) -> FieldSpec:
    field = spec.by_lower_name.get(name.lower())
    if field is None:
        message = (
            f"No such column '{name}' on entity '{spec.name}'. If you are attempting to use a custom field, be sure to append the '__c'"
        )
        raise CallError(400, "INVALID_FIELD", f"{message} after the custom field name. Please reference your WSDL or the describe call.")
    return field


def _sorted(rows: list[Row], orders: list[tuple[_Path, Order]]) -> list[Row]:
    for path, order in reversed(orders):
        if not path.field.filterable:
            raise CallError(400, "MALFORMED_QUERY", f"field '{path.field.name}' can not be sorted in a query call")
        fold, read = path.field.fold, path.reader()
        empty = [row for row in rows if read(row) is None]
        filled = [row for row in rows if read(row) is not None]
        filled.sort(key=lambda row, fold=fold, read=read: fold(read(row)), reverse=order.descending)  # type: ignore[misc]
        rows = [*empty, *filled] if order.nulls_first else [*filled, *empty]
    return rows


def _record(spec: ObjectSpec, paths: list[_Path], row: Row, base: str) -> dict[str, Any]:
    """The row as the API shows it: attributes, then the selected fields; related records nest."""
    record: dict[str, Any] = {"attributes": attributes(spec, row, base)}
    for path in paths:
        _place(record, path, row, base)
    return record


def _place(record: dict[str, Any], path: _Path, row: Row, base: str) -> None:
    owner: Row = row
    for step in path.steps:
        related = step.follow(row)
        if related is None:
            record[step.name] = None
            return
        record = record.setdefault(step.name, {"attributes": attributes(step.spec, related, base)})
        owner = related
    record[path.field.name] = shown(path.field, owner)


def attributes(spec: ObjectSpec, row: Row, base: str) -> dict[str, str]:
    """The type and address of a record, as every record in an answer carries them."""
    return {"type": spec.name, "url": f"{base}/sobjects/{spec.name}/{row.get('Id')}"}
