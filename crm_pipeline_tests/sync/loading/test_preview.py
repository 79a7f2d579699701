"""What the preview says a load would do, beside what the load then does, on the sandbox's CRMs and a real PostgreSQL."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import pytest

from crm_pipeline.errors import MappingError, WrongOrgError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.salesforce.core import ValidationRule
from crm_pipeline.store.staging import Window
from crm_pipeline.sync.loading import preview as previews
from crm_pipeline.sync.loading.preview import Forecast, Preview, SharedAddresses
from crm_pipeline.sync.planning.planned_accounts import PlannedAccounts
from crm_pipeline.sync.planning.selection import Named, Selection
from crm_pipeline_tests.explaining import explaining
from crm_pipeline_tests.sync.conftest import (
    ACCOUNT,
    BY_NAME,
    CONTACT,
    EVERYTHING,
    LEAN_ACCOUNT_MAP,
    LEAN_CONTACT_MAP,
    Bench,
    Stories,
    contact,
    customer,
)

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


Held = tuple[dict[str, list[Any]], list[str], list[str]]
"""Everything a load would store, by table; and the names and emails of what the CRM has."""


def held(bench: Bench) -> Held:
    return {table: bench.rows(f"SELECT * FROM crm_pipeline.{table}") for table in STATE}, bench.names(), bench.emails()


def writing_calls(bench: Bench, spec: IntegrationSpec, record_type: RecordType) -> int:
    """The calls that a load makes to write."""
    bench.load(spec, record_type)
    return bench.calls.get("write", 0) + bench.calls.get("associate", 0)


NEW, NAMELESS, ALSO_NEW, THERE, SYNCED, CHANGED, ALSO_CHANGED = range(1, 8)
"""Customers, of which the CRM has the fourth by its name; the last three are synced, and two of them changed since."""

OF_NEW, OF_NAMELESS, WITHOUT_EMAIL, OF_THERE = 11, 12, 13, 14
"""Contacts that are not synced yet."""

FIELDS = {
    "salesforce": {"description": "Description", "website": "Website"},
    "hubspot": {"description": "description", "website": "website"},
}


@dataclass(frozen=True)
class Foretold:
    """A preview, with the state and the CRM ``before`` and ``after`` it, and then the loads that it foretold."""

    crm: str
    told: dict[RecordType, Forecast]
    before: Held
    after: Held
    calls: dict[RecordType, int]
    contact_outcomes: dict[int, tuple[str, str | None]]
    account_loads: Counter[str]


@pytest.fixture(scope="module", params=["salesforce", "hubspot"])
def foretold(request: pytest.FixtureRequest, stories: Stories) -> Foretold:
    with stories(request.param) as bench:
        spec = bench.spec(accounts={**BY_NAME, "map": {**LEAN_ACCOUNT_MAP, "website": "website"}})
        bench.add_account(f"Lab {THERE}")
        bench.given(spec, ACCOUNT, customer(SYNCED), customer(CHANGED), customer(ALSO_CHANGED))
        changed = customer(CHANGED, 200, comments="new"), customer(ALSO_CHANGED, 200, comments="new", website="https://seven.example.org")
        bench.stage(spec, ACCOUNT, customer(NEW), customer(NAMELESS, customer_name=None), customer(ALSO_NEW), customer(THERE), *changed)
        people = contact(OF_NEW, of=NEW), contact(OF_NAMELESS, of=NAMELESS), contact(WITHOUT_EMAIL, of=ALSO_NEW, email_address=None)
        bench.stage(spec, CONTACT, *people, contact(OF_THERE, of=THERE))

        before = held(bench)
        told = forecasts(bench, spec, ACCOUNT, CONTACT)
        after = held(bench)
        calls = {record_type: writing_calls(bench, spec, record_type) for record_type in (ACCOUNT, CONTACT)}
        return Foretold(
            bench.crm, told, before, after, calls, bench.outcomes(CONTACT), Counter(outcome for outcome, _ in bench.outcomes().values())
        )


def test_a_preview_foretells_a_load_and_its_calls_and_stores_nothing(foretold: Foretold) -> None:
    assert foretold.after == foretold.before
    accounts, contacts = foretold.told[ACCOUNT], foretold.told[CONTACT]
    assert planned(accounts) == {
        ("create", None): 2,
        ("link", None): 1,
        ("update", None): 2,
        ("unchanged", None): 1,
        ("skipped", "NoNameForCustomerException"): 1,
    }
    assert planned(contacts) == {
        ("create", None): 2,
        ("skipped", "CustomerNotSyncedException"): 1,
        ("skipped", "NoEmailForContactException"): 1,
    }
    assert contacts.planned["create", None].sample_ids == [OF_NEW, OF_THERE]
    assert foretold.calls == {record_type: sum(told.writes.values()) for record_type, told in foretold.told.items()}
    assert foretold.account_loads == {"created": 2, "linked": 1, "updated": 2, "unchanged": 1, "skipped": 1}
    assert Counter(outcome for outcome, _ in foretold.contact_outcomes.values()) == {"created": 2, "skipped": 2}


def test_a_preview_shows_which_records_would_be_linked_to_which_are_there(foretold: Foretold) -> None:
    assert foretold.told[ACCOUNT].planned["link", None].sample_ids == [THERE]
    # The account of the other contact is there already.
    assert foretold.told[CONTACT].notes == ["1 contact is written after its account, which the same load creates first"]


def test_a_preview_counts_the_fields_that_an_update_changes(foretold: Foretold) -> None:
    names = FIELDS[foretold.crm]
    updated = {name: counts["update"] for name, counts in foretold.told[ACCOUNT].fields.items() if "update" in counts}
    assert updated == {names["description"]: 2, names["website"]: 1}


def test_a_preview_says_that_open_creates_are_settled_first_and_leaves_them_open(salesforce: Bench) -> None:
    spec = salesforce.spec(external_keys=False)
    salesforce.stage(spec, ACCOUNT, customer(1))
    with salesforce.store.transaction() as connection:
        order = salesforce.order(spec, ACCOUNT)
        order.state.save_intents(connection, org_id="any", run_id="run", ids=[1], sent=pd.Series([{"Name": "Lab 1"}]))
    told = forecasts(salesforce, spec, ACCOUNT)[ACCOUNT]
    assert told.notes == ["1 create of an interrupted run is settled first; it may become an update"]
    assert salesforce.rows("SELECT qbench_id FROM crm_pipeline.intent") == [(1,)]


@dataclass(frozen=True)
class Mapped:
    """Previews after one of two customers was normalized by another mapping: with that mapping, and by selection with the former one."""

    by_that: Forecast
    by_former: dict[Selection, Forecast]


@pytest.fixture(scope="module")
def mapped(stories: Stories) -> Mapped:
    with stories("salesforce") as bench:
        spec, changed = bench.spec(), bench.spec(accounts=BY_NAME)
        bench.stage(spec, ACCOUNT, customer(1, 100), customer(2, 200))
        bench.normalize(changed, ACCOUNT, window=Window(since=200, until=201))
        selections: tuple[Selection, ...] = (EVERYTHING, Window(since=500, until=501), Named((1,)), Named((9,)))
        return Mapped(
            forecasts(bench, changed, ACCOUNT)[ACCOUNT],
            {selection: forecasts(bench, spec, ACCOUNT, selection=selection)[ACCOUNT] for selection in selections},
        )


def test_a_preview_says_which_records_another_mapping_made(mapped: Mapped) -> None:
    # That also normalizes anew whatever the mapping made before; only records staged since are left.
    assert mapped.by_that.notes == []
    selections: dict[Selection, bool] = {EVERYTHING: True, Window(since=500, until=501): False, Named((1,)): True, Named((9,)): False}
    for selection, noted in selections.items():
        [note] = mapped.by_former[selection].notes or [""]
        assert ("as another mapping made them" in note) == noted


def test_a_preview_of_named_records_plans_only_these(mapped: Mapped) -> None:
    assert mapped.by_former[EVERYTHING].rows == 2
    told = mapped.by_former[Named((1,))]
    assert (told.rows, told.planned["create", None].sample_ids) == (1, [1])


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


def test_a_preview_lets_no_later_frame_link_what_an_earlier_one_would(salesforce: Bench) -> None:
    """The two find one contact, one by its email and the other by its phone, in frames that do not know of each other."""
    by_either = [{"email": {"salesforce": "Email"}}, {"phone": {"salesforce": "Phone"}}]
    spec = salesforce.spec(contacts={"map": LEAN_CONTACT_MAP, "sync_on": by_either})
    salesforce.given(spec, ACCOUNT, customer(1))
    salesforce.add(CONTACT, {"LastName": "Ruiz", "Email": "person11@labs.example.org", "Phone": "(512) 555-0109"})
    salesforce.stage(spec, CONTACT, contact(11, of=1), contact(12, of=1, phone="5125550109"))
    with closing(salesforce.connect(spec)) as crm:
        order = salesforce.order(spec, CONTACT)
        preview = Preview(store=salesforce.store, crm=crm, accounts=PlannedAccounts(order.state.accounts), frame_rows=1)
        told = planned(preview.forecast(order, EVERYTHING))
    salesforce.load(spec, CONTACT, frame_rows=1)
    assert salesforce.outcomes(CONTACT) == {11: ("linked", None), 12: ("skipped", "LinkConflictException")}
    assert told == {("link", None): 1, ("skipped", "LinkConflictException"): 1}


@pytest.mark.parametrize(("direction", "pages"), [("to_crm", 3), ("both", 5)])
def test_more_records_are_planned_at_once_where_nothing_comes_back(
    salesforce: Bench, monkeypatch: pytest.MonkeyPatch, direction: str, pages: int
) -> None:
    monkeypatch.setattr(previews, "FRAME_ROWS", 1)
    monkeypatch.setattr(previews, "PLANNED_ROWS", 2)
    spec = salesforce.spec(
        accounts={"map": {"name": "customer_name", "description": {"from": "comments", "direction": direction}}},
        qbench={**salesforce.spec().qbench.model_dump(mode="json", exclude_unset=True), "writes": direction == "both"},
    )
    salesforce.stage(spec, ACCOUNT, *map(customer, range(4)))
    with explaining() as explained:
        assert planned(forecasts(salesforce, spec, ACCOUNT)[ACCOUNT]) == {("create", None): 4}
    read = [one for one, _ in explained if "FROM crm_pipeline.normalized_record" in one and "ORDER BY version, qbench_id LIMIT" in one]
    assert len(read) == pages, "the last of them is empty"


def test_a_preview_leaves_aside_what_was_refused_before_as_the_load_does(salesforce: Bench) -> None:
    spec = salesforce.spec(accounts=BY_NAME)
    salesforce.sandbox.org.add_validation_rule(ValidationRule("Account", lambda row: row.get("Name") == "Lab 2", field="Name"))
    salesforce.stage(spec, ACCOUNT, customer(1), customer(2))
    salesforce.load(spec, ACCOUNT)
    salesforce.stage(spec, ACCOUNT, customer(3))

    told = planned(forecasts(salesforce, spec, ACCOUNT)[ACCOUNT])
    assert told == {("create", None): 1, ("failed", "InvalidValueException"): 1, ("unchanged", None): 1}


def test_the_addresses_that_several_contacts_have_are_looked_for_once_for_all_crms(salesforce: Bench) -> None:
    bench = salesforce
    spec = bench.spec()
    bench.stage(
        spec, CONTACT, contact(11, of=1, email_address="one@labs.example.org"), contact(12, of=1, email_address="one@labs.example.org")
    )
    bench.stage(spec, CONTACT, contact(13, of=1))
    state = bench.order(spec, CONTACT).state

    shared = SharedAddresses(bench.store)
    with explaining() as asked:
        found = [shared.of(state).tolist(), shared.of(replace(state, crm="hubspot")).tolist()]
    assert found == [["one@labs.example.org"]] * 2
    assert len(asked) == 1
    assert shared.of(replace(state, integration="another")).tolist() == []
