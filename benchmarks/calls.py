"""How many calls does a sync make? 1,000 customers and 5,000 contacts, counted by the stand-ins' own journal.

A first load into two empty CRMs, the same partition again, the next hour with 1 % of the records edited (of the
contacts among them every tenth moves to another customer), and one with four edited, of an integration that only writes and of one of
which a field of the accounts comes back and another one goes into blanks only. Each is a real Dagster run in a process of its own,
with external keys and the CRMs' own rate limits. Every count is compared with the one in the assets' metadata. Beside them stands
what a batch costs more that fails as a whole.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from benchmarks.figures import Figure
from benchmarks.workbench import HOUR, Workbench, only_writing, workbench
from crm_pipeline.errors import ServiceUnavailableError
from crm_pipeline.halving import in_halves
from crm_pipeline.sandbox.journal import Call

CUSTOMERS, CONTACTS = 1_000, 5_000
LIMITS = {"salesforce": 45, "hubspot": 80}
"""The most calls that a first load may take (issue 2)."""

FEW_CUSTOMERS, FEW_CONTACTS = 100, 500
MOST_FOR_FEW = 3
"""The most calls to a CRM in an hour with a few changes of both objects: one to sign in, a write for each."""

WRITING = ("write", "associate")
PURPOSES: tuple[tuple[str, str, str], ...] = (
    ("salesforce", r"POST /services/oauth2/token", "sign_in"),
    ("salesforce", r"GET .*/sobjects/(?P<object>\w+)/describe", "describe"),
    ("salesforce", r"GET .*/query.*", "read"),
    ("salesforce", r"POST .*/composite/sobjects/(?P<object>\w+)", "read"),
    ("salesforce", r"PATCH .*/composite/sobjects/(?P<object>\w+)/\w+", "write"),
    ("salesforce", r"(POST|PATCH) .*/composite/sobjects", "write"),
    ("hubspot", r"GET /account-info/.*", "sign_in"),
    ("hubspot", r"GET /crm/v3/properties/(?P<object>\w+)", "describe"),
    ("hubspot", r"POST /crm/v3/objects/(?P<object>\w+)/(search|batch/read)", "read"),
    ("hubspot", r"GET /crm/v3/objects/(?P<object>\w+)", "read"),
    ("hubspot", r"POST /crm/v3/objects/(?P<object>\w+)/batch/(create|update|upsert)", "write"),
    ("hubspot", r"POST /crm/v4/associations/contacts/companies/batch/read", "read"),
    ("hubspot", r"POST /crm/v4/associations/contacts/companies/.*", "associate"),
)
"""What a call is for, by service and by method and path; the label is that of the product's own counters."""

FLOORS: dict[str, dict[tuple[str, str], float]] = {
    "salesforce": {
        ("sign_in", ""): 1,
        ("describe", "Account"): 1,
        ("describe", "Contact"): 1,
        ("write", "Account"): CUSTOMERS / 200,
        ("write", "Contact"): CONTACTS / 200,
    },
    "hubspot": {
        ("describe", "companies"): 1,
        ("describe", "contacts"): 1,
        ("write", "companies"): CUSTOMERS / 100,
        ("write", "contacts"): CONTACTS / 100,
        ("associate", ""): CONTACTS / 1_000,
    },
}
"""The fewest calls of a first load: sign-in, one description per object, and full batches of 200, 100 and 1,000."""

BATCHES = {"salesforce": 200, "hubspot": 100}
"""The rows of a full write."""

Counts = Counter[tuple[str, str]]


def measure(scale: float) -> list[Figure]:
    """The calls of the three runs; ``scale`` shrinks the tenant, and floors and limits are then only told for its full size."""
    customers, contacts = math.ceil(CUSTOMERS * scale), math.ceil(CONTACTS * scale)
    with workbench(customers=customers, contacts=contacts, crm_limits=True, hours=3) as bench:
        figures = [*_first_load(bench, full=scale == 1), *_same_again(bench), *_one_percent(bench)]
        figures += _few_changes(bench, "4 changes, fields are read", limit=None)
    with workbench(customers=FEW_CUSTOMERS, contacts=FEW_CONTACTS, crm_limits=True, hours=3, also=only_writing) as bench:
        bench.run(0)
        figures += _few_changes(bench, "an hour with 4 changes", limit=MOST_FOR_FEW)
    return [*figures, *_down()]


def _first_load(bench: Workbench, *, full: bool) -> Iterator[Figure]:
    name = "first load"
    calls = _run(bench, 0)
    for service, counts in calls.items():
        floors = FLOORS[service] if full else {}
        for purpose, of_object in sorted({*counts, *floors}):
            floor = floors.get((purpose, of_object), 0) if full else None
            title = f"{name}, {service}: {purpose} {of_object}".rstrip()
            yield Figure("calls", title, counts[purpose, of_object], floor=floor)
        yield Figure(
            "calls",
            f"{name}, {service}: all calls",
            counts.total(),
            limit=LIMITS[service] if full else None,
            floor=sum(floors.values()) if full else None,
        )
    yield from _agreement(bench, calls, name)
    yield Figure("calls", f"{name}: records without the outcome created", _other_than(bench, "created"), limit=0)


def _same_again(bench: Workbench) -> Iterator[Figure]:
    name = "the same again"
    calls = _run(bench, 0)
    for service, counts in calls.items():
        yield Figure("calls", f"{name}, {service}: write calls", _writes(counts), limit=0, floor=0)
        yield Figure("calls", f"{name}, {service}: all calls", counts.total())
    yield from _agreement(bench, calls, name)
    yield Figure("calls", f"{name}: records without the outcome unchanged", _other_than(bench, "unchanged"), limit=0)


