"""What looking for a record costs, and that the cheap way finds as much."""

from __future__ import annotations

import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sync.lookup import FEW
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, Bench, contact, customer
from crm_pipeline_tests.tenants import CONTACT_MAP

BY_EMAIL = {"map": dict(CONTACT_MAP), "sync_on": [{"email": {"salesforce": "Email", "hubspot": "email"}}]}
MANY = FEW + 1


@pytest.fixture
def spec(bench: Bench) -> IntegrationSpec:
    """The integration, matching contacts by email, with its one customer loaded."""
    made = bench.spec(contacts=BY_EMAIL)
    bench.stage(made, ACCOUNT, customer(1))
    bench.load(made, ACCOUNT)
    return made


def test_many_emails_are_not_looked_up_in_a_crm_that_has_none(bench: Bench, spec: IntegrationSpec) -> None:
    bench.stage(spec, CONTACT, *(contact(number, of=1) for number in range(1, MANY + 1)))
    assert bench.load(spec, CONTACT).outcomes == {"created": MANY}
    whether_keys_and_whether_emails, organization = 2, 1
    assert bench.calls["read"] <= whether_keys_and_whether_emails + organization


def test_the_one_email_that_a_crm_has_is_found_among_many(bench: Bench, spec: IntegrationSpec) -> None:
    email = "person7@labs.example.org"
    if bench.crm == "salesforce":
        bench.sandbox.org.add("Contact", {"LastName": "Ruiz", "Email": email})
    else:
        bench.sandbox.portal.add("contacts", {"email": email})
    bench.stage(spec, CONTACT, *(contact(number, of=1) for number in range(1, MANY + 1)))
    assert bench.load(spec, CONTACT).outcomes == {"created": MANY - 1, "linked": 1}
    assert bench.outcomes(CONTACT)[7] == ("linked", None)
