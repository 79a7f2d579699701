"""What people made in a CRM, made in QBench."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from crm_pipeline.errors import AuthenticationError, ServiceUnavailableError, TooManyChangesError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.mapping.from_crm_keys import FromCrm
from crm_pipeline.model import RecordType
from crm_pipeline.qbench.source import QBench
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline.store.database import Store
from crm_pipeline.store.manual_links import make_link
from crm_pipeline.store.reading import Progress, save_progress
from crm_pipeline.store.staging import Window
from crm_pipeline.sync.extracting.extract import Extract
from crm_pipeline.sync.extracting.normalizing import normalize_staged
from crm_pipeline.sync.links.check import LinkCheck
from crm_pipeline.sync.links.policy import LinkPolicy
from crm_pipeline.sync.returning.bring import Return
from crm_pipeline.sync.returning.policy import ReturnPolicy
from crm_pipeline.sync.returning.reading import ReadChanges
from crm_pipeline.sync.returning.report import ReturnReport
from crm_pipeline_tests.awaiting import await_that
from crm_pipeline_tests.sync.conftest import (
    ACCOUNT,
    BY_EMAIL,
    BY_NAME,
    CONTACT,
    CRM_FIELDS,
    LEAN_CONTACT_MAP,
    Bench,
    customer,
    signed_in_sandbox,
)
from crm_pipeline_tests.tenants import both_ways

ALL = Window(since=None, until=2**32)
BOTH: Mapping[str, object] = {"direction": "both"}
ACCOUNTS = {"name": {"from": "customer_name", **BOTH}, "description": {"from": "comments", **BOTH}}
CONTACTS = {
    "email": {"from": "email_address", **BOTH},
    "first_name": {"from": "first_name", **BOTH},
    "last_name": {"from": "last_name", **BOTH},
    "phone": {"from": "phone", **BOTH},
}
MARKER = "crm_key"


@dataclass
class House:
    """An integration that makes in QBench what people made in one CRM."""

    bench: Bench
    spec: IntegrationSpec
    report: ReturnReport = field(default_factory=ReturnReport)
    crm_calls: dict[str, int] = field(default_factory=dict)

    @property
    def tenant(self) -> Any:
        return self.bench.sandbox.tenant

    def add(self, record_type: RecordType, *, account: str | None = None, **values: str) -> str:
        """A record that a person made in the CRM, by normalized fields."""
        names = CRM_FIELDS[self.bench.crm, record_type]
        return self.bench.add(record_type, {names[name]: value for name, value in values.items()}, account=account)

    def extract(self, record_type: RecordType = ACCOUNT) -> None:
        """Read QBench and normalize."""
        with closing(QBench(self.spec.qbench, integration=self.spec.name)) as source:
            job = Extract(self.spec.name, record_type, store=self.bench.store, source=source, back=self.spec.coming_back)
            job.run(ALL)
        record = self.spec.records[record_type]
        normalize_staged(self.bench.store, self.spec.name, record, window=ALL, reading=self.spec.reading, counts=Counter())

    def bring(self, record_type: RecordType = ACCOUNT) -> dict[str, int]:
        """Read the CRM, and make what it has; the calls to QBench."""
        bench, spec = self.bench, self.spec
        order = bench.order(spec, record_type)
        with closing(bench.connect(spec)) as crm, closing(QBench(spec.qbench, integration=spec.name)) as source:
            ReadChanges([order], store=bench.store, crm=crm).run(ALL)
            job = Return(order, store=bench.store, source=source, crm=crm, policy=ReturnPolicy(), back=spec.coming_back)
            try:
                self.report = job.report
                job.run(ALL)
            finally:
                calls, self.crm_calls = source.calls.snapshot(), crm.calls.snapshot()
        return calls

    def outcome(self, crm_id: str) -> tuple[Any, ...]:
        rows = self.bench.rows(f"SELECT outcome, error_type, reason FROM crm_pipeline.change_outcome WHERE crm_id = '{crm_id}'")
        return rows[0] if rows else ()

    def open(self) -> list[tuple[Any, ...]]:
        return self.bench.rows("SELECT crm_id, qbench_id FROM crm_pipeline.creation")

    def links(self) -> list[tuple[Any, ...]]:
        return self.bench.rows("SELECT record_type, qbench_id, crm_id, origin FROM crm_pipeline.link ORDER BY 1, 2")

    def shown(self, kind: str) -> list[dict[str, Any]]:
        """QBench's records."""
        table = self.tenant.tables[kind]
        return [row for key, row in table.rows.items() if key not in table.deleted_at]

    def let_be_due(self) -> None:
        """Let the time pass until what failed is tried again."""
        with self.bench.store.transaction() as connection:
            connection.execute(text("UPDATE crm_pipeline.change_outcome SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL"))

    def age(self) -> None:
        """Let the time pass in which a call whose answer was lost may still arrive."""
        with self.bench.store.transaction() as connection:
            connection.execute(text("UPDATE crm_pipeline.creation SET created_at = created_at - interval '11 minutes'"))


