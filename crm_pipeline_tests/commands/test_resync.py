"""``crm-pipeline resync``: what it sends, and what it asks for."""

from __future__ import annotations

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
