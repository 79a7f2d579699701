"""What is lost, doubled or sent again when a service, a connection or our own process fails. The answer is: as good as nothing."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg
import pytest
from sqlalchemy import text

from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.journal import Call
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.store.database import Store
from crm_pipeline_tests.orchestration.conftest import (
    ACCOUNTS,
    LOADS,
    READS,
    Dagster,
    World,
    failures,
    materialized,
    metadata_of,
    outcomes,
    writes,
)
from crm_pipeline_tests.tenants import BEFORE_START, FIRST, add_laboratories, customized, let_intents_settle

HUBSPOT_BATCH = 100

MOST_RUNS = 3


def company_names(sandbox: Sandbox) -> list[str]:
    return [record["properties"]["name"] for record in sandbox.portal.records("companies")]


@dataclass(frozen=True)
class Story:
    """A load that fails from its second batch on, and both CRMs' loads again, once the CRM is well; with what they wrote then."""

    failed: dg.ExecuteInProcessResult
    rows_before: int
    repaired: dg.ExecuteInProcessResult
    writes_after: list[Call]
    companies: list[str]


@pytest.fixture(scope="module")
def story(world: World) -> Story:
    sandbox, spec = world.sandbox, customized(world.sandbox, hubspot={"attempts": 1})
    add_laboratories(sandbox.tenant, HUBSPOT_BATCH + 20)
    sandbox.faults.add(Fault(service="hubspot", path="companies/batch/upsert", skip=1, times=None, status=503))
    failed = world.dagster.run(spec, FIRST, assets=(*ACCOUNTS, "hubspot/contacts"))
    rows_before = len(company_names(sandbox))
    sandbox.faults.clear()
    sandbox.journal.clear()
    repaired = world.dagster.run(spec, FIRST, assets=ACCOUNTS[2:])
    return Story(failed, rows_before, repaired, writes(sandbox), company_names(sandbox))


def test_crm_that_is_down_fails_alone(story: Story) -> None:
    assert materialized(story.failed) == {*ACCOUNTS[:2], "salesforce/accounts"}
    assert list(failures(story.failed)) == ["hubspot/companies"]


def test_failed_load_says_what_it_did_and_how_to_go_on(story: Story) -> None:
    (failed,) = (event for event in story.failed.all_events if event.is_step_failure)
    data = failed.step_failure_data.user_failure_data
    assert data is not None
    assert (data.metadata["created"].value, data.metadata["failed"].value) == (HUBSPOT_BATCH, 20)
    assert "integration acme" in (data.description or "")


def test_after_a_failure_only_what_is_open_is_sent(story: Story) -> None:
    assert story.rows_before == HUBSPOT_BATCH
    assert story.repaired.success
    assert [(call.service, call.rows) for call in story.writes_after] == [("hubspot", 20)]
    assert len(story.companies) == HUBSPOT_BATCH + 20


@pytest.mark.parametrize("keys", ["with external keys", "without external keys"])
def test_connection_that_breaks_after_the_crm_wrote_doubles_nothing(
    credentials: object, dagster: Dagster, request: pytest.FixtureRequest, store: Store, keys: str
) -> None:
    external_keys = keys == "with external keys"
    sandbox: Sandbox = request.getfixturevalue("sandbox" if external_keys else "keyless_sandbox")
    add_laboratories(sandbox.tenant, 5, contacts_each=1)
    breaking = [
        ("salesforce", "composite/sobjects"),
        ("hubspot", "companies/batch/(upsert|create)"),
        ("hubspot", "objects/contacts/batch/(upsert|create)"),
        ("hubspot", "associations"),
    ]
    if external_keys:
        breaking.append(("salesforce", "composite/sobjects.*Contact"))
    for service, path in breaking:
        sandbox.faults.add(Fault(service=service, path=path, kind="drop_after"))
    spec = customized(sandbox, external_keys=external_keys)
    runs = [dagster.run(spec, FIRST)]
    red = {*READS, *LOADS} - materialized(runs[0])
    while red and len(runs) < MOST_RUNS:
        let_intents_settle(store)
        runs.append(dagster.run(spec, FIRST, assets=sorted(red)))
        red -= materialized(runs[-1])
    assert red == set(), failures(runs[-1])
    assert sandbox.faults.open() == [], "every connection did break"
    held = [len(sandbox.org.records(name)) for name in ("Account", "Contact")]
    held += [len(sandbox.portal.records(name)) for name in ("companies", "contacts")]
    assert held == [5, 5, 5, 5]
    assert len(sandbox.portal.associations()) == 5
    assert {outcome for outcome, *_ in outcomes().values()} <= {"created", "linked", "updated", "unchanged"}


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