def house(bench: Bench, *, only: Mapping[str, Any] | None = None, marker: str | None = None, **overrides: Any) -> House:
    spec = both_ways(bench.spec(**overrides), accounts=ACCOUNTS, contacts=CONTACTS)
    create = FromCrm.model_validate({"create": {"only": only} if only else {}})
    records = {name: getattr(spec, name).model_copy(update={"from_crm": create}) for name in ("accounts", "contacts")}
    return House(bench, spec.model_copy(update={**records, "qbench": spec.qbench.model_copy(update={"marker_field": marker})}))


def with_account(bench: Bench, **more: Any) -> tuple[House, str]:
    """A house with an account that was made in QBench."""
    here = house(bench, **more)
    account = here.add(ACCOUNT, name="Eco Labs")
    here.bring()
    return here, account


PERSON = {"email": "ana@eco.example", "first_name": "Ana", "last_name": "Ruiz"}


# What is made


def test_account_that_a_person_made_is_made_in_qbench_once(bench: Bench) -> None:
    here = house(bench)
    crm_id = here.add(ACCOUNT, name="Eco Labs", description="new")
    calls = here.bring()

    [customer] = here.shown("customers")
    assert (customer["customer_name"], customer["comments"], calls["write"]) == ("Eco Labs", "new", 1)
    assert here.links() == [("account", customer["id"], crm_id, "matched")]
    assert here.outcome(crm_id) == ("created", None, None)
    assert (here.open(), here.report.outcomes) == ([], {"created": 1})
    assert here.bring().get("write", 0) == 0


def key(here: House) -> str:
    """The field of the external key."""
    return str(here.spec.crms.configured[here.bench.crm].external_key)


def test_what_was_made_is_given_the_key_at_once_and_not_made_in_the_crm_again(bench: Bench) -> None:
    here = house(bench)
    here.add(ACCOUNT, name="Eco Labs")
    here.bring()
    [customer] = here.shown("customers")
    assert bench.values(ACCOUNT, key(here)) == [str(customer["id"])]
    assert here.crm_calls["write"] == 1
    here.extract()
    bench.load(here.spec, ACCOUNT, window=ALL)
    here.bring()

    assert (bench.names(), here.crm_calls.get("write", 0)) == (["Eco Labs"], 0)


def test_key_whose_write_failed_is_written_by_the_next_run(salesforce: Bench) -> None:
    here = house(salesforce)
    here.add(ACCOUNT, name="Eco Labs")
    salesforce.sandbox.faults.add(Fault(service="salesforce", method="PATCH", kind="drop_before"))
    here.bring()
    [customer] = here.shown("customers")
    assert [one[key(here)] for one in salesforce.sandbox.org.records("Account")] == [None]
    here.bring()

    assert salesforce.values(ACCOUNT, key(here)) == [str(customer["id"])]


