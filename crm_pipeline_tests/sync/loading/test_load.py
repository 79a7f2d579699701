"""What a load promises, on the sandbox's CRMs and a real PostgreSQL."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from crm_pipeline.crms.base import Crm
from crm_pipeline.errors import ConfigurationError, MappingError, ServiceError, WrongOrgError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.obstacles import Obstacle
from crm_pipeline.sandbox.salesforce.ids import new_id
from crm_pipeline.store.staging import Window
from crm_pipeline.sync.loading.report import LoadReport
from crm_pipeline_tests.sync.conftest import (
    ACCOUNT,
    BY_NAME,
    CONTACT,
    CRM_FIELDS,
    EVERYTHING,
    LEAN_ACCOUNT_MAP,
    Bench,
    Stories,
    contact,
    customer,
)

CREATE_PATHS = {"salesforce": "composite/sobjects(/[A-Za-z]+/QBench_Id__c)?$", "hubspot": "/(companies|contacts)/batch/(create|upsert)$"}


def break_create(bench: Bench, kind: Any, **more: Any) -> None:
    """Let the next create fail."""
    bench.sandbox.faults.add(Fault(path=CREATE_PATHS[bench.crm], kind=kind, service=bench.crm, **more))


# --- what becomes of records of every kind

NEW, NAMELESS, BLANK_NAME, SYNCED, KEYED, OLDER, OF_EMPTY, OF_FILLED, CHANGES, BY_CODE = range(1, 11)
"""Customers. The fourth was loaded before, and the older one in a newer version; the CRM has the fifth with our key, and the two
behind the older one by their names.
"""

OF_SYNCED, OF_NEW = 14, 11
"""Contacts, of which the first was loaded before."""

EVERY_FIELD: dict[str, Any] = {
    **LEAN_ACCOUNT_MAP,
    "description": {"from": "comments", "clear": True},
    "number_of_employees": {"from": "employees", "policy": "if_blank"},
    "website": "website",
    "address": {"country": "country_name"},
    "salesforce.Site": "site",
    "hubspot.domain": "site",
}
MORE_FIELDS = {
    "salesforce": {"employees": "NumberOfEmployees", "website": "Website", "country": "BillingCountry"},
    "hubspot": {"employees": "numberofemployees", "website": "website", "country": "country"},
}
"""Where these end beside the lean ones."""


@dataclass(frozen=True)
class Loaded:
    """A first load of everything, one of what changed then, with the countries' codes asked for, and one of everything again.

    ``accounts`` and ``accounts_changed``: some fields of the CRM's records after the first two, by QBench id.
    """

    first: LoadReport
    outcomes: dict[int, tuple[str, str | None]]
    accounts: dict[int, dict[str, Any]]
    number_of_accounts: int
    origins: dict[int, str]
    versions: dict[int, int]
    changed: LoadReport
    reasons: dict[int, str | None]
    accounts_changed: dict[int, dict[str, Any]]
    contacts: LoadReport
    again: dict[RecordType, LoadReport]
    calls_again: dict[str, int]
    history: list[tuple[Any, ...]]
    parent: list[tuple[Any, ...]]


def held(bench: Bench) -> dict[int, dict[str, Any]]:
    """What the CRM's accounts hold, by QBench id."""
    names = CRM_FIELDS[bench.crm, ACCOUNT] | MORE_FIELDS[bench.crm]
    if bench.crm == "salesforce":
        records = {record["Id"]: record for record in bench.sandbox.org.records("Account")}
    else:
        records = {record["id"]: record["properties"] for record in bench.sandbox.portal.records("companies")}
    links = bench.rows("SELECT qbench_id, crm_id FROM crm_pipeline.link WHERE record_type = 'account'")
    return {number: {name: records[crm_id].get(named) for name, named in names.items()} for number, crm_id in links}


def of_accounts(bench: Bench, column: str, table: str = "link") -> dict[int, Any]:
    """A column of the state, by QBench id."""
    return dict(bench.rows(f"SELECT qbench_id, {column} FROM crm_pipeline.{table} WHERE record_type = 'account'"))


