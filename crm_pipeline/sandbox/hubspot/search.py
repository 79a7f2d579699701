"""The search endpoint: filters over what the index knows, which lags behind the writes.

Limits by the search guide: 200 rows a page, 10,000 a query, 3,000 characters a body, 5 filter groups of 6 filters, 18
filters in all. Text compares without case; the values of IN and NOT_IN on text must be lower-case to be found. Times compare
in whole milliseconds, and one at the beginning of 1970 or before is a 500 (seen live, not said of which endpoint: assumed here).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from crm_pipeline.sandbox.hubspot import refusals
from crm_pipeline.sandbox.hubspot.portal import HubSpotPortal
from crm_pipeline.sandbox.hubspot.properties import Property
from crm_pipeline.sandbox.hubspot.records import Record, RecordStore, milliseconds
from crm_pipeline.sandbox.hubspot.refusals import Answer, Refusal

LONGEST_BODY = 3_000
LARGEST_PAGE = 200
LARGEST_RESULT = 10_000
MOST_GROUPS = 5
MOST_FILTERS_IN_GROUP = 6
MOST_FILTERS = 18
_NUMERIC = frozenset({"number", "date", "datetime"})
REQUIRED = ("after", "filterGroups", "limit", "properties", "sorts")

Test = Callable[[Any], bool]
Filter = Callable[[Record], bool]


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
    groups = _groups(portal, store, body["filterGroups"])
    searchable = [portal.reader(store, name) for name in store.type.default_properties]
    words = str(body.get("query") or "").lower().split()

    def mentioned(record: Record) -> bool:
        text = " ".join(read(record) or "" for read in searchable).lower()
        return all(word in text for word in words)

    found = _admitted(list(store.searchable(portal.clock()).values()), groups)
    if words:
        found = [record for record in found if mentioned(record)]
    _sort(portal, store, found, body["sorts"])
    names = body["properties"] or list(store.type.default_properties)
    answer: dict[str, Any] = {
        "total": len(found),
        "results": [portal.show(store, record, names) for record in found[start : start + limit]],
    }
    if start + limit < len(found):
        answer["paging"] = {"next": {"after": str(start + limit)}}
    return Answer(answer)


def _admitted(records: list[Record], groups: list[list[Filter]]) -> list[Record]:
    """The records that meet all filters of any group, or all records where there is none."""
    admitted: dict[str, Record] = {}
    for group in groups or [[]]:
        met = records
        for meets in group:
            met = [record for record in met if meets(record)]
        admitted |= {record.id: record for record in met}
    return list(admitted.values())


def _reader(portal: HubSpotPortal, store: RecordStore, prop: Property) -> Callable[[Record], Any]:
    """Reads one property of many records in the form in which it compares; None for a blank."""
    if prop.name == "hs_object_id":
        return lambda record: float(record.id)
    if prop.name == "createdate":
        return lambda record: milliseconds(record.created)
    if prop.name == store.type.modified:
        return lambda record: milliseconds(record.updated)
    read = portal.reader(store, prop.name)
    return lambda record: None if (value := read(record)) is None else _comparable(prop, value)


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


def _groups(portal: HubSpotPortal, store: RecordStore, raw: Any) -> list[list[Filter]]:
    if not isinstance(raw, list) or not all(isinstance(group, dict) and isinstance(group.get("filters"), list | None) for group in raw):
        raise refusals.invalid_json("Cannot deserialize value of `filterGroups`")
    filters = [group.get("filters") or [] for group in raw]
    if len(filters) > MOST_GROUPS or sum(map(len, filters)) > MOST_FILTERS or any(len(group) > MOST_FILTERS_IN_GROUP for group in filters):
        raise Refusal(400, f"At most {MOST_GROUPS} filter groups of {MOST_FILTERS_IN_GROUP} filters, {MOST_FILTERS} in all, are allowed")
    return [[_filter(portal, store, entry) for entry in group] for group in filters]


def _sort(portal: HubSpotPortal, store: RecordStore, found: list[Record], raw: Any) -> None:
    """Sort by the one property that is asked for, or by id: a sort that is text, as the specification has it, does nothing (seen live)."""
    found.sort(key=lambda record: int(record.id))
    if not raw:
        return
    if not isinstance(raw, list) or len(raw) > 1:
        raise Refusal(400, "Only one sort is allowed")
    if not isinstance(raw[0], dict):
        return
    prop, reverse = _known(store, str(raw[0].get("propertyName"))), raw[0].get("direction") == "DESCENDING"
    if prop.name == "hs_object_id" and not reverse:
        return
    read = _reader(portal, store, prop)

    def key(record: Record) -> tuple[bool, Any]:
        value = read(record)
        return (False, 0) if value is None else (True, value)

    found.sort(key=key, reverse=reverse)


def _known(store: RecordStore, name: str) -> Property:
    prop = store.properties.get(name)
    if prop is None:
        raise Refusal(
            400,
            "There was a problem with the request.",
            errors=[{"message": f"Property {name} does not exist", "code": "PROPERTY_DOESNT_EXIST", "context": {"propertyName": [name]}}],
        )
    return prop


def _filter(portal: HubSpotPortal, store: RecordStore, entry: Any) -> Filter:
    if not isinstance(entry, dict):
        raise refusals.invalid_json("Cannot deserialize value of `filters`")
    name, compares = str(entry.get("propertyName")), str(entry.get("operator"))
    prop = _known(store, name)
    make = _OPERATORS.get(compares)
    if make is None:
        raise refusals.invalid_json(f"Cannot deserialize value of type `FilterOperator` from {compares}")
    members = {"value": str, "values": list, "highValue": str}
    for member in _MEMBERS[compares]:
        if prop.type == "datetime" and isinstance(entry.get(member), str) and _comparable(prop, entry[member]) <= 0:
            raise Refusal(500, "internal error", category=None)
        if not isinstance(entry.get(member), members[member]):
            raise Refusal(400, f"{compares} needs {member} on property {name}")
    test = make(prop, entry)
    # The values of IN on text and options are compared as they are.
    read = portal.reader(store, name) if "values" in _MEMBERS[compares] and prop.type not in _NUMERIC else _reader(portal, store, prop)
    return lambda record: test(read(record))


def _equal(prop: Property, entry: Mapping[str, Any]) -> Test:
    wanted = _comparable(prop, entry["value"])
    return lambda value: value == wanted


def _one_of(prop: Property, entry: Mapping[str, Any]) -> Test:
    wanted = {str(value) for value in entry["values"]}
    if prop.type == "enumeration":
        return lambda value: value in wanted
    if prop.type not in _NUMERIC:
        return lambda value: value is not None and value.lower() in wanted
    compared = {_comparable(prop, value) for value in wanted}
    return lambda value: value in compared


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Property, Mapping[str, Any]], Test]:
    def make(prop: Property, entry: Mapping[str, Any]) -> Test:
        bound = _comparable(prop, entry["value"])
        return lambda value: value is not None and compare(value, bound)

    return make


def _between(prop: Property, entry: Mapping[str, Any]) -> Test:
    low, high = _comparable(prop, entry["value"]), _comparable(prop, entry["highValue"])
    return lambda value: value is not None and low <= value <= high


def _contains_token(_prop: Property, entry: Mapping[str, Any]) -> Test:
    pattern = re.compile(re.escape(entry["value"].lower()).replace(r"\*", ".*"))

    def test(value: Any) -> bool:
        text = str(value or "").lower()
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
    "LT": _ordered(operator.lt),
    "LTE": _ordered(operator.le),
    "GT": _ordered(operator.gt),
    "GTE": _ordered(operator.ge),
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
    """A value in the form in which its type compares. Raises Refusal for numbers and times that cannot be read."""
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
    return milliseconds((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
