"""What holds for any tenant over several loads: random small tenants, edits, deletions and lost answers (hypothesis)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from crm_pipeline.crms.base import Crm, CrmObject
from crm_pipeline.crms.batch import Write, WriteResult
from crm_pipeline.errors import ServiceError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.store.database import Store
from crm_pipeline.store.staging import Window
from crm_pipeline_tests.conftest import empty
from crm_pipeline_tests.sync.conftest import (
    ACCOUNT,
    CONTACT,
    EVERYTHING,
    LEAN_ACCOUNT_MAP,
    LEAN_CONTACT_MAP,
    OBJECTS,
    Bench,
    Staged,
    empty_sandbox,
)
from crm_pipeline_tests.sync.extracting.test_deletions import delete

ACCOUNT_MAP = {**LEAN_ACCOUNT_MAP, "number_of_employees": "employees", "address": {"city": "city_name"}}
CONTACT_MAP = {**LEAN_CONTACT_MAP, "address": {"city": "contact_city"}}
RULES: dict[str, Any] = {
    "accounts": {"map": ACCOUNT_MAP, "active_only": True, "sync_on": [{"name": {"salesforce": "Name", "hubspot": "name"}}]},
    "contacts": {"map": CONTACT_MAP, "sync_on": [{"email": {"salesforce": "Email", "hubspot": "email"}}]},
}
CREATE_ONLY: dict[tuple[str, RecordType], set[str]] = {
    ("salesforce", ACCOUNT): {"Phone", "BillingCity"},
    ("salesforce", CONTACT): {"MailingCity"},
    ("hubspot", ACCOUNT): {"phone", "city"},
    ("hubspot", CONTACT): {"city"},
}
EDITABLE: dict[tuple[str, RecordType], set[str]] = {
    ("salesforce", ACCOUNT): {"Name", "Description", "NumberOfEmployees"},
    ("salesforce", CONTACT): {"Email", "FirstName", "LastName", "Phone"},
    ("hubspot", ACCOUNT): {"name", "description", "numberofemployees"},
    ("hubspot", CONTACT): {"email", "firstname", "lastname", "phone"},
}
CUSTOMERS, CONTACTS = range(1, 5), range(11, 16)
WRITES = {"salesforce": "/composite/sobjects", "hubspot": "/batch/(create|upsert|update)$"}

few = partial(
    settings,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=(Phase.generate,),
)


def mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """Three times out of four the usual value, with which records sync; else one of the others."""
    return st.sampled_from([usual] * 3 * len(others) + list(others))


words = st.sampled_from(["one", "Two words", "", None])
phones = mostly("5125550102", "512 555 0103", "call me", "5125550104", None)


def customers(number: int, *, shared_names: bool) -> st.SearchStrategy[dict[str, Any]]:
    """A customer's fields; some are nameless, and some bear the same name."""
    own = f"Lab {number}"
    names = [own, f"{own} Ltd", None, *(["Eco Labs", " eco LABS"] if shared_names else [])]
    return st.fixed_dictionaries(
        {
            "customer_name": mostly(own, *names),
            "status": mostly("ACTIVE", "ACTIVE", "INACTIVE"),
            "comments": words,
            "phone": phones,
            "city_name": words,
            "employees": words,
        }
    )


def email_of(number: int) -> str:
    return f"person{number}@labs.example.org"


def contacts(number: int, *, shared_emails: bool) -> st.SearchStrategy[dict[str, Any]]:
    """A contact's fields, of none, one or two customers, which may be missing; some take the address of another contact."""
    own = email_of(number)
    emails = [*map(email_of, CONTACTS)] if shared_emails else [own]
    return st.fixed_dictionaries(
        {
            "email_address": st.sampled_from([own] * 5 + emails + [f" {own.upper()}", None, "nobody at example"]),
            "first_name": mostly("Ana", "Ana", "Bea", None),
            "last_name": st.sampled_from(["Ruiz", "Ruiz", "Lee"]),
            "phone": phones,
            "contact_city": words,
            "customers": mostly((number % 4 + 1,), (1,), (2,), (3,), (9,), (1, 2), ()).map(lambda ids: [{"id": one} for one in ids]),
        }
    )


@dataclass(frozen=True)
class Step:
    """What was edited and deleted since the load before, and whether the answer to a write of the next load gets lost."""

    customers: dict[int, dict[str, Any]]
    contacts: dict[int, dict[str, Any]]
    deleted: frozenset[int] = frozenset()
    loses_an_answer: bool = False