def test_contact_that_was_deleted_for_privacy_is_made_anew_on_neither_side(hubspot: Bench) -> None:
    here, account = with_account(hubspot)
    crm_id = here.add(CONTACT, account=account, **PERSON)
    here.bring(CONTACT)
    [contact] = here.shown("contacts")
    hubspot.sandbox.portal.delete_for_privacy("contacts", crm_id)
    for phone in ("512 555 0101", "512 555 0102"):
        here.tenant.edit_contact(contact["id"], phone=phone)
        here.extract(CONTACT)
        hubspot.load(here.spec, CONTACT, window=ALL)
        with closing(hubspot.connect(here.spec)) as crm:
            LinkCheck([hubspot.order(here.spec, CONTACT)], policy=LinkPolicy(), store=hubspot.store, crm=crm).run("full")
        here.bring(CONTACT)

    assert (hubspot.emails(), len(here.shown("contacts"))) == ([], 1)
    assert hubspot.outcomes(CONTACT)[contact["id"]] == ("skipped", "DeletedInCrmException")


def test_edit_between_the_create_and_the_next_load_stands(bench: Bench) -> None:
    here = house(bench)
    crm_id = here.add(ACCOUNT, name="Eco Labs", description="first")
    here.bring()
    if bench.crm == "salesforce":
        bench.sandbox.org.update("Account", crm_id, {"Description": "second"})
    else:
        bench.sandbox.portal.update("companies", crm_id, {"description": "second"})
    here.extract()
    bench.load(here.spec, ACCOUNT, window=ALL)

    assert bench.values(ACCOUNT, CRM_FIELDS[bench.crm, ACCOUNT]["description"]) == ["second"]


def test_contact_is_linked_to_the_customer_of_its_account_and_nobody_is_invited(bench: Bench) -> None:
    here, account = with_account(bench)
    crm_id = here.add(CONTACT, account=account, **PERSON)
    here.bring(CONTACT)

    [customer], [contact] = here.shown("customers"), here.shown("contacts")
    assert here.tenant.customer_ids[contact["id"]] == (customer["id"],)
    assert here.tenant.invitations == []
    assert here.outcome(crm_id) == ("created", None, None)
    assert here.open() == []


def test_contact_waits_for_its_account_and_follows_it(bench: Bench) -> None:
    here = house(bench)
    account = here.add(ACCOUNT, name="Eco Labs")
    crm_id = here.add(CONTACT, account=account, **PERSON)
    here.bring(CONTACT)
    assert here.outcome(crm_id) == ("deferred", "CustomerNotYetSyncedException", f"account {account}")
    here.bring()
    here.bring(CONTACT)

    assert here.outcome(crm_id) == ("created", None, None)


@pytest.mark.parametrize(
    ("lacking", "error"),
    [("email", "NoEmailForContactException"), ("first_name", "MissingFieldForContactException")],
)
def test_contact_that_lacks_what_qbench_needs_is_told(salesforce: Bench, lacking: str, error: str) -> None:
    here, account = with_account(salesforce)
    crm_id = here.add(CONTACT, account=account, **{name: value for name, value in PERSON.items() if name != lacking})
    here.bring(CONTACT)

    assert here.outcome(crm_id)[:2] == ("skipped", error)
    assert here.shown("contacts") == []


def test_contact_without_an_account_is_told(bench: Bench) -> None:
    here = house(bench)
    crm_id = here.add(CONTACT, **PERSON)
    here.bring(CONTACT)

    assert here.outcome(crm_id)[:2] == ("skipped", "NoCustomerForContactException")


def test_only_records_that_meet_the_rule_are_made(salesforce: Bench) -> None:
    here = house(salesforce, only={"field": "salesforce.Type", "is": "Customer"})
    salesforce.sandbox.org.add("Account", {"Name": "Eco Labs", "Type": "Customer"})
    other = salesforce.sandbox.org.add("Account", {"Name": "Other", "Type": "Prospect"})
    here.bring()

    assert [row["customer_name"] for row in here.shown("customers")] == ["Eco Labs"]
    assert here.outcome(other) == ()


