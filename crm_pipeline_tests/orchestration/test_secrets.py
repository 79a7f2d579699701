"""Credentials and records' values stay where they belong: never in Dagster's events, snapshots and logs, secrets in no table."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import dagster as dg
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap
from sqlalchemy import text

from crm_pipeline.orchestration.assets import build_integration
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, Sandbox
from crm_pipeline_tests.orchestration.conftest import ACCOUNTS, World, outcomes
from crm_pipeline_tests.tenants import BEFORE_START, FIRST, IN_SECOND, SECOND, attributes, integration

MARKER = "Xyzzyplugh"
ROW_ERRORS = {"category": "VALIDATION_ERROR", "status": "error", "message": f"{MARKER} is no good", "correlationId": "c"}


@dataclass
class Kept(logging.Handler):
    """Keeps what is logged, whatever its logger and level."""

    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(level=logging.DEBUG)

    def __hash__(self) -> int:
        return id(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@dataclass(frozen=True)
class Traces:
    """All that two runs, the second of them failing, left behind. Both with every logger at DEBUG."""

    world: World
    events: str
    logged: str
    secrets: frozenset[str]


@pytest.fixture(scope="module")
def traces(world: World) -> Traces:
    root, kept = logging.getLogger(), Kept()
    level = root.level
    root.addHandler(kept)
    root.setLevel(logging.DEBUG)
    try:
        _two_runs(world)
    finally:
        root.setLevel(level)
        root.removeHandler(kept)
    secrets = secrets_of(world.sandbox)
    assert len(secrets) >= 3 + 3, "both services gave tokens"
    return Traces(world, world.dagster.events(), "\n".join(kept.lines), secrets)


def _two_runs(world: World) -> None:
    tenant, dagster = world.sandbox.tenant, world.dagster
    match = {"email": {"salesforce": "Email", "hubspot": "email"}}
    contacts = {**attributes(world.sandbox)["contacts"], "sync_on": [match]}
    spec = integration(world.sandbox, contacts=contacts)
    customer = tenant.add_customer(customer_name=f"{MARKER} Labs", comments=MARKER, city_name=MARKER, at=BEFORE_START)
    for number, email in enumerate((f"{MARKER}@example.org", f"not an address {MARKER}", None)):
        tenant.add_contact(
            customer_ids=[customer], email_address=email, first_name=MARKER, last_name=f"{MARKER} {number}", phone="1", at=BEFORE_START
        )
    assert dagster.run(spec, FIRST).success
    tenant.edit_customer(customer, customer_name=f"{MARKER} Labs again", at=IN_SECOND)
    world.sandbox.faults.add(Fault(service="hubspot", path="companies/batch/", times=None, status=401, body=ROW_ERRORS))
    world.sandbox.faults.add(Fault(service="salesforce", path="services/data", times=None, kind="html", body=MARKER))
    assert not dagster.run(spec, SECOND, assets=ACCOUNTS).success
    world.sandbox.faults.clear()


def secrets_of(sandbox: Sandbox) -> frozenset[str]:
    """The configured secrets and every token that the services gave."""
    names = ("QBENCH_CLIENT_SECRET", "SALESFORCE_CLIENT_SECRET", "HUBSPOT_TOKEN")
    given = {*sandbox.tenant.tokens, *sandbox.org._sessions}
    return frozenset({*(SANDBOX_CREDENTIALS[name] for name in names), *given})


def _found(needles: frozenset[str], haystack: str) -> list[str]:
    return [needle for needle in needles if needle in haystack]


def test_runs_left_events_to_search(traces: Traces) -> None:
    assert traces.events.count("STEP_FAILURE") >= 2
    assert "accounts: read " in traces.logged
    assert {outcome for outcome, *_ in outcomes().values()} >= {"created", "skipped"}


def test_no_secret_is_in_any_event(traces: Traces) -> None:
    assert _found(traces.secrets, traces.events) == []


def test_no_value_of_a_record_is_in_any_event(traces: Traces) -> None:
    assert MARKER.lower() not in traces.events.lower()


def test_no_secret_is_in_a_run_or_a_job_snapshot(traces: Traces) -> None:
    instance = traces.world.dagster.instance
    for run in instance.get_runs():
        stored = [
            dg.serialize_value(run),
            dg.serialize_value(instance.get_job_snapshot(str(run.job_snapshot_id))),
            dg.serialize_value(instance.get_execution_plan_snapshot(str(run.execution_plan_snapshot_id))),
        ]
        assert _found(traces.secrets, "\n".join(stored)) == []


@pytest.mark.filterwarnings("ignore:Property `ScheduleDefinition.environment_vars`:DeprecationWarning")  # Dagster asks itself for it
def test_no_secret_is_in_what_the_code_location_tells_dagster(traces: Traces) -> None:
    repository = build_integration(integration(traces.world.sandbox)).get_repository_def()
    assert _found(traces.secrets, dg.serialize_value(RepositorySnap.from_def(repository))) == []


def test_no_secret_is_logged_at_any_level(traces: Traces) -> None:
    assert _found(traces.secrets, traces.logged) == []


def test_no_value_of_a_record_is_logged_at_any_level_not_even_by_client_libraries(traces: Traces) -> None:
    leaks = [line for line in traces.logged.splitlines() if MARKER.lower() in line.lower()]
    assert leaks == []


def test_client_library_speaks_when_it_is_told_to_by_name() -> None:
    """Quiet is a default: who sets a level for a library keeps it."""
    from crm_pipeline.quiet import quiet_client_libraries

    logger = logging.getLogger("urllib3")
    level = logger.level
    try:
        logger.setLevel(logging.DEBUG)
        quiet_client_libraries()
        assert logger.level == logging.DEBUG
    finally:
        logger.setLevel(level)


def test_no_secret_is_in_any_table(traces: Traces) -> None:
    with STORE.transaction() as connection:
        names = text(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables WHERE table_schema IN ('crm_pipeline', 'public')"
        )
        tables = list(connection.execute(names).scalars())
        dump = {table: "\n".join(connection.execute(text(f"SELECT t::text FROM {table} AS t")).scalars()) for table in tables}
    assert "crm_pipeline.raw_record" in dump
    assert MARKER in dump["crm_pipeline.raw_record"]
    assert {table: _found(traces.secrets, rows) for table, rows in dump.items() if _found(traces.secrets, rows)} == {}


def test_no_value_of_a_record_is_in_outcomes(traces: Traces) -> None:
    with STORE.transaction() as connection:
        rows = [*connection.execute(text("SELECT o::text FROM crm_pipeline.outcome AS o")).scalars()]
        rows += connection.execute(text("SELECT o::text FROM crm_pipeline.every_outcome AS o")).scalars()
    assert rows
    assert MARKER.lower() not in "\n".join(rows).lower()
