"""Whatever the integration, the services or the records have wrong ends in words that name the integration and what to do.

No test's run may leave a planted value in the event log.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import text

from crm_pipeline.orchestration.assets import build_integration
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, Sandbox
from crm_pipeline.store.database import Store
from crm_pipeline_tests.orchestration.conftest import (
    ACCOUNTS,
    Dagster,
    failures,
    materialized,
    metadata_of,
    outcomes,
    running_dagster,
    writes,
)
from crm_pipeline_tests.tenants import (
    ACCOUNT_MAP,
    BEFORE_START,
    FIRST,
    IN_SECOND,
    SECOND,
    add_laboratories,
    customized,
    integration,
)

MARKER = "Xyzzyplugh"
"""Stands in every planted value; nothing of the sandbox's or ours holds it."""

EXTRACT = ("qbench/customers",)
WITH_SALESFORCE = ("qbench/customers", "normalized/accounts", "salesforce/accounts")


@pytest.fixture
def dagster(database_in_environment: str) -> Iterator[Dagster]:
    with running_dagster() as running:
        yield running
        assert MARKER not in running.events(), "a record's value is in the event log"


def add_marked(sandbox: Sandbox, *, at: int = BEFORE_START, **fields: Any) -> int:
    """A customer and its contact whose values all carry the marker."""
    given = {"customer_name": f"{MARKER} Labs", "comments": f"{MARKER} comment", **fields}
    customer = sandbox.tenant.add_customer(at=at, **given)
    sandbox.tenant.add_contact(
        customer_ids=[customer],
        email_address=f"{MARKER}{customer}@example.org",
        first_name=f"{MARKER} First",
        last_name=f"{MARKER} Last",
        phone="512 555 0102",
        at=at,
    )
    return customer


def only_failure(result: dg.ExecuteInProcessResult, asset: str) -> str:
    said = failures(result)
    assert list(said) == [asset], said
    assert "integration acme" in said[asset], said[asset]
    return said[asset]


def test_unreachable_qbench_says_so_and_to_check_the_url(sandbox: Sandbox, dagster: Dagster) -> None:
    spec = customized(sandbox, qbench={"url": "http://127.0.0.1:9", "attempts": 1})
    said = only_failure(dagster.run(spec, FIRST, assets=EXTRACT), "qbench/customers")
    assert "127.0.0.1 did not answer" in said
    assert "check that the integration's url is right" in said


