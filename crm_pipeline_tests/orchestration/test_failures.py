"""What is lost, doubled or sent again when a service, a connection or our own process fails. The answer is: as good as nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import create_engine, text

from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.store.database import Store
from crm_pipeline_tests.awaiting import PATIENCE_SECONDS, await_that
from crm_pipeline_tests.orchestration.conftest import LOADS, READS, Dagster, failures, materialized, metadata_of, outcomes, writes
from crm_pipeline_tests.tenants import BEFORE_START, FIRST, add_laboratories, attributes, customized

HUBSPOT_BATCH = 100
SALESFORCE_BATCH = 200

WORKER = """
import json, sys
import dagster as dg
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.assets import build_integration

spec = IntegrationSpec.model_validate(json.loads(sys.argv[1]))
job = build_integration(spec).resolve_job_def("acme__sync")
with dg.DagsterInstance.ephemeral() as instance:
    sys.exit(not job.execute_in_process(partition_key=sys.argv[2], instance=instance, raise_on_error=False).success)
"""


@contextmanager
def worker(sandbox: Sandbox, *, external_keys: bool = True) -> Iterator[subprocess.Popen[bytes]]:
    """A run of the first partition in a process of its own; killed at the end if it still runs."""
    spec = json.dumps({"name": "acme", **impatient(sandbox, external_keys=external_keys)})
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, spec, FIRST], env=dict(os.environ), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def impatient(sandbox: Sandbox, *, external_keys: bool = True) -> dict[str, object]:
    """Attributes by which nothing is tried for long."""
    changed = attributes(sandbox, external_keys=external_keys)
    changed["crms"]["hubspot"] |= {"attempts": 1, "timeout_seconds": 5}
    changed["crms"]["salesforce"] |= {"attempts": 1}
    return changed


def rows_sent(sandbox: Sandbox, service: str, path: str) -> int:
    return sum(call.rows or 0 for call in writes(sandbox, service) if path in call.path)


def doubled(values: list[str]) -> list[str]:
    return [value for value, count in Counter(values).items() if count > 1]


def company_names(sandbox: Sandbox) -> list[str]:
    return [record["properties"]["name"] for record in sandbox.portal.records("companies")]


def test_crm_that_is_down_fails_alone(sandbox: Sandbox, dagster: Dagster) -> None:
    add_laboratories(sandbox.tenant, 2, contacts_each=1)
    sandbox.faults.add(Fault(service="hubspot", times=None, status=503))
    result = dagster.run(customized(sandbox, hubspot={"attempts": 1}), FIRST)
    assert materialized(result) == {*READS, "salesforce/accounts", "salesforce/contacts"}
    assert list(failures(result)) == ["hubspot/companies"]


def test_after_a_failure_only_what_is_open_is_sent(sandbox: Sandbox, dagster: Dagster) -> None:
    add_laboratories(sandbox.tenant, HUBSPOT_BATCH + 20)
    sandbox.faults.add(Fault(service="hubspot", path="companies/batch/upsert", skip=1, times=None, status=503))
    spec = customized(sandbox, hubspot={"attempts": 1})
    assert set(failures(dagster.run(spec, FIRST))) == {"hubspot/companies"}
    assert len(company_names(sandbox)) == HUBSPOT_BATCH
    sandbox.faults.clear()
    sandbox.journal.clear()
    assert dagster.run(spec, FIRST).success
    assert writes(sandbox, "salesforce") == []
    assert rows_sent(sandbox, "hubspot", "companies/batch") == 20
    assert len(company_names(sandbox)) == HUBSPOT_BATCH + 20


def test_failed_load_says_what_it_did_and_how_to_go_on(sandbox: Sandbox, dagster: Dagster) -> None:
    add_laboratories(sandbox.tenant, HUBSPOT_BATCH + 20)
    sandbox.faults.add(Fault(service="hubspot", path="companies/batch/upsert", skip=1, times=None, status=503))
    result = dagster.run(customized(sandbox, hubspot={"attempts": 1}), FIRST, assets=("qbench/customers", "normalized/accounts", LOADS[2]))
    (failed,) = (event for event in result.all_events if event.is_step_failure)
    data = failed.step_failure_data.user_failure_data
    assert data is not None
    assert (data.metadata["created"].value, data.metadata["failed"].value) == (HUBSPOT_BATCH, 20)
    assert "integration acme" in (data.description or "")


@pytest.mark.parametrize("keys", ["with external keys", "without external keys"])
def test_connection_that_breaks_after_the_crm_wrote_doubles_nothing(
    credentials: object, dagster: Dagster, request: pytest.FixtureRequest, keys: str
) -> None:
    external_keys = keys == "with external keys"
    sandbox: Sandbox = request.getfixturevalue("sandbox" if external_keys else "keyless_sandbox")
    add_laboratories(sandbox.tenant, 5, contacts_each=1)
    for service, path in (
        ("salesforce", "composite/sobjects"),
        ("salesforce", "composite/sobjects.*Contact" if external_keys else "nothing"),
        ("hubspot", "companies/batch/(upsert|create)"),
        ("hubspot", "objects/contacts/batch/(upsert|create)"),
        ("hubspot", "associations"),
    ):
        sandbox.faults.add(Fault(service=service, path=path, kind="drop_after"))
    spec = customized(sandbox, external_keys=external_keys, hubspot={"timeout_seconds": 1})
    dagster.run(spec, FIRST)
    result = dagster.run(spec, FIRST)
    if not result.success:
        result = dagster.run(spec, FIRST)
    assert result.success, failures(result)
    held = [len(sandbox.org.records(name)) for name in ("Account", "Contact")]
    held += [len(sandbox.portal.records(name)) for name in ("companies", "contacts")]
    assert held == [5, 5, 5, 5]
    assert len(sandbox.portal.associations()) == 5
    assert {outcome for outcome, *_ in outcomes().values()} <= {"created", "linked", "updated", "unchanged"}


def test_kill_in_the_middle_of_a_load_loses_and_doubles_nothing_and_repeats_one_batch_at_most(
    sandbox: Sandbox, dagster: Dagster, database_url: str
) -> None:
    customers = 2 * HUBSPOT_BATCH + 50
    add_laboratories(sandbox.tenant, customers)
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://", 1))
    second = Fault(service="hubspot", path="companies/batch/upsert", kind="delay", seconds=1.0, skip=1)
    sandbox.faults.add(second)
    with worker(sandbox) as process:
        await_that(lambda: second not in sandbox.faults.open(), "the second batch is on its way")
        # With the links locked, what the CRM answers to the second batch cannot be stored before the kill.
        with engine.begin() as connection:
            connection.execute(text("LOCK TABLE crm_pipeline.link IN EXCLUSIVE MODE"))
            await_that(lambda: len(writes(sandbox, "hubspot")) >= 2, "HubSpot wrote the second batch")
            process.kill()
            process.wait()
    engine.dispose()
    assert len(company_names(sandbox)) == 2 * HUBSPOT_BATCH, "HubSpot holds what it was sent before the kill"
    assert dagster.run(customized(sandbox), FIRST).success
    assert len(company_names(sandbox)) == len(sandbox.org.records("Account")) == customers
    assert doubled(company_names(sandbox)) == []
    assert rows_sent(sandbox, "hubspot", "companies/batch") <= customers + HUBSPOT_BATCH
    assert rows_sent(sandbox, "salesforce", "composite/sobjects") <= customers + SALESFORCE_BATCH


def test_kill_before_a_create_without_key_is_answered_doubles_nothing(
    keyless_sandbox: Sandbox, dagster: Dagster, database_url: str
) -> None:
    sandbox = keyless_sandbox
    add_laboratories(sandbox.tenant, 20)
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://", 1))
    slow = Fault(path="companies/batch/create", kind="delay", seconds=1.0)
    sandbox.faults.add(slow)
    with worker(sandbox, external_keys=False) as process:
        await_that(lambda: slow not in sandbox.faults.open(), "the creates are on their way")
        with engine.begin() as connection:
            connection.execute(text("LOCK TABLE crm_pipeline.link IN EXCLUSIVE MODE"))
            await_that(lambda: len(company_names(sandbox)) == 20, "HubSpot made the companies")
            process.kill()
            process.wait()
    engine.dispose()
    assert dagster.run(customized(sandbox, external_keys=False, hubspot={"timeout_seconds": 1}), FIRST).success
    assert len(company_names(sandbox)) == len(sandbox.org.records("Account")) == 20
    assert doubled(company_names(sandbox)) == []


def test_two_runs_at_once_double_nothing(keyless_sandbox: Sandbox, dagster: Dagster) -> None:
    sandbox = keyless_sandbox
    add_laboratories(sandbox.tenant, 20, contacts_each=1)
    slow = Fault(path="companies/batch/create", kind="delay", seconds=1.0)
    sandbox.faults.add(slow)
    with worker(sandbox, external_keys=False) as process:
        await_that(lambda: slow not in sandbox.faults.open(), "the first run writes")
        assert dagster.run(customized(sandbox, external_keys=False), FIRST).success
        assert process.wait(PATIENCE_SECONDS) == 0
    held = [len(sandbox.org.records(name)) for name in ("Account", "Contact")]
    held += [len(sandbox.portal.records(name)) for name in ("companies", "contacts")]
    assert held == [20, 20, 20, 20]


def test_interrupted_first_extract_reads_only_the_rest(sandbox: Sandbox, dagster: Dagster, store: Store) -> None:
    for number in range(2_150):
        sandbox.tenant.add_customer(customer_name=f"Laboratory {number}", at=BEFORE_START + number)
    sandbox.faults.add(Fault(service="qbench", path="/customers", skip=43, times=None, status=503))
    spec, extract = customized(sandbox, qbench={"attempts": 1}), ("qbench/customers",)
    assert "qbench/customers" in failures(dagster.run(spec, FIRST, assets=extract))
    sandbox.faults.clear()
    sandbox.journal.clear()
    result = dagster.run(spec, FIRST, assets=extract)
    resumed = metadata_of(result, "qbench", "customers")["resumed_at_row"]
    assert isinstance(resumed, int)
    assert resumed >= 2_000
    assert len([call for call in sandbox.journal.calls("qbench") if call.path.endswith("/customers")]) <= 6
    with store.transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM crm_pipeline.raw_record")).scalar_one() == 2_150