def test_record_that_is_gone_in_the_crm_by_now_is_not_made(salesforce: Bench) -> None:
    here = house(salesforce)
    crm_id = here.add(ACCOUNT, name="Eco Labs")
    order = salesforce.order(here.spec, ACCOUNT)
    with closing(salesforce.connect(here.spec)) as crm:
        ReadChanges([order], store=salesforce.store, crm=crm).run(ALL)
    salesforce.sandbox.org.delete("Account", crm_id)
    here.bring()

    assert here.shown("customers") == []


def test_more_new_records_than_may_be_made_at_once_stop_the_run_before_the_first(salesforce: Bench) -> None:
    here = house(salesforce)
    for number in range(6):
        here.add(ACCOUNT, name=f"Lab {number}")
    with pytest.raises(TooManyChangesError):
        here.bring()

    assert here.shown("customers") == []


def test_integration_that_does_not_ask_for_it_makes_nothing(bench: Bench) -> None:
    here = house(bench)
    here.spec = here.spec.model_copy(update={"accounts": here.spec.accounts.model_copy(update={"from_crm": None})})
    crm_id = here.add(ACCOUNT, name="Eco Labs")
    calls = here.bring()

    assert (here.shown("customers"), here.outcome(crm_id), calls) == ([], (), {})


# What is there already


def test_nothing_is_made_before_qbench_is_read_whole(salesforce: Bench) -> None:
    """What it has would be made again."""
    here = house(salesforce, accounts=BY_NAME)
    here.tenant.add_customer(id=41, customer_name="Eco Labs", at=1_000)
    crm_id = here.add(ACCOUNT, name="Eco Labs")
    here.bring()
    assert (here.links(), len(here.shown("customers"))) == ([], 1)
    assert salesforce.rows("SELECT pending FROM crm_pipeline.crm_record") == [(True,)]
    here.extract()
    here.bring()

    assert here.links() == [("account", 41, crm_id, "matched")]


def test_nothing_is_made_while_qbench_is_read_for_the_first_time(salesforce: Bench) -> None:
    here = house(salesforce)
    here.tenant.add_customer(id=41, customer_name="Other", at=1_000)
    here.extract()
    with salesforce.store.transaction() as connection:
        progress = Progress(position=1_000, rows=1)
        save_progress(connection, here.spec.name, ACCOUNT, window=ALL, progress=progress)
    here.add(ACCOUNT, name="Eco Labs")
    here.bring()

    assert [row["customer_name"] for row in here.shown("customers")] == ["Other"]


def test_account_that_qbench_has_is_linked_and_the_filled_side_fills_the_blank_one(bench: Bench) -> None:
    here = house(bench, accounts=BY_NAME)
    here.tenant.add_customer(id=41, customer_name="eco  labs", at=1_000)
    here.extract()
    crm_id = here.add(ACCOUNT, name="Eco Labs", description="filled")
    here.bring()

    assert here.links() == [("account", 41, crm_id, "matched")]
    assert here.outcome(crm_id) == ("linked", None, None)
    assert len(here.shown("customers")) == 1
    assert bench.rows("SELECT pending FROM crm_pipeline.crm_record") == [(True,)]
    bases = bench.rows("SELECT bases FROM crm_pipeline.link")[0][0]
    assert bases[CRM_FIELDS[bench.crm, ACCOUNT]["description"]] == [0, 0]


