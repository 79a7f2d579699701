"""What is told of a tenant before anything is read from it for good."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from crm_pipeline.diagnosis import Finding
from crm_pipeline.model import RecordType
from crm_pipeline.qbench.diagnosis import qbench_findings
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.qbench import QBenchTenant
from crm_pipeline_tests.qbench.bench import Bench, bench

ACCOUNT, CONTACT = RecordType.ACCOUNT, RecordType.CONTACT


@pytest.fixture
def tenant() -> Iterator[Bench]:
    """A tenant with a customer and a contact."""
    with bench(QBenchTenant(limits=None), attempts=1) as running:
        customer = running.tenant.add_customer(customer_name="Eco Labs", website="https://eco.example")
        running.tenant.add_contact(customer_ids=[customer], email_address="ana@eco.example", first_name="Ana")
        yield running


def found(running: Bench, *, accounts: tuple[str, ...] = ("website",), contacts: tuple[str, ...] = ("phone",)) -> list[Finding]:
    """What is found where these fields are named."""
    return list(qbench_findings(running.client, {ACCOUNT: accounts, CONTACT: contacts}))


def test_tenant_that_can_be_read_has_no_problem(tenant: Bench) -> None:
    assert {one.subject: (one.level, one.text) for one in found(tenant)} == {
        "sign-in": ("ok", "signed in to 127.0.0.1"),
        "customers": ("ok", "it sees 1 customer"),
        "customers: website": ("ok", "there"),
        "customers by id": ("ok", "granted"),
        "contacts of customers": ("ok", "granted"),
        "contacts": ("ok", "it sees 1 contact"),
        "contacts: phone": ("ok", "there"),
        "contacts by id": ("ok", "granted"),
        "customers of contacts": ("ok", "granted"),
    }
    assert {call.method for call in tenant.journal.calls() if "token" not in call.path} == {"GET"}


def refuse_the_secret(running: Bench) -> None:
    running.tenant.client_secret = "another one, which is long enough"


def hide_contacts(running: Bench) -> None:
    running.tenant.not_granted.add("GET /contacts")


def hide_customers_of_contacts(running: Bench) -> None:
    running.tenant.not_granted.add("GET /contacts/{id}/customers")


def delete_all(running: Bench) -> None:
    running.tenant.delete_contact(1)


def date_them_ahead(running: Bench) -> None:
    running.tenant.edit_contact(1, at=int(time.time()) + 7_200, last_name="Ruiz")


def date_them_in_words(running: Bench) -> None:
    running.tenant.answer_with("contacts", 1, last_updated="the other day")


def turn_the_clock(running: Bench) -> None:
    running.tenant.clock_ahead = 3_600


@pytest.mark.parametrize(
    ("lack", "level", "subject", "said", "remedy"),
    [
        (refuse_the_secret, "problem", "sign-in", "refuses the API client", "QBENCH_CLIENT_SECRET"),
        (hide_contacts, "problem", "contacts", "does not allow GET", "grant it GET /contacts"),
        (hide_customers_of_contacts, "problem", "customers of contacts", "does not allow GET", "grant it GET /contacts/{id}/customers"),
        (delete_all, "warning", "contacts", "it sees no contacts", "let the API client's user see them"),
        (date_them_ahead, "warning", "contacts: last_updated", "lies 120 minutes ahead", "set qbench.time_zone"),
        (date_them_in_words, "problem", "contacts: last_updated", "no date of these can be read", "ask QBench's support"),
        (turn_the_clock, "warning", "clock", "are 60 minutes apart", "set this machine's clock"),
    ],
)
def test_what_the_tenant_lacks_is_told_with_its_remedy(
    lack: Callable[[Bench], None], level: str, subject: str, said: str, remedy: str, tenant: Bench
) -> None:
    lack(tenant)
    (bad,) = [one for one in found(tenant) if one.level != "ok"]
    assert (bad.level, bad.subject) == (level, subject)
    assert said in bad.text
    assert remedy in bad.remedy


def test_field_that_no_record_has_is_told_with_the_nearest_name(tenant: Bench) -> None:
    (bad,) = [one for one in found(tenant, accounts=("customer_name", "web_site")) if one.level != "ok"]
    assert (bad.level, bad.subject) == ("warning", "customers: web_site")
    assert "did you mean website?" in bad.remedy


def test_probe_for_changes_is_tried_where_it_is_used() -> None:
    with bench(QBenchTenant(limits=None), updates_probe=True, attempts=1) as running:
        assert {one.level for one in found(running) if one.subject == "probe for changes"} == {"ok"}
        running.faults.add(Fault(path="/updates/", status=404, times=None))
        assert [one.level for one in found(running) if one.subject == "probe for changes"] == ["warning"]
