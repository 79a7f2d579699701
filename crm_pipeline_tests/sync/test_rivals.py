"""Of several records that claim one CRM record none is linked, however far apart they come (rules.md, 7)."""

from __future__ import annotations

from typing import Any

import pytest

from crm_pipeline_tests.sync.conftest import ACCOUNT, BY_NAME, CONTACT, LEAN_CONTACT_MAP, Bench, contact, customer

BY_CODE_AND_NAME = {**BY_NAME, "sync_on": [{"field": "code", "in": {"salesforce": "AccountNumber"}}, *BY_NAME["sync_on"]]}
AMBIGUOUS = ("skipped", "AmbiguousMatchException")
frames = pytest.mark.parametrize("frame_rows", [1, 100], ids=["in frames of their own", "in one frame"])


@pytest.mark.parametrize("frame_rows", [1, 2, 100], ids=lambda rows: f"frames of {rows}")
def test_whether_several_records_claim_one_does_not_depend_on_the_frames_they_come_in(salesforce: Bench, frame_rows: int) -> None:
    spec = salesforce.spec(external_keys=False, accounts=BY_NAME)
    salesforce.add_account("Eco Labs")
    known = salesforce.add_account("Lab 2")
    salesforce.stage(spec, ACCOUNT, customer(1, customer_name="Eco Labs"), customer(2), customer(3, customer_name=" ECO labs"))
    report = salesforce.load(spec, ACCOUNT, frame_rows=frame_rows)
    assert report.rows == report.accounted == 3
    assert salesforce.outcomes() == {1: AMBIGUOUS, 2: ("linked", None), 3: AMBIGUOUS}
    assert salesforce.rows("SELECT qbench_id, crm_id FROM crm_pipeline.link") == [(2, known)]


@frames
def test_records_that_may_not_sync_claim_nothing(salesforce: Bench, frame_rows: int) -> None:
    filtered = {**BY_NAME, "only": {"field": "status", "is": "ACTIVE"}}
    spec = salesforce.spec(external_keys=False, accounts=filtered)
    salesforce.add_account("Eco Labs")
    both: dict[str, Any] = {"customer_name": "Eco Labs"}
    salesforce.stage(spec, ACCOUNT, customer(1, status="ACTIVE", **both), customer(2, status="INACTIVE", **both))
    salesforce.load(spec, ACCOUNT, frame_rows=frame_rows)
    assert salesforce.outcomes() == {1: ("linked", None), 2: ("skipped", "FilteredOutException")}


@frames
def test_the_record_whose_key_a_candidate_carries_is_linked_and_the_other_is_another_one(salesforce: Bench, frame_rows: int) -> None:
    spec = salesforce.spec(accounts=BY_NAME)
    keyed = salesforce.sandbox.org.add("Account", {"Name": "Eco Labs", "QBench_Id__c": "2"})
    salesforce.stage(spec, ACCOUNT, customer(1, customer_name="Eco Labs"), customer(2, customer_name="Eco Labs"))
    salesforce.load(spec, ACCOUNT, frame_rows=frame_rows)
    assert salesforce.outcomes() == {1: ("created", None), 2: ("linked", None)}
    assert (2, keyed) in salesforce.rows("SELECT qbench_id, crm_id FROM crm_pipeline.link")


@frames
def test_records_that_claim_one_by_different_match_keys_are_not_guessed_either(salesforce: Bench, frame_rows: int) -> None:
    spec = salesforce.spec(external_keys=False, accounts=BY_CODE_AND_NAME)
    salesforce.sandbox.org.add("Account", {"Name": "Eco Labs", "AccountNumber": "E-1"})
    salesforce.stage(spec, ACCOUNT, customer(1, code="e-1"), customer(2, customer_name="Eco Labs"))
    salesforce.load(spec, ACCOUNT, frame_rows=frame_rows)
    assert salesforce.outcomes() == {1: AMBIGUOUS, 2: AMBIGUOUS}
    assert salesforce.names() == ["Eco Labs"]


@frames
def test_a_duplicate_contact_that_may_not_sync_does_not_stand_in_its_way(salesforce: Bench, frame_rows: int) -> None:
    spec = salesforce.spec(external_keys=False, contacts={"map": LEAN_CONTACT_MAP, "sync_on": [{"phone": {"salesforce": "Phone"}}]})
    salesforce.sandbox.org.add("Contact", {"LastName": "Ruiz", "Phone": "(512) 555-0102"})
    salesforce.given(spec, ACCOUNT, customer(1))
    twins = [contact(number, of=1, email_address="ana@labs.example.org") for number in (7, 8)]
    salesforce.stage(spec, CONTACT, *twins)
    salesforce.load(spec, CONTACT, frame_rows=frame_rows)
    assert salesforce.outcomes(CONTACT) == {7: ("linked", None), 8: ("skipped", "DuplicateEmailException")}