@pytest.fixture(scope="module", params=["salesforce", "hubspot"])
def loaded(request: pytest.FixtureRequest, stories: Stories) -> Loaded:
    with stories(request.param) as bench:
        accounts = {**BY_NAME, "map": EVERY_FIELD}
        spec = bench.spec(accounts=accounts)
        bench.given(spec, ACCOUNT, customer(SYNCED, comments="Water", phone="512 555 0102"), customer(KEYED), customer(OLDER, 500))
        bench.given(spec, CONTACT, contact(OF_SYNCED, of=SYNCED))
        bench.rows(f"DELETE FROM crm_pipeline.link WHERE record_type = 'account' AND qbench_id = {KEYED} RETURNING 1")
        for table in ("raw_record", "normalized_record"):
            bench.rows(f"DELETE FROM crm_pipeline.{table} WHERE record_type = 'account' AND qbench_id = {OLDER} RETURNING 1")
        bench.add_account(f"Lab {OF_EMPTY}")
        name, employees = CRM_FIELDS[bench.crm, ACCOUNT]["name"], MORE_FIELDS[bench.crm]["employees"]
        bench.add(ACCOUNT, {name: f"Lab {OF_FILLED}", employees: "12"})

        bench.stage(
            spec,
            ACCOUNT,
            customer(NEW, country_name="Deutschland"),
            customer(NAMELESS, customer_name=None),
            customer(BLANK_NAME, customer_name="  "),
            customer(OLDER, 100, customer_name="Old"),
            customer(OF_EMPTY, employees=7),
            customer(OF_FILLED, employees=7),
            customer(CHANGES, phone="512 555 0102", comments="Before", website="https://lab.example.org"),
        )
        bench.stage(spec, CONTACT, contact(OF_NEW, of=NEW))
        first = bench.load(spec, ACCOUNT)
        outcomes, origins, versions, first_held = bench.outcomes(), of_accounts(bench, "origin"), of_accounts(bench, "version"), held(bench)
        number_of_accounts, contacts = len(bench.names()), bench.load(spec, CONTACT)

        renamed = customer(CHANGES, 200, phone="512 555 0199", comments=None, website=None, customer_name="Renamed")
        bench.stage(spec, ACCOUNT, renamed, customer(BY_CODE, 200, country_name="Deutschland"))
        codes = bench.spec(accounts=accounts, settings={"country_format": "code"})
        changed = bench.load(codes, ACCOUNT, window=Window(since=200, until=201))
        reasons, accounts_changed = of_accounts(bench, "reason", "outcome"), held(bench)

        again, calls = {}, Counter[str]()
        for record_type in (ACCOUNT, CONTACT):
            again[record_type] = bench.load(spec, record_type)
            calls.update(bench.calls)
        return Loaded(
            first=first,
            outcomes=outcomes,
            accounts=first_held,
            number_of_accounts=number_of_accounts,
            origins=origins,
            versions=versions,
            changed=changed,
            reasons=reasons,
            accounts_changed=accounts_changed,
            contacts=contacts,
            again=again,
            calls_again=dict(calls),
            history=bench.rows(f"SELECT outcome FROM crm_pipeline.every_outcome WHERE qbench_id = {OF_NEW} AND record_type = 'contact'"),
            parent=bench.rows(f"SELECT parent_qbench_id FROM crm_pipeline.link WHERE qbench_id = {OF_NEW} AND record_type = 'contact'"),
        )


def test_every_row_has_one_outcome_and_the_counts_add_up(loaded: Loaded) -> None:
    nameless = ("skipped", "NoNameForCustomerException")
    assert loaded.outcomes == {
        NEW: ("created", None),
        NAMELESS: nameless,
        BLANK_NAME: nameless,
        SYNCED: ("unchanged", None),
        KEYED: ("linked", None),
        OLDER: ("created", None),  # of its newer version
        OF_EMPTY: ("linked", None),
        OF_FILLED: ("linked", None),
        CHANGES: ("created", None),
    }
    assert (loaded.first.rows, loaded.first.accounted) == (9, 9)
    assert dict(loaded.first.outcomes) == {"created": 2, "skipped": 2, "linked": 3, "unchanged": 2}


def test_unchanged_records_make_no_write_call(loaded: Loaded) -> None:
    # Also that what the bench gives is what loads leave.
    assert loaded.outcomes[SYNCED] == ("unchanged", None)
    assert dict(loaded.contacts.outcomes) == {"unchanged": 1, "created": 1}
    assert dict(loaded.again[ACCOUNT].outcomes) == {"unchanged": 8, "skipped": 2}
    assert dict(loaded.again[CONTACT].outcomes) == {"unchanged": 2}
    assert not {"write", "associate"} & set(loaded.calls_again)
    assert loaded.history == [("created",)]
    assert loaded.parent == [(NEW,)]


