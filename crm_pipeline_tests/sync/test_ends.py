"""What a deletion, a merge or a filter changed, its end changes back in the run that sees it, with nobody editing anything.

Each story has customers and contacts of its own. All of them are told in one world: a run in which everything is in order, a run
after the causes came, one after they ended, and one in which nothing happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.qbench.source import QBench
from crm_pipeline.sandbox.tenant import QBenchTenant
from crm_pipeline.store.staging import Window
from crm_pipeline.sync.extracting.extract import Extract
from crm_pipeline_tests.sync.conftest import ACCOUNT, BY_EMAIL, BY_NAME, CONTACT, Bench, own_bench
from crm_pipeline_tests.sync.links.test_check import delete, links, records, reports, restore

HOUR = 3600

Outcome = tuple[str, str | None]
Record = tuple[RecordType, int]


@dataclass
class World:
    """A QBench tenant and one CRM with runs between them; ``calls``: those of the last run that wrote."""

    bench: Bench
    spec: IntegrationSpec
    hour: int = 1
    calls: int = 0
    taken_up: int = 0
    seen: dict[str, str] = field(default_factory=dict)

    @property
    def tenant(self) -> QBenchTenant:
        return self.bench.sandbox.tenant

    @property
    def at(self) -> int:
        """A moment of the hour that the next run reads."""
        return self.hour * HOUR + 60

    def run(self) -> None:
        """A run of the next hour: read, normalize, compare the links, load."""
        window = Window(since=None if self.hour == 1 else self.hour * HOUR, until=(self.hour + 1) * HOUR)
        with closing(QBench(self.spec.qbench, integration=self.spec.name)) as source:
            for record_type in (ACCOUNT, CONTACT):
                Extract(self.spec.name, record_type, store=self.bench.store, source=source).run(window)
        for record_type in (ACCOUNT, CONTACT):
            self.bench.normalize(self.spec, record_type, window=window)
        reports(self.bench, self.spec)
        self.calls = sum(self.bench.calls.get(label, 0) for label in ("write", "associate"))
        self.taken_up = 0
        for record_type in (ACCOUNT, CONTACT):
            report = self.bench.load(self.spec, record_type, window=window)
            self.taken_up += report.rows + report.replanned
            self.calls += sum(self.bench.calls.get(label, 0) for label in ("write", "associate"))
        self.hour += 1

    def customer(self, number: int, **fields: Any) -> int:
        return self.tenant.add_customer(id=number, at=self.at, **{"customer_name": f"Lab {number}", **fields})

    def contact(self, number: int, *of: int, **fields: Any) -> int:
        person = {"email_address": f"p{number}@labs.example.org", "first_name": "Ana", "last_name": f"Ruiz {number}", "phone": "5125550102"}
        return self.tenant.add_contact(id=number, customer_ids=of, at=self.at, **{**person, **fields})

    def edit(self, contact: int, **fields: Any) -> int:
        self.tenant.edit_contact(contact, at=self.at, **{"last_name": f"Edited {contact}", **fields})
        return contact

    def edit_customer(self, number: int, **fields: Any) -> int:
        self.tenant.edit_customer(number, at=self.at, **fields)
        return number

    def delete_customer(self, number: int) -> int:
        self.tenant.delete_customer(number, at=self.at)
        return number

    def restore_customer(self, number: int) -> int:
        self.tenant.restore_customer(number, at=self.at)
        return number

    def delete_contact(self, number: int) -> int:
        self.tenant.delete_contact(number, at=self.at)
        return number

    def restore_contact(self, number: int) -> int:
        self.tenant.restore_contact(number, at=self.at)
        return number

    def delete_in_crm(self, record_type: RecordType, number: int) -> int:
        delete(self.bench, links(self.bench, record_type)[number][0], record_type)
        return number

    def restore_in_crm(self, record_type: RecordType, number: int) -> int:
        restore(self.bench, links(self.bench, record_type)[number][0], record_type)
        return number


@dataclass(frozen=True)
class Story:
    """What is there at first, what comes, and what takes it back; the outcomes of records after either.

    ``sent``: contacts whose last name says that their edit arrived in the end.
    """

    before: Callable[[World], object]
    cause: Callable[[World], object]
    end: Callable[[World], object]
    during: dict[Record, Outcome]
    after: dict[Record, Outcome]
    sent: dict[int, bool] = field(default_factory=dict)


UPDATED, CREATED, UNCHANGED, LINKED = (("updated", None), ("created", None), ("unchanged", None), ("linked", None))
NO_CUSTOMER = ("skipped", "NoCustomerForContactException")
SEVERAL = ("skipped", "ContactWithMoreThanOneCustomerException")
NOT_SYNCED = ("skipped", "CustomerNotSyncedException")
IN_QBENCH = ("skipped", "DeletedInQBenchException")
IN_CRM = ("skipped", "DeletedInCrmException")


STORIES: dict[str, Story] = {
    "a contact edited while its customer is deleted": Story(
        before=lambda w: (w.customer(1), w.contact(1, 1)),
        cause=lambda w: (w.delete_customer(1), w.edit(1)),
        end=lambda w: w.restore_customer(1),
        during={(ACCOUNT, 1): IN_QBENCH, (CONTACT, 1): NO_CUSTOMER},
        after={(ACCOUNT, 1): UNCHANGED, (CONTACT, 1): UPDATED},
        sent={1: True},
    ),
    "a contact new while its customer is deleted": Story(
        before=lambda w: w.customer(2),
        cause=lambda w: (w.contact(2, 2), w.delete_customer(2)),
        end=lambda w: w.restore_customer(2),
        during={(CONTACT, 2): NO_CUSTOMER},
        after={(CONTACT, 2): CREATED},
    ),
    "a contact that nobody touches while its customer is deleted": Story(
        before=lambda w: (w.customer(3), w.contact(3, 3)),
        cause=lambda w: w.delete_customer(3),
        end=lambda w: w.restore_customer(3),
        during={(ACCOUNT, 3): IN_QBENCH, (CONTACT, 3): CREATED},
        after={(ACCOUNT, 3): UNCHANGED, (CONTACT, 3): CREATED},
    ),
    "the second customer of a contact is deleted": Story(
        before=lambda w: (w.customer(41), w.customer(42), w.contact(4, 41, 42)),
        cause=lambda w: w.delete_customer(42),
        end=lambda w: w.restore_customer(42),
        during={(CONTACT, 4): CREATED},
        after={(CONTACT, 4): SEVERAL},
    ),
    "the second customer is deleted while the contact is edited": Story(
        before=lambda w: (w.customer(51), w.customer(52), w.contact(5, 51, 52)),
        cause=lambda w: (w.delete_customer(51), w.edit(5)),
        end=lambda w: w.restore_customer(51),
        during={(CONTACT, 5): CREATED},
        after={(CONTACT, 5): SEVERAL},
    ),
    "a contact of one gets a second customer and loses it": Story(
        before=lambda w: (w.customer(61), w.customer(62), w.contact(6, 61)),
        cause=lambda w: w.edit(6, customer_ids=(61, 62)),
        end=lambda w: w.delete_customer(62),
        during={(CONTACT, 6): SEVERAL},
        after={(CONTACT, 6): UPDATED},
        sent={6: True},
    ),
    "both customers of a contact are deleted, and one is back": Story(
        before=lambda w: (w.customer(71), w.customer(72), w.contact(7, 71, 72)),
        cause=lambda w: (w.delete_customer(71), w.delete_customer(72)),
        end=lambda w: w.restore_customer(72),
        during={(CONTACT, 7): NOT_SYNCED},
        after={(CONTACT, 7): CREATED},
    ),
    "a contact is deleted": Story(
        before=lambda w: (w.customer(8), w.contact(8, 8)),
        cause=lambda w: w.delete_contact(8),
        end=lambda w: w.restore_contact(8),
        during={(CONTACT, 8): IN_QBENCH},
        after={(CONTACT, 8): UNCHANGED},
    ),
    "a contact is deleted with its customer": Story(
        before=lambda w: (w.customer(9), w.contact(9, 9)),
        cause=lambda w: (w.edit(9), w.delete_contact(9), w.delete_customer(9)),
        end=lambda w: (w.restore_contact(9), w.restore_customer(9)),
        during={(ACCOUNT, 9): IN_QBENCH, (CONTACT, 9): IN_QBENCH},
        after={(ACCOUNT, 9): UNCHANGED, (CONTACT, 9): UPDATED},
        sent={9: True},
    ),
    "one of two customers that claim a record of the CRM": Story(
        before=lambda w: (w.bench.add_account("Twins"), [w.customer(each, customer_name="Twins") for each in (10, 11)], w.contact(10, 10)),
        cause=lambda w: w.delete_customer(11),
        end=lambda w: w.restore_customer(11),
        during={(ACCOUNT, 10): LINKED, (CONTACT, 10): CREATED},
        after={(ACCOUNT, 10): LINKED, (ACCOUNT, 11): CREATED},
    ),
    "the holder of an email address": Story(
        before=lambda w: (w.customer(12), [w.contact(number, 12, email_address="shared@labs.example.org") for number in (12, 13)]),
        cause=lambda w: w.delete_contact(12),
        end=lambda w: w.restore_contact(12),
        during={(CONTACT, 12): IN_QBENCH, (CONTACT, 13): LINKED},
        after={(CONTACT, 12): ("skipped", "DuplicateEmailException"), (CONTACT, 13): LINKED},
    ),
    "a customer is inactive": Story(
        before=lambda w: (w.customer(14), w.contact(14, 14)),
        cause=lambda w: (w.edit_customer(14, status="INACTIVE"), w.edit(14), w.contact(15, 14)),
        end=lambda w: w.edit_customer(14, status="ACTIVE"),
        during={(ACCOUNT, 14): ("skipped", "InactiveCustomerException"), (CONTACT, 14): NOT_SYNCED, (CONTACT, 15): NOT_SYNCED},
        after={(ACCOUNT, 14): UNCHANGED, (CONTACT, 14): UPDATED, (CONTACT, 15): CREATED},
        sent={14: True},
    ),
    "an account is deleted in the CRM": Story(
        before=lambda w: w.customer(16),
        cause=lambda w: (w.delete_in_crm(ACCOUNT, 16), w.edit_customer(16, comments="New"), w.contact(16, 16)),
        end=lambda w: w.restore_in_crm(ACCOUNT, 16),
        during={(ACCOUNT, 16): IN_CRM, (CONTACT, 16): NOT_SYNCED},
        after={(ACCOUNT, 16): UPDATED, (CONTACT, 16): CREATED},
    ),
    "a contact is deleted in the CRM": Story(
        before=lambda w: (w.customer(17), w.contact(17, 17)),
        cause=lambda w: (w.delete_in_crm(CONTACT, 17), w.edit(17)),
        end=lambda w: w.restore_in_crm(CONTACT, 17),
        during={(CONTACT, 17): IN_CRM},
        after={(CONTACT, 17): UPDATED},
        sent={17: True},
    ),
}


@dataclass(frozen=True)
class Moment:
    """Outcomes, the contacts' last names by QBench id, and what the run took up and wrote."""

    outcomes: dict[Record, Outcome]
    last_names: dict[int, str]
    calls: int
    taken_up: int


