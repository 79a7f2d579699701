"""What the CRM kept against a write is named in the outcome, at no call more."""

from __future__ import annotations

from typing import Any

from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, Bench, contact, customer

STAGE: dict[str, Any] = {"hubspot.lifecyclestage": "stage"}


def reasons(bench: Bench, record_type: str) -> list[tuple[Any, ...]]:
    return bench.rows(f"SELECT qbench_id, outcome, reason FROM crm_pipeline.outcome WHERE record_type = '{record_type}' ORDER BY 1")


def test_a_lifecycle_stage_that_does_not_go_back_is_named(hubspot: Bench) -> None:
    spec = hubspot.spec(accounts={"map": {"name": "customer_name", **STAGE}, "sync_on": [{"name": {"hubspot": "name"}}]})
    for number, stage in ((1, "customer"), (2, "lead")):
        hubspot.add(ACCOUNT, {"name": f"Lab {number}", "lifecyclestage": stage})
    hubspot.stage(spec, ACCOUNT, *(customer(number, stage="opportunity") for number in (1, 2, 3)))
    hubspot.load(spec, ACCOUNT)
    assert reasons(hubspot, "account") == [
        (1, "linked", "kept by the CRM: lifecyclestage"),
        (2, "linked", None),
        (3, "created", None),
    ]
    assert hubspot.values(ACCOUNT, "lifecyclestage") == ["customer", "opportunity", "opportunity"]


def test_what_was_kept_of_a_contact_is_named_beside_its_association(hubspot: Bench) -> None:
    mapped = {"email": "email_address", "first_name": "first_name", "last_name": "last_name", "phone": "phone", **STAGE}
    spec = hubspot.spec(contacts={"map": mapped, "sync_on": [{"email": {"hubspot": "email"}}]})
    hubspot.given(spec, ACCOUNT, customer(1))
    hubspot.add(CONTACT, {"email": "person2@labs.example.org", "lifecyclestage": "customer"})
    hubspot.stage(spec, CONTACT, contact(2, of=1, stage="lead"))
    hubspot.load(spec, CONTACT)
    assert reasons(hubspot, "contact") == [(2, "linked", "kept by the CRM: lifecyclestage")]


def test_a_kept_value_is_not_sent_again_until_the_record_changes(hubspot: Bench) -> None:
    spec = hubspot.spec(accounts={"map": {"name": "customer_name", **STAGE}, "sync_on": [{"name": {"hubspot": "name"}}]})
    hubspot.add(ACCOUNT, {"name": "Lab 1", "lifecyclestage": "customer"})
    hubspot.stage(spec, ACCOUNT, customer(1, stage="lead"))
    hubspot.load(spec, ACCOUNT)
    hubspot.load(spec, ACCOUNT)
    assert hubspot.calls.get("write", 0) == 0
