"""The search endpoint: filters over what the index knows, which lags behind the writes.

Limits by the search guide: 200 rows a page, 10,000 a query, 3,000 characters a body, 5 filter groups of 6 filters, 18
filters in all. Text compares without case; the values of IN and NOT_IN on text must be lower-case to be found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from crm_pipeline.sandbox.hubspot import refusals
from crm_pipeline.sandbox.hubspot.portal import HubSpotPortal
from crm_pipeline.sandbox.hubspot.properties import Property
from crm_pipeline.sandbox.hubspot.records import Record, RecordStore
from crm_pipeline.sandbox.hubspot.refusals import Answer, Refusal

LONGEST_BODY = 3_000
LARGEST_PAGE = 200
LARGEST_RESULT = 10_000
MOST_GROUPS = 5
MOST_FILTERS_IN_GROUP = 6
MOST_FILTERS = 18
REQUIRED = ("after", "filterGroups", "limit", "properties", "sorts")

Test = Callable[[str | None], bool]


def search(portal: HubSpotPortal, store: RecordStore, body: Any, *, characters: int) -> Answer:
    """The records that any of the filter groups admits. Raises Refusal."""
    if characters > LONGEST_BODY:
        raise Refusal(400, f"The request body is longer than {LONGEST_BODY} characters")
    if not isinstance(body, dict):
        raise refusals.invalid_json("Cannot deserialize the body")
    for member in REQUIRED:
        if member not in body:
            raise refusals.missing_member(member)
    limit, start = _page(body)
    groups = [[(portal.reader(store, name), test) for name, test in group] for group in _groups(store, body["filterGroups"])]
    searchable = [portal.reader(store, name) for name in store.type.default_properties]
    words = str(body.get("query") or "").lower().split()

    def admitted(record: Record) -> bool:
        return not groups or any(all(test(read(record)) for read, test in group) for group in groups)

    def mentioned(record: Record) -> bool:
        text = " ".join(read(record) or "" for read in searchable).lower()
        return all(word in text for word in words)

    found = [record for record in store.searchable(portal.clock()).values() if admitted(record) and (not words or mentioned(record))]
    _sort(portal, store, found, body["sorts"])
    names = body["properties"] or list(store.type.default_properties)
    answer: dict[str, Any] = {
        "total": len(found),
        "results": [portal.show(store, record, names) for record in found[start : start + limit]],
    }
    if start + limit < len(found):
        answer["paging"] = {"next": {"after": str(start + limit)}}
    return Answer(answer)


def _page(body: Mapping[str, Any]) -> tuple[int, int]:
    limit = body["limit"]
    if not isinstance(limit, int) or not 0 <= limit <= LARGEST_PAGE:
        raise Refusal(400, f"Invalid value for limit; it must not be larger than {LARGEST_PAGE}")
    after = str(body["after"] or "0")
    if not after.isdigit():
        raise Refusal(400, "Invalid value for after")
    if int(after) + limit > LARGEST_RESULT:
        raise Refusal(400, f"A query cannot return more than {LARGEST_RESULT} results")
    return limit, int(after)


def _groups(store: RecordStore, raw: Any) -> list[list[tuple[str, Test]]]:
    if not isinstance(raw, list) or not all(isinstance(group, dict) and isinstance(group.get("filters"), list | None) for group in raw):
        raise refusals.invalid_json("Cannot deserialize value of `filterGroups`")
    filters = [group.get("filters") or [] for group in raw]
    if len(filters) > MOST_GROUPS or sum(map(len, filters)) > MOST_FILTERS or any(len(group) > MOST_FILTERS_IN_GROUP for group in filters):
        raise Refusal(400, f"At most {MOST_GROUPS} filter groups of {MOST_FILTERS_IN_GROUP} filters, {MOST_FILTERS} in all, are allowed")
    return [[_test(store, entry) for entry in group] for group in filters]


def _sort(portal: HubSpotPortal, store: RecordStore, found: list[Record], raw: Any) -> None:
    """Sort by the one property that is asked for, or by id."""
    found.sort(key=lambda record: int(record.id))
    if not raw:
        return
    if not isinstance(raw, list) or len(raw) > 1:
        raise Refusal(400, "Only one sort is allowed")
    sort = raw[0] if isinstance(raw[0], dict) else {"propertyName": str(raw[0]).lstrip("-"), "direction": _direction(str(raw[0]))}
    prop = _known(store, str(sort.get("propertyName")))
    read = portal.reader(store, prop.name)
    found.sort(key=lambda record: _sort_key(prop, read(record)), reverse=sort.get("direction") == "DESCENDING")


def _direction(sort: str) -> str:
    return "DESCENDING" if sort.startswith("-") else "ASCENDING"


def _known(store: RecordStore, name: str) -> Property:
    prop = store.properties.get(name)
    if prop is None:
        raise Refusal(
            400,
            "There was a problem with the request.",
            errors=[{"message": f"Property {name} does not exist", "code": "PROPERTY_DOESNT_EXIST", "context": {"propertyName": [name]}}],
        )
    return prop


def _test(store: RecordStore, entry: Any) -> tuple[str, Test]:
    if not isinstance(entry, dict):
        raise refusals.invalid_json("Cannot deserialize value of `filters`")
    name, operator = str(entry.get("propertyName")), str(entry.get("operator"))
    prop = _known(store, name)
    make = _OPERATORS.get(operator)
    if make is None:
        raise refusals.invalid_json(f"Cannot deserialize value of type `FilterOperator` from {operator}")
    members = {"value": str, "values": list, "highValue": str}
    for member in _MEMBERS[operator]:
        if not isinstance(entry.get(member), members[member]):
            raise Refusal(400, f"{operator} needs {member} on property {name}")
    return name, make(prop, entry)


def _equal(prop: Property, entry: Mapping[str, Any]) -> Test:
    wanted = _comparable(prop, entry["value"])
    return lambda value: value is not None and _comparable(prop, value) == wanted


def _one_of(prop: Property, entry: Mapping[str, Any]) -> Test:
    wanted = {str(value) for value in entry["values"]}
    if prop.type == "enumeration":
        return lambda value: value in wanted
    return lambda value: value is not None and value.lower() in wanted


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Property, Mapping[str, Any]], Test]:
    def make(prop: Property, entry: Mapping[str, Any]) -> Test:
        bound = _comparable(prop, entry["value"])
        return lambda value: value is not None and compare(_comparable(prop, value), bound)

    return make


def _between(prop: Property, entry: Mapping[str, Any]) -> Test:
    low, high = _comparable(prop, entry["value"]), _comparable(prop, entry["highValue"])
    return lambda value: value is not None and low <= _comparable(prop, value) <= high


def _contains_token(_prop: Property, entry: Mapping[str, Any]) -> Test:
    pattern = re.compile(re.escape(entry["value"].lower()).replace(r"\*", ".*"))

    def test(value: str | None) -> bool:
        text = (value or "").lower()
        return bool(pattern.fullmatch(text)) or any(pattern.fullmatch(token) for token in re.split(r"[^\w*]+", text))

    return test


def _not(make: Callable[[Property, Mapping[str, Any]], Test]) -> Callable[[Property, Mapping[str, Any]], Test]:
    def negated(prop: Property, entry: Mapping[str, Any]) -> Test:
        test = make(prop, entry)
        return lambda value: not test(value)

    return negated


def _present(_prop: Property, _entry: Mapping[str, Any]) -> Test:
    return lambda value: value is not None


_OPERATORS: Mapping[str, Callable[[Property, Mapping[str, Any]], Test]] = {
    "EQ": _equal,
    "NEQ": _not(_equal),
    "IN": _one_of,
    "NOT_IN": _not(_one_of),
    "HAS_PROPERTY": _present,
    "NOT_HAS_PROPERTY": _not(_present),
    "LT": _ordered(lambda value, bound: value < bound),
    "LTE": _ordered(lambda value, bound: value <= bound),
    "GT": _ordered(lambda value, bound: value > bound),
    "GTE": _ordered(lambda value, bound: value >= bound),
    "BETWEEN": _between,
    "CONTAINS_TOKEN": _contains_token,
    "NOT_CONTAINS_TOKEN": _not(_contains_token),
}
_MEMBERS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(_OPERATORS, ("value",)),
    "IN": ("values",),
    "NOT_IN": ("values",),
    "HAS_PROPERTY": (),
    "NOT_HAS_PROPERTY": (),
    "BETWEEN": ("value", "highValue"),
}


def _comparable(prop: Property, value: str) -> Any:
    """A value in the form in which its type compares; numbers and times that cannot be read compare as nothing else does."""
    try:
        if prop.type == "number":
            return float(value)
        if prop.type in ("date", "datetime"):
            return float(value) if value.isdigit() else _milliseconds(value)
    except ValueError:
        raise Refusal(400, f"Invalid value for property {prop.name}") from None
    return value.lower()


def _milliseconds(value: str) -> float:
    moment = datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000


def _sort_key(prop: Property, value: str | None) -> tuple[bool, Any]:
    return (False, 0) if value is None else (True, _comparable(prop, value))