def test_records_that_carry_our_key_already_are_linked_and_not_created(loaded: Loaded) -> None:
    assert (loaded.outcomes[KEYED], loaded.origins[KEYED]) == (("linked", None), "key")
    assert loaded.number_of_accounts == len(loaded.accounts), "none is there twice"


def test_an_older_version_never_overwrites_a_newer_one(loaded: Loaded) -> None:
    assert loaded.first.outcomes["unchanged"] == len({OLDER, SYNCED})
    assert (loaded.accounts[OLDER]["name"], loaded.versions[OLDER]) == (f"Lab {OLDER}", 500)


def test_a_directly_mapped_field_that_is_blank_in_every_record_is_left_out(loaded: Loaded) -> None:
    assert (loaded.outcomes[NEW], loaded.accounts[NEW]["name"]) == (("created", None), f"Lab {NEW}")


def test_an_if_blank_field_is_sent_only_into_an_empty_one(loaded: Loaded) -> None:
    assert loaded.outcomes[OF_EMPTY] == loaded.outcomes[OF_FILLED] == ("linked", None)
    assert [int(loaded.accounts[number]["employees"]) for number in (OF_EMPTY, OF_FILLED)] == [7, 12]


def test_a_country_is_written_in_the_form_that_the_crms_settings_choose(loaded: Loaded) -> None:
    written = loaded.accounts_changed
    assert (written[NEW]["country"], written[BY_CODE]["country"]) == ("Germany", "DE")


def test_a_change_empties_only_what_the_mapping_clears_and_names_what_is_sent_at_the_creation_only(loaded: Loaded) -> None:
    assert dict(loaded.changed.outcomes) == {"updated": 1, "created": 1, "skipped": 2}, "other settings judge those without a name anew"
    before, after = loaded.accounts[CHANGES], loaded.accounts_changed[CHANGES]
    assert (before["description"], before["website"]) == ("Before", "https://lab.example.org")
    assert after == {**before, "name": "Renamed", "description": None}
    assert loaded.reasons[CHANGES] in {"not_pushed: Phone", "not_pushed: phone"}


# --- what gets lost on the way


@dataclass(frozen=True)
class Lost:
    """Creates without a key: the answer to a first load's is lost, a second load's never arrive, and a third load finds the CRM well.

    A record was linked before; one of the first load's has its name, two others that of each other.
    """

    crm: str
    first: dict[int, tuple[str, str | None]]
    second: dict[int, tuple[str, str | None]]
    third: dict[int, tuple[str, str | None]]
    names: list[str]
    links: dict[int, str]
    intents: list[tuple[Any, ...]]


@pytest.fixture(scope="module", params=["salesforce", "hubspot"])
def lost(request: pytest.FixtureRequest, stories: Stories) -> Lost:
    with stories(request.param) as bench:
        spec = bench.spec(external_keys=False)
        bench.given(spec, ACCOUNT, customer(1, customer_name="Eco Labs"))
        named = {2: "Eco Labs", 3: "Bio Labs", 4: "Bio Labs", 5: "Lab 5", 6: "Lab 6"}
        bench.stage(spec, ACCOUNT, *(customer(number, customer_name=name) for number, name in named.items()))
        break_create(bench, "drop_after")
        bench.load(spec, ACCOUNT)
        first = bench.outcomes()
        bench.stage(spec, ACCOUNT, customer(7), customer(8))
        break_create(bench, "drop_before", method="POST")
        bench.load(spec, ACCOUNT)
        second = bench.outcomes()
        bench.load(spec, ACCOUNT)
        intents = bench.rows("SELECT qbench_id FROM crm_pipeline.intent")
        return Lost(bench.crm, first, second, bench.outcomes(), bench.names(), of_accounts(bench, "crm_id"), intents)


