"""What holds for any tenant over several loads: random small tenants, edits and lost answers (hypothesis)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from crm_pipeline.crms.base import Crm, WriteBatch
from crm_pipeline.errors import OpenRecordsError, ServiceError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.hubspot import HubSpotPortal
from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, start_sandbox
from crm_pipeline.store.database import Store
from crm_pipeline.store.staging import Window
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, EVERYTHING, Bench, Staged
from crm_pipeline_tests.tenants import ACCOUNT_MAP, CONTACT_MAP

RULES: dict[str, Any] = {
    "accounts": {"map": ACCOUNT_MAP, "sync_on": [{"name": {"salesforce": "Name", "hubspot": "name"}}]},
    "contacts": {"map": CONTACT_MAP, "sync_on": [{"email": {"salesforce": "Email", "hubspot": "email"}}]},
}
PLACE = {
    "salesforce": {"Street", "City", "State", "PostalCode", "Country"},
    "hubspot": {"address", "city", "state", "zip", "country"},
}
CREATE_ONLY: dict[tuple[str, RecordType], set[str]] = {
    ("salesforce", ACCOUNT): {"Phone", *(f"Billing{part}" for part in PLACE["salesforce"])},
    ("salesforce", CONTACT): {f"Mailing{part}" for part in PLACE["salesforce"]},
    ("hubspot", ACCOUNT): {"phone", *PLACE["hubspot"]},
    ("hubspot", CONTACT): PLACE["hubspot"],
}
EDITABLE: dict[tuple[str, RecordType], set[str]] = {
    ("salesforce", ACCOUNT): {"Name", "Description", "Website", "NumberOfEmployees"},
    ("salesforce", CONTACT): {"Email", "FirstName", "LastName", "Phone"},
    ("hubspot", ACCOUNT): {"name", "description", "website", "numberofemployees"},
    ("hubspot", CONTACT): {"email", "firstname", "lastname", "phone"},
}
OBJECTS = {"salesforce": ("Account", "Contact"), "hubspot": ("companies", "contacts")}
CUSTOMERS, CONTACTS = range(1, 5), range(11, 16)
WRITES = {"salesforce": "/composite/sobjects", "hubspot": "/batch/(create|upsert|update)$"}

few = settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=(Phase.generate,),
)
crms = st.sampled_from(["salesforce", "hubspot"])
words = st.sampled_from([None, "", "one", "Two words"])
phones = st.sampled_from([None, "5125550102", "512 555 0103", "call me"])


def customers(number: int, *, shared_names: bool) -> st.SearchStrategy[dict[str, Any]]:
    """A customer's fields; some are nameless, and some bear the same name."""
    names = [None, f"Lab {number}", f"Lab {number}"] + (["Eco Labs", " eco LABS"] if shared_names else [])
    return st.fixed_dictionaries(
        {"customer_name": st.sampled_from(names), "comments": words, "phone": phones, "city_name": words, "employees": words}
    )


def contacts(number: int) -> st.SearchStrategy[dict[str, Any]]:
    """A contact's fields, of none, one or two customers, which may be missing."""
    email = f"person{number}@labs.example.org"
    return st.fixed_dictionaries(
        {
            "email_address": st.sampled_from([email, email, f" {email.upper()}", None, "nobody at example"]),
            "first_name": st.sampled_from(["Ana", "Ana", None]),
            "last_name": st.sampled_from(["Ruiz", "Ruiz", "Lee"]),
            "phone": phones,
            "contact_city": words,
            "customers": st.lists(st.sampled_from([*CUSTOMERS, 9]), max_size=2, unique=True).map(lambda ids: [{"id": one} for one in ids]),
        }
    )


@dataclass(frozen=True)
class Step:
    """What was edited since the load before, and whether the answer to a write of the next load gets lost."""

    customers: dict[int, dict[str, Any]]
    contacts: dict[int, dict[str, Any]]
    loses_an_answer: bool = False


def steps(*, shared_names: bool, loses_answers: bool) -> st.SearchStrategy[Step]:
    def some(one: Callable[[int], st.SearchStrategy[dict[str, Any]]], numbers: range) -> st.SearchStrategy[dict[int, dict[str, Any]]]:
        chosen = st.sets(st.sampled_from(list(numbers)), min_size=1)
        return chosen.flatmap(lambda ids: st.fixed_dictionaries({number: one(number) for number in sorted(ids)}))

    return st.builds(
        Step,
        some(lambda number: customers(number, shared_names=shared_names), CUSTOMERS),
        some(contacts, CONTACTS),
        st.booleans() if loses_answers else st.just(value=False),
    )


