"""A year of hourly runs of a hundred integrations: what the database holds, and what pages, ticks, runs and the upkeep cost then.

Real are the first load, an hour with changes and one without, and a tick of each sensor and schedule; their rows are multiplied by SQL.
Of a hundred integrations a few have all their hours in the database, and bytes are told for a hundred: these grow with
hours and integrations alone. Pages and ticks are those of one integration with all its hours, beside definitions of a hundred.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import psycopg

from benchmarks.deployment import deployed, postgres_cpu_seconds
from benchmarks.figures import Figure
from benchmarks.history import Hours, fill_hours, fill_ticks
from benchmarks.pages import Cost, asked, pages, wait_until_up
from benchmarks.variables import COPIES_VARIABLE, SPEC_VARIABLE
from benchmarks.workbench import INTEGRATION, BenchmarkError, Workbench, one_way, workbench
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.assets import build_integration
from crm_pipeline.orchestration.names import schedule_name, sync_and_check_job_name, upkeep_job_name
from crm_pipeline.store.database import URL_VARIABLE

YEAR_HOURS = 365 * 24
FEW_HOURS = 4
INTEGRATIONS = 100
FILLED = 4
"""So many have all their hours in the database: a year of each takes 2.5 GB of disk, and as much again while tables are made smaller."""

CHANGED_ONE_IN = 4
"""In so many hours something changed: a laboratory's working hours."""

CUSTOMERS, CONTACTS = 100, 500
CHANGED_CUSTOMERS, CHANGED_CONTACTS = 2, 4
EVENTS_DAYS, FEWEST_EVENTS_DAYS = 90, 30
MOST_TICK_SECONDS, MOST_UPKEEP_SECONDS = 0.5, 1.0
_TICKED = "SELECT substring(tick_body FROM '\"job_name\": \"(\\w+)\"') FROM public.job_ticks WHERE status IN ('SKIPPED', 'SUCCESS')"
_SIZES = "SELECT schemaname || '.' || relname, pg_total_relation_size(relid) FROM pg_stat_user_tables"
TICKING_SECONDS = 300
GIGABYTE = 1e9


@dataclass(frozen=True)
class Found:
    """CPU seconds, bytes and rows at so many hours; pairs are of the first time and of the second.

    ``size``: bytes by table, of the filled integrations. ``tick``: of the hourly schedule. ``run``: of an hour without changes, its
    process and PostgreSQL. ``upkeep``: PostgreSQL's, one integration's. ``kept``: as ``size``, after it.
    """

    hours: int
    size: Mapping[str, int]
    pages: Mapping[str, tuple[Cost, Cost]]
    tick: tuple[float, float]
    run: tuple[float, float]
    upkeep: tuple[float, float]
    kept: Mapping[str, int]


def measure(scale: float) -> list[Figure]:
    """At a few hours and at a year; ``scale`` shortens the year."""
    days = max(round(EVENTS_DAYS * scale), FEWEST_EVENTS_DAYS)
    few, year = (_found(hours, events_days=days) for hours in (FEW_HOURS, max(round(YEAR_HOURS * scale), FEW_HOURS + 1)))
    return [*_sizes(few, year, events_days=days), *_costs(few), *_costs(year)]


def _sizes(few: Found, year: Found, *, events_days: int) -> Iterator[Figure]:
    hours = FILLED * (year.hours - few.hours)
    of_a_year = INTEGRATIONS * YEAR_HOURS / GIGABYTE
    for when, of_few, of_year in (("", few.size, year.size), (f", events thinned after {events_days} days", few.kept, year.kept)):
        for whose, is_whose in (("Dagster's tables", False), ("ours", True)):
            each = sum(of_year[table] - of_few.get(table, 0) for table in of_year if table.startswith("crm_pipeline.") is is_whose) / hours
            yield Figure("year", f"{whose}, an integration and hour{when}", each / 1_000, unit="KB")
            yield Figure("year", f"{whose}, a year of {INTEGRATIONS}{when}", each * of_a_year, unit="GB")
    for table in sorted(year.size, key=lambda table: year.size[table] - year.kept[table], reverse=True)[:4]:
        for when, found in (("", year.size), (", thinned", year.kept)):
            yield Figure("year", f"{table}, an integration and hour{when}", found[table] / FILLED / year.hours / 1_000, unit="KB")


def _costs(found: Found) -> Iterator[Figure]:
    at = f"{found.hours:,} hours"
    for nth, when in enumerate(("first time", "again")):
        yield Figure("year", f"{at}, {when}: CPU of a schedule's tick", found.tick[nth], unit="s", limit=MOST_TICK_SECONDS if nth else None)
        yield Figure("year", f"{at}, {when}: CPU of a run without changes", found.run[nth], unit="s")
        limit = MOST_UPKEEP_SECONDS if nth else None
        yield Figure("year", f"{at}, {when}: PostgreSQL's CPU of the upkeep", found.upkeep[nth], unit="s", limit=limit)
        for page, costs in found.pages.items():
            yield Figure("year", f"{at}, {when}: CPU of {page}", costs[nth].cpu_seconds, unit="s")
            yield Figure("year", f"{at}, {when}: seconds until {page}", costs[nth].seconds, unit="s")


