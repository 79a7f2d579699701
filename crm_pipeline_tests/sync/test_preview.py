"""What the preview says a load would do, beside what the load then does, on the sandbox's CRMs and a real PostgreSQL."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import Any

import pandas as pd
import pytest

from crm_pipeline.errors import MappingError, WrongOrgError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.store.staging import Window
from crm_pipeline.sync.preview import Forecast, PlannedAccounts, Preview
from crm_pipeline.sync.selection import Named, Selection
from crm_pipeline_tests.sync.conftest import ACCOUNT, BY_NAME, CONTACT, EVERYTHING, LEAN_ACCOUNT_MAP, Bench, contact, customer

STATE = ("link", "outcome", "outcome_history", "intent", "organization")


def forecasts(
    bench: Bench, spec: IntegrationSpec, *record_types: RecordType, selection: Selection = EVERYTHING
) -> dict[RecordType, Forecast]:
    """The forecasts of these record types, in this order."""
    with closing(bench.connect(spec)) as crm:
        preview = Preview(store=bench.store, crm=crm, accounts=PlannedAccounts(bench.order(spec, ACCOUNT).state))
        return {record_type: preview.forecast(bench.order(spec, record_type), selection) for record_type in record_types}


def planned(forecast: Forecast) -> dict[Any, int]:
    """The counts by operation and reason."""
    return {reason: tally.count for reason, tally in forecast.planned.items()}


def state(bench: Bench) -> dict[str, list[Any]]:
    """Everything a load would store."""
    return {table: bench.rows(f"SELECT * FROM crm_pipeline.{table}") for table in STATE}


def writing_calls(bench: Bench, spec: IntegrationSpec, record_type: RecordType) -> int:
    """The calls that a load makes to write."""
    bench.load(spec, record_type)
    return bench.calls.get("write", 0) + bench.calls.get("associate", 0)


def test_a_preview_foretells_a_first_load_and_its_calls_and_stores_nothing(bench: Bench) -> None:
    spec = bench.spec()
    bench.stage(spec, ACCOUNT, customer(1), customer(2, customer_name=None), customer(3))
    bench.stage(spec, CONTACT, contact(7, of=1), contact(8, of=2), contact(9, of=3, email_address=None))
    before = state(bench)
    told = forecasts(bench, spec, ACCOUNT, CONTACT)
    assert state(bench) == before
    assert (bench.names(), bench.emails()) == ([], [])
    assert planned(told[ACCOUNT]) == {("create", None): 2, ("skipped", "NoNameForCustomerException"): 1}
    assert planned(told[CONTACT]) == {
        ("create", None): 1,
        ("skipped", "CustomerNotSyncedException"): 1,
        ("skipped", "NoEmailForContactException"): 1,
    }
    assert told[CONTACT].planned["create", None].sample_ids == [7]
    assert told[CONTACT].notes == ["1 contacts are written after their account, which the same load creates first"]
    for record_type in (ACCOUNT, CONTACT):
        assert sum(told[record_type].writes.values()) == writing_calls(bench, spec, record_type)
    assert Counter(outcome for outcome, _ in bench.outcomes(CONTACT).values()) == {"created": 1, "skipped": 2}


def test_a_preview_counts_the_fields_that_an_update_changes(salesforce: Bench) -> None:
    spec = salesforce.spec(accounts={"map": {**LEAN_ACCOUNT_MAP, "website": "website"}})
    salesforce.given(spec, ACCOUNT, customer(1), customer(2), customer(3))
    salesforce.stage(spec, ACCOUNT, customer(1, 200, comments="new"), customer(2, 200, comments="new", website="https://two.example.org"))
    told = forecasts(salesforce, spec, ACCOUNT)[ACCOUNT]
    assert planned(told) == {("unchanged", None): 1, ("update", None): 2}
    assert told.fields == {"Description": {"update": 2}, "Website": {"update": 1}}


def test_a_preview_shows_which_records_would_be_linked_to_which_are_there(hubspot: Bench) -> None:
    spec = hubspot.spec(accounts=BY_NAME)
    hubspot.add_account("Lab 1")
    hubspot.stage(spec, ACCOUNT, customer(1), customer(2))
    hubspot.stage(spec, CONTACT, contact(7, of=1))
    told = forecasts(hubspot, spec, ACCOUNT, CONTACT)
    assert planned(told[ACCOUNT]) == {("create", None): 1, ("link", None): 1}
    assert (planned(told[CONTACT]), told[CONTACT].notes) == ({("create", None): 1}, [])
    assert hubspot.rows("SELECT * FROM crm_pipeline.link") == []


def test_a_preview_of_named_records_plans_only_these(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.stage(spec, ACCOUNT, customer(1), customer(2), customer(3))
    told = forecasts(salesforce, spec, ACCOUNT, selection=Named((2,)))[ACCOUNT]
    assert (told.rows, told.planned["create", None].sample_ids) == (1, [2])


def test_a_preview_says_that_open_creates_are_settled_first_and_leaves_them_open(salesforce: Bench) -> None:
    spec = salesforce.spec(external_keys=False)
    salesforce.stage(spec, ACCOUNT, customer(1))
    with salesforce.store.transaction() as connection:
        order = salesforce.order(spec, ACCOUNT)
        order.state.save_intents(connection, org_id="any", run_id="run", ids=[1], sent=pd.Series([{"Name": "Lab 1"}]))
    told = forecasts(salesforce, spec, ACCOUNT)[ACCOUNT]
    assert told.notes == ["1 creates of an interrupted run are settled first; they may become updates"]
    assert salesforce.rows("SELECT qbench_id FROM crm_pipeline.intent") == [(1,)]


def test_a_preview_says_which_records_another_mapping_made(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.stage(spec, ACCOUNT, customer(1, 100), customer(2, 200))
    changed = salesforce.spec(accounts=BY_NAME)
    salesforce.normalize(changed, ACCOUNT, window=Window(since=200, until=201))
    # That also normalizes anew whatever the mapping made before; only records staged since are left.
    assert forecasts(salesforce, changed, ACCOUNT)[ACCOUNT].notes == []
    selections: dict[Selection, bool] = {EVERYTHING: True, Window(since=500, until=501): False, Named((1,)): True, Named((9,)): False}
    for selection, noted in selections.items():
        [note] = forecasts(salesforce, spec, ACCOUNT, selection=selection)[ACCOUNT].notes or [""]
        assert ("as another mapping made them" in note) == noted


def test_a_preview_refuses_credentials_of_another_organization(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.given(spec, ACCOUNT, customer(1))
    with salesforce.store.transaction() as connection:
        connection.exec_driver_sql("UPDATE crm_pipeline.organization SET org_id = 'another' WHERE service = 'salesforce'")
    with pytest.raises(WrongOrgError):
        forecasts(salesforce, spec, ACCOUNT)


def test_a_preview_refuses_match_keys_that_the_crm_does_not_have(hubspot: Bench) -> None:
    spec = hubspot.spec(accounts={**BY_NAME, "sync_on": [{"name": {"hubspot": "nmae"}}]})
    hubspot.stage(spec, ACCOUNT, customer(1))
    with pytest.raises(MappingError, match="nmae"):
        forecasts(hubspot, spec, ACCOUNT)
