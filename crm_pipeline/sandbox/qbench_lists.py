"""Which records does a list hold, on which page, and how are they shown?"""

from __future__ import annotations

import base64
import json
import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal
from zoneinfo import ZoneInfo

from starlette.requests import Request

from crm_pipeline.sandbox.qbench_access import refused
from crm_pipeline.sandbox.qbench_fields import FIELDS
from crm_pipeline.sandbox.tenant import Kind, QBenchTenant, Record

DEFAULT_PAGE_SIZE = 20
LARGEST_PAGE_SIZE = 50
"""A larger page is refused, not cut short [assumed]."""

PAGE_PARAMETERS = frozenset({"page_num", "page_size"})
LIST_PARAMETERS = PAGE_PARAMETERS | {
    "sort_by",
    "sort_order",
    "last_updated",
    "include_deleted",
    "additional_fields_encoded",
    "integration_ids[]",
    "not_integration_ids[]",
}
PARAMETERS: Mapping[Kind, frozenset[str]] = {
    "customers": LIST_PARAMETERS | {"name_keyword", "statuses[]", "customer_ids[]", "contact_ids[]"},
    "contacts": LIST_PARAMETERS
    | {"first_name", "last_name", "customer_id", "customer_integration_ids[]", "customer_ids[]", "email_addresses[]"},
}
"""The documented parameters, but for tags, doctors and kinds of record that the tenant does not hold.

An array may be spelt with brackets, as users do, or without, as in the OpenAPI document; whether the vendor takes both is assumed.
"""
INCLUDED: Mapping[str | None, str] = {None: "live", "TRUE": "all", "DELETED_ONLY": "deleted"}
NESTED: Mapping[Kind, tuple[str, ...]] = {
    "customers": ("id", "customer_name"),
    "contacts": ("id", "first_name", "last_name", "email_address"),
}

Keys = list[tuple[int, ...]]


def read_query(request: Request, *, allowed: frozenset[str]) -> dict[str, list[str]]:
    """The parameters by name; one that the list does not know is refused, so that a misspelt filter never passes [assumed]."""
    query: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        query.setdefault(f"{name}[]" if f"{name}[]" in allowed else name, []).append(value)
    unknown = sorted(set(query) - allowed)
    if unknown:
        raise refused(
            400,
            "bad_request",
            "unknown parameters",
            errors=[{"loc": [name], "msg": "unknown parameter", "type": "value_error.extra"} for name in unknown],
        )
    return query


def read_choice(query: Mapping[str, list[str]], name: str, choices: tuple[str, ...], *, default: str | None = None) -> str | None:
    """A parameter that takes one of some values; any other is refused."""
    value = query.get(name, [default])[-1]
    if value is not None and value not in choices:
        raise refused(400, "bad_request", f"{name} is none of its values")
    return value


def read_number(query: Mapping[str, list[str]], name: str, *, default: int | None, least: int = 0, most: int | None = None) -> int | None:
    """A parameter that takes digits within bounds; anything else is refused."""
    if name not in query:
        return default
    text = query[name][-1]
    if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
        raise refused(400, "bad_request", f"{name} is out of range")
    return int(text)


def read_numbers(query: Mapping[str, list[str]], name: str) -> set[int]:
    """The ids in an array parameter; anything else is refused."""
    values = query.get(name, [])
    if not all(value.isdecimal() for value in values):
        raise refused(400, "bad_request", f"{name} is to hold ids")
    return {int(value) for value in values}


