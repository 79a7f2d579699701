"""What becomes of a record that is deleted in QBench (docs/rules.md, 26)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.qbench.source import QBench
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.schemas import RAW
from crm_pipeline.store.raw_records import stage_raw
from crm_pipeline.store.staging import Window
from crm_pipeline.sync.extracting.deletions import Deletions
from crm_pipeline.sync.extracting.extract import Extract
from crm_pipeline.sync.loading.report import LoadReport
from crm_pipeline_tests.sync.conftest import ACCOUNT, BY_EMAIL, BY_NAME, CONTACT, Bench, contact, customer, own_bench


def delete(bench: Bench, spec: IntegrationSpec, record_type: RecordType, *records: tuple[int, int, dict[str, Any]]) -> None:
    """Stage records as extract and normalize do when QBench deleted them."""
    frame = RAW.build(pd.DataFrame(list(records), columns=["qbench_id", "version", "content"])).assign(deleted=True)
    with bench.store.transaction() as connection:
        stage_raw(connection, spec.name, record_type, frame=frame)
    versions = [version for _, version, _ in records]
    bench.normalize(spec, record_type, window=Window(since=min(versions), until=max(versions) + 1))


@dataclass(frozen=True)
class Seen:
    """What a load of accounts left: outcomes, all reasons ever told, links with their origin and status, and the CRM's names."""

    report: LoadReport
    calls: dict[str, int]
    outcomes: dict[int, tuple[str, str | None]]
    reasons: set[tuple[int, str | None]]
    links: dict[int, tuple[str, str, str]]
    names: list[str]


def seen(bench: Bench, spec: IntegrationSpec) -> Seen:
    report = bench.load(spec, ACCOUNT)
    reasons = {(number, reason) for number, reason in bench.rows("SELECT qbench_id, reason FROM crm_pipeline.every_outcome")}
    links = {number: tuple(link) for number, *link in bench.rows("SELECT qbench_id, crm_id, origin, status FROM crm_pipeline.link")}
    return Seen(report, bench.calls, bench.outcomes(), reasons, links, bench.names())


@dataclass(frozen=True)
class Deleted:
    """Linked customers 1, 3 and 5 are deleted, and so is 4, which never synced; 2 has the name of 1. Later 5 is back."""

    ids: dict[int, str]
    first: Seen
    later: Seen


@pytest.fixture(
    scope="module",
    params=[("salesforce", True), ("salesforce", False), ("hubspot", True)],
    ids=["salesforce", "salesforce without a key", "hubspot"],
)
def deleted(request: pytest.FixtureRequest, postgres: str) -> Iterator[Deleted]:
    crm, external_keys = request.param
    with own_bench(postgres, crm) as bench:
        spec = bench.spec(external_keys=external_keys, accounts=BY_NAME)
        ids = bench.given(spec, ACCOUNT, customer(1, customer_name="Eco Labs"), customer(3), customer(5))
        gone = customer(1, 200, customer_name="Eco Labs"), customer(3, 200, customer_name="Renamed"), customer(4, 200, customer_name=None)
        delete(bench, spec, ACCOUNT, *gone, customer(5, 200))
        bench.stage(spec, ACCOUNT, customer(2, 200, customer_name="ECO Labs", comments="Survivor"))
        first = seen(bench, spec)
        bench.stage(spec, ACCOUNT, customer(5, 300))
        yield Deleted(ids, first, seen(bench, spec))


DELETED = ("skipped", "DeletedInQBenchException")


def test_a_deleted_record_is_skipped_with_its_named_error_before_any_other_and_nothing_is_sent_any_more(deleted: Deleted) -> None:
    first = deleted.first
    assert dict(first.report.errors) == {"DeletedInQBenchException": 4}
    assert (first.outcomes[3], first.outcomes[4]) == (DELETED, DELETED)
    assert first.links[3] == (deleted.ids[3], "created", "source_deleted")
    assert "Lab 3" in first.names
    assert first.report.sent.total() == 1, "the survivor"
    assert not {"write", "associate"} & set(deleted.later.calls)


def test_a_record_that_is_back_in_qbench_is_live_again(deleted: Deleted) -> None:
    assert (deleted.first.outcomes[5], deleted.later.outcomes[5]) == (DELETED, ("unchanged", None))
    assert (deleted.first.links[5][2], deleted.later.links[5][2]) == ("source_deleted", "live")


def test_a_survivor_that_matches_takes_the_link_of_a_deleted_record_over(deleted: Deleted) -> None:
    first = deleted.first
    assert (first.outcomes[1], first.outcomes[2]) == (DELETED, ("linked", None))
    assert first.links[2] == (deleted.ids[1], "taken_over", "live")
    assert 1 not in first.links
    assert (2, "taken over from QBench id 1, which was deleted") in first.reasons
    assert first.names == ["ECO Labs", "Lab 3", "Lab 5"]
    assert (deleted.later.outcomes[1], deleted.later.outcomes[2]) == (DELETED, ("unchanged", None))