def test_both_sides_of_a_match_end_equal_and_then_nothing_is_written(bench: Bench) -> None:
    here, website = house(bench, accounts=BY_NAME), {"salesforce": "Website", "hubspot": "website"}[bench.crm]
    more = {"website": {"from": "website", **BOTH, "rule": {"prefer": bench.crm}}}
    here.spec = both_ways(here.spec, accounts={**ACCOUNTS, **more})
    here.tenant.add_customer(id=1, customer_name="one  lab", comments=None, website="https://qbench.example", at=1_000)
    here.tenant.add_customer(id=2, customer_name="two  lab", comments="of QBench", website="https://qbench.example", at=1_000)
    here.tenant.add_customer(id=3, customer_name="three  lab", comments="of QBench", website=None, at=1_000)
    here.extract()
    names = CRM_FIELDS[bench.crm, ACCOUNT]
    for name, description, site in (
        ("One Lab", "of the CRM", "https://crm.example"),
        ("Two Lab", None, None),
        ("Three Lab", "of the CRM", "https://crm.example"),
    ):
        values = {names["name"]: name, names["description"]: description, website: site}
        bench.add(ACCOUNT, {field: value for field, value in values.items() if value})
    for _ in range(2):
        here.bring()
        here.extract()
        bench.load(here.spec, ACCOUNT, window=ALL)

    ended = [
        ("one  lab", "of the CRM", "https://crm.example"),
        ("three  lab", "of QBench", "https://crm.example"),
        ("two  lab", "of QBench", "https://qbench.example"),
    ]
    assert sorted((row["customer_name"], row["comments"], row["website"]) for row in here.shown("customers")) == ended
    assert [bench.values(ACCOUNT, field) for field in (names["name"], names["description"], website)] == [
        sorted(column) for column in zip(*ended, strict=True)
    ]
    calls = here.bring()
    bench.load(here.spec, ACCOUNT, window=ALL)
    assert (calls.get("write", 0), bench.calls.get("write", 0)) == (0, 0)


def test_between_several_customers_nothing_is_guessed(salesforce: Bench) -> None:
    here = house(salesforce, accounts=BY_NAME)
    for number in (41, 42):
        here.tenant.add_customer(id=number, customer_name="Eco Labs", at=1_000)
    here.extract()
    crm_id = here.add(ACCOUNT, name="Eco Labs")
    here.bring()

    assert here.outcome(crm_id) == ("skipped", "AmbiguousMatchException", "QBench ids 41, 42")
    assert len(here.shown("customers")) == 2


def test_customer_that_is_linked_elsewhere_is_no_reason_for_another_one(salesforce: Bench) -> None:
    here = house(salesforce, accounts=BY_NAME)
    first = here.add(ACCOUNT, name="Eco Labs")
    here.bring()
    second = here.add(ACCOUNT, name="Eco Labs")
    here.bring()

    [customer] = here.shown("customers")
    assert here.outcome(second) == ("skipped", "LinkConflictException", f"QBench id {customer['id']} is linked to {first}")


def test_of_contacts_with_one_email_none_is_made_and_each_is_named(salesforce: Bench) -> None:
    here, account = with_account(salesforce, contacts=BY_EMAIL | {"sync_on": []})
    here.tenant.add_contact(id=7, first_name="Bo", email_address="Bo@eco.example", at=1_000)
    here.extract(CONTACT)
    twins = [here.add(CONTACT, account=account, **PERSON | {"email": email}) for email in ("ana@eco.example", "Ana@Eco.example")]
    third = here.add(CONTACT, account=account, **PERSON | {"email": "bo@eco.example"})
    single = here.add(CONTACT, account=account, **PERSON | {"email": "single@eco.example"})
    here.bring(CONTACT)

    assert [here.outcome(one) for one in twins] == [("skipped", "DuplicateEmailException", "several new records")] * 2
    assert here.outcome(third) == ("skipped", "DuplicateEmailException", "QBench id 7")
    assert here.outcome(single) == ("created", None, None)
    assert len(here.shown("contacts")) == 2


def test_person_account_is_told_and_nothing_is_made_of_it(postgres: str, store: Store) -> None:
    with signed_in_sandbox(SalesforceOrg(external_keys=True, person_accounts=True)) as sandbox:
        here = house(Bench(sandbox, store, "salesforce"))
        person = sandbox.org.add("Account", {"FirstName": "Ana", "LastName": "Ruiz", "IsPersonAccount": True})
        company = here.add(ACCOUNT, name="Eco Labs")
        here.bring()

        assert here.outcome(person)[:2] == ("skipped", "PersonAccountException")
        assert here.outcome(company)[0] == "created"