def _found(hours: int, *, events_days: int) -> Found:
    def kept_up(attributes: dict[str, Any]) -> dict[str, Any]:
        """One way, with a schedule that ticks every minute, so that its tick need not be waited for."""
        return {**one_way(attributes), "schedule": "* * * * *", "upkeep": {"events_days": events_days}}

    with workbench(customers=CUSTOMERS, contacts=CONTACTS, crm_limits=True, hours=hours, also=kept_up) as bench:
        url, job = os.environ[URL_VARIABLE], sync_and_check_job_name(INTEGRATION)
        bench.run(0)
        _change(bench, hour=hours - 2)
        for hour in (hours - 2, hours - 1):
            bench.run(hour, job=job)
        fill_hours(url, Hours(INTEGRATION, bench.start.replace(tzinfo=None), hours - 1, FILLED, CHANGED_ONE_IN))
        definitions = build_integration(IntegrationSpec.model_validate_json(bench.environment[SPEC_VARIABLE]))
        _tick_all(bench, url, definitions, hours=hours)
        size = _size(url)
        tick = (_tick(bench, definitions), _tick(bench, definitions))
        run = tuple(_with_postgres(url, lambda: bench.run(hours - 1, job=job).cpu_seconds) for _ in range(2))
        shown = _pages(bench, url)
        upkeep = tuple(_upkeep(bench, url, number=0) for _ in range(2))
        for number in range(1, FILLED):
            _upkeep(bench, url, number=number)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM FULL")
        return Found(hours, size=size, pages=shown, tick=tick, run=run, upkeep=upkeep, kept=_size(url))  # type: ignore[arg-type]


def _change(bench: Workbench, *, hour: int) -> None:
    """A user renames a few customers and contacts in the hour."""
    at, tenant = int((bench.start + timedelta(hours=hour, minutes=5)).timestamp()), bench.sandbox.tenant
    for customer in tenant.customers()[:CHANGED_CUSTOMERS]:
        tenant.edit_customer(customer["id"], at=at, customer_name=f"Renamed {customer['id']}")
    for contact in tenant.contacts()[:CHANGED_CONTACTS]:
        tenant.edit_contact(contact["id"], at=at, last_name=f"Renamed {contact['id']}")


def _tick_all(bench: Workbench, url: str, definitions: dg.Definitions, *, hours: int) -> None:
    """Each sensor and the hourly schedule, once, by the daemon; and as many ticks before as Dagster keeps of these hours."""
    sensors = {sensor.name: timedelta(seconds=sensor.minimum_interval_seconds or 30) for sensor in definitions.sensors or ()}
    awaited = {*sensors, schedule_name(INTEGRATION)}
    with deployed(bench, {COPIES_VARIABLE: str(FILLED)}, without=["webserver"]), psycopg.connect(url, autocommit=True) as connection:
        for _ in range(TICKING_SECONDS):
            if awaited <= {name for (name,) in connection.execute(_TICKED)}:
                break
            time.sleep(1)
        else:
            raise BenchmarkError("not all sensors and schedules had a tick in time")
    kept = {name: timedelta(days=7) for name in sensors} | {name: timedelta(days=90) for name in awaited - set(sensors)}
    every = sensors | {name: timedelta(hours=1) for name in awaited - set(sensors)}
    names = {f"{INTEGRATION}{number or ''}{name.removeprefix(INTEGRATION)}": name for number in range(FILLED) for name in awaited}
    fill_ticks(url, {own: (min(kept[name], timedelta(hours=hours)) // every[name], every[name]) for own, name in names.items()})


def _tick(bench: Workbench, definitions: dg.Definitions) -> float:
    """CPU of a tick of the hourly schedule, PostgreSQL's among it."""
    url, now = os.environ[URL_VARIABLE], datetime.now(UTC)
    schedule = definitions.resolve_schedule_def(schedule_name(INTEGRATION))
    repository = definitions.get_repository_def()
    with dg.DagsterInstance.from_config(str(bench.home)) as instance:

        def once() -> float:
            began = time.thread_time()
            with dg.ScheduleEvaluationContext(instance.get_ref(), scheduled_execution_time=now, repository_def=repository) as context:
                ticked = schedule.evaluate_tick(context)
            if ticked.run_requests:
                raise BenchmarkError(f"the schedule requests {ticked.run_requests}")
            return time.thread_time() - began

        return _with_postgres(url, once)


def _with_postgres(url: str, measured: Callable[[], float]) -> float:
    """What it tells, and what PostgreSQL's processes spent meanwhile."""
    before = postgres_cpu_seconds(url)
    own = measured()
    return own + postgres_cpu_seconds(url) - before


def _pages(bench: Workbench, url: str) -> dict[str, tuple[Cost, Cost]]:
    with psycopg.connect(url) as connection:
        [run] = connection.execute("SELECT run_id FROM public.runs ORDER BY id DESC LIMIT 1").fetchone() or ("",)
    with deployed(bench, {COPIES_VARIABLE: str(INTEGRATIONS)}, without=["daemon"]) as deployment:
        wait_until_up(deployment)
        questions = pages(INTEGRATION, run=run, beside=FILLED - 1)
        return {page: (asked(deployment, *question), asked(deployment, *question)) for page, question in questions.items()}


def _upkeep(bench: Workbench, url: str, *, number: int) -> float:
    """PostgreSQL's CPU of one integration's upkeep."""
    before = postgres_cpu_seconds(url)
    bench.run(0, job=upkeep_job_name(f"{INTEGRATION}{number or ''}"), settings={COPIES_VARIABLE: str(FILLED)})
    return postgres_cpu_seconds(url) - before


def _size(url: str) -> dict[str, int]:
    """Bytes of each table, its indexes included."""
    with psycopg.connect(url) as connection:
        return dict(connection.execute(_SIZES).fetchall())