@pytest.mark.parametrize("those", ["whose answer was lost", "that never arrived"])
def test_a_create_without_key_whose_answer_was_lost_never_makes_a_second_record(lost: Lost, those: str) -> None:
    ids, outcome = {
        "whose answer was lost": ((5, 6), ("updated", None)),
        "that never arrived": ((7, 8), ("failed", "ServiceFailedException")),
    }[those]
    that_load = lost.first if 5 in ids else lost.second
    assert [that_load[number] for number in ids] == [outcome] * 2
    assert [name for name in lost.names if name in {f"Lab {number}" for number in ids}] == [f"Lab {number}" for number in ids]
    assert [lost.third[number][1] for number in ids] == [None, None]
    assert set(ids) <= set(lost.links)
    assert lost.intents == []


def test_a_lost_create_is_not_taken_for_a_linked_record_and_two_of_one_name_end_with_one_record_each(lost: Lost) -> None:
    # HubSpot's answer would not tell two of one name apart, so that they do not go out together, and one was never made.
    assert Counter(lost.names) >= Counter({"Eco Labs": 2, "Bio Labs": 2})
    assert lost.links[1] != lost.links[2]
    assert lost.links[3] != lost.links[4]
    assert (lost.third[3][1], lost.third[4][1]) == (None, None)


def test_creates_of_one_name_that_broke_off_are_told_apart_by_all_that_was_sent(bench: Bench) -> None:
    spec, phones = bench.spec(external_keys=False), {11: "+15125550111", 12: "+15125550112"}
    bench.stage(spec, ACCOUNT, *(customer(number, customer_name="Eco Labs", phone=phone) for number, phone in phones.items()))
    break_create(bench, "drop_after")
    bench.load(spec, ACCOUNT)
    bench.load(spec, ACCOUNT)
    assert {number: record["phone_number"][-4:] for number, record in held(bench).items()} == {11: "0111", 12: "0112"}
    assert bench.names() == ["Eco Labs", "Eco Labs"]


def test_creates_of_one_name_wait_where_salesforce_fails_to_show_what_one_of_them_made(salesforce: Bench) -> None:
    spec, phones = salesforce.spec(external_keys=False), {11: "+15125550111", 12: "+15125550112"}
    salesforce.stage(spec, ACCOUNT, *(customer(number, customer_name="Eco Labs", phone=phone) for number, phone in phones.items()))
    break_create(salesforce, "bend", bend=lambda _: {})
    unreadable = new_id("001", 1)
    salesforce.sandbox.faults.add(
        Fault(service="salesforce", path="composite/sobjects/Account$", method="POST", times=None, status=500, holding=unreadable)
    )
    salesforce.load(spec, ACCOUNT)
    salesforce.load(spec, ACCOUNT)
    assert unreadable in {record["Id"] for record in salesforce.sandbox.org.records("Account")}
    assert salesforce.names() == ["Eco Labs", "Eco Labs"]
    salesforce.sandbox.faults.clear()
    salesforce.load(spec, ACCOUNT)
    assert {number: record["phone_number"][-4:] for number, record in held(salesforce).items()} == {11: "0111", 12: "0112"}
    assert salesforce.names() == ["Eco Labs", "Eco Labs"]


def test_a_create_without_key_that_salesforce_may_still_carry_out_is_left_for_a_later_load(salesforce: Bench) -> None:
    spec = salesforce.spec(external_keys=False)
    salesforce.stage(spec, ACCOUNT, customer(1))
    break_create(salesforce, "drop_before")
    salesforce.load(spec, ACCOUNT)
    salesforce.stage(spec, ACCOUNT, customer(2))
    assert salesforce.load(spec, ACCOUNT, at_once=True).retryable == 1
    assert salesforce.outcomes() == {1: ("failed", "ServiceFailedException"), 2: ("created", None)}
    salesforce.load(spec, ACCOUNT)
    assert salesforce.outcomes()[1] == ("created", None)
    assert salesforce.names() == ["Lab 1", "Lab 2"]


def test_a_create_without_key_that_salesforce_did_carry_out_is_linked_by_the_next_load_at_once(salesforce: Bench) -> None:
    spec = salesforce.spec(external_keys=False)
    salesforce.stage(spec, ACCOUNT, customer(1))
    break_create(salesforce, "drop_after")
    salesforce.load(spec, ACCOUNT)
    salesforce.load(spec, ACCOUNT, at_once=True)
    assert salesforce.outcomes()[1][1] is None
    assert salesforce.names() == ["Lab 1"]