def test_a_survivor_of_the_same_email_takes_a_contact_over(hubspot: Bench) -> None:
    spec = hubspot.spec(external_keys=False, contacts=BY_EMAIL)
    hubspot.given(spec, ACCOUNT, customer(1))
    hubspot.given(spec, CONTACT, contact(7, of=1, email_address="ana@labs.example.org"))
    delete(hubspot, spec, CONTACT, contact(7, 200, of=1, email_address="ana@labs.example.org"))
    hubspot.stage(spec, CONTACT, contact(8, 200, of=1, email_address="Ana@labs.example.org"))
    hubspot.load(spec, CONTACT)
    assert hubspot.outcomes(CONTACT) == {7: ("skipped", "DeletedInQBenchException"), 8: ("linked", None)}
    assert hubspot.emails() == ["ana@labs.example.org"]


def test_without_a_match_key_the_survivor_is_a_conflict_that_names_the_deleted_record(hubspot: Bench) -> None:
    spec = hubspot.spec()
    hubspot.given(spec, ACCOUNT, customer(1))
    hubspot.given(spec, CONTACT, contact(7, of=1, email_address="ana@labs.example.org"))
    delete(hubspot, spec, CONTACT, contact(7, 200, of=1, email_address="ana@labs.example.org"))
    hubspot.stage(spec, CONTACT, contact(8, 200, of=1, email_address="ana@labs.example.org"))
    hubspot.load(spec, CONTACT)
    assert hubspot.outcomes(CONTACT)[8] == ("skipped", "LinkConflictException")
    ((reason,),) = hubspot.rows("SELECT reason FROM crm_pipeline.outcome WHERE qbench_id = 8")
    assert "is linked to QBench id 7" in reason


@pytest.fixture(scope="module")
def contacts_told(postgres: str) -> Iterator[dict[int, tuple[str, str | None, str | None]]]:
    """Outcome, error and reason of contacts whose customer 1 or 2 is deleted; customer 3 is not."""
    with own_bench(postgres, "salesforce") as bench:
        spec = bench.spec()
        bench.given(spec, ACCOUNT, customer(1), customer(3))
        bench.given(spec, CONTACT, contact(7, of=1))
        delete(bench, spec, ACCOUNT, customer(1, 200), customer(2, 200))
        bench.stage(spec, CONTACT, contact(7, 200, of=1, last_name="Renamed"), contact(8, 200, of=1))
        bench.stage(spec, CONTACT, contact(9, of=3, customers=[{"id": 2}, {"id": 3}]))
        bench.load(spec, CONTACT)
        told = bench.rows("SELECT qbench_id, outcome, error_type, reason FROM crm_pipeline.outcome WHERE record_type = 'contact'")
        yield {number: (outcome, error, reason) for number, outcome, error, reason in told}


def test_a_deleted_customer_does_not_count_towards_more_than_one(
    contacts_told: dict[int, tuple[str, str | None, str | None]],
) -> None:
    assert contacts_told[9] == ("created", None, None)


def test_a_contact_whose_only_customer_is_deleted_is_skipped_with_the_cause_linked_or_not(
    contacts_told: dict[int, tuple[str, str | None, str | None]],
) -> None:
    skipped = ("skipped", "CustomerNotSyncedException", "customer:1 (DeletedInQBenchException)")
    assert (contacts_told[7], contacts_told[8]) == (skipped, skipped)


def test_extraction_marks_what_was_staged_as_deleted(salesforce: Bench) -> None:
    spec = salesforce.spec()
    tenant = salesforce.sandbox.tenant
    kept, gone = (tenant.add_customer(customer_name=name, at=1_000) for name in ("Kept", "Gone"))
    with closing(QBench(spec.qbench, integration=spec.name)) as source:
        for window in (Window(since=None, until=2_000), Window(since=2_000, until=3_000)):
            job = Extract(spec.name, ACCOUNT, store=salesforce.store, source=source)
            job.run(window)
            tenant.edit_customer(kept, at=2_100)
            if gone not in tenant.tables["customers"].deleted_at:
                tenant.delete_customer(gone, at=2_500)
    assert (job.rows, job.deleted) == (2, 1)
    staged = salesforce.rows("SELECT qbench_id, version, deleted FROM crm_pipeline.raw_record ORDER BY 1")
    assert staged == [(kept, 2_100, False), (gone, 2_500, True)]


