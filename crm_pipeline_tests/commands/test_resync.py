"""``crm-pipeline resync``: what it sends, and what it asks for."""

from __future__ import annotations

import pytest

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
        (("--force",), "give either --ids or --all"),
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