@dataclass
class Story:
    """A tenant's loads into one CRM, and every row that the CRM stored."""

    bench: Bench
    spec: IntegrationSpec
    stored: list[tuple[RecordType, int, frozenset[str]]] = field(default_factory=list)

    def connect(self, spec: IntegrationSpec) -> Crm:
        """A client that notes the fields of each row it stored."""
        crm, stored = self.bench.connect(spec), self.stored

        class Noting:
            def __getattr__(self, name: str) -> Any:
                return getattr(crm, name)

            def write(self, record_type: RecordType, batch: WriteBatch) -> pd.DataFrame:
                answer = crm.write(record_type, batch)
                written = set(answer.loc[answer["error_type"].isna(), "qbench_id"])
                rows = zip(batch.rows["qbench_id"], batch.payloads(), strict=True)
                stored.extend((record_type, int(number), frozenset(sent)) for number, sent in rows if number in written)
                return answer

        return Noting()

    def stage(self, step: Step, version: int) -> None:
        for record_type, records in ((ACCOUNT, step.customers), (CONTACT, step.contacts)):
            rows: list[Staged] = [(number, version, content) for number, content in records.items()]
            if rows:
                self.bench.stage(self.spec, record_type, *rows)

    def load(self, window: Window) -> None:
        """Load both record types, again where an answer was lost; each row has exactly one outcome."""
        for record_type in (ACCOUNT, CONTACT):
            for _ in range(3):
                try:
                    report = self.bench.load(self.spec, record_type, window=window, connect=self.connect)
                except (ServiceError, OpenRecordsError):
                    continue
                assert report.accounted == report.rows + report.replanned
                break
            else:
                pytest.fail("three loads in a row did not end")

    def links(self) -> list[tuple[Any, ...]]:
        return self.bench.rows("SELECT record_type, qbench_id, crm_id, origin FROM crm_pipeline.link")

    def records(self, record_type: RecordType) -> list[dict[str, Any]]:
        """The CRM's records, flat."""
        name = OBJECTS[self.bench.crm][record_type is CONTACT]
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
def fresh(store: Store, crm: str) -> Iterator[Bench]:
    """Empty stand-ins and an empty state."""
    with store.transaction() as connection:
        tables = connection.exec_driver_sql(
            "SELECT string_agg('crm_pipeline.' || tablename, ', ') FROM pg_tables "
            "WHERE schemaname = 'crm_pipeline' AND tablename <> 'alembic_version'"
        ).scalar_one()
        connection.exec_driver_sql(f"TRUNCATE {tables}")
    org, portal = SalesforceOrg(external_keys=True), HubSpotPortal(external_keys=True, index_lag_seconds=0.0)
    with start_sandbox(org=org, portal=portal) as running:
        yield Bench(running, store, crm)


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SANDBOX_CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@few
@given(crm=crms, made=st.integers(0, 2), told=st.lists(steps(shared_names=True, loses_answers=True), min_size=2, max_size=3))
def test_whatever_a_tenant_does_no_promise_is_broken(store: Store, crm: str, made: int, told: list[Step]) -> None:
    with fresh(store, crm) as bench:
        story = Story(bench, bench.spec(**RULES))
        by_hand = {bench.add_account("ECO labs") for _ in range(made)}
        for number, step in enumerate(told, start=1):
            story.stage(step, 100 * number)
            if step.loses_an_answer:
                bench.sandbox.faults.add(Fault(path=WRITES[crm], kind="drop_after", service=crm))
            story.load(Window(since=100 * number, until=100 * number + 1))

        for record_type, numbers in (
            (ACCOUNT, {one for step in told for one in step.customers}),
            (CONTACT, {one for step in told for one in step.contacts}),
        ):
            assert set(bench.outcomes(record_type)) == numbers, "every record has its outcome"
        links = story.links()
        assert len({(record_type, crm_id) for record_type, _, crm_id, _ in links}) == len(links), "no CRM record is shared"
        there = {record["Id"] for record_type in (ACCOUNT, CONTACT) for record in story.records(record_type)}
        assert there - {crm_id for _, _, crm_id, _ in links} <= by_hand, "nothing is there twice"
        sent_once = Counter[tuple[RecordType, int, str]]()
        for record_type, number, fields in story.stored:
            create_only = CREATE_ONLY[crm, record_type]
            assert fields <= create_only | EDITABLE[crm, record_type], "only mapped fields are sent"
            sent_once.update((record_type, number, name) for name in fields & create_only)
        assert set(sent_once.values()) <= {1}, "create-only fields are sent once"

        story.load(EVERYTHING)
        stored = len(story.stored)
        story.load(EVERYTHING)
        assert len(story.stored) == stored, "running again changes nothing"
        assert not {"write", "associate"} & set(bench.calls)


@few
@given(crm=crms, told=st.lists(steps(shared_names=False, loses_answers=False), min_size=3, max_size=3), order=st.permutations([0, 1, 2]))
def test_any_order_of_the_same_windows_ends_in_the_same_crm_state(store: Store, crm: str, told: list[Step], order: list[int]) -> None:
    # A record stands in one window: that of its last change, which is all that QBench tells.
    last = [
        Step(
            {one: content for one, content in step.customers.items() if not any(one in later.customers for later in told[number + 1 :])},
            {one: content for one, content in step.contacts.items() if not any(one in later.contacts for later in told[number + 1 :])},
        )
        for number, step in enumerate(told)
    ]
    ends = []
    for windows in ([0, 1, 2], order):
        with fresh(store, crm) as bench:
            story = Story(bench, bench.spec(accounts={"map": ACCOUNT_MAP}, contacts={"map": CONTACT_MAP}))
            for number in windows:
                story.stage(last[number], 100 * number)
                story.load(Window(since=100 * number, until=100 * number + 1))
            ends.append(story.state())
    assert ends[0] == ends[1]
