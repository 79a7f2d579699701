"""Calls whose answer was lost, and that the CRM carries out after a newer one (docs/rules.md, 42)."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest
from sqlalchemy import text

from crm_pipeline.errors import ServiceError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.store.database import Store
from crm_pipeline_tests.awaiting import await_that
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, CRM_FIELDS, Bench, Stories, contact, customer

WRITES = {"salesforce": "composite/sobjects", "hubspot": "batch/(upsert|update)"}
ASSOCIATE = "associations/.*batch/create"
OF_THE_SERVICE = "ServiceFailedException"

each_once = pytest.mark.parametrize(("bench", "verb"), [("salesforce", "upsert"), ("hubspot", "update")], indirect=True)
"""Each CRM and each verb, for what is decided from the notes of calls alone, whatever the CRM; not all four pairs."""


def description(bench: Bench) -> str:
    """The description of the one account that there is."""
    (value,) = bench.values(ACCOUNT, CRM_FIELDS[bench.crm, ACCOUNT]["description"])
    return value


@contextmanager
def late(bench: Bench, path: str | None = None) -> Iterator[threading.Event]:
    """The next write loses its answer; it is carried out when the event is set."""
    lands = threading.Event()
    bench.sandbox.faults.add(Fault(service=bench.crm, path=path or WRITES[bench.crm], kind="late", until=lands))
    try:
        yield lands
    finally:
        lands.set()


def lost(bench: Bench, spec: IntegrationSpec) -> None:
    """A load of accounts whose write loses its answer."""
    with suppress(ServiceError):
        bench.load(spec, ACCOUNT)
    assert bench.outcomes()[1][0] == "failed"


def held(bench: Bench, spec: IntegrationSpec) -> None:
    """A load of accounts that sends nothing, since an earlier call may still be carried out."""
    assert bench.load(spec, ACCOUNT, at_once=True).retryable == 1
    assert "write" not in bench.calls
    assert bench.outcomes() == {1: ("failed", OF_THE_SERVICE)}


def land(bench: Bench, lands: threading.Event, value: str) -> None:
    lands.set()
    await_that(lambda: bench.values(ACCOUNT, CRM_FIELDS[bench.crm, ACCOUNT]["description"]) == [value], "the late call is carried out")


@pytest.fixture(params=["update", "upsert"])
def verb(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def with_one(bench: Bench, spec: IntegrationSpec, verb: str) -> None:
    """One account, in the CRM where the next write is to be an update of it."""
    if verb == "update":
        bench.given(spec, ACCOUNT, customer(1, 100, comments="first"))


def test_what_lands_late_is_not_the_last_word(bench: Bench, verb: str) -> None:
    spec = bench.spec()
    with_one(bench, spec, verb)
    with late(bench) as lands:
        bench.stage(spec, ACCOUNT, customer(1, 200, comments="second"))
        lost(bench, spec)
        bench.stage(spec, ACCOUNT, customer(1, 300, comments="third"))
        held(bench, spec)
        land(bench, lands, "second")
    bench.load(spec, ACCOUNT)
    assert description(bench) == "third"
    bench.load(spec, ACCOUNT)
    assert "write" not in bench.calls, "it is watched no more"


def test_record_that_waits_for_an_earlier_call_is_due_once_that_is_over_and_it_counts_as_no_try(salesforce: Bench) -> None:
    bench, spec = salesforce, salesforce.spec(settings={"late_seconds": 40})
    with_one(bench, spec, "update")
    with late(bench):
        bench.stage(spec, ACCOUNT, customer(1, 200, comments="second"))
        lost(bench, spec)
        bench.stage(spec, ACCOUNT, customer(1, 300, comments="third"))
        for _ in range(2):
            held(bench, spec)
    due = "extract(epoch FROM next_attempt_at - over_at) BETWEEN 0 AND 1"
    assert bench.rows(f"SELECT {due}, attempts FROM crm_pipeline.outcome, crm_pipeline.open_call") == [(True, 0)]


def test_record_that_is_as_before_again_is_sent_all_the_same_after_a_lost_call(salesforce: Bench) -> None:
    bench, spec = salesforce, salesforce.spec()
    with_one(bench, spec, "update")
    with late(bench) as lands:
        bench.stage(spec, ACCOUNT, customer(1, 200, comments="second"))
        lost(bench, spec)
        bench.stage(spec, ACCOUNT, customer(1, 300, comments="first"))
        held(bench, spec)
        land(bench, lands, "second")
    assert bench.load(spec, ACCOUNT).outcomes["updated"] == 1
    assert description(bench) == "first"
    assert bench.load(spec, ACCOUNT).outcomes["unchanged"] == 1


@each_once
def test_same_values_are_sent_again_at_once(bench: Bench, verb: str) -> None:
    spec = bench.spec()
    with_one(bench, spec, verb)
    with late(bench) as lands:
        bench.stage(spec, ACCOUNT, customer(1, 200, comments="second"))
        lost(bench, spec)
        assert not bench.load(spec, ACCOUNT, at_once=True).retryable
        assert description(bench) == "second"
        bench.stage(spec, ACCOUNT, customer(1, 300, comments="third"))
        held(bench, spec)
        land(bench, lands, "second")
    bench.load(spec, ACCOUNT)
    assert description(bench) == "third"


@each_once
def test_record_stays_watched_when_a_repeat_within_the_load_was_answered(bench: Bench, verb: str) -> None:
    spec = bench.spec(settings={"attempts": 2})
    with_one(bench, spec, verb)
    with late(bench) as lands:
        bench.stage(spec, ACCOUNT, customer(1, 200, comments="second"))
        bench.load(spec, ACCOUNT)
        assert description(bench) == "second"
        assert not bench.load(spec, ACCOUNT, at_once=True).retryable, "it is as it should be"
        bench.stage(spec, ACCOUNT, customer(1, 300, comments="third"))
        held(bench, spec)
        land(bench, lands, "second")
    bench.load(spec, ACCOUNT)
    assert description(bench) == "third"


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_call_of_a_killed_run_is_watched(hubspot: Bench, database_url: str) -> None:
    bench, spec = hubspot, hubspot.spec()
    with_one(bench, spec, "update")
    bench.stage(spec, ACCOUNT, customer(1, 200, comments="second"))
    lands = threading.Event()
    fault = Fault(service=bench.crm, path=WRITES[bench.crm], kind="delay", until=lands)
    bench.sandbox.faults.add(fault)

    def load() -> None:
        with closing(Store(database_url)) as store:
            Bench(bench.sandbox, store, bench.crm).load(spec, ACCOUNT, at_once=True)

    run = multiprocessing.get_context("fork").Process(target=load)
    run.start()
    await_that(lambda: fault not in bench.sandbox.faults.open(), "the write is under way")
    run.kill()
    run.join()
    bench.stage(spec, ACCOUNT, customer(1, 300, comments="first"))
    held(bench, spec)
    land(bench, lands, "second")
    bench.load(spec, ACCOUNT)
    assert description(bench) == "first"


def test_call_that_was_certainly_not_carried_out_is_not_watched(bench: Bench) -> None:
    spec = bench.spec()
    with_one(bench, spec, "update")
    bench.sandbox.faults.add(Fault(service=bench.crm, path=WRITES[bench.crm], status=429))
    bench.stage(spec, ACCOUNT, customer(1, 200, comments="second"))
    lost(bench, spec)
    bench.stage(spec, ACCOUNT, customer(1, 300, comments="third"))
    bench.load(spec, ACCOUNT, at_once=True)
    assert description(bench) == "third"


def test_other_records_do_not_wait(salesforce: Bench) -> None:
    bench, spec = salesforce, salesforce.spec()
    with_one(bench, spec, "update")
    with late(bench):
        bench.stage(spec, ACCOUNT, customer(1, 200, comments="second"))
        lost(bench, spec)
        bench.stage(spec, ACCOUNT, customer(1, 300, comments="third"), customer(2, 300, comments="other"))
        assert bench.load(spec, ACCOUNT, at_once=True).retryable == 1
    assert bench.outcomes() == {1: ("failed", OF_THE_SERVICE), 2: ("created", None)}


def over(bench: Bench) -> None:
    """Let the time pass in which calls may be carried out late."""
    with bench.store.transaction() as connection:
        connection.execute(text("UPDATE crm_pipeline.open_call SET over_at = now()"))


def main_company_of(bench: Bench, person: str) -> str:
    (company,) = (company for who, company, types in bench.sandbox.portal.associations() if who == person and 1 in types)
    return company


def test_what_an_association_of_unknown_end_made_is_undone_by_the_next_one_not_by_the_write_before_that(hubspot: Bench) -> None:
    spec = hubspot.spec()
    companies = hubspot.given(spec, ACCOUNT, customer(1), customer(2))
    (person,) = hubspot.given(spec, CONTACT, contact(7, of=1)).values()
    hubspot.stage(spec, CONTACT, contact(7, 200, of=2))
    for fault in (Fault(service="hubspot", path=ASSOCIATE, kind="drop_after"), Fault(service="hubspot", path=ASSOCIATE, status=401)):
        hubspot.sandbox.faults.add(fault)
        with suppress(ServiceError):
            hubspot.load(spec, CONTACT)
        assert hubspot.outcomes(CONTACT)[7][0] == "failed"
        assert main_company_of(hubspot, person) == companies[2]
        hubspot.stage(spec, CONTACT, contact(7, 300, of=1))
        over(hubspot)
    hubspot.load(spec, CONTACT)
    assert main_company_of(hubspot, person) == companies[1]


def test_what_an_association_made_is_known_though_the_load_broke_off_over_another_contact(hubspot: Bench) -> None:
    spec = hubspot.spec()
    companies = hubspot.given(spec, ACCOUNT, *(customer(number) for number in (1, 2, 3)))
    people = hubspot.given(spec, CONTACT, contact(7, of=1), contact(8, of=1))
    hubspot.sandbox.portal.archive("companies", companies[3])
    hubspot.stage(spec, CONTACT, contact(7, 200, of=2), contact(8, 200, of=3))
    hubspot.sandbox.faults.add(Fault(service="hubspot", path="objects/companies/", status=401, times=None))
    with pytest.raises(ServiceError):
        hubspot.load(spec, CONTACT)
    hubspot.sandbox.faults.clear()
    assert main_company_of(hubspot, people[7]) == companies[2]
    hubspot.stage(spec, CONTACT, contact(7, 300, of=1))
    over(hubspot)
    hubspot.load(spec, CONTACT)
    assert main_company_of(hubspot, people[7]) == companies[1]


def test_association_that_lands_late_is_not_the_last_word(hubspot: Bench) -> None:
    spec = hubspot.spec()
    companies = hubspot.given(spec, ACCOUNT, customer(1), customer(2), customer(3))
    (person,) = hubspot.given(spec, CONTACT, contact(7, of=1)).values()

    def main_company() -> str:
        (company,) = (company for who, company, types in hubspot.sandbox.portal.associations() if who == person and 1 in types)
        return company

    with late(hubspot, path="associations/.*batch/create") as lands:
        hubspot.stage(spec, CONTACT, contact(7, 200, of=2))
        with suppress(ServiceError):
            hubspot.load(spec, CONTACT)
        hubspot.stage(spec, CONTACT, contact(7, 300, of=3))
        assert hubspot.load(spec, CONTACT, at_once=True).retryable == 1
        assert "associate" not in hubspot.calls
        lands.set()
        await_that(lambda: main_company() == companies[2], "the late call is carried out")
    hubspot.load(spec, CONTACT)
    assert main_company() == companies[3]
    assert [company for who, company, _ in hubspot.sandbox.portal.associations() if who == person] == [companies[3]], "none is beside"


@pytest.mark.parametrize("crm", ["salesforce", "hubspot"])
def test_contact_without_a_key_gets_no_second_record_where_its_email_changed_before_the_create_landed(stories: Stories, crm: str) -> None:
    with stories(crm) as bench:
        spec = bench.spec(external_keys=False)
        bench.given(spec, ACCOUNT, customer(1))
        bench.stage(spec, CONTACT, contact(7, 100, of=1))
        with late(bench, path={"salesforce": "composite/sobjects", "hubspot": "contacts/batch/create"}[crm]) as lands:
            with suppress(ServiceError):
                bench.load(spec, CONTACT)
            bench.stage(spec, CONTACT, contact(7, 200, of=1, email_address="another@labs.example.org"))
            assert bench.load(spec, CONTACT, at_once=True).retryable == 1
            assert not bench.emails(), "no unique value would refuse the one of them that comes last"
            lands.set()
            await_that(lambda: bench.emails() == ["person7@labs.example.org"], "the late call is carried out")
        bench.load(spec, CONTACT)
        assert bench.emails() == ["another@labs.example.org"]


def test_call_that_the_crm_answered_itself_is_over(bench: Bench) -> None:
    spec = bench.spec()
    with_one(bench, spec, "update")
    bench.sandbox.faults.add(Fault(service=bench.crm, path=WRITES[bench.crm], status=500))
    bench.stage(spec, ACCOUNT, customer(1, 200, comments="second"))
    lost(bench, spec)
    bench.stage(spec, ACCOUNT, customer(1, 300, comments="first"))
    assert bench.load(spec, ACCOUNT, at_once=True).outcomes["updated"] == 1, "nobody knows what it made of the record"
