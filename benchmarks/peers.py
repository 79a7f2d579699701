"""What do loads cost that a capable user writes with dlt, or with nothing, beside the product's own?

Each loads the same records of QBench into two empty CRMs of its own, then runs for hours in which nothing changed, and for one in which two
customers and two contacts did; no record is read before a write. The peers are in ``peer_scripts``. They do less: they keep no links,
know nothing of records that were there before, of merged and of refused ones, and write a record again whenever it comes again. CPU is
that of all processes of a run, start and imports included; PostgreSQL's is left out, which the peers do not use.
"""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from uv import find_uv_bin

import benchmarks.peer_scripts
from benchmarks.figures import Figure
from benchmarks.workbench import HOUR, BenchmarkError, Workbench, Worker, only_writing, workbench

SIZES = ((1_000, 5_000), (2_000, 20_000))
"""Customers and contacts."""
FIRST_LOADS = 4
"""Each into CRMs of its own and followed by idle runs; the least of each counts: what else a machine does only adds, by a third at times
(docs.python.org/3/library/timeit.html on Timer.repeat)."""
IDLE_RUNS = 2
CHANGED_HOUR = IDLE_RUNS + 1
CHANGED = 2
"""How many customers, and how many contacts of others."""
SERVICES = ("qbench", "salesforce", "hubspot")
MOST_CPU_SECONDS = 0.30
CHANGES = f"hour with {2 * CHANGED} changes"
MOST_CALLS = MappingProxyType({(CHANGES, "salesforce"): 3, (CHANGES, "hubspot"): 3})
OURS = "crm-pipeline"
SCRIPTS = Path(benchmarks.peer_scripts.__file__).parent
PRIMARY_COMPANY = 1

Run = Callable[[Workbench, int], Worker]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one of them took for so many records: CPU seconds, calls by the run and the service, and records that are wrong afterwards."""

    name: str
    records: int
    first_cpu: float
    idle_cpu: float
    calls: Mapping[tuple[str, str], int]
    wrong: int


def measure(scale: float) -> list[Figure]:
    """CPU and calls of each; ``scale`` shrinks the tenants. Raises BenchmarkError where dlt cannot be had."""
    with_dlt = _python_of_dlt()
    runs: Mapping[str, Run] = {
        OURS: lambda bench, hour: bench.run(hour),
        "dlt": lambda bench, _hour: _peer(bench, with_dlt, "dlt_pipeline"),
        "bare script": lambda bench, _hour: _peer(bench, sys.executable, "bare_script", str(bench.home / "read_to.json")),
    }
    sizes = [(math.ceil(customers * scale), math.ceil(contacts * scale)) for customers, contacts in SIZES]
    few, many = ([_measured(name, run, *size) for name, run in runs.items()] for size in sizes)
    return [*_figures(few), *_figures(many), *map(_further, few, many)]


def _measured(name: str, run: Run, customers: int, contacts: int) -> Measured:
    bench_of = partial(workbench, customers=customers, contacts=contacts, crm_limits=False, hours=CHANGED_HOUR + 1, also=only_writing)
    first, idle, calls, wrong = math.inf, math.inf, {}, 0
    for _ in range(FIRST_LOADS):
        with bench_of() as bench:
            costs, counted = zip(*(_counted(run, bench, hour) for hour in range(CHANGED_HOUR)), strict=True)
            _change(bench, CHANGED_HOUR)
            _, changed_calls = _counted(run, bench, CHANGED_HOUR)
            first, idle = min(first, costs[0].cpu_seconds), min(idle, *(cost.cpu_seconds for cost in costs[1:]))
            by_run = {"first load": counted[0], "idle hour": counted[-1], CHANGES: changed_calls}
            calls = {(what, service): counts[service] for what, counts in by_run.items() for service in SERVICES}
            wrong = max(wrong, _wrong(bench))
    return Measured(name=name, records=customers + contacts, first_cpu=first, idle_cpu=idle, calls=calls, wrong=wrong)


def _figures(all_: Sequence[Measured]) -> Iterator[Figure]:
    """The figures for one number of records, of each beside those of the others."""
    for one in all_:
        above = 1_000 * (one.first_cpu - one.idle_cpu) / one.records
        yield _figure(one, "CPU of a first load above an idle run, per 1,000", above, unit="s", limit=MOST_CPU_SECONDS)
    for one in all_:
        yield _figure(one, "CPU of an idle run", one.idle_cpu, unit="s")
    for what, service in all_[0].calls:
        for one in all_:
            yield _figure(one, f"{what}, calls to {service}", one.calls[what, service], limit=MOST_CALLS.get((what, service)))
    for one in all_:
        yield Figure("peers", f"{one.records:,} records, not in a CRM as in QBench: {one.name}", one.wrong, limit=0)


def _further(few: Measured, many: Measured) -> Figure:
    """What more records cost: without what a first load costs once, as the making of the database's tables."""
    per_thousand = 1_000 * (many.first_cpu - few.first_cpu) / (many.records - few.records)
    return _figure(many, f"CPU per 1,000 of those beyond {few.records:,}", per_thousand, unit="s", limit=MOST_CPU_SECONDS)


