"""``crm-pipeline resync``: what it sends, and what it asks for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.schemas import BASES
from crm_pipeline.store.bases import bases_of, save_bases
from crm_pipeline.store.crm_records import pending_crm_ids
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import URL_VARIABLE, Store
from crm_pipeline_tests.commands.conftest import Desk, _desk
from crm_pipeline_tests.sync.conftest import ACCOUNT, LEAN_ACCOUNT_MAP, Bench, customer
from crm_pipeline_tests.tenants import attributes

ACCOUNTS = ("resync", "--integration", "acme", "--crm", "salesforce", "--record-type", "account")


def test_all_or_named_records_are_sent_again_and_counted(desk: Desk) -> None:
    desk.bench.given(desk.spec, ACCOUNT, customer(1), customer(2))
    for words, said in (
        (("--force", "--ids", "2"), "acme → salesforce accounts: 1 updated"),
        (("--force", "--all"), "acme → salesforce accounts: 2 updated"),
        (("--create-only", "phone_number", "--all"), "acme → salesforce accounts: 2 unchanged"),
    ):
        result = desk.type(*ACCOUNTS, *words)
        assert (result.exit_code, said in result.output) == (0, True), result.output
    assert desk.bench.rows("SELECT count(*) FROM crm_pipeline.every_outcome WHERE run_id LIKE 'resync-%'") == [(3,)]


def test_ids_that_are_not_staged_are_named_after_the_others_went(desk: Desk) -> None:
    desk.bench.given(desk.spec, ACCOUNT, customer(1), customer(2))
    result = desk.type(*ACCOUNTS, "--force", "--ids", "2,77,78")
    assert (result.exit_code, result.stdout) == (1, "acme → salesforce accounts: 1 updated\n")
    assert "there is no staged account 77, 78; `crm-pipeline send` reads records from QBench now" in result.stderr


def test_an_order_that_is_not_clear_is_refused(desk: Desk) -> None:
    desk.bench.given(desk.spec, ACCOUNT, customer(1))
    for words, code, remedy in (
        (("--all",), 2, "give either --force or --create-only"),
        (("--force", "--create-only", "address", "--all"), 2, "give either --force or --create-only"),
        (("--force",), 2, "give either --ids or --all"),
        (("--force", "--all", "--ids", "1"), 2, "give either --ids or --all"),
        (("--create-only", "website", "--all"), 1, "there are: address, phone_number"),
        (("--force", "--from", "salesforce", "--all"), 2, "give no --crm, --force or --create-only with it"),
    ):
        result = desk.type(*ACCOUNTS, *words)
        assert (result.exit_code, remedy in result.output) == (code, True), result.output


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


# --- the other way


@pytest.fixture
def both(sandbox: Sandbox, store: Store, database_in_environment: str, tmp_path: Path) -> Iterator[Desk]:
    """The command line on an integration whose accounts' descriptions come back from Salesforce, and nothing of its contacts."""
    accounts = {"map": {**LEAN_ACCOUNT_MAP, "description": {"from": "comments", "direction": {"salesforce": "both"}}}}
    qbench = {**attributes(sandbox)["qbench"], "writes": True}
    with _desk(Bench(sandbox, store, "salesforce"), tmp_path, accounts=accounts, qbench=qbench) as desk:
        yield desk


@pytest.mark.parametrize(("crm", "record_type"), [("salesforce", "contact"), ("hubspot", "account")])
def test_where_nothing_comes_back_it_is_said(both: Desk, crm: str, record_type: str) -> None:
    result = both.type("resync", "--integration", "acme", "--from", crm, "--record-type", record_type, "--all")
    assert f"acme ← {crm} {record_type}s: nothing of them comes back" in result.output
    told = both.json("resync", "--integration", "acme", "--from", crm, "--record-type", record_type, "--all")
    assert told == [{"integration": "acme", "from": crm, "record_type": record_type, "looked_at": 0}]


def test_what_a_crm_shows_is_taken_for_changed_there_in_fields_that_were_accepted_before(both: Desk) -> None:
    bench, state = both.bench, CrmState("acme", "salesforce", ACCOUNT)
    crm_ids = bench.given(both.spec, ACCOUNT, customer(1), customer(2), customer(3))
    kept = BASES.build({"qbench_id": pd.Series([1, 2]), "bases": pd.Series([{"Description": [5, 5]}, {"Description": [6, 7]}])})
    with bench.store.transaction() as connection:
        save_bases(connection, state, bases=kept, crm_ids=pd.Series([crm_ids[1], crm_ids[2]]))
    result = both.type("resync", "--integration", "acme", "--from", "salesforce", "--record-type", "account", "--ids", "2,3,77")
    assert (result.exit_code, result.stdout) == (1, "acme ← salesforce accounts: 1 record is looked at by the next run\n")
    assert "there is no staged account 77;" in result.stderr
    with bench.store.transaction() as connection:
        assert bases_of(connection, state, ids=[1, 2])["bases"].tolist() == [{"Description": [5, 5]}, {"Description": [6, 0]}]
        assert pending_crm_ids(connection, state) == [crm_ids[2]]