def steps(*, shared: bool, deletes: bool, loses_answers: bool, of_all: bool = False) -> st.SearchStrategy[Step]:
    """Steps that edit some of the records, or all of them."""

    def some(one: Callable[[int], st.SearchStrategy[dict[str, Any]]], numbers: range) -> st.SearchStrategy[dict[int, dict[str, Any]]]:
        chosen = st.just(set(numbers)) if of_all else st.sets(st.sampled_from(list(numbers)), min_size=2)
        return chosen.flatmap(lambda ids: st.fixed_dictionaries({number: one(number) for number in sorted(ids)}))

    return st.builds(
        Step,
        some(lambda number: customers(number, shared_names=shared), CUSTOMERS),
        some(lambda number: contacts(number, shared_emails=shared), CONTACTS),
        st.frozensets(st.sampled_from([*CUSTOMERS, *CONTACTS][::-1]), min_size=1, max_size=2) if deletes else st.just(frozenset()),
        # The first example is made of first choices.
        st.sampled_from([True, False]) if loses_answers else st.just(value=False),
    )


def with_swap(step: Step) -> Step:
    """The step in which the first customer changes in every field, and the first two contacts take each other's address."""
    one, other = CONTACTS[:2]
    first = {
        "customer_name": "Renamed",
        "status": "ACTIVE",
        "comments": "New",
        "phone": "5125550199",
        "city_name": "Waco",
        "employees": "7",
    }
    person = {"first_name": "Ana", "last_name": "Ruiz", "phone": "5125550102", "customers": [{"id": CUSTOMERS[0]}]}
    swapped = {number: {**person, "email_address": email_of(taken)} for number, taken in ((one, other), (other, one))}
    return replace(step, customers={**step.customers, CUSTOMERS[0]: first}, contacts={**step.contacts, **swapped})


@dataclass
class Story:
    """A tenant's loads into one CRM, by one client, and every row that the CRM stored, by CRM id."""

    bench: Bench
    spec: IntegrationSpec
    client: Crm
    stored: list[tuple[RecordType, str, frozenset[str]]] = field(default_factory=list)

    def connect(self, _spec: IntegrationSpec) -> Crm:
        """The client, which notes the fields of each row it stored and outlives the load."""
        crm, stored = self.client, self.stored

        class Noting:
            def __getattr__(self, name: str) -> Any:
                return getattr(crm, name)

            def write(self, crm_object: CrmObject, writes: Sequence[Write]) -> list[WriteResult]:
                answer = crm.write(crm_object, writes)
                written = {one.qbench_id: str(one.crm_id) for one in answer if one.error_type is None}
                stored.extend(
                    (crm_object.record_type, written[one.qbench_id], frozenset(one.payload)) for one in writes if one.qbench_id in written
                )
                return answer

            def close(self) -> None:
                pass

        return Noting()

    def writing_calls(self) -> int:
        """How many calls the client made to write."""
        calls = self.client.calls.snapshot()
        return calls.get("write", 0) + calls.get("associate", 0)

    def stage(self, step: Step, version: int) -> None:
        """Stage what a step says of both record types."""
        for record_type, records, numbers in ((ACCOUNT, step.customers, CUSTOMERS), (CONTACT, step.contacts, CONTACTS)):
            rows: list[Staged] = [(number, version, content) for number, content in records.items() if number not in step.deleted]
            gone: list[Staged] = [(number, version, records.get(number, {})) for number in sorted(step.deleted & set(numbers))]
            if rows:
                self.bench.stage(self.spec, record_type, *rows)
            if gone:
                delete(self.bench, self.spec, record_type, *gone)

    def load(self, window: Window) -> None:
        """Load both record types, again where an answer was lost; each row has exactly one outcome."""
        for record_type in (ACCOUNT, CONTACT):
            for _ in range(3):
                try:
                    report = self.bench.load(self.spec, record_type, window=window, connect=self.connect)
                except ServiceError:
                    continue
                assert report.accounted == report.rows + report.replanned
                if not report.retryable:
                    break
            else:
                pytest.fail("three loads in a row did not end")

    def links(self) -> list[tuple[Any, ...]]:
        return self.bench.rows("SELECT record_type, qbench_id, crm_id, origin FROM crm_pipeline.link")

    def records(self, record_type: RecordType) -> list[dict[str, Any]]:
        """The CRM's records, flat."""
        name = OBJECTS[self.bench.crm, record_type]
        if self.bench.crm == "salesforce":
            return self.bench.sandbox.org.records(name)
        return [{**record["properties"], "Id": record["id"]} for record in self.bench.sandbox.portal.records(name)]

    def state(self) -> dict[str, dict[str, Any]]:
        """What the CRM holds in fields of ours, by external key; a contact's account by its key too."""
        crm = self.bench.crm
        key = {"salesforce": "QBench_Id__c", "hubspot": "qbench_id"}[crm]
        keys = {record["Id"]: record[key] for record in self.records(ACCOUNT)}
        parents = {contact: keys[company] for contact, company, _ in self.bench.sandbox.portal.associations()} if crm == "hubspot" else {}
        found: dict[str, dict[str, Any]] = {}
        for record_type in (ACCOUNT, CONTACT):
            names = CREATE_ONLY[crm, record_type] | EDITABLE[crm, record_type]
            for record in self.records(record_type):
                parent = parents.get(record["Id"]) or keys.get(record.get("AccountId"))
                found[f"{record_type} {record[key]}"] = {name: record.get(name) for name in names} | {"parent": parent}
        return found