def test_a_contact_without_key_whose_answer_was_lost_is_adopted_with_its_account(bench: Bench) -> None:
    spec = bench.spec(external_keys=False)
    bench.given(spec, ACCOUNT, customer(1))
    bench.stage(spec, CONTACT, contact(7, of=1))
    break_create(bench, "drop_after")
    bench.load(spec, CONTACT)
    bench.load(spec, CONTACT)
    assert bench.emails() == ["person7@labs.example.org"]
    assert bench.outcomes(CONTACT)[7][1] is None
    assert bench.rows("SELECT parent_qbench_id, origin FROM crm_pipeline.link WHERE record_type = 'contact'") == [(1, "created")]


@dataclass(frozen=True)
class Upserted:
    """A row that the answer to its upsert leaves out, and the next load of it and another one, whose answer is lost at first."""

    first: dict[int, tuple[str, str | None]]
    first_links: dict[int, str]
    second: LoadReport
    names: list[str]
    origins: dict[int, str]


@pytest.fixture(scope="module", params=["salesforce", "hubspot"])
def upserted(request: pytest.FixtureRequest, stories: Stories) -> Upserted:
    with stories(request.param) as bench:
        spec = bench.spec(settings={"attempts": 3})
        bench.stage(spec, ACCOUNT, customer(1))
        body: Any = [None] if bench.crm == "salesforce" else {"status": "COMPLETE", "results": []}
        break_create(bench, "status", status=200, body=body)
        assert bench.load(spec, ACCOUNT).retryable == 1
        first, first_links = bench.outcomes(), of_accounts(bench, "crm_id")
        bench.stage(spec, ACCOUNT, customer(2))
        break_create(bench, "drop_after")
        return Upserted(first, first_links, bench.load(spec, ACCOUNT), bench.names(), of_accounts(bench, "origin"))


def test_a_row_that_the_answer_leaves_out_is_failed_and_tried_again(upserted: Upserted) -> None:
    assert (upserted.first, upserted.first_links) == ({1: ("failed", "UnaccountedException")}, {})
    assert 1 in upserted.origins


def test_an_upsert_that_was_repeated_after_a_lost_answer_counts_as_created(upserted: Upserted) -> None:
    assert dict(upserted.second.outcomes) == {"created": 2}
    assert upserted.names == ["Lab 1", "Lab 2"]
    assert upserted.origins == {1: "created", 2: "created"}


# --- what one load does


def test_an_empty_window_costs_no_call(salesforce: Bench) -> None:
    assert salesforce.load(salesforce.spec(), ACCOUNT).rows == 0
    assert salesforce.calls == {}


def test_rows_that_the_crm_had_locked_are_sent_again_after_waits_that_grow(salesforce: Bench) -> None:
    spec = salesforce.spec(settings={"waits": {"first_seconds": 0.1}})
    salesforce.stage(spec, ACCOUNT, customer(1))
    salesforce.sandbox.org.lock("Account", "1", times=2)
    began = time.monotonic()
    salesforce.load(spec, ACCOUNT)
    assert time.monotonic() - began >= 0.1 + 0.3
    assert salesforce.names() == ["Lab 1"]


