"""Two integrations that write to one organization (docs/rules.md, 1)."""

from __future__ import annotations

import re
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sqlalchemy import text

import crm_pipeline
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline_tests.awaiting import await_that
from crm_pipeline_tests.sync.conftest import ACCOUNT, BY_NAME, CRM_FIELDS, Bench, customer

CREATES = {"salesforce": "composite/sobjects", "hubspot": "companies/batch/"}

SCANS = {"salesforce": "/query", "hubspot": "objects/companies$"}
"""The call that reads every account."""


def sharing(bench: Bench, name: str, **overrides: Any) -> IntegrationSpec:
    return bench.spec(name=name, external_keys=False, accounts=BY_NAME, **overrides)


def another(bench: Bench) -> Bench:
    """The same bench for a second thread, which counts its calls for itself."""
    return Bench(bench.sandbox, bench.store, bench.crm)


def waits(bench: Bench) -> bool:
    return bench.rows("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == [(1,)]


def outcomes_of(bench: Bench, name: str) -> Counter[tuple[str, str | None]]:
    found = bench.rows(f"SELECT outcome, error_type FROM crm_pipeline.outcome WHERE integration = '{name}'")
    return Counter((outcome, error_type) for outcome, error_type in found)


def test_record_that_one_integration_links_is_not_written_by_another_meanwhile(bench: Bench) -> None:
    acme, other = sharing(bench, "acme"), sharing(bench, "other")
    record = bench.add_account("Lab 1")
    bench.stage(acme, ACCOUNT, customer(1, comments="acme's"))
    bench.stage(other, ACCOUNT, customer(7, customer_name="Lab 1", comments="other's"))
    held = Fault(service=bench.crm, path=CREATES[bench.crm], kind="delay", until=threading.Event())
    bench.sandbox.faults.add(held)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(another(bench).load, acme, ACCOUNT)
        await_that(lambda: held not in bench.sandbox.faults.open(), "the first integration writes")
        second = threads.submit(another(bench).load, other, ACCOUNT)
        await_that(lambda: waits(bench), "the second integration waits")
        assert held.until is not None
        held.until.set()
        first.result()
        second.result()
    assert outcomes_of(bench, "acme") == {("linked", None): 1}
    assert outcomes_of(bench, "other") == {("skipped", "LinkConflictException"): 1}
    assert bench.values(ACCOUNT, CRM_FIELDS[bench.crm, ACCOUNT]["description"]) == ["acme's"]
    assert bench.rows("SELECT integration, crm_id FROM crm_pipeline.link") == [("acme", record)]


def test_integrations_that_take_turns_make_no_record_twice(bench: Bench) -> None:
    acme, other = sharing(bench, "acme"), sharing(bench, "other")
    names = [f"Lab {number}" for number in range(1, 5)]
    bench.stage(acme, ACCOUNT, *(customer(number) for number in range(1, 5)))
    bench.stage(other, ACCOUNT, *(customer(20 - number, customer_name=f"Lab {number}") for number in range(1, 5)))
    with ThreadPoolExecutor(2) as threads:
        loads = [threads.submit(another(bench).load, spec, ACCOUNT, frame_rows=1) for spec in (acme, other)]
        for load in loads:
            load.result()
    assert bench.names() == names
    both = outcomes_of(bench, "acme") + outcomes_of(bench, "other")
    assert both == {("created", None): 4, ("skipped", "LinkConflictException"): 4}


def test_long_load_lets_another_integration_have_its_turn(bench: Bench) -> None:
    acme, other = sharing(bench, "acme"), sharing(bench, "other")
    bench.stage(acme, ACCOUNT, customer(1), customer(2), customer(3))
    bench.stage(other, ACCOUNT, customer(7))
    held = Fault(service=bench.crm, method="GET", path=SCANS[bench.crm], kind="delay", until=threading.Event())
    bench.sandbox.faults.add(held)
    assert held.until is not None
    with ThreadPoolExecutor(2) as threads:
        long = threads.submit(another(bench).load, acme, ACCOUNT, frame_rows=1)
        await_that(lambda: held not in bench.sandbox.faults.open(), "the long load plans its first frame")
        short = threads.submit(another(bench).load, other, ACCOUNT)
        await_that(lambda: waits(bench), "the other integration waits")
        held.until.set()
        long.result()
        short.result()
    ids = {number: crm_id for number, crm_id in bench.rows("SELECT qbench_id, crm_id FROM crm_pipeline.link") if number}
    assert sorted(ids, key=lambda number: ids[number]) == [1, 7, 2, 3], "the order in which they were made"


def test_what_the_runbook_removes_of_an_integration_leaves_its_records_to_another(bench: Bench) -> None:
    acme, other = sharing(bench, "acme"), sharing(bench, "other")
    bench.stage(acme, ACCOUNT, customer(1), customer(2, customer_name=None))
    bench.stage(other, ACCOUNT, customer(7, customer_name="Lab 1"))
    bench.load(acme, ACCOUNT)
    bench.load(other, ACCOUNT)
    assert outcomes_of(bench, "other") == {("skipped", "LinkConflictException"): 1}
    runbook = (Path(crm_pipeline.__file__).parents[1] / "docs/operations.md").read_text()
    [deletions] = re.findall(r"```psql\n(.*?)\\gexec", runbook, re.DOTALL)
    with bench.store.transaction() as connection:
        for statement in connection.execute(text(deletions)).scalars().all():
            connection.execute(text(statement))
    for statement in bench.rows(deletions):
        assert bench.rows(statement[0].replace("DELETE", "SELECT *")) == []
    bench.load(other, ACCOUNT)
    assert outcomes_of(bench, "other") == {("linked", None): 1}
    assert bench.names() == ["Lab 1"]