def test_email_that_another_contact_of_qbench_has_is_told(bench: Bench) -> None:
    here, account = with_account(bench, contacts=BY_EMAIL | {"sync_on": []})
    here.tenant.add_contact(id=7, first_name="Ana", email_address="ANA@eco.example", at=1_000)
    here.extract(CONTACT)
    crm_id = here.add(CONTACT, account=account, **PERSON)
    here.bring(CONTACT)

    assert here.outcome(crm_id) == ("skipped", "DuplicateEmailException", "QBench id 7")


def elsewhere(bench: Bench) -> IntegrationSpec:
    """Another integration of the same organization, which finds its accounts by name, and has one of them."""
    other = bench.spec(name="other", external_keys=False, accounts=BY_NAME)
    bench.stage(other, ACCOUNT, customer(7, customer_name="Eco Labs"))
    return other


def test_account_that_another_integration_has_is_linked_to_no_second_record_and_stops_no_other(bench: Bench) -> None:
    here = house(bench, accounts=BY_NAME)
    crm_id, second = here.add(ACCOUNT, name="Eco Labs"), here.add(ACCOUNT, name="Second")
    bench.load(elsewhere(bench), ACCOUNT)
    here.tenant.add_customer(id=41, customer_name="Eco Labs", at=1_000)
    here.extract()
    here.bring()

    reason = f"{crm_id}, which QBench id 41 is the same as, is linked to QBench id 7 of integration other"
    assert here.outcome(crm_id) == ("skipped", "LinkConflictException", reason)
    assert here.outcome(second) == ("created", None, None)


def test_account_that_another_integration_links_while_it_is_made_stays_linked_there(bench: Bench) -> None:
    here, other = house(bench), elsewhere(bench)
    crm_id = here.add(ACCOUNT, name="Eco Labs")
    held = Fault(service="qbench", method="POST", path="customers$", kind="hold", until=threading.Event())
    bench.sandbox.faults.add(held)
    with ThreadPoolExecutor(1) as threads:
        bringing = threads.submit(here.bring)
        await_that(lambda: held not in bench.sandbox.faults.open(), "QBench makes it")
        Bench(bench.sandbox, bench.store, bench.crm).load(other, ACCOUNT)
        assert held.until is not None
        held.until.set()
        bringing.result()

    [made] = here.shown("customers")
    reason = f"{crm_id}, which QBench id {made['id']} is the same as, is linked to QBench id 7 of integration other"
    assert here.outcome(crm_id) == ("skipped", "LinkConflictException", reason)
    assert (here.links(), here.open()) == ([("account", 7, crm_id, "matched")], [])


# Answers that are lost


@pytest.mark.parametrize("marker", [None, MARKER])
def test_create_whose_answer_was_lost_is_found_and_not_made_again(bench: Bench, marker: str | None) -> None:
    here = house(bench, marker=marker)
    here.tenant.add_field("customers", MARKER)
    crm_id = here.add(ACCOUNT, name="Eco Labs", description="new")
    bench.sandbox.faults.add(Fault(service="qbench", method="POST", path="customers$", kind="drop_after"))
    with pytest.raises(ServiceUnavailableError):
        here.bring()
    assert here.open() == [(crm_id, None)]
    calls = here.bring()

    [customer] = here.shown("customers")
    assert (here.links(), here.open(), calls.get("write", 0)) == ([("account", customer["id"], crm_id, "matched")], [], 0)


def test_load_that_finds_it_first_makes_nothing_in_the_crm(bench: Bench) -> None:
    here = house(bench)
    crm_id = here.add(ACCOUNT, name="Eco Labs")
    bench.sandbox.faults.add(Fault(service="qbench", method="POST", path="customers$", kind="drop_after"))
    with pytest.raises(ServiceUnavailableError):
        here.bring()
    here.extract()
    bench.load(here.spec, ACCOUNT, window=ALL)

    assert bench.names() == ["Eco Labs"]
    [customer] = here.shown("customers")
    assert (here.links(), here.open()) == ([("account", customer["id"], crm_id, "matched")], [])


