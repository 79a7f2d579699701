"""``crm-pipeline resync``: what it sends, and what it asks for."""

from __future__ import annotations

import pandas as pd
import pytest

from crm_pipeline.sandbox.salesforce import ValidationRule
from crm_pipeline.schemas import BASES, CHANGE_OUTCOMES
from crm_pipeline.store.bases import bases_of, save_bases
from crm_pipeline.store.change_outcomes import save_change_outcomes
from crm_pipeline.store.crm_records import pending_crm_ids
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import URL_VARIABLE
from crm_pipeline_tests.commands.conftest import Desk
from crm_pipeline_tests.sync.conftest import ACCOUNT, customer

ACCOUNTS = ("resync", "--integration", "acme", "--crm", "salesforce", "--record-type", "account")


def test_all_or_named_records_are_sent_again_and_counted(desk: Desk) -> None:
    desk.bench.given(desk.spec, ACCOUNT, customer(1), customer(2))
    for words, said in (
        (("--force", "--ids", "2"), "acme → salesforce accounts: 1 updated"),
        (("--force", "--all"), "acme → salesforce accounts: 2 updated"),
        (("--create-only", "phone_number", "--all"), "acme → salesforce accounts: 2 unchanged"),
        (("--force", "--ids", "77"), "acme → salesforce accounts: no such records"),
    ):
        result = desk.type(*ACCOUNTS, *words)
        assert (result.exit_code, said in result.output) == (0, True), result.output
    assert desk.bench.rows("SELECT count(*) FROM crm_pipeline.outcome_history WHERE run_id LIKE 'resync-%'") == [(3,)]


def test_an_order_that_is_not_clear_is_refused(desk: Desk) -> None:
    desk.bench.given(desk.spec, ACCOUNT, customer(1))
    for words, remedy in (
        (("--all",), "give either --force or --create-only"),
        (("--force", "--create-only", "address", "--all"), "give either --force or --create-only"),
        (("--force",), "give one of --error, --ids and --all"),
        (("--force", "--all", "--ids", "1"), "give one of --error, --ids and --all"),
        (("--create-only", "website", "--all"), "there are: address, phone_number"),
    ):
        result = desk.type(*ACCOUNTS, *words)
        assert (result.exit_code, remedy in result.output) == (1, True), result.output


def test_what_is_wrong_with_database_or_credentials_is_told_and_no_record_is_called_missing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.bench.given(desk.spec, ACCOUNT, customer(1))
    monkeypatch.setenv("SALESFORCE_CLIENT_SECRET", "wrong")
    refused = desk.type(*ACCOUNTS, "--force", "--ids", "1")
    assert (refused.exit_code, "refuses the credentials" in refused.output) == (1, True), refused.output
    monkeypatch.setenv(URL_VARIABLE, "postgresql://127.0.0.1:9/state")
    silent = desk.type(*ACCOUNTS, "--force", "--ids", "1")
    assert silent.output.startswith("Error: the state database cannot be reached"), silent.output
    assert "no such records" not in refused.output + silent.output


# --- by error

REFUSED = "InvalidValueException"


def refused(desk: Desk, *numbers: int) -> None:
    """Customers that a rule of Salesforce's refuses, which is then switched off."""
    org = desk.bench.sandbox.org
    org.add_validation_rule(ValidationRule("Account", lambda _: True))
    desk.bench.stage(desk.spec, ACCOUNT, *(customer(number) for number in numbers))
    desk.bench.load(desk.spec, ACCOUNT)
    assert {error for _, error in desk.bench.outcomes().values()} == {REFUSED}
    org.validation_rules.clear()


def test_records_with_an_error_are_sent_again_once_its_cause_is_gone_and_no_others(desk: Desk) -> None:
    refused(desk, 1, 2)
    desk.bench.stage(desk.spec, ACCOUNT, customer(3))
    result = desk.type(*ACCOUNTS, "--error", REFUSED)
    assert (result.exit_code, result.output) == (0, "acme → salesforce accounts: 2 created\n")
    assert desk.bench.names() == ["Lab 1", "Lab 2"]


def test_records_with_an_error_are_sent_as_the_mapping_of_today_makes_them(desk: Desk) -> None:
    earlier = desk.bench.spec(accounts={"map": {"name": "comments"}})
    desk.bench.stage(earlier, ACCOUNT, customer(1))
    desk.bench.load(earlier, ACCOUNT)
    result = desk.type("resync", "--integration", "acme", "--error", "NoNameForCustomerException")
    assert "acme → salesforce accounts: 1 created" in result.output
    assert "acme → hubspot accounts: no record has NoNameForCustomerException" in result.output
    assert desk.bench.names() == ["Lab 1"]


def test_an_error_is_one_of_the_table_and_one_way_is_chosen(desk: Desk) -> None:
    for words, remedy in (
        (("--error", "InvalidValueExeption"), f"did you mean `{REFUSED}`?"),
        (("--error", REFUSED, "--all"), "give one of --error, --ids and --all"),
        (("--error", REFUSED, "--from", "salesforce"), "give no --crm, --force or --create-only with it"),
    ):
        result = desk.type(*ACCOUNTS, *words)
        assert (result.exit_code, remedy in result.output) == (1, True), result.output


# --- the other way


def test_what_a_crm_s_changes_ended_with_is_looked_at_again_by_the_next_run(desk: Desk) -> None:
    state = CrmState("acme", "salesforce", ACCOUNT)
    told = CHANGE_OUTCOMES.build(
        {
            "crm_id": pd.Series(["001A", "001B", "001C"]),
            "outcome": pd.Series(["skipped", "skipped", "updated"]),
            "error_type": pd.Series([REFUSED, "InvalidEmailException", None], dtype="str"),
            "retryable": pd.Series([False, False, False]),
        }
    )
    with desk.bench.store.transaction() as connection:
        save_change_outcomes(connection, state, outcomes=told, attempt=desk.bench.order(desk.spec, ACCOUNT).attempt)
    result = desk.type("resync", "--integration", "acme", "--from", "salesforce", "--error", REFUSED)
    assert result.output == (
        "acme ← salesforce accounts: 1 records are looked at by the next run\n"
        "acme ← salesforce contacts: 0 records are looked at by the next run\n"
    )
    with desk.bench.store.transaction() as connection:
        assert pending_crm_ids(connection, state) == ["001A"]


def test_what_a_crm_shows_is_taken_for_changed_there_in_fields_that_were_accepted_before(desk: Desk) -> None:
    bench, state = desk.bench, CrmState("acme", "salesforce", ACCOUNT)
    crm_ids = bench.given(desk.spec, ACCOUNT, customer(1), customer(2), customer(3))
    kept = BASES.build({"qbench_id": pd.Series([1, 2]), "bases": pd.Series([{"Description": [5, 5]}, {"Description": [6, 7]}])})
    with bench.store.transaction() as connection:
        save_bases(connection, state, bases=kept, crm_ids=pd.Series([crm_ids[1], crm_ids[2]]))
    result = desk.type("resync", "--integration", "acme", "--from", "salesforce", "--record-type", "account", "--ids", "2,3")
    assert result.output == "acme ← salesforce accounts: 1 records are looked at by the next run\n"
    with bench.store.transaction() as connection:
        assert bases_of(connection, state, ids=[1, 2])["bases"].tolist() == [{"Description": [5, 5]}, {"Description": [6, 0]}]
        assert pending_crm_ids(connection, state) == [crm_ids[2]]