def selected(tenant: QBenchTenant, kind: Kind, query: Mapping[str, list[str]]) -> tuple[Keys, int]:
    """Keys of the records asked for, in ascending order, and the position of the first; a key ends with the record's id."""
    table = tenant.tables[kind]
    which = INCLUDED[read_choice(query, "include_deleted", ("TRUE", "DELETED_ONLY"), default=None)]
    sort_by = _sort_field(tenant, kind, query)
    bound = read_number(query, "last_updated", default=None)
    wanted = _filter(tenant, kind, query)
    keys, first = table.by_update(which), 0
    if bound is not None:
        first = bisect_left(keys, (bound,) if tenant.last_updated_bound == ">=" else (bound + 1,))
    if sort_by == "id" and bound is None:
        keys = table.by_id(which)
    elif sort_by != "last_updated":
        keys, first = sorted(((key[-1],) for key in keys[first:]), key=lambda key: (_order(table.rows[key[0]][sort_by]), key)), 0
    if wanted is not None:
        keys, first = [key for key in keys[first:] if wanted(key[-1])], 0
    return keys, first


def _sort_field(tenant: QBenchTenant, kind: Kind, query: Mapping[str, list[str]]) -> str:
    known = ("id", "last_updated", *FIELDS[kind], *tenant.additional_fields[kind])
    field = read_choice(query, "sort_by", (*known, "date_created") if kind == "customers" else known, default="id")
    return "id" if tenant.ignore_sort or field is None else field


def _order(value: Any) -> tuple[int, float, str]:
    return (0, value, "") if isinstance(value, int | float) else (1, 0, str(value or ""))


def _filter(tenant: QBenchTenant, kind: Kind, query: Mapping[str, list[str]]) -> Callable[[int], bool] | None:
    """What the parameters beside dates ask for, as a test of a record's id; None where there are none."""
    if tenant.ignore_filters:
        return None
    tests: list[Callable[[int], bool]] = []
    rows = tenant.tables[kind].rows
    linked = partial(_linked_ids, tenant)
    if "integration_ids[]" in query:
        tests.append(linked(kind, read_numbers(query, "integration_ids[]")).__contains__)
    if "not_integration_ids[]" in query:
        unwanted = linked(kind, read_numbers(query, "not_integration_ids[]"))
        tests.append(lambda record_id: record_id not in unwanted)
    if "additional_fields_encoded" in query:
        fields = _additional_fields(tenant, kind, query["additional_fields_encoded"][-1])
        tests.append(lambda record_id: all(rows[record_id].get(name) == value for name, value in fields.items()))
    tests += _customer_tests(tenant, query) if kind == "customers" else _contact_tests(tenant, query)
    if len(tests) == 1:
        return tests[0]
    return (lambda record_id: all(test(record_id) for test in tests)) if tests else None


def _customer_tests(tenant: QBenchTenant, query: Mapping[str, list[str]]) -> Iterator[Callable[[int], bool]]:
    rows = tenant.tables["customers"].rows
    if "name_keyword" in query:
        word = query["name_keyword"][-1].casefold()
        yield lambda record_id: word in (rows[record_id]["customer_name"] or "").casefold()
    if "statuses[]" in query:
        statuses = set(query["statuses[]"])
        yield lambda record_id: rows[record_id]["status"] in statuses
    if "customer_ids[]" in query:
        yield read_numbers(query, "customer_ids[]").__contains__
    if "contact_ids[]" in query:
        contacts = read_numbers(query, "contact_ids[]")
        yield lambda record_id: not contacts.isdisjoint(tenant.contact_ids[record_id])


def _contact_tests(tenant: QBenchTenant, query: Mapping[str, list[str]]) -> Iterator[Callable[[int], bool]]:
    rows = tenant.tables["contacts"].rows
    for name in ("first_name", "last_name"):
        if name in query:
            word = query[name][-1].casefold()
            yield lambda record_id, name=name, word=word: word == (rows[record_id][name] or "").casefold()  # type: ignore[misc]
    if "customer_integration_ids[]" in query:
        customers = _linked_ids(tenant, "customers", read_numbers(query, "customer_integration_ids[]"))
        yield lambda record_id: not customers.isdisjoint(tenant.customer_ids[record_id])
    for name in ("customer_ids[]", "customer_id"):
        if name in query:
            asked = read_numbers(query, name)
            yield lambda record_id, asked=asked: not asked.isdisjoint(tenant.customer_ids[record_id])  # type: ignore[misc]
    if "email_addresses[]" in query:
        addresses = set(query["email_addresses[]"])
        yield {record_id for record_id, row in rows.items() if row["email_address"] in addresses}.__contains__