def test_create_that_never_arrived_is_made_anew_once_it_can_arrive_no_more(salesforce: Bench) -> None:
    here = house(salesforce)
    here.add(ACCOUNT, name="Eco Labs")
    salesforce.sandbox.faults.add(Fault(service="qbench", method="POST", path="customers$", kind="drop_before"))
    with pytest.raises(ServiceUnavailableError):
        here.bring()
    here.bring()
    assert here.shown("customers") == []
    here.age()
    here.bring()

    assert [row["customer_name"] for row in here.shown("customers")] == ["Eco Labs"]
    assert here.open() == []


@pytest.mark.parametrize("first", ["the way back", "a load"])
def test_account_that_a_person_links_after_the_answer_of_its_create_was_lost_stays_linked_so(bench: Bench, first: str) -> None:
    here = house(bench)
    here.tenant.add_customer(id=41, customer_name="Eco", at=1_000)
    here.extract()
    crm_id = here.add(ACCOUNT, name="Eco Labs")
    bench.sandbox.faults.add(Fault(service="qbench", method="POST", path="customers$", kind="drop_after", times=None))
    with pytest.raises(ServiceUnavailableError):
        here.bring()
    bench.sandbox.faults.clear()
    with bench.store.transaction() as connection:
        [(org_id,)] = bench.rows("SELECT org_id FROM crm_pipeline.creation")
        make_link(connection, bench.order(here.spec, ACCOUNT).state, org_id=org_id, qbench_id=41, crm_id=crm_id)
    if first == "a load":
        here.extract()
        bench.load(here.spec, ACCOUNT, window=ALL)
    here.bring()

    assert ("account", 41, crm_id, "manual") in here.links()
    assert here.open() == []


def test_contact_whose_link_was_lost_is_linked_once_and_nobody_is_invited(bench: Bench) -> None:
    here, account = with_account(bench)
    crm_id = here.add(CONTACT, account=account, **PERSON)
    other = here.add(CONTACT, account=account, **PERSON | {"email": "bo@eco.example"})
    bench.sandbox.faults.add(Fault(service="qbench", method="POST", path="contacts/.*/customers$", kind="drop_after"))
    here.bring(CONTACT)
    contact = min(one["id"] for one in here.shown("contacts"))
    assert here.open() == [(crm_id, contact)]
    assert (here.outcome(crm_id)[1], here.outcome(other)) == ("QBenchFailsOnRecordException", ("created", None, None))
    here.bring(CONTACT)
    assert here.open() == [(crm_id, contact)]
    here.let_be_due()
    here.bring(CONTACT)

    assert (len(here.tenant.customer_ids[contact]), here.tenant.invitations, here.open()) == (1, [], [])


def test_contact_whose_link_qbench_refuses_is_told_and_linked_once_its_crm_record_changes(salesforce: Bench) -> None:
    here, account = with_account(salesforce)
    crm_id = here.add(CONTACT, account=account, **PERSON)
    salesforce.sandbox.faults.add(Fault(service="qbench", method="POST", path="contacts/.*/customers$", status=422, times=None))
    here.bring(CONTACT)
    refused = ("failed", "RefusedByQBenchException", "error_code: 422")
    assert here.outcome(crm_id) == refused
    here.bring(CONTACT)  # The key that was written moved the record's stamp.
    assert here.bring(CONTACT).get("write", 0) == 0
    assert (here.outcome(crm_id), here.report.outcomes) == (refused, {"failed": 1})
    salesforce.sandbox.faults.clear()
    salesforce.sandbox.org.update("Contact", crm_id, {"Phone": "+15125550199"}, at=datetime.now(UTC) + timedelta(minutes=1))
    here.bring(CONTACT)

    [contact] = here.shown("contacts")
    assert (len(here.tenant.customer_ids[contact["id"]]), here.open(), contact["phone"]) == (1, [], "+15125550199")


def test_contact_whose_link_is_not_granted_is_linked_once_it_is(salesforce: Bench) -> None:
    here, account = with_account(salesforce)
    here.add(CONTACT, account=account, **PERSON)
    here.tenant.not_granted = frozenset({"POST /contacts/{id}/customers"})
    with pytest.raises(AuthenticationError, match="customers"):
        here.bring(CONTACT)
    here.tenant.not_granted = frozenset()
    here.bring(CONTACT)

    [contact] = here.shown("contacts")
    assert (len(here.tenant.customer_ids[contact["id"]]), here.open()) == (1, [])