def _one_percent(bench: Workbench) -> Iterator[Figure]:
    name = "1 % edited"
    edited = edit_one_percent(bench)
    calls = _run(bench, 1)
    for service, counts in calls.items():
        written = {key: count for key, count in counts.items() if key[0] in WRITING}
        for (purpose, of_object), count in sorted(written.items()):
            # A write by id names no object in its path: one for accounts and one for contacts. Contacts that move join one
            # company and leave another: a call to make the pairs, and one to end them.
            most = 1 if of_object else 2
            yield Figure("calls", f"{name}, {service}: {purpose} {of_object}".rstrip(), count, limit=most, floor=most)
        yield Figure("calls", f"{name}, {service}: all calls", counts.total())
    for asset, metadata in bench.materializations().items():
        if "calls_by_purpose" in metadata:
            written_calls = metadata["calls_by_purpose"].get("write", 0)
            yield Figure("calls", f"{name}, {asset}: write calls by our own count", written_calls, limit=1, floor=1)
    updated = sum(metadata.get("updated", 0) for metadata in bench.materializations().values())
    yield from _agreement(bench, calls, name)
    yield Figure("calls", f"{name}: edited records not updated in both CRMs", 2 * edited - updated, limit=0)


def _few_changes(bench: Workbench, name: str, *, limit: int | None) -> Iterator[Figure]:
    """The usual hour: two customers and two contacts were edited. A token, or who we are, and a write for each object.

    Where fields come back, they are read before and after the write, and described before; what goes into blanks only is read before.
    """
    tenant, at = bench.sandbox.tenant, int((bench.start + 2 * HOUR).timestamp()) + 600
    for customer, contact in zip(tenant.customers()[1:3], tenant.contacts()[1:3], strict=True):
        tenant.edit_customer(customer["id"], comments="Edited by the benchmark.", at=at)
        tenant.edit_contact(contact["id"], last_name="Edited", at=at)
    calls = _run(bench, 2)
    for service, counts in calls.items():
        for (purpose, of_object), count in sorted(counts.items()):
            yield Figure("calls", f"{name}, {service}: {purpose} {of_object}".rstrip(), count)
        yield Figure("calls", f"{name}, {service}: all calls", counts.total(), limit=limit, floor=limit)
    updated = sum(metadata.get("updated", 0) for metadata in bench.materializations().values())
    yield from _agreement(bench, calls, name)
    yield Figure("calls", f"{name}: edited records not updated in both CRMs", 8 - updated, limit=0)


def _down() -> Iterator[Figure]:
    """What a full batch costs more where the CRM fails on everything, and where it fails on one record."""
    for service, rows in BATCHES.items():
        limit = math.floor(2 * math.log2(rows) + 2)
        for name, poison in (("down", range(rows)), ("failing on one record", range(1))):
            yield Figure("calls", f"{service} is {name}: calls beyond that of a full batch", _halving_calls(rows, set(poison)), limit=limit)


def _halving_calls(rows: int, poison: set[int]) -> int:
    calls = 0

    def ask() -> bool:
        nonlocal calls
        calls += 1
        return len(poison) < rows

    def send(items: Sequence[int], /, *, again: bool) -> None:  # noqa: ARG001 - as every send
        if ask() and poison.isdisjoint(items):
            return
        raise ServiceUnavailableError("fails", integration="benchmark", service="crm")

    with suppress(ServiceUnavailableError):
        list(in_halves(range(rows), send, repeatable=True, is_up=ask))
    return calls - 1


def edit_one_percent(bench: Workbench) -> int:
    """Edit every hundredth customer and contact in the second partition's hour; returns how many records those are."""
    tenant, at = bench.sandbox.tenant, int((bench.start + HOUR).timestamp()) + 600
    customers, contacts = tenant.customers(), tenant.contacts()
    for customer in customers[::100]:
        tenant.edit_customer(customer["id"], comments="Edited by the benchmark.", at=at)
    for number, contact in enumerate(contacts[::100]):
        moved = {} if number % 10 else {"customer_ids": [customers[-1]["id"]]}
        tenant.edit_contact(contact["id"], last_name="Edited", at=at, **moved)
    return len(customers[::100]) + len(contacts[::100])


def _run(bench: Workbench, hour: int) -> dict[str, Counts]:
    bench.sandbox.journal.clear()
    bench.run(hour)
    return {service: Counter(_purpose(call) for call in bench.sandbox.journal.calls(service)) for service in LIMITS}


def _purpose(call: Call) -> tuple[str, str]:
    for service, pattern, label in PURPOSES:
        matched = re.fullmatch(pattern, f"{call.method} {call.path}")
        if service == call.service and matched:
            return label, matched.groupdict().get("object") or ""
    return "unknown", f"{call.method} {call.path}"


def _writes(counts: Counts) -> int:
    return sum(count for (label, _), count in counts.items() if label in WRITING)


def _agreement(bench: Workbench, calls: dict[str, Counts], name: str) -> Iterator[Figure]:
    """How far the assets' own counts are from the journal's."""
    told: Counter[str] = Counter()
    for asset, metadata in bench.materializations().items():
        told[asset.partition("/")[0]] += int(metadata.get("calls", 0))
    for service, counts in calls.items():
        yield Figure("calls", f"{name}, {service}: calls that our own counters miss", abs(counts.total() - told[service]), limit=0)


def _other_than(bench: Workbench, outcome: str) -> int:
    loads: list[dict[str, Any]] = [metadata for metadata in bench.materializations().values() if outcome in metadata]
    return sum(int(metadata["dagster/row_count"]) - int(metadata[outcome]) for metadata in loads)
