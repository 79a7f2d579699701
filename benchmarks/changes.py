"""What does it cost to bring home what people change in the CRMs? Calls, CPU and memory, beside their limits.

An hour in which nothing changed in either CRM; 1,000 of 10,000 contacts that were edited in Salesforce; 10,000 and 100,000, for the
memory; 50,000 whose stamps moved though nobody changed them; and 5,000 that a data loader changed, which nobody allowed. Each is a Dagster
run in a process of its own. The stand-ins are in this process and PostgreSQL in others, so that the CPU and the memory told are the
product's and Dagster's alone. All four fields of a contact that people see go both ways.
"""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from benchmarks.figures import Figure
from benchmarks.variables import SPEC_VARIABLE
from benchmarks.workbench import HOUR, INTEGRATION, BenchmarkError, Workbench, Worker, only, workbench
from crm_pipeline.errors import TooManyChangesError
from crm_pipeline.sandbox.journal import Call

CONTACTS, CHANGED = 10_000, 1_000
MOST_CHANGED, MOVED, LOADED = 100_000, 50_000, 5_000
CONTACTS_PER_CUSTOMER = 10
RUNS = 3
HOURS = 10

MOST_CPU_SECONDS = 1.0
"""Of 1,000 changed contacts, above a run with one: that pays for all that a run with changes needs at all."""
MOST_MB = 600
NOISE = 1.10
"""How much more the peak may be for ten times the changes."""
PATCHED_AT_ONCE, PAGE = 50, 2_000
ANY_NUMBER = {"most_changed": 10**9, "most_changed_share": 1.0}
BOTH_WAYS = ("email", "first_name", "last_name", "phone")


def measure(scale: float) -> list[Figure]:
    """The figures of all; ``scale`` shrinks the numbers of contacts, and with them the limits that depend on those."""
    return [*_usual(scale), *_many(scale)]


def _usual(scale: float) -> Iterator[Figure]:
    """Hours without changes, and one in which a tenth of the contacts was edited in Salesforce."""
    contacts, changed = math.ceil(CONTACTS * scale), math.ceil(CHANGED * scale)
    with workbench(
        customers=math.ceil(contacts / CONTACTS_PER_CUSTOMER), contacts=contacts, crm_limits=True, hours=HOURS, also=both_ways
    ) as bench:
        bench.run(0)
        _home(bench, 0)
        idle = statistics.median(_home(bench, 1).cpu_seconds for _ in range(RUNS))
        calls = _calls(bench)
        yield Figure("changes", "hour without changes: calls to Salesforce beside sign-in", len(calls["salesforce"]), limit=1, floor=1)
        yield Figure("changes", "hour without changes: searches of HubSpot", len(calls["hubspot"]), limit=2, floor=2)
        yield Figure("changes", "hour without changes: calls to QBench", len(calls["qbench"]), limit=0)
        ones, manies = [], []
        for hour in range(2, 2 + 2 * RUNS, 2):
            ones.append(_changed(bench, hour, 1).cpu_seconds)
            manies.append(_changed(bench, hour + 1, changed).cpu_seconds)
        one, many = statistics.median(ones), statistics.median(manies)
        calls = _calls(bench)
        name = f"{changed:,} contacts changed in Salesforce"
        pages, batches = math.ceil(changed / PAGE), math.ceil(changed / PATCHED_AT_ONCE)
        queries, writes = _read(calls["salesforce"]), _written(calls["qbench"])
        yield Figure("changes", f"{name}: reads of Salesforce", len(queries), limit=1 + pages, floor=pages)
        yield Figure("changes", f"{name}: other calls to Salesforce", len(calls["salesforce"]) - len(queries))
        yield Figure("changes", f"{name}: PATCH calls", len(writes), limit=batches, floor=batches)
        yield Figure("changes", f"{name}: fresh reads of QBench", len(calls["qbench"]) - len(writes), limit=batches + 1, floor=batches)
        yield Figure("changes", f"{name}: contacts that did not arrive", _missing(bench, changed), limit=0)
        yield Figure("changes", "CPU of a run without changes", idle, unit="s")
        yield Figure("changes", "CPU of a run with one change, above that", one - idle, unit="s")
        yield Figure("changes", f"CPU of {name}, above a run with one", many - one, unit="s", limit=MOST_CPU_SECONDS * changed / CHANGED)