def _additional_fields(tenant: QBenchTenant, kind: Kind, encoded: str) -> Mapping[str, Any]:
    """The values by field that a base64 text of a JSON object asks for, as v1 documents it for samples; for others assumed.

    A name that is no additional field is refused, and so is anything else [assumed].
    """
    try:
        fields = json.loads(base64.b64decode(encoded, validate=True))
    except ValueError:
        fields = None
    if not isinstance(fields, dict) or not fields.keys() <= set(tenant.additional_fields[kind]):
        raise refused(400, "bad_request", "additional_fields_encoded names no additional fields")
    return fields


def _linked_ids(tenant: QBenchTenant, kind: Kind, integrations: set[int]) -> set[int]:
    return {record_id for integration, record_id in tenant.integration_links[kind] if integration in integrations}


def page(
    query: Mapping[str, list[str]],
    keys: Keys,
    show: Callable[[tuple[int, ...]], Any],
    *,
    first: int = 0,
    order: Literal["up", "down"] = "up",
    longest: int = LARGEST_PAGE_SIZE,
) -> Record:
    """One page of a list, from the keys at ``first`` and behind; pages run over the data as it is now, each at most ``longest``."""
    number = read_number(query, "page_num", default=1, least=1) or 1
    size = read_number(query, "page_size", default=DEFAULT_PAGE_SIZE, least=1, most=LARGEST_PAGE_SIZE) or DEFAULT_PAGE_SIZE
    size = min(size, longest)
    total = len(keys) - first
    if order == "up":
        start = first + (number - 1) * size
        chosen = keys[start : start + size]
    else:
        end = max(len(keys) - (number - 1) * size, first)
        chosen = keys[max(end - size, first) : end][::-1]
    return {
        "data": [show(key) for key in chosen],
        "page_number": number,
        "total_count": total,
        "total_pages": math.ceil(total / size),
    }


def shown(tenant: QBenchTenant, kind: Kind, record_id: int) -> Record:
    """A record as the API answers it."""
    if (kind, record_id) in tenant.unshowable:
        raise refused(500, "internal_error", "the record cannot be shown")
    row = dict(tenant.tables[kind].rows[record_id])
    for name in ("date_created", "last_updated"):
        if isinstance(row.get(name), int):
            row[name] = _date(row[name], form=tenant.date_form, zone=tenant.time_zone)
    if kind == "customers":
        contacts = tenant.tables["contacts"].rows
        row["contacts"] = [{name: contacts[key][name] for name in NESTED["contacts"]} for key in tenant.live_contacts_of(record_id)]
    elif tenant.customers_form != "absent":
        row["customers"] = [_nested_customer(tenant, key) for key in tenant.live_customers_of(record_id)]
    return row | tenant.disguises.get((kind, record_id), {})


def _nested_customer(tenant: QBenchTenant, customer_id: int) -> Any:
    row = tenant.tables["customers"].rows[customer_id]
    short = {name: row[name] for name in NESTED["customers"]}
    forms: Mapping[str, Any] = {"id": short, "data": {"data": short}, "customer_id": {"customer_id": customer_id}, "bare": customer_id}
    return forms[tenant.customers_form]


def _date(seconds: int, *, form: str, zone: str) -> int | str:
    if form == "unix":
        return seconds
    if form == "digits":
        return str(seconds)
    if form == "iso":
        return datetime.fromtimestamp(seconds, tz=UTC).isoformat()
    local = datetime.fromtimestamp(seconds, tz=ZoneInfo(zone)).replace(tzinfo=None)
    return local.strftime("%m/%d/%Y %I:%M %p") if form == "us" else local.isoformat()
