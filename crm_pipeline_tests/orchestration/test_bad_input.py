"""Whatever the integration or the services have wrong ends in words that name the integration and what to do.

The tests share an integration that is loaded, and one new customer that is staged. A run that fails here writes nothing, so every
test finds that as it was. No run may leave a planted value in the event log.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import text

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.assets import build_integration
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, Sandbox
from crm_pipeline_tests.orchestration.conftest import ACCOUNTS, World, failures, materialized, writes
from crm_pipeline_tests.tenants import ACCOUNT_MAP, BEFORE_START, FIRST, IN_SECOND, SECOND, customized, integration

MARKER = "Xyzzyplugh"
"""Stands in every planted value; nothing of the sandbox's or ours holds it."""

ASSETS = {"qbench": "qbench/customers", "salesforce": "salesforce/accounts", "hubspot": "hubspot/companies"}
"""The asset that is the first to call each service."""


@pytest.fixture(scope="module")
def loaded(world: World) -> World:
    """A customer that both CRMs have, and another that is staged."""
    world.sandbox.tenant.add_customer(customer_name=f"{MARKER} Labs", comments=MARKER, at=BEFORE_START)
    assert world.dagster.run(integration(world.sandbox), FIRST, assets=ACCOUNTS).success
    world.sandbox.tenant.add_customer(customer_name=f"{MARKER} Research", comments=MARKER, at=IN_SECOND)
    assert world.dagster.run(integration(world.sandbox), SECOND, assets=ACCOUNTS[:2]).success
    return world


@pytest.fixture
def staged(loaded: World) -> Iterator[World]:
    """The same, with a journal of the test's own."""
    loaded.sandbox.journal.clear()
    yield loaded
    loaded.sandbox.faults.clear()


def refusal(world: World, spec: IntegrationSpec, asset: str) -> str:
    """What a run of this asset alone fails with, before any write."""
    result = world.dagster.run(spec, SECOND, assets=[asset])
    said = failures(result)
    assert list(said) == [asset], said
    assert "integration acme" in said[asset], said[asset]
    assert MARKER not in world.dagster.events_of(result.run_id), "a record's value is in the event log"
    return said[asset]


def test_unreachable_qbench_says_so_and_to_check_the_url(staged: World) -> None:
    spec = customized(staged.sandbox, qbench={"url": "http://127.0.0.1:9", "attempts": 1}).model_copy(update={"name": "acme_anew"})
    said = refusal(staged, spec, "qbench/customers")
    assert "127.0.0.1 did not answer" in said
    assert "check that the integration's url is right" in said


@pytest.mark.parametrize(
    ("variable", "service", "named"),
    [
        ("QBENCH_CLIENT_SECRET", "qbench", "check that QBENCH_CLIENT_ID and QBENCH_CLIENT_SECRET hold"),
        ("SALESFORCE_CLIENT_SECRET", "salesforce", "SALESFORCE_CLIENT_SECRET"),
        ("HUBSPOT_TOKEN", "hubspot", "HUBSPOT_TOKEN"),
    ],
)
def test_wrong_credential_names_its_variable_and_is_not_tried_again(
    staged: World, monkeypatch: pytest.MonkeyPatch, variable: str, service: str, named: str
) -> None:
    monkeypatch.setenv(variable, f"{MARKER}-wrong")
    assert named in refusal(staged, integration(staged.sandbox), ASSETS[service])
    assert len(staged.sandbox.journal.calls(service)) == 1


@pytest.mark.parametrize(
    ("variable", "service"), [("QBENCH_CLIENT_SECRET", "qbench"), ("SALESFORCE_CLIENT_ID", "salesforce"), ("HUBSPOT_TOKEN", "hubspot")]
)
def test_missing_variable_is_named_when_a_run_needs_it(staged: World, monkeypatch: pytest.MonkeyPatch, variable: str, service: str) -> None:
    monkeypatch.delenv(variable)
    said = refusal(staged, integration(staged.sandbox), ASSETS[service])
    assert f"integration acme: environment variable {variable} is not set" in said


def test_location_loads_without_any_credential(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in SANDBOX_CREDENTIALS:
        monkeypatch.delenv(variable)
    dg.Definitions.validate_loadable(build_integration(integration(sandbox)))


@pytest.mark.parametrize(("service", "path"), [("qbench", "/customers$"), ("salesforce", "/services/data/"), ("hubspot", "/")])
def test_html_instead_of_json_is_named(staged: World, service: str, path: str) -> None:
    page = f"<html><body>{MARKER} will be back</body></html>"
    staged.sandbox.faults.add(Fault(service=service, path=path, kind="html", times=None, body=page))
    once: dict[str, Any] = {service: {"attempts": 1}}
    assert "UnexpectedAnswerError" in refusal(staged, customized(staged.sandbox, **once), ASSETS[service])


def test_mapping_to_fields_that_do_not_exist_names_all_before_the_first_write(staged: World) -> None:
    wrong = {"salesforce.Lab_Tier__c": "group_name", "salesforce.Labb__c": "tags"}
    said = refusal(staged, integration(staged.sandbox, accounts={"map": {**ACCOUNT_MAP, **wrong}}), "salesforce/accounts")
    assert all(field.removeprefix("salesforce.") in said for field in wrong)
    assert writes(staged.sandbox) == []


@pytest.mark.parametrize("service", ["qbench", "salesforce", "hubspot"])
def test_another_organization_stops_before_any_write(staged: World, service: str) -> None:
    with another_organization(staged.sandbox, service) as elsewhere:
        assert "WrongOrgError" in refusal(staged, integration(elsewhere), ASSETS[service])
    assert writes(staged.sandbox) == []


@contextmanager
def another_organization(sandbox: Sandbox, service: str) -> Iterator[Sandbox]:
    """The sandbox, in which one service's credentials lead to another tenant than before."""
    if service == "qbench":
        yield replace(sandbox, qbench_url=sandbox.qbench_url.replace("127.0.0.1", "localhost"))
    elif service == "salesforce":
        first = sandbox.org.organization_id
        _rename_organization(sandbox, "00D000000000XyzEAA")
        try:
            yield sandbox
        finally:
            _rename_organization(sandbox, first)
    else:
        sandbox.portal.portal_id += 1
        try:
            yield sandbox
        finally:
            sandbox.portal.portal_id -= 1


def _rename_organization(sandbox: Sandbox, organization_id: str) -> None:
    (found,) = sandbox.org.records("Organization")
    table = sandbox.org.table("Organization")
    assert table is not None
    row = table.rows[found["Id"]]
    table.remove(found["Id"])
    sandbox.org.organization_id = organization_id
    table.put({**row, "Id": organization_id})


def test_what_was_synced_stays_when_a_later_run_fails(staged: World) -> None:
    staged.sandbox.faults.add(Fault(service="salesforce", kind="html", times=None))
    refusal(staged, customized(staged.sandbox, salesforce={"attempts": 1}), "salesforce/accounts")
    with STORE.transaction() as connection:
        links = connection.execute(text("SELECT crm, qbench_id FROM crm_pipeline.link ORDER BY crm"))
        assert [tuple(row) for row in links] == [("hubspot", 1), ("salesforce", 1)]


def test_crm_that_fails_leaves_the_other_well(staged: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALESFORCE_CLIENT_SECRET", "wrong")
    result = staged.dagster.run(integration(staged.sandbox), FIRST, assets=ACCOUNTS[2:])
    assert list(failures(result)) == ["salesforce/accounts"]
    assert materialized(result) == {"hubspot/companies"}