def _many(scale: float) -> Iterator[Figure]:
    """Hours in which the better part of the contacts changed in Salesforce, or seemed to."""
    most = math.ceil(MOST_CHANGED * scale)
    tenth, moved, loaded = math.ceil(most / 10), math.ceil(MOVED * scale), math.ceil(LOADED * scale)
    with workbench(
        customers=math.ceil(most / CONTACTS_PER_CUSTOMER),
        contacts=most,
        crm_limits=False,
        hours=HOURS,
        also=lambda attributes: only(both_ways(attributes), crm="salesforce"),
    ) as bench:
        bench.run(0)
        _home(bench, 0)
        few, all_ = _changed(bench, 1, tenth), _changed(bench, 2, most)
        yield Figure("changes", f"peak at {tenth:,} changed contacts", few.peak_mb, unit="MB", limit=MOST_MB)
        yield Figure("changes", f"peak at {most:,} changed contacts", all_.peak_mb, unit="MB", limit=MOST_MB)
        yield Figure("changes", "peak of the second by that of the first", all_.peak_mb / few.peak_mb, limit=NOISE)
        yield Figure("changes", f"CPU at {most:,} changed contacts, per 1,000", 1_000 * all_.cpu_seconds / most, unit="s")
        yield Figure("changes", f"run at {most:,} changed contacts", all_.seconds, unit="s")
        yield Figure("changes", "contacts that did not arrive", _missing(bench, most), limit=0)
        yield from _moved(bench, 3, moved)
        yield from _stopped(bench, 4, loaded)


def _changed(bench: Workbench, hour: int, changed: int) -> Worker:
    """Edit contacts in an hour, and bring them home."""
    _edit(bench, hour, range(changed))
    return _home(bench, hour)


def _moved(bench: Workbench, hour: int, count: int) -> Iterator[Figure]:
    org = bench.sandbox.org
    org.touch("Contact", [record["Id"] for record in org.records("Contact")[:count]], at=_within(bench, hour))
    cost = _home(bench, hour)
    calls = _calls(bench)
    # Behind a full page there may be another one; and Salesforce is asked which organization it is.
    most, name = count // PAGE + 2, f"{count:,} stamps moved without a change"
    yield Figure("changes", f"{name}: reads of Salesforce", len(_read(calls["salesforce"])), limit=most, floor=math.ceil(count / PAGE))
    yield Figure("changes", f"{name}: PATCH calls", len(_written(calls["qbench"])), limit=0)
    yield Figure("changes", f"{name}: all calls to QBench", len(calls["qbench"]), limit=0)
    yield Figure("changes", f"{name}: CPU per 1,000", 1_000 * cost.cpu_seconds / count, unit="s")


def _stopped(bench: Workbench, hour: int, count: int) -> Iterator[Figure]:
    """More than a run may change: it is to fail, and to have written nothing."""
    _edit(bench, hour, range(count))
    spec = json.loads(bench.environment[SPEC_VARIABLE])
    guarded = json.dumps({name: value for name, value in spec.items() if name != "from_crms"})
    try:
        _home(bench, hour, settings={SPEC_VARIABLE: guarded})
    except BenchmarkError as error:
        stopped = TooManyChangesError.__name__ in str(error)
    else:
        stopped = False
    name = f"{count:,} contacts changed by a loader"
    yield Figure("changes", f"{name}: runs that were not stopped", int(not stopped), limit=0)
    yield Figure("changes", f"{name}: calls to QBench", len(_calls(bench)["qbench"]), limit=0)


def _home(bench: Workbench, hour: int, **others: Any) -> Worker:
    """Bring home what changed in an hour."""
    bench.sandbox.journal.clear()
    return bench.run(hour, job=f"{INTEGRATION}__from_crms", **others)


def _edit(bench: Workbench, hour: int, which: range) -> None:
    """Give contacts of Salesforce another last name, within the hour."""
    org, at = bench.sandbox.org, _within(bench, hour)
    for record in org.records("Contact")[which.start : which.stop]:
        org.update("Contact", record["Id"], {"LastName": f"Edited {hour}"}, at=at)


def _within(bench: Workbench, hour: int) -> datetime:
    return bench.start + hour * HOUR + timedelta(minutes=10)


def _missing(bench: Workbench, changed: int) -> int:
    """How many of the contacts that were edited in Salesforce are not so in QBench."""
    names: list[str] = [contact["last_name"] for contact in bench.sandbox.tenant.contacts()]
    return changed - sum(name.startswith("Edited") for name in names)


def _calls(bench: Workbench) -> dict[str, list[Call]]:
    """The calls of the last run, sign-in left out."""
    signs_in = ("/token", "/account-info/v3/details")
    calls = bench.sandbox.journal.calls()
    return {
        service: [call for call in calls if call.service == service and not call.path.endswith(signs_in)]
        for service in ("qbench", "salesforce", "hubspot")
    }


def _read(calls: list[Call]) -> list[Call]:
    """Salesforce's queries, that for its organization among them, and composites of queries."""
    return [call for call in calls if re.search(r"/(query|composite)/?$", call.path)]


def _written(calls: list[Call]) -> list[Call]:
    return [call for call in calls if call.method in {"PATCH", "POST"}]


def both_ways(attributes: dict[str, Any]) -> dict[str, Any]:
    """The integration with all that people see of a contact going both ways, and as many changes allowed as there are."""
    contacts = attributes["contacts"]
    fields = {name: {"from": contacts["map"][name], "direction": "both"} for name in BOTH_WAYS}
    return {**attributes, "from_crms": ANY_NUMBER, "contacts": {**contacts, "map": {**contacts["map"], **fields}}}