def now(world: World) -> Moment:
    bench = world.bench
    outcomes = {(kind, number): told for kind in (ACCOUNT, CONTACT) for number, told in bench.outcomes(kind).items()}
    field_name = "LastName" if bench.crm == "salesforce" else "lastname"
    held = records(bench, CONTACT)
    names = {number: held[crm_id][field_name] for number, (crm_id, _, _) in links(bench, CONTACT).items() if crm_id in held}
    return Moment(outcomes, names, world.calls, world.taken_up)


@dataclass(frozen=True)
class Told:
    lists_deleted_customers: bool
    during: Moment
    after: Moment
    idle: Moment


@pytest.fixture(scope="module", params=[("salesforce", False), ("hubspot", True)], ids=["salesforce", "hubspot, deleted customers listed"])
def told(request: pytest.FixtureRequest, postgres: str) -> Iterator[Told]:
    crm, lists_deleted_customers = request.param
    with own_bench(postgres, crm) as bench:
        bench.sandbox.tenant.lists_deleted_customers = lists_deleted_customers
        world = World(bench, bench.spec(accounts={**BY_NAME, "active_only": True}, contacts=BY_EMAIL))
        for story in STORIES.values():
            story.before(world)
        world.run()
        for story in STORIES.values():
            story.cause(world)
        world.run()
        during = now(world)
        for story in STORIES.values():
            story.end(world)
        world.run()
        after = now(world)
        world.run()
        yield Told(lists_deleted_customers, during, after, now(world))


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_what_a_cause_changes_is_told_in_the_run_that_sees_it(told: Told, story: Story) -> None:
    # A customer that QBench goes on listing is known to be the contact's, and to be deleted.
    expected = {
        record: NOT_SYNCED if told.lists_deleted_customers and outcome == NO_CUSTOMER else outcome
        for record, outcome in story.during.items()
    }
    assert {record: told.during.outcomes.get(record) for record in story.during} == expected


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_the_end_of_a_cause_changes_back_what_it_changed_in_the_run_that_sees_it(told: Told, story: Story) -> None:
    assert {record: told.after.outcomes.get(record) for record in story.after} == story.after
    for number, arrives in story.sent.items():
        assert (told.after.last_names[number] == f"Edited {number}") == arrives


def test_a_run_in_which_nothing_happened_takes_up_nothing_and_writes_nothing(told: Told) -> None:
    assert (told.idle.taken_up, told.idle.calls) == (0, 0)
    assert told.idle.outcomes == told.after.outcomes