def test_a_locked_row_is_sent_again_by_the_same_load_and_by_the_next_if_it_stays_locked(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.stage(spec, ACCOUNT, customer(1), customer(2), customer(3))
    salesforce.sandbox.org.lock("Account", "1", times=3)
    salesforce.sandbox.org.lock("Account", "2", times=1)
    assert salesforce.load(spec, ACCOUNT).retryable == 1
    assert salesforce.outcomes() == {1: ("failed", "RecordLockedException"), 2: ("created", None), 3: ("created", None)}
    salesforce.sandbox.journal.clear()
    salesforce.load(spec, ACCOUNT)
    written = [call.rows for call in salesforce.sandbox.journal.calls("salesforce") if call.method == "PATCH"]
    assert (written, salesforce.names()) == ([1], ["Lab 1", "Lab 2", "Lab 3"])


def test_a_record_that_an_approval_holds_waits_for_hours_and_gets_its_new_name_afterwards(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.given(spec, ACCOUNT, customer(1))
    salesforce.stage(spec, ACCOUNT, customer(1, 200, customer_name="Renamed"))
    obstacles = salesforce.sandbox.org.obstacles
    obstacles.append(Obstacle("Account", bool, "ENTITY_IS_LOCKED"))
    assert salesforce.load(spec, ACCOUNT).retryable == 1
    assert (salesforce.outcomes(), salesforce.calls["write"]) == ({1: ("failed", "RecordHeldException")}, 1)
    waits = "SELECT waits_on, round(extract(epoch FROM next_attempt_at - at) / 60) FROM crm_pipeline.outcome"
    assert salesforce.rows(waits) == [("time", 60)]
    obstacles.clear()
    salesforce.load(spec, ACCOUNT)
    assert salesforce.names() == ["Renamed"]


def test_a_failed_association_leaves_the_contact_open_and_the_next_load_sends_only_the_association(hubspot: Bench) -> None:
    spec = hubspot.spec()
    hubspot.given(spec, ACCOUNT, customer(1))
    hubspot.stage(spec, CONTACT, contact(7, of=1))
    hubspot.sandbox.faults.add(Fault(path="/associations/|account-info", status=503, skip=1, times=2, service="hubspot"))
    with pytest.raises(ServiceError):
        hubspot.load(spec, CONTACT)
    assert hubspot.outcomes(CONTACT) == {7: ("failed", "AssociationPendingException")}
    assert hubspot.rows("SELECT retryable FROM crm_pipeline.outcome WHERE record_type = 'contact'") == [(True,)]
    assert hubspot.rows("SELECT parent_qbench_id FROM crm_pipeline.link WHERE record_type = 'contact'") == [(None,)]
    hubspot.load(spec, CONTACT)
    assert (hubspot.calls.get("write"), hubspot.calls["associate"]) == (None, 1)
    assert len(hubspot.sandbox.portal.associations()) == 1
    assert hubspot.rows("SELECT parent_qbench_id FROM crm_pipeline.link WHERE record_type = 'contact'") == [(1,)]


def test_a_contact_whose_customer_is_not_synced_yet_is_taken_up_once_by_any_later_load(hubspot: Bench) -> None:
    spec, later = hubspot.spec(), Window(since=900, until=1_000)
    hubspot.stage(spec, CONTACT, contact(7, 100, of=1), contact(8, 950, of=1))
    assert dict(hubspot.load(spec, CONTACT).outcomes) == {"deferred": 2}
    hubspot.given(spec, ACCOUNT, customer(1, 500))
    report = hubspot.load(spec, CONTACT, window=later)
    assert (report.rows, report.replanned, dict(report.outcomes)) == (1, 1, {"created": 2})
    assert hubspot.load(spec, CONTACT, window=Window(since=1_000, until=1_001)).replanned == 0


def test_another_organization_stops_the_load_before_any_write(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.given(spec, ACCOUNT, customer(1))
    salesforce.rows("UPDATE crm_pipeline.organization SET org_id = 'another' RETURNING 1")
    salesforce.stage(spec, ACCOUNT, customer(1, 200, customer_name="Renamed"), customer(2, 200))
    with pytest.raises(WrongOrgError):
        salesforce.load(spec, ACCOUNT)
    assert salesforce.names() == ["Lab 1"]
    assert not {"write", "describe", "associate"} & set(salesforce.calls)


def test_two_loads_at_once_create_nothing_twice(salesforce: Bench) -> None:
    spec = salesforce.spec(external_keys=False)
    salesforce.stage(spec, ACCOUNT, *(customer(number) for number in range(1, 31)))
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(salesforce.load, spec, ACCOUNT) for _ in range(2)]
    assert len(salesforce.names()) == 30
    assert sorted(str(dict(job.result().outcomes)) for job in jobs) == ["{'created': 30}", "{'unchanged': 30}"]


def test_a_crm_record_held_by_another_qbench_record_is_never_linked(salesforce: Bench) -> None:
    spec = salesforce.spec(external_keys=False, accounts=BY_NAME)
    salesforce.given(spec, ACCOUNT, customer(1, customer_name="Eco Labs"))
    salesforce.stage(spec, ACCOUNT, customer(2, customer_name="ECO labs "))
    salesforce.load(spec, ACCOUNT)
    assert salesforce.outcomes()[2] == ("skipped", "LinkConflictException")
    assert salesforce.names() == ["Eco Labs"]


def test_a_record_that_changes_while_it_is_loaded_is_not_created_twice(salesforce: Bench) -> None:
    spec = salesforce.spec(external_keys=False)
    salesforce.stage(spec, ACCOUNT, customer(1), customer(2, customer_name=None))

    class EditedMeanwhile:
        """A client whose first reading of the fields gives QBench the time for an edit."""

        def __init__(self, crm: Crm) -> None:
            self._crm = crm

        def __getattr__(self, name: str) -> Any:
            return getattr(self._crm, name)

        def fields(self, record_type: Any) -> Any:
            salesforce.stage(spec, ACCOUNT, customer(1, 200, customer_name="Renamed"))
            return self._crm.fields(record_type)

    def connect(spec: IntegrationSpec) -> Crm:
        return EditedMeanwhile(salesforce.connect(spec))

    report = salesforce.load(spec, ACCOUNT, connect=connect, frame_rows=2)
    assert salesforce.names() == ["Renamed"]
    assert report.rows == report.accounted == 3


def test_two_integrations_on_one_key_never_write_to_each_other_s_records(salesforce: Bench) -> None:
    acme, beta = salesforce.spec(), salesforce.spec(name="beta")
    salesforce.given(acme, ACCOUNT, customer(1, customer_name="Of acme"))
    salesforce.stage(beta, ACCOUNT, customer(1, customer_name="Of beta"))
    with pytest.raises(ConfigurationError, match="integration beta: integration acme writes the same external key"):
        salesforce.load(beta, ACCOUNT)
    assert salesforce.names() == ["Of acme"]


def test_accounts_merged_in_the_crm_end_as_a_conflict_and_the_rest_of_the_batch_is_stored(hubspot: Bench) -> None:
    spec = hubspot.spec(external_keys=False)
    links = hubspot.given(spec, ACCOUNT, customer(1), customer(2), customer(3))
    hubspot.sandbox.portal.merge("companies", links[1], links[2])
    hubspot.stage(spec, ACCOUNT, customer(1, 200, customer_name="One"))
    hubspot.load(spec, ACCOUNT, window=Window(since=200, until=201))
    hubspot.stage(spec, ACCOUNT, customer(2, 300, customer_name="Two"), customer(3, 300, customer_name="Three"))
    hubspot.load(spec, ACCOUNT, window=Window(since=300, until=301))
    assert hubspot.outcomes() == {1: ("updated", None), 2: ("skipped", "LinkConflictException"), 3: ("updated", None)}


def test_a_mapping_that_can_never_work_is_refused_with_every_problem_before_any_write(salesforce: Bench) -> None:
    fields = {"salesforce.Nope__c": "tier", "salesforce.Neither__c": "tier", "hubspot.nope": "tier", "hubspot.neither": "tier"}
    spec = salesforce.spec(accounts={"map": {**LEAN_ACCOUNT_MAP, **fields}})
    salesforce.stage(spec, ACCOUNT, customer(1))
    with pytest.raises(MappingError) as refused:
        salesforce.load(spec, ACCOUNT)
    assert len(refused.value.problems) == 2
    assert salesforce.names() == []


def test_a_match_key_that_the_crm_does_not_have_is_refused_before_any_write_instead_of_finding_nothing(bench: Bench) -> None:
    misspelt = {"salesforce": "name", "hubspot": "Name"}[bench.crm]
    spec = bench.spec(accounts={**BY_NAME, "sync_on": [{"name": {bench.crm: misspelt}}]})
    bench.add_account("Lab 1")
    bench.stage(spec, ACCOUNT, customer(1))
    with pytest.raises(MappingError, match=rf"{misspelt} \(match key for name\) .* its name is {CRM_FIELDS[bench.crm, ACCOUNT]['name']}$"):
        bench.load(spec, ACCOUNT)
    assert bench.names() == ["Lab 1"]


def test_what_was_loaded_before_a_stop_is_kept_and_only_the_rest_is_sent(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.stage(spec, ACCOUNT, *(customer(number) for number in range(1, 251)))
    break_create(salesforce, "status", status=503, skip=1, times=None)
    with pytest.raises(ServiceError):
        salesforce.load(spec, ACCOUNT)
    salesforce.sandbox.faults.clear()
    assert len(salesforce.names()) == 200
    report = salesforce.load(spec, ACCOUNT, window=EVERYTHING)
    assert dict(report.outcomes) == {"unchanged": 200, "created": 50}