def test_a_contact_that_cannot_be_read_keeps_no_other_from_following_its_customer_back(salesforce: Bench) -> None:
    spec, tenant = salesforce.spec(), salesforce.sandbox.tenant
    for number in (1, 2):
        tenant.add_customer(id=number, customer_name=f"Lab {number}", at=1_000)
        tenant.delete_customer(number, at=1_500)
        tenant.add_contact(id=10 + number, customer_ids=(number,), first_name="Ana", at=1_600)

    def read(since: int | None, until: int) -> list[int]:
        with closing(QBench(spec.qbench, integration=spec.name)) as source:
            jobs = [Extract(spec.name, record_type, store=salesforce.store, source=source) for record_type in (ACCOUNT, CONTACT)]
            for job in jobs:
                job.run(Window(since=since, until=until))
        return [job.read_again for job in jobs]

    assert read(None, 2_000) == [0, 0]
    for number in (1, 2):
        tenant.restore_customer(number, at=2_500)
    tenant.answer_with("contacts", 11, id="nameless")
    assert read(2_000, 3_000) == [1, 0]
    tenant.disguises.clear()
    assert read(3_000, 4_000) == [1, 0]
    assert read(4_000, 5_000) == [0, 0]
    assert salesforce.rows(CUSTOMERS) == [(11, [{"id": 1}]), (12, [{"id": 2}])]


CUSTOMERS = (
    "SELECT qbench_id, crm_pipeline.unpacked(content) -> 'customers' FROM crm_pipeline.raw_record WHERE record_type = 'contact' ORDER BY 1"
)


def customer_that_is_back(bench: Bench) -> IntegrationSpec:
    """A customer that was deleted when its two contacts were read, and is restored since."""
    spec, tenant = bench.spec(), bench.sandbox.tenant
    tenant.add_customer(id=1, customer_name="Eco Labs", at=1_000)
    tenant.delete_customer(1, at=1_500)
    for number in (11, 12):
        tenant.add_contact(id=number, customer_ids=(1,), first_name="Ana", at=1_600)
    hour(bench, spec, None, 2_000)
    tenant.restore_customer(1, at=2_500)
    return spec


def test_a_contact_that_cannot_be_read_keeps_no_other_contact_of_its_customer_back(salesforce: Bench) -> None:
    spec = customer_that_is_back(salesforce)
    salesforce.sandbox.faults.add(Fault(path="/contacts/11$", status=403, times=2))
    hour(salesforce, spec, 2_000, 3_000)
    assert salesforce.rows(CUSTOMERS) == [(11, []), (12, [{"id": 1}])]
    hour(salesforce, spec, 3_000, 4_000)
    assert salesforce.rows(CUSTOMERS) == [(11, [{"id": 1}]), (12, [{"id": 1}])]


def test_a_contact_that_no_list_shows_keeps_no_other_contact_of_its_customer_back(salesforce: Bench) -> None:
    spec, tenant = customer_that_is_back(salesforce), salesforce.sandbox.tenant
    tenant.unshowable.add(("contacts", 11))
    hour(salesforce, spec, 2_000, 3_000)
    assert salesforce.rows(CUSTOMERS) == [(11, []), (12, [{"id": 1}])]
    tenant.unshowable.clear()
    hour(salesforce, spec, 3_000, 4_000)
    assert salesforce.rows(CUSTOMERS) == [(11, [{"id": 1}]), (12, [{"id": 1}])]


# --- without a new last_updated


def hour(bench: Bench, spec: IntegrationSpec, since: int | None, until: int) -> None:
    """What an hourly run does before it loads."""
    with closing(QBench(spec.qbench, integration=spec.name)) as source:
        for record_type in (ACCOUNT, CONTACT):
            Extract(spec.name, record_type, store=bench.store, source=source).run(Window(since=since, until=until))
    for record_type in (ACCOUNT, CONTACT):
        bench.normalize(spec, record_type, window=Window(since=since, until=until))


def test_the_probe_shows_a_deletion_without_a_new_date_within_the_hour_and_an_idle_one_costs_no_more_calls(salesforce: Bench) -> None:
    spec, tenant, journal = salesforce.spec(), salesforce.sandbox.tenant, salesforce.sandbox.journal
    probing = spec.model_copy(update={"qbench": spec.qbench.model_copy(update={"updates_probe": True})})
    tenant.deletions_touch = False
    tenant.add_customer(id=1, customer_name="Eco Labs", at=1_000)
    hour(salesforce, spec, None, 2_000)

    def calls(of: IntegrationSpec, since: int) -> int:
        before = len(journal.calls())
        hour(salesforce, of, since, since + 1_000)
        return len(journal.calls()) - before

    assert calls(probing, 2_000) == calls(spec, 3_000)
    tenant.delete_customer(1, at=4_500)
    calls(probing, 4_000)
    told = "SELECT error_type FROM crm_pipeline.normalized_record"
    assert salesforce.rows(told) == [("DeletedInQBenchException",)]


