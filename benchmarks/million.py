"""What do a plan and a check of all links cost when there are a million records or links, and does their memory stay flat?

A plan of 1,000,000 records before their first load, 1,000,000 × ``scale`` of them really planned; a full check of the links of both CRMs,
of which as many are looked at as a load of this benchmark makes, at a quarter of a second for each call. Both are told for 1,000,000, with
what was really run in their names: neither has a part that grows faster than the records, as the memory shows.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pandas as pd
import yaml

from benchmarks.deployment import postgres_cpu_seconds
from benchmarks.figures import Figure
from benchmarks.variables import SPEC_VARIABLE
from benchmarks.workbench import INTEGRATION, Workbench, Worker, workbench
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.mapping.reading import Reading
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.schemas import RAW
from crm_pipeline.store.database import URL_VARIABLE, Store
from crm_pipeline.store.raw_records import stage_raw
from crm_pipeline.store.staging import EVERYTHING
from crm_pipeline.sync.extracting.normalizing import normalize_staged
from crm_pipeline_tests.filling import fill

MILLION = 1_000_000
CUSTOMERS, CONTACTS = 200, 1_000
LINKED_CUSTOMERS, LINKED_CONTACTS = 1_500, 15_000
CRMS = ("salesforce", "hubspot")
TENANTS = "tenants"
MOST_PLAN_SECONDS, MOST_PLAN_SERVER_SECONDS = 60.0, 10.0
MOST_CHECK_SECONDS, MOST_CHECK_CALLS = 25.0, 5_001
CALLS_PER_SECOND = 19.0
"""HubSpot's limit of Professional and Enterprise accounts: 190 calls in ten seconds."""
LATENCY_SECONDS = 0.25
MOST_MB = 400.0


def measure(scale: float) -> list[Figure]:
    """CPU of a plan and of a check for a million, their calls, and the peaks of memory; ``scale``: of the records planned."""
    return [*_plan(scale), *_check()]


def _plan(scale: float) -> Iterator[Figure]:
    few = CUSTOMERS + CONTACTS
    with workbench(customers=CUSTOMERS, contacts=CONTACTS, crm_limits=False) as bench:
        _stage(bench)
        once, server_once = _planned(bench)
        copies = max(round(MILLION * scale) // few - 1, 1)
        fill(bench.environment[URL_VARIABLE], copies=copies)
        many = few * (copies + 1)
        often, server_often = _planned(bench)
    name = f"10 plan of {MILLION:,} records for each of two CRMs, by {many:,}"
    for what, first, all_, limit in (
        ("CPU", once.cpu_seconds, often.cpu_seconds, MOST_PLAN_SECONDS),
        ("PostgreSQL's CPU", server_once, server_often, MOST_PLAN_SERVER_SECONDS),
    ):
        each = (all_ - first) / (many - few)
        yield Figure("million", f"{name}: {what}", first + each * (MILLION - few), unit="s", limit=limit)
        yield Figure("million", f"{name}: {what} per 1,000 and CRM", 1_000 * each / len(CRMS), unit="s")
    yield Figure("million", f"13 peak of a plan of {few:,} records", once.peak_mb, unit="MB", limit=MOST_MB)
    yield Figure("million", f"13 peak of a plan of {many:,} records", often.peak_mb, unit="MB", limit=MOST_MB)


def _check() -> Iterator[Figure]:
    with workbench(customers=LINKED_CUSTOMERS, contacts=LINKED_CONTACTS, crm_limits=False) as bench:
        bench.run(0)
        for crm in CRMS:
            bench.sandbox.faults.add(Fault(service=crm, kind="delay", seconds=LATENCY_SECONDS, times=None))
        checks = {crm: _ran(bench, [sys.executable, "-m", "benchmarks.checker", crm]) for crm in CRMS}
    told = {crm: json.loads(output) for crm, (_, output) in checks.items()}
    links = sum(one["links"] for one in told.values())
    cpu = sum(one["cpu_seconds"] for one in told.values())
    name = f"11 check of {MILLION:,} links, by {links:,}"
    start = sum(worker.cpu_seconds for worker, _ in checks.values()) - 2 * cpu
    yield Figure("million", f"{name}: CPU", start + cpu * MILLION / links, unit="s", limit=MOST_CHECK_SECONDS)
    for crm, one in told.items():
        yield Figure("million", f"{name}: CPU of {crm}'s per 1,000", 1_000 * one["cpu_seconds"] / one["links"], unit="s")
    hubspot = told["hubspot"]
    yield Figure("million", f"{name}: HubSpot calls", hubspot["calls"] * MILLION / links, limit=MOST_CHECK_CALLS * 1.1)
    seconds = f"{name}: seconds of {hubspot['calls']} HubSpot calls at {1_000 * LATENCY_SECONDS:.0f} ms"
    yield Figure("million", seconds, hubspot["seconds"], unit="s", limit=hubspot["calls"] / CALLS_PER_SECOND)
    yield Figure("million", f"{name}: links found changed", sum(one["changed"] for one in told.values()), limit=0)
    for crm, (worker, _) in checks.items():
        yield Figure("million", f"13 peak of {crm}'s check of {told[crm]['links']:,} links", worker.peak_mb, unit="MB", limit=MOST_MB)


def _planned(bench: Workbench) -> tuple[Worker, float]:
    """What a plan of all that is staged costs, and PostgreSQL's CPU seconds."""
    folder = bench.home / TENANTS / INTEGRATION
    folder.mkdir(parents=True, exist_ok=True)
    (folder.parent / "__init__.py").touch()
    attributes = {name: value for name, value in json.loads(bench.environment[SPEC_VARIABLE]).items() if name != "name"}
    (folder / "defs.yaml").write_text(yaml.safe_dump({"type": "crm_pipeline.CrmIntegration", "attributes": attributes}, sort_keys=False))
    before = postgres_cpu_seconds(bench.environment[URL_VARIABLE])
    worker, output = _ran(bench, [sys.executable, "-m", "crm_pipeline.cli", "plan", "-m", TENANTS, "--json"])
    if not all(part["operation"] == "create" for forecast in json.loads(output) for part in forecast["plan"]):
        raise ValueError("not all records would be created")
    return worker, postgres_cpu_seconds(bench.environment[URL_VARIABLE]) - before


def _ran(bench: Workbench, command: Sequence[str]) -> tuple[Worker, str]:
    """What a command costs, and what it printed."""
    worker = bench.measured(command, settings={})
    return worker, (bench.home / "worker.log").read_text()


def _stage(bench: Workbench) -> None:
    """Stage and normalize the tenant's records, so that none is in a CRM."""
    spec = IntegrationSpec.model_validate_json(bench.environment[SPEC_VARIABLE])
    tenant = bench.sandbox.tenant
    contacts = [{**record, "customers": [{"id": one} for one in record["customer_ids"]]} for record in tenant.contacts()]
    contents: dict[RecordType, list[dict[str, Any]]] = {RecordType.ACCOUNT: tenant.customers(), RecordType.CONTACT: contacts}
    with closing(Store(bench.environment[URL_VARIABLE])) as store:
        for record_type, records in contents.items():
            columns = {"qbench_id": [one["id"] for one in records], "version": [one["last_updated"] for one in records]}
            frame = RAW.build(pd.DataFrame(columns).assign(content=pd.Series(records, dtype=object)))
            with store.transaction() as connection:
                stage_raw(connection, spec.name, record_type, frame=frame)
            record, reading = spec.records[record_type], Reading(spec.default_region)
            normalize_staged(store, spec.name, record, window=EVERYTHING, reading=reading, counts=Counter())
