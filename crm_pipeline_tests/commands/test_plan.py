"""``crm-pipeline plan``: what it shows, of what, and that it changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.store.database import URL_VARIABLE
from crm_pipeline_tests.commands.conftest import Desk, own_desk
from crm_pipeline_tests.orchestration.conftest import writes
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, contact, customer
from crm_pipeline_tests.tenants import BEFORE_START, FIRST, IN_SECOND, SECOND


@pytest.fixture(scope="module")
def desk(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Two customers in the first partition, one in the second; a contact of one of them. No test changes that: a plan changes nothing."""
    with own_desk(postgres, tmp_path_factory.mktemp("project")) as desk:
        desk.bench.stage(
            desk.spec, ACCOUNT, customer(1, BEFORE_START), customer(2, BEFORE_START, customer_name=None), customer(3, IN_SECOND)
        )
        desk.bench.stage(desk.spec, CONTACT, contact(7, BEFORE_START, of=1))
        yield desk


def counts(forecast: dict[str, object]) -> dict[tuple[str, str | None], int]:
    """The counts of a forecast, by operation and reason."""
    plan = forecast["plan"]
    assert isinstance(plan, list)
    return {(row["operation"], row["reason"]): row["count"] for row in plan}


def test_the_plan_of_everything_covers_each_crm_and_record_type_and_writes_nowhere(desk: Desk) -> None:
    told = desk.json("plan")
    assert [(part["crm"], part["record_type"]) for part in told] == [
        ("hubspot", "account"),
        ("hubspot", "contact"),
        ("salesforce", "account"),
        ("salesforce", "contact"),
    ]
    for part in told:
        expected = {("create", None): 2, ("skipped", "NoNameForCustomerException"): 1} if part["record_type"] == "account" else None
        assert counts(part) == (expected or {("create", None): 1})
    assert writes(desk.bench.sandbox) == []
    assert desk.bench.rows("SELECT * FROM crm_pipeline.outcome") == []


def test_the_plan_of_a_partition_covers_the_records_of_its_window(desk: Desk) -> None:
    options = ("plan", "--crm", "salesforce", "--record-type", "account")
    assert desk.json(*options, "--partition", FIRST)[0]["rows"] == 2
    assert desk.json(*options, "--partition", SECOND)[0]["rows"] == 1
    assert desk.json(*options, "--since", "2026-11-01T01:00Z", "--until", "2026-11-01T02:00Z")[0]["rows"] == 1


def test_the_plan_of_named_contacts_knows_the_customers_that_the_load_would_create_before(desk: Desk) -> None:
    [told] = desk.json("plan", "--crm", "salesforce", "--record-type", "contact", "--ids", "7")
    assert counts(told) == {("create", None): 1}
    assert told["plan"][0]["sample_ids"] == [7]


def test_ids_that_are_not_staged_are_named_beside_the_plan_of_the_others(desk: Desk) -> None:
    result = desk.type("plan", "--crm", "salesforce", "--record-type", "contact", "--ids", "7,77", "--json")
    assert (result.exit_code, json.loads(result.stdout)[0]["rows"]) == (1, 1)
    assert "there is no staged contact 77;" in result.stderr


def test_the_plan_is_shown_as_tables_with_reasons_fields_and_calls(desk: Desk) -> None:
    result = desk.type("plan", "--integration", "acme", "--crm", "salesforce", "--record-type", "account")
    assert result.exit_code == 0, result.output
    for words in (
        "acme → salesforce accounts: 3 records",
        "NoNameForCustomerException",
        "Calls: 1 upsert to write",
        "Nothing was written.",
    ):
        assert words in result.output


def test_a_crm_that_cannot_be_planned_hides_no_other_one(desk: Desk) -> None:
    faults = desk.bench.sandbox.faults
    faults.add(Fault(service="hubspot", status=401, times=None))
    try:
        as_json, as_tables = desk.type("plan", "--json"), desk.type("plan")
    finally:
        faults.clear()
    assert (as_json.exit_code, as_tables.exit_code) == (1, 1)
    no_forecast, *told = json.loads(as_json.stdout)
    assert (no_forecast["integration"], no_forecast["crm"]) == ("acme", "hubspot")
    assert [(part["crm"], part["record_type"]) for part in told] == [("salesforce", "account"), ("salesforce", "contact")]
    assert "acme → salesforce contacts" in as_tables.stdout
    for result in (as_json, as_tables):
        assert f"acme → hubspot: {no_forecast['error']}" in result.stderr


def test_what_cannot_be_planned_of_a_crm_hides_not_what_can(desk: Desk) -> None:
    desk.bench.sandbox.faults.add(Fault(service="hubspot", path="properties.*contacts", status=403, times=None))
    try:
        result = desk.type("plan", "--crm", "hubspot", "--json")
    finally:
        desk.bench.sandbox.faults.clear()
    assert result.exit_code == 1
    accounts, no_forecast = json.loads(result.stdout)
    assert (accounts["record_type"], set(no_forecast)) == ("account", {"integration", "crm", "error"})


def test_a_plan_that_cannot_be_made_says_what_would_be_right(desk: Desk) -> None:
    for words, remedy in (
        (("--integration", "acne"), "did you mean `acme`?"),
        (("--crm", "salesfroce"), "did you mean `salesforce`?"),
        (("--ids", "7"), "--ids needs --record-type"),
        (("--partition", "2026-10-01-00:00"), "the first is 2026-11-01-00:00"),
        (("--partition", "yesterday"), "give an hour as 2026-11-01-00:00"),
        (("--partition", f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%d-%H}:00"), "is not over yet"),
        (("--partition", FIRST, "--since", "2026-11-01"), "not several of them"),
        (("--since", "2026-11-02", "--until", "2026-11-01"), "--since must lie before --until"),
        (("--since", "2026-11-02", "--until", "2026-11-02"), "--since must lie before --until"),
        (("--from", "salesforce", "--since", "2026-11-02", "--until", "2026-11-01"), "--since must lie before --until"),
    ):
        result = desk.type("plan", *words)
        assert result.exit_code != 0
        assert remedy in result.output


def test_database_that_does_not_answer_is_told_before_what_is_wrong_with_a_crm(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL_VARIABLE, "postgresql://127.0.0.1:9/state")
    monkeypatch.delenv("SALESFORCE_CLIENT_SECRET")
    result = desk.type("plan", "--integration", "acme")
    assert (result.exit_code, result.output.count("\n")) == (1, 1), result.output
    assert result.output.startswith(f"Error: the state database cannot be reached (OperationalError); check {URL_VARIABLE}")
