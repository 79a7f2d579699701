"""``crm-pipeline sandbox break`` and the like: what they do to a sandbox that runs, and that nothing of it meets the services' clients."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from click.testing import CliRunner, Result

from crm_pipeline.cli import main
from crm_pipeline.sandbox.control import controlled
from crm_pipeline.sandbox.control_commands import CONTROL_VARIABLE
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, Sandbox, start_sandbox
from crm_pipeline_tests.sandbox.qbench_http import plain_client


@dataclass(frozen=True)
class Visitor:
    """Somebody with a shell beside a running sandbox."""

    sandbox: Sandbox

    def type(self, *words: str) -> Result:
        return CliRunner().invoke(main, ["sandbox", *words])

    def status(self) -> int:
        """What HubSpot answers to a good request."""
        headers = {"authorization": f"Bearer {SANDBOX_CREDENTIALS['HUBSPOT_TOKEN']}"}
        with plain_client(self.sandbox.hubspot_url) as client:
            return client.get("/crm/v3/objects/companies", headers=headers).status_code


@pytest.fixture
def visitor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Visitor]:
    with start_sandbox() as sandbox, controlled(sandbox) as url:
        monkeypatch.setenv(CONTROL_VARIABLE, url)
        yield Visitor(sandbox)


def test_a_service_fails_in_the_way_that_is_asked_for_until_it_is_mended_and_no_other_does(visitor: Visitor) -> None:
    for words, status in (
        (("break", "hubspot"), 503),
        (("break", "hubspot", "--how", "credentials"), 401),
        (("mend", "salesforce"), 401),
        (("mend", "hubspot"), 200),
        (("break", "salesforce"), 200),
    ):
        assert visitor.type(*words).exit_code == 0
        assert visitor.status() == status, words


def test_records_are_edited_in_every_service_without_telling_their_values(visitor: Visitor) -> None:
    sandbox = visitor.sandbox
    customer = str(sandbox.tenant.add_customer(customer_name="Eco Labs"))
    contact = str(sandbox.tenant.add_contact(customer_ids=[int(customer)], email_address="a@b.example.org"))
    account, company = sandbox.org.add("Account", {"Name": "Eco Labs"}), sandbox.portal.add("companies", {"name": "Eco Labs"})
    for where in (
        ("qbench", "customers", customer, "customer_name"),
        ("salesforce", "Account", account, "Name"),
        ("hubspot", "companies", company, "name"),
    ):
        assert visitor.type("edit", *where[:3], f"{where[3]}=Name = new").exit_code == 0
    told = visitor.type("edit", "qbench", "contacts", contact, "email_address=nonsense", "phone=", "--json")
    assert json.loads(told.output) == {"service": "qbench", "object": "contacts", "id": contact, "fields": ["email_address", "phone"]}
    names = [
        sandbox.tenant.customer(int(customer))["customer_name"],
        sandbox.org.record("Account", account)["Name"],
        sandbox.portal.record("companies", company)["properties"]["name"],
    ]
    assert (names, sandbox.tenant.contact(int(contact))["email_address"]) == (["Name = new"] * 3, "nonsense")


def test_two_records_are_merged_and_the_merged_one_is_named(visitor: Visitor) -> None:
    org, portal = visitor.sandbox.org, visitor.sandbox.portal
    winner, loser = (org.add("Account", {"Name": name}) for name in ("A", "B"))
    assert f"merged into {winner}" in visitor.type("merge", "salesforce", "Account", winner, loser).output
    assert org.record("Account", loser)["MasterRecordId"] == winner
    first, second = (portal.add("companies", {"name": name}) for name in ("A", "B"))
    merged = json.loads(visitor.type("merge", "hubspot", "companies", first, second, "--json").output)["merged"]
    assert [record["id"] for record in portal.records("companies")] == [merged]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("edit", "qbench", "customers", "77", "customer_name=X"), "qbench has no 77"),
        (("edit", "qbench", "orders", "77", "customer_name=X"), "qbench has no orders"),
        (("edit", "salesforce", "Account", "001000000000000AAA", "Name=X"), "salesforce has no 001000000000000AAA"),
        (("edit", "salesforce", "Account", "001000000000000AAA", "Nonsense=X"), "Account has no field Nonsense"),
        (("merge", "qbench", "customers", "1", "2"), "QBench merges no records"),
        (("merge", "sugarcrm", "Accounts", "1", "2"), "start the sandbox with --crm sugarcrm"),
        (("mend", "hubspot", "--at", "http://127.0.0.1:9"), "no sandbox takes orders at http://127.0.0.1:9"),
    ],
)
def test_what_cannot_be_done_is_said(visitor: Visitor, words: tuple[str, ...], why: str) -> None:
    result = visitor.type(*words)
    assert (result.exit_code, why in result.output) == (1, True), result.output


def test_a_fault_of_every_service_meets_no_order(visitor: Visitor) -> None:
    visitor.sandbox.faults.add(Fault(times=None))
    assert visitor.type("mend", "hubspot").exit_code == 0
    assert visitor.status() == 503