def test_several_records_that_could_be_it_are_told(salesforce: Bench) -> None:
    here = house(salesforce)
    crm_id = here.add(ACCOUNT, name="Eco Labs")
    salesforce.sandbox.faults.add(Fault(service="qbench", method="POST", path="customers$", kind="drop_after"))
    with pytest.raises(ServiceUnavailableError):
        here.bring()
    here.tenant.add_customer(customer_name="Eco Labs")
    here.bring()

    assert here.outcome(crm_id)[:2] == ("skipped", "AmbiguousMatchException")
    assert len(here.shown("customers")) == 2


def test_refused_record_is_told_and_not_sent_hourly(salesforce: Bench) -> None:
    here = house(salesforce)
    salesforce.sandbox.tenant.habits.unique = {"customers": frozenset({"customer_name"}), "contacts": frozenset()}
    here.tenant.add_customer(customer_name="Eco Labs", at=1_000)
    here.extract()
    crm_id = here.add(ACCOUNT, name="Eco Labs")
    here.bring()

    assert here.outcome(crm_id) == ("failed", "RefusedByQBenchException", "error_code: bad_request; error_fields: customer_name")
    assert here.open() == []


def test_record_of_another_integration_is_not_made(salesforce: Bench) -> None:
    first = house(salesforce)
    crm_id = first.add(ACCOUNT, name="Eco Labs")
    with salesforce.store.transaction() as connection:
        org = salesforce.org_id
        connection.execute(
            text(
                "INSERT INTO crm_pipeline.creation (crm, org_id, record_type, crm_id, integration, sent, run_id) "
                "VALUES ('salesforce', :org, 'account', :crm_id, 'other', '{}', 'run')"
            ),
            {"org": org, "crm_id": crm_id},
        )
    first.bring()

    assert first.outcome(crm_id)[:2] == ("skipped", "LinkConflictException")
    assert first.shown("customers") == []


# Contacts that were leads


@pytest.mark.parametrize("held", [False, True], ids=["the lead's", "of a record that is another contact already"])
def test_contact_that_a_lead_became_is_the_record_that_the_lead_was_made_of_whatever_its_email_is_now(
    salesforce: Bench, *, held: bool
) -> None:
    by_email = [{"email": {"salesforce": "Email"}}]
    mapped = {"map": LEAN_CONTACT_MAP, "sync_on": by_email, "lead": {"map": LEAN_CONTACT_MAP, "sync_on": by_email}}
    here = house(salesforce, settings={"contacts_as": "lead"}, contacts=mapped)
    org, account = salesforce.sandbox.org, here.add(ACCOUNT, name="Eco Labs")
    here.bring()
    customer = here.shown("customers")[0]["id"]
    person = {"email_address": "ana@eco.example", "first_name": "Ana", "last_name": "Ruiz", "phone": "512 555 0102"}
    number = here.tenant.add_contact(customer_ids=[customer], at=1_000, **person)
    here.extract(CONTACT)
    salesforce.normalize(here.spec, RecordType.LEAD, window=ALL)
    for record_type in (CONTACT, RecordType.LEAD):
        salesforce.load(here.spec, record_type)
    if held:
        other = here.add(CONTACT, account=account, **PERSON)
        here.bring(CONTACT)
        assert here.links()[1:2] == [("contact", number, other, "matched")]
    _, became = org.convert_lead(org.records("Lead")[0]["Id"], account_id=account)
    org.update("Contact", became, {"Email": "corrected@eco.example"})
    here.bring(CONTACT)

    assert len(here.shown("contacts")) == 1
    if held:
        assert here.outcome(became)[1:] == ("LinkConflictException", f"QBench id {number} is linked to {other}")
    else:
        assert here.links()[1:2] == [("contact", number, became, "matched")]