def test_a_tenant_that_does_not_answer_the_probe_is_asked_for_the_list(salesforce: Bench) -> None:
    spec, tenant = salesforce.spec(), salesforce.sandbox.tenant
    probing = spec.model_copy(update={"qbench": spec.qbench.model_copy(update={"updates_probe": True})})
    tenant.add_customer(id=1, customer_name="Eco Labs", at=1_000)
    hour(salesforce, probing, None, 2_000)
    tenant.delete_customer(1, at=2_500)
    salesforce.sandbox.faults.add(Fault(path="/updates/", status=404, times=2))
    hour(salesforce, probing, 2_000, 3_000)
    assert salesforce.rows("SELECT deleted FROM crm_pipeline.raw_record") == [(True,)]


def night(bench: Bench, spec: IntegrationSpec) -> tuple[int, int, int]:
    """The nightly comparison: how many records are listed as deleted, how many of them are news, and how many are back."""
    with closing(QBench(spec.qbench, integration=spec.name)) as source:
        job = Deletions(spec.name, ACCOUNT, CONTACT, store=bench.store, source=source)
        job.run()
    return job.listed, job.deleted, job.restored


@dataclass(frozen=True)
class Later:
    """What a night found, and what the hour after it left: rows that its loads took up, outcomes, and the links' statuses."""

    night: tuple[int, int, int]
    taken: list[int]
    accounts: dict[int, tuple[str, str | None]]
    contacts: dict[int, tuple[str, str | None]]
    links: dict[tuple[str, int], str]


@pytest.fixture(scope="module", params=[False, True], ids=["404 by id", "answered by id"])
def silent(request: pytest.FixtureRequest, postgres: str) -> Iterator[list[Later]]:
    """Customer 2 and contact 8 are deleted without a new date, then nothing happens, then both are back, then nothing again.

    Contact 7 is of the customers 1 and 2; 9 has the address of 8.
    """
    with own_bench(postgres, "salesforce") as bench:
        spec, tenant = bench.spec(contacts=BY_EMAIL), bench.sandbox.tenant
        tenant.deletions_touch, tenant.answers_deleted = False, request.param
        for number in (1, 2, 3):
            tenant.add_customer(id=number, customer_name=f"Lab {number}", at=1_000)
        for number, customers, email in ((7, (1, 2), "a"), (8, (3,), "b"), (9, (3,), "b")):
            person = {"first_name": "Ana", "last_name": f"Ruiz {number}", "phone": "5125550102"}
            tenant.add_contact(id=number, customer_ids=customers, email_address=f"{email}@labs.example.org", at=1_000, **person)

        def later(since: int | None, until: int) -> Later:
            found = night(bench, spec) if since else (0, 0, 0)
            hour(bench, spec, since, until)
            reports = [bench.load(spec, record_type, window=Window(since=since, until=until)) for record_type in (ACCOUNT, CONTACT)]
            links = {
                (record_type, number): status
                for record_type, number, status in bench.rows("SELECT record_type, qbench_id, status FROM crm_pipeline.link")
            }
            return Later(found, [report.rows for report in reports], bench.outcomes(), bench.outcomes(CONTACT), links)

        seen = [later(None, 2_000)]
        tenant.delete_customer(2, at=2_500)
        tenant.delete_contact(8, at=2_500)
        seen += [later(3_000, 4_000), later(4_000, 5_000)]
        tenant.restore_customer(2, at=5_500)
        tenant.restore_contact(8, at=5_500)
        yield [*seen, later(6_000, 7_000), later(7_000, 8_000)]


def test_a_deletion_without_a_new_date_counts_in_the_hour_after_the_night_that_sees_it(silent: list[Later]) -> None:
    first, deleted, *_ = silent
    assert first.contacts == {
        7: ("skipped", "ContactWithMoreThanOneCustomerException"),
        8: ("created", None),
        9: ("skipped", "DuplicateEmailException"),
    }
    assert deleted.night == (2, 2, 0)
    assert deleted.accounts[2] == DELETED
    assert deleted.links["account", 2] == "source_deleted"
    assert deleted.contacts == {7: ("created", None), 8: DELETED, 9: ("linked", None)}


def test_a_return_without_a_new_date_counts_in_the_hour_after_the_night_that_sees_it(silent: list[Later]) -> None:
    back = silent[3]
    assert back.night == (0, 0, 2)
    assert back.accounts[2] == ("unchanged", None)
    assert back.links["account", 2] == "live"
    assert back.contacts[7] == ("skipped", "ContactWithMoreThanOneCustomerException")
    assert back.contacts[8] == ("skipped", "DuplicateEmailException")


def test_what_the_night_has_told_is_not_taken_up_again(silent: list[Later]) -> None:
    assert [(later.night, later.taken) for later in (silent[2], silent[4])] == [((2, 0, 0), [0, 0]), ((0, 0, 0), [0, 0])]