def _figure(one: Measured, what: str, value: float, *, unit: str = "", limit: float | None = None) -> Figure:
    """A figure, whose limit is the product's alone."""
    return Figure("peers", f"{one.records:,} records, {what}: {one.name}", value, unit=unit, limit=limit if one.name == OURS else None)


def _counted(run: Run, bench: Workbench, hour: int) -> tuple[Worker, Counter[str]]:
    """What a run cost, and how many calls each service answered."""
    bench.sandbox.journal.clear()
    cost = run(bench, hour)
    return cost, Counter(call.service for call in bench.sandbox.journal.calls())


def _peer(bench: Workbench, python: str, script: str, *arguments: str) -> Worker:
    """Run a script of a peer, which keeps what it knows in the bench's folder."""
    settings = {
        "QBENCH_URL": bench.sandbox.qbench_url,
        "SALESFORCE_URL": bench.sandbox.salesforce_url,
        "HUBSPOT_URL": bench.sandbox.hubspot_url,
        "DLT_DATA_DIR": str(bench.home / "dlt"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }
    return bench.measured([python, "-m", f"{SCRIPTS.parent.name}.{SCRIPTS.name}.{script}", *arguments], settings=settings)


def _python_of_dlt() -> str:
    """The Python of an environment that has what dlt's script names, made where there is none, of the version that runs this."""
    script = str(SCRIPTS / "dlt_pipeline.py")
    installing = ("sync", "--compile-bytecode", "--python", sys.executable, "--script", script)
    for command in (installing, ("python", "find", "--script", script)):
        ended = subprocess.run([find_uv_bin(), *command], capture_output=True, text=True, check=False)
        if ended.returncode:
            remedy = f"where packages can be had, run: uv {' '.join(installing)}"
            raise BenchmarkError(f"dlt, which is measured beside the product, is not there; {remedy}\n{ended.stderr}")
    return ended.stdout.strip()


def _change(bench: Workbench, hour: int) -> None:
    """Edit the first customers, and the last contacts, which belong to others."""
    tenant, at = bench.sandbox.tenant, int((bench.start + hour * HOUR).timestamp()) + 600
    for customer in tenant.customers()[:CHANGED]:
        tenant.edit_customer(customer["id"], comments="Edited by the benchmark.", at=at)
    for contact in tenant.contacts()[-CHANGED:]:
        tenant.edit_contact(contact["id"], last_name="Edited", at=at)


def _wrong(bench: Workbench) -> int:
    """How many records a CRM lacks, has too many, or with other values or another customer than QBench.

    Phone numbers and countries are not compared, which the product alone writes in one form.
    """
    should, there = Counter(_wanted(bench)), Counter([*_in_salesforce(bench), *_in_hubspot(bench)])
    return max((should - there).total(), (there - should).total())


def _wanted(bench: Workbench) -> Iterator[tuple[Any, ...]]:
    for crm in ("salesforce", "hubspot"):
        for row in bench.sandbox.tenant.customers():
            values = (row[name] for name in ("customer_name", "comments", "website", "address", "city_name", "zip_postal_code"))
            yield (crm, "account", str(row["id"]), *values)
        for row in bench.sandbox.tenant.contacts():
            values = (row[name] for name in ("email_address", "first_name", "last_name", "contact_street", "contact_city", "contact_zip"))
            yield (crm, "contact", str(row["id"]), *values, tuple(str(customer) for customer in row["customer_ids"]))


def _in_salesforce(bench: Workbench) -> Iterator[tuple[Any, ...]]:
    keys = {}
    for row in bench.sandbox.org.records("Account"):
        keys[row["Id"]] = row["QBench_Id__c"]
        values = (row[name] for name in ("Name", "Description", "Website", "BillingStreet", "BillingCity", "BillingPostalCode"))
        yield ("salesforce", "account", row["QBench_Id__c"], *values)
    for row in bench.sandbox.org.records("Contact"):
        values = (row[name] for name in ("Email", "FirstName", "LastName", "MailingStreet", "MailingCity", "MailingPostalCode"))
        yield ("salesforce", "contact", row["QBench_Id__c"], *values, (keys.get(row["AccountId"]),))


def _in_hubspot(bench: Workbench) -> Iterator[tuple[Any, ...]]:
    portal, keys = bench.sandbox.portal, {}
    companies: dict[str, tuple[str | None, ...]] = {}
    for record in portal.records("companies"):
        row = keys[record["id"]] = record["properties"]
        yield ("hubspot", "account", *map(row.get, ("qbench_id", "name", "description", "website", "address", "city", "zip")))
    for contact, company, types in portal.associations():
        key = keys[company].get("qbench_id") if PRIMARY_COMPANY in types else None
        companies[contact] = (*companies.get(contact, ()), key)
    for record in portal.records("contacts"):
        values = map(record["properties"].get, ("qbench_id", "email", "firstname", "lastname", "address", "city", "zip"))
        yield ("hubspot", "contact", *values, companies.get(record["id"], ()))
