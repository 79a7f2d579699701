"""What does PostgreSQL do in an hour without changes, with a million links? CPU seconds of its processes, and rows read by full scans.

500,000 records, staged, linked and decided in two CRMs, every thousandth contact of which waits for something; rules look at the contacts'
customers. Then the same where all contacts go to Salesforce as leads. Dagster keeps its own tables in the same PostgreSQL: an hour of a
small database tells how much is for those, and for the connections that each process opens.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.changes import both_ways
from benchmarks.figures import Figure
from benchmarks.workbench import INTEGRATION, Workbench, workbench
from crm_pipeline.store.database import URL_VARIABLE
from crm_pipeline_tests.filling import COPIED, fill

RECORDS = 500_000
CUSTOMERS, CONTACTS = 100, 500
JOBS = ("sync", "from_crms")
MOST_CPU_SECONDS = 0.5
_SCANNED = "SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables WHERE schemaname = 'crm_pipeline' AND relname = ANY(%s)"


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds of all of PostgreSQL's processes, and rows of large tables that were read from end to end."""

    cpu_seconds: float
    scanned: int


def measure(scale: float) -> list[Figure]:
    """An hour of each job in the large database, what it is above one of the small database, and the rows scanned."""
    return [*_measured(scale, _both_ways_by_rules, what=""), *_measured(scale, _as_leads, what=", contacts as leads")]


def _measured(scale: float, also: Callable[[dict[str, Any]], dict[str, Any]], *, what: str) -> Iterator[Figure]:
    copies = max(round(RECORDS * scale) // (CUSTOMERS + CONTACTS) - 1, 1)
    with workbench(customers=CUSTOMERS, contacts=CONTACTS, crm_limits=True, hours=8, also=also) as bench:
        for job in JOBS:
            bench.run(0, job=f"{INTEGRATION}__{job}")
        small = _hour(bench, 1)
        rows = fill(os.environ[URL_VARIABLE], copies=copies, seen_in_crms=True)
        _hour(bench, 2)
        large = _hour(bench, 3)
    yield from _figures(small, large, of=f"{rows['link']:,} links{what}")


def _both_ways_by_rules(attributes: dict[str, Any]) -> dict[str, Any]:
    """All that adds questions to an hour: fields of contacts go both ways, and which contacts sync depends on their customer."""
    named = {"field": "customer.customer_name", "is_blank": False}
    return both_ways({**attributes, "contacts": {**attributes["contacts"], "only": named}})


def _as_leads(attributes: dict[str, Any]) -> dict[str, Any]:
    """The same, and all contacts go to Salesforce as leads."""
    salesforce = {**attributes["crms"]["salesforce"], "contacts_as": "lead"}
    lead = {"map": {"email": "email_address", "first_name": "first_name", "last_name": "last_name"}}
    also = _both_ways_by_rules({**attributes, "crms": {**attributes["crms"], "salesforce": salesforce}})
    return {**also, "contacts": {**also["contacts"], "lead": lead}}


def _figures(small: dict[str, Cost], large: dict[str, Cost], *, of: str) -> Iterator[Figure]:
    for job, cost in large.items():
        name = f"{of}, hour of {job}"
        yield Figure("idle", f"{name}: PostgreSQL's CPU, all of it", cost.cpu_seconds, unit="s")
        yield Figure(
            "idle",
            f"{name}: above that of 1,200 links",
            max(cost.cpu_seconds - small[job].cpu_seconds, 0),
            unit="s",
            limit=MOST_CPU_SECONDS,
        )
        yield Figure("idle", f"{name}: rows of large tables read from end to end", cost.scanned, limit=0)


def _hour(bench: Workbench, hour: int) -> dict[str, Cost]:
    return {job: _cost(lambda job=job: bench.run(hour, job=f"{INTEGRATION}__{job}")) for job in JOBS}  # type: ignore[misc]


def _cost(run: Callable[[], object]) -> Cost:
    before = _counted()
    run()
    after = _counted()
    return Cost(after.cpu_seconds - before.cpu_seconds, after.scanned - before.scanned)


def _counted() -> Cost:
    with psycopg.connect(os.environ[URL_VARIABLE]) as connection:
        [scanned] = connection.execute(_SCANNED, [list(COPIED)]).fetchone() or (0,)
        [folder] = connection.execute("SHOW data_directory").fetchone() or ("",)
    return Cost(_cpu_seconds(int(Path(folder, "postmaster.pid").read_text().split()[0])), int(scanned))


def _cpu_seconds(server: int) -> float:
    """Of the server, of its processes that have ended, and of those that are there."""
    ticks = 0
    for process in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in parentheses, may hold anything; behind it stand the state and the parent.
            told = process.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if int(process.parent.name) == server:
            ticks += sum(map(int, told[11:15]))
        elif int(told[1]) == server:
            ticks += sum(map(int, told[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")