def test_wrong_qbench_secret_names_its_variable(sandbox: Sandbox, dagster: Dagster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QBENCH_CLIENT_SECRET", f"{MARKER}-no-such-secret")
    said = only_failure(dagster.run(integration(sandbox), FIRST, assets=EXTRACT), "qbench/customers")
    assert "check that QBENCH_CLIENT_ID and QBENCH_CLIENT_SECRET hold" in said


def test_refused_credentials_are_not_tried_again(sandbox: Sandbox, dagster: Dagster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QBENCH_CLIENT_SECRET", "wrong")
    dagster.run(integration(sandbox), FIRST, assets=EXTRACT)
    assert len(sandbox.journal.calls("qbench")) == 1


@pytest.mark.parametrize(
    ("variable", "failing", "well"),
    [
        ("SALESFORCE_CLIENT_SECRET", "salesforce/accounts", "hubspot"),
        ("HUBSPOT_TOKEN", "hubspot/companies", "salesforce"),
    ],
)
def test_wrong_crm_credential_names_its_variable_and_leaves_the_other_crm_well(
    sandbox: Sandbox, dagster: Dagster, monkeypatch: pytest.MonkeyPatch, variable: str, failing: str, well: str
) -> None:
    add_marked(sandbox)
    monkeypatch.setenv(variable, f"{MARKER}-wrong")
    result = dagster.run(integration(sandbox), FIRST)
    assert variable in only_failure(result, failing)
    assert {asset.split("/")[0] for asset in materialized(result)} == {"qbench", "normalized", well}


@pytest.mark.parametrize("variable", ["QBENCH_CLIENT_SECRET", "SALESFORCE_CLIENT_ID", "HUBSPOT_TOKEN"])
def test_missing_variable_is_named_when_a_run_needs_it(
    sandbox: Sandbox, dagster: Dagster, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    add_marked(sandbox)
    monkeypatch.delenv(variable)
    (said,) = failures(dagster.run(integration(sandbox, contacts=None), FIRST, assets=ACCOUNTS)).values()
    assert f"integration acme: environment variable {variable} is not set" in said


def test_location_loads_without_any_credential(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in SANDBOX_CREDENTIALS:
        monkeypatch.delenv(variable)
    dg.Definitions.validate_loadable(build_integration(integration(sandbox)))


@pytest.mark.parametrize(
    ("service", "path", "failing"),
    [
        ("qbench", "/customers$", "qbench/customers"),
        ("salesforce", "/composite/sobjects", "salesforce/accounts"),
        ("hubspot", "/companies/batch/", "hubspot/companies"),
    ],
)
def test_html_instead_of_json_is_named(sandbox: Sandbox, dagster: Dagster, service: str, path: str, failing: str) -> None:
    add_marked(sandbox)
    page = f"<html><body>{MARKER} will be back</body></html>"
    sandbox.faults.add(Fault(service=service, path=path, kind="html", times=None, body=page))
    once: dict[str, Any] = {service: {"attempts": 1}}
    result = dagster.run(customized(sandbox, **once), FIRST, assets=ACCOUNTS)
    assert "UnexpectedAnswerError" in only_failure(result, failing)


def test_record_with_every_field_null_is_skipped_with_its_reason(sandbox: Sandbox, dagster: Dagster) -> None:
    customer = add_marked(sandbox)
    blank = sandbox.tenant.add_customer(customer_name=None, status=None, at=BEFORE_START)
    sandbox.tenant.add_contact(customer_ids=[customer], id=50, at=BEFORE_START)
    assert dagster.run(integration(sandbox), FIRST).success
    said = outcomes()
    assert {said[crm, "account", blank][:2] for crm in ("salesforce", "hubspot")} == {("skipped", "NoNameForCustomerException")}
    assert {said[crm, "contact", 50][:2] for crm in ("salesforce", "hubspot")} == {("skipped", "NoEmailForContactException")}
    assert said["hubspot", "account", customer][0] == "created"


def test_comment_of_ten_megabytes_is_left_out_and_named(sandbox: Sandbox, dagster: Dagster) -> None:
    customer = add_marked(sandbox)
    big = sandbox.tenant.add_customer(customer_name="Talkative", comments=MARKER * 1_000_000, at=BEFORE_START)
    assert dagster.run(integration(sandbox), FIRST, assets=ACCOUNTS).success
    said = outcomes()
    assert {crm: said[crm, "account", big] for crm in ("salesforce", "hubspot")} == {
        "salesforce": ("created", None, "omitted: Description"),
        "hubspot": ("created", None, "omitted: description"),
    }
    assert said["salesforce", "account", customer][0] == "created"


def test_dates_that_nobody_can_parse_fail_their_records_alone(sandbox: Sandbox, dagster: Dagster) -> None:
    customer = add_marked(sandbox)
    dates: list[object] = [f"{MARKER}day", None, "", 10**30, True, {"when": MARKER}]
    odd = add_laboratories(sandbox.tenant, len(dates))
    for number, date in zip(odd, dates, strict=True):
        sandbox.tenant.answer_with("customers", number, last_updated=date)
    assert dagster.run(integration(sandbox), FIRST, assets=WITH_SALESFORCE).success
    said = outcomes()
    assert {said["salesforce", "account", number] for number in odd} == {("failed", "UnreadableRecordException", "last_updated")}
    assert said["salesforce", "account", customer][0] == "created"


def test_nul_and_lone_surrogates_are_left_out(sandbox: Sandbox, dagster: Dagster) -> None:
    names = {"customer_name": "O\0d\ud800d \N{GRINNING FACE}", "comments": "\udc00"}
    odd = {"id": 1, "last_updated": BEFORE_START, **names}
    sandbox.faults.add(
        Fault(
            service="qbench",
            path="/customers$",
            status=200,
            times=1,
            headers={"content-type": "application/json"},
            # The escapes stand in the JSON as a server in another language would send them.
            body=json.dumps({"data": [odd], "total_pages": 1, "total_count": 1}),
        )
    )
    assert dagster.run(integration(sandbox), FIRST, assets=ACCOUNTS).success
    assert [record["Name"] for record in sandbox.org.records("Account")] == ["Odd \N{GRINNING FACE}"]
    assert [record["properties"]["name"] for record in sandbox.portal.records("companies")] == ["Odd \N{GRINNING FACE}"]


def test_values_of_unexpected_shapes_fail_no_run(sandbox: Sandbox, dagster: Dagster) -> None:
    shapes: list[dict[str, object]] = [
        {"customer_name": {"a": MARKER}},
        {"customer_name": [MARKER]},
        {"employees": MARKER},
        {"phone": 10**40},
        {"comments": True, "city_name": 1.5},
    ]
    odd = add_laboratories(sandbox.tenant, len(shapes))
    for number, fields in zip(odd, shapes, strict=True):
        sandbox.tenant.answer_with("customers", number, **fields)
    result = dagster.run(integration(sandbox), FIRST, assets=WITH_SALESFORCE)
    assert result.success, failures(result)
    assert {number for _, _, number in outcomes()} == set(odd)


def test_empty_tenant_is_a_good_run(sandbox: Sandbox, dagster: Dagster) -> None:
    result = dagster.run(integration(sandbox), FIRST)
    assert result.success
    assert {metadata_of(result, *asset.split("/"))["dagster/row_count"] for asset in materialized(result)} == {0}


def test_empty_hour_asks_the_crms_nothing(sandbox: Sandbox, dagster: Dagster) -> None:
    assert dagster.run(integration(sandbox), SECOND).success
    assert [call for call in sandbox.journal.calls() if call.service != "qbench"] == []


def test_mapping_to_fields_that_do_not_exist_names_all_before_the_first_write(sandbox: Sandbox, dagster: Dagster) -> None:
    add_marked(sandbox)
    wrong = {"salesforce.Lab_Tier__c": "group_name", "salesforce.Labb__c": "tags"}
    spec = integration(sandbox, accounts={"map": {**ACCOUNT_MAP, **wrong}})
    said = only_failure(dagster.run(spec, FIRST, assets=WITH_SALESFORCE), "salesforce/accounts")
    assert all(field.removeprefix("salesforce.") in said for field in wrong)
    assert writes(sandbox) == []


@pytest.mark.parametrize("service", ["qbench", "salesforce", "hubspot"])
def test_another_organization_stops_before_any_write(sandbox: Sandbox, dagster: Dagster, service: str) -> None:
    add_marked(sandbox)
    assert dagster.run(integration(sandbox), FIRST, assets=ACCOUNTS).success
    add_marked(sandbox, at=IN_SECOND)
    if service == "salesforce":
        (found,) = sandbox.org.records("Organization")
        table = sandbox.org.table("Organization")
        assert table is not None
        row = table.rows[found["Id"]]
        table.remove(found["Id"])
        sandbox.org.organization_id = "00D000000000XyzEAA"
        table.put({**row, "Id": sandbox.org.organization_id})
    elif service == "hubspot":
        sandbox.portal.portal_id += 1
    other = replace(sandbox, qbench_url=sandbox.qbench_url.replace("127.0.0.1", "localhost")) if service == "qbench" else sandbox
    sandbox.journal.clear()
    result = dagster.run(integration(other), SECOND, assets=ACCOUNTS)
    failing = {"qbench": "qbench/customers", "salesforce": "salesforce/accounts", "hubspot": "hubspot/companies"}[service]
    assert "WrongOrgError" in only_failure(result, failing)
    assert writes(sandbox, service) == []


def test_what_was_synced_stays_when_a_later_run_fails(sandbox: Sandbox, dagster: Dagster, store: Store) -> None:
    add_laboratories(sandbox.tenant, 3)
    assert dagster.run(integration(sandbox), FIRST, assets=ACCOUNTS).success
    sandbox.faults.add(Fault(service="salesforce", kind="html", times=None))
    sandbox.tenant.edit_customer(1, customer_name="Renamed", at=IN_SECOND)
    only_failure(dagster.run(customized(sandbox, salesforce={"attempts": 1}), SECOND, assets=ACCOUNTS), "salesforce/accounts")
    with store.transaction() as connection:
        links = connection.execute(text("SELECT crm, count(*) AS links FROM crm_pipeline.link GROUP BY crm ORDER BY crm"))
        assert [tuple(row) for row in links] == [("hubspot", 3), ("salesforce", 3)]


def test_refused_record_leaves_no_value_in_outcome_or_event(sandbox: Sandbox, dagster: Dagster) -> None:
    from crm_pipeline.sandbox.salesforce.org import ValidationRule

    add_marked(sandbox)
    rule = ValidationRule("Account", refuses=lambda _row: True, message=f"{MARKER} Labs is not welcome", field="Name")
    sandbox.org.add_validation_rule(rule)
    result = dagster.run(integration(sandbox), FIRST, assets=WITH_SALESFORCE)
    assert result.success
    (said,) = outcomes().values()
    assert said[:2] == ("failed", "InvalidValueException")
    assert MARKER not in str(said)
    assert "InvalidValueException" in str(metadata_of(result, "salesforce", "accounts")["errors"])