@contextmanager
def fresh(store: Store, crm: str, rules: dict[str, Any]) -> Iterator[Story]:
    """A story that begins with empty stand-ins and an empty state."""
    empty(store)
    with empty_sandbox() as running:
        bench = Bench(running, store, crm)
        spec = bench.spec(**rules)
        with closing(bench.connect(spec)) as client:
            yield Story(bench, spec, client)


@few(max_examples=2)
@given(
    crm=st.sampled_from(["salesforce", "hubspot"]),
    made=st.sampled_from([1, 2, 0]),
    told=st.tuples(
        steps(shared=True, deletes=False, loses_answers=True, of_all=True),
        st.one_of(*(steps(shared=True, deletes=True, loses_answers=True).map(change) for change in (with_swap, lambda step: step))),
    ),
)
def test_whatever_a_tenant_does_no_promise_is_broken(store: Store, crm: str, made: int, told: tuple[Step, Step]) -> None:
    with fresh(store, crm, RULES) as story:
        by_hand = {story.bench.add_account("ECO labs") for _ in range(made)}
        for number, step in enumerate(told, start=1):
            story.stage(step, 100 * number)
            if step.loses_an_answer:
                story.bench.sandbox.faults.add(Fault(path=WRITES[crm], kind="drop_after", service=crm))
            story.load(EVERYTHING)
        require_promises(story, told, by_hand)


def require_promises(story: Story, told: tuple[Step, ...], by_hand: set[str]) -> None:
    """What holds for every record, and that loading it all again changes nothing."""
    crm = story.bench.crm
    for record_type, numbers in (
        (ACCOUNT, {one for step in told for one in {*step.customers, *step.deleted} & set(CUSTOMERS)}),
        (CONTACT, {one for step in told for one in {*step.contacts, *step.deleted} & set(CONTACTS)}),
    ):
        assert set(story.bench.outcomes(record_type)) == numbers, "every record has its outcome"
    links = story.links()
    assert len({(record_type, crm_id) for record_type, _, crm_id, _ in links}) == len(links), "no CRM record is shared"
    there = {record["Id"] for record_type in (ACCOUNT, CONTACT) for record in story.records(record_type)}
    assert there - {crm_id for _, _, crm_id, _ in links} <= by_hand, "nothing is there twice"
    sent_once = Counter[tuple[RecordType, str, str]]()
    for record_type, crm_id, fields in story.stored:
        create_only = CREATE_ONLY[crm, record_type]
        assert fields <= create_only | EDITABLE[crm, record_type], "only mapped fields are sent"
        sent_once.update((record_type, crm_id, name) for name in fields & create_only)
    assert set(sent_once.values()) <= {1}, "create-only fields are sent once"

    stored, calls = len(story.stored), story.writing_calls()
    story.load(EVERYTHING)
    assert len(story.stored) == stored, "running again changes nothing"
    # An update that the CRM refuses for another contact's address is a change that is still to be made.
    refused = {"EmailTakenException", "LinkConflictException"} & {error for _, error in story.bench.outcomes(CONTACT).values()}
    assert story.writing_calls() == calls or refused, "what did not change costs no call"


@few(max_examples=1)
@given(
    crm=st.sampled_from(["hubspot", "salesforce"]),
    tenant=steps(shared=False, deletes=False, loses_answers=False, of_all=True),
    late=st.sets(st.sampled_from([*CUSTOMERS, *CONTACTS]), min_size=3, max_size=6),
)
def test_either_order_of_two_windows_ends_in_the_same_crm_state(store: Store, crm: str, tenant: Step, late: set[int]) -> None:
    # The first example is made of first choices, which all sync: with them the order matters least.
    assume(any(not content["customer_name"] for content in tenant.customers.values()))
    assume(late & {*CUSTOMERS} and late & {*CONTACTS})
    # A record stands in one window: that of its last change, which is all that QBench tells.
    rules = {"accounts": {"map": ACCOUNT_MAP, "active_only": True}, "contacts": {"map": CONTACT_MAP}}
    ends = []
    for windows in ((0, 1), (1, 0)):
        with fresh(store, crm, rules) as story:
            for window in windows:
                customers, contacts = (
                    {number: content for number, content in records.items() if (number in late) == window}
                    for records in (tenant.customers, tenant.contacts)
                )
                story.stage(Step(customers, contacts), 100 * window)
                story.load(Window(since=100 * window, until=100 * window + 1))
            ends.append(story.state())
    assert ends[0] == ends[1]
