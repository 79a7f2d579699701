"""What the database finds of the records whose awaited thing changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from crm_pipeline.model import RecordType
from crm_pipeline.schemas import RAW, normalized_schema
from crm_pipeline.store.crm_state import Attempt
from crm_pipeline.store.database import Store
from crm_pipeline.store.manual_links import remove_link
from crm_pipeline.store.normalized_records import stage_normalized
from crm_pipeline.store.organizations import require_organization
from crm_pipeline.store.raw_records import stage_raw
from crm_pipeline.store.waiting import ids_to_plan_again
from crm_pipeline_tests.explaining import explaining
from crm_pipeline_tests.store.test_crm_state import BACKOFF, CONTACTS, link, outcome, query, report, save

HOLDING = ["FilteredOutException"]


def again(store: Store) -> list[int]:
    with store.transaction() as connection:
        return ids_to_plan_again(connection, CONTACTS, holding=HOLDING)


@pytest.mark.parametrize(
    ("customer_link", "freed"),
    [(link(41, "001"), [7]), (link(42, "001"), []), (link(41, "001", status="deleted"), [])],
    ids=["linked", "another customer's", "no longer live"],
)
def test_a_contact_waits_until_its_own_customer_has_a_live_link(store: Store, customer_link: pd.DataFrame, freed: list[int]) -> None:
    report(store, outcome(7, "deferred", waits_on="customer", waits_for="41"), CONTACTS)
    report(store, outcome(8, "skipped", waits_on="record"), CONTACTS)
    save(store, customer_link)
    assert again(store) == freed


@pytest.mark.parametrize(("error_type", "freed"), [("FilteredOutException", []), ("ValueTooLongException", [7])])
def test_a_contact_waits_while_its_linked_customer_is_held_back(store: Store, error_type: str, freed: list[int]) -> None:
    save(store, link(41, "001"))
    report(store, outcome(7, "skipped", waits_on="customer", waits_for="41"), CONTACTS)
    held = {"qbench_id": [41], "version": [5], "error_type": [error_type]}
    with store.transaction() as connection:
        frame = normalized_schema(RecordType.ACCOUNT).build(held)
        stage_normalized(connection, "acme", RecordType.ACCOUNT, frame=frame, mapping_digest="d")
    assert again(store) == freed


def test_a_record_that_waits_for_its_link_is_planned_again_once_that_changed(store: Store) -> None:
    save(store, link(7, "003"), CONTACTS)
    report(store, outcome(7, "skipped", waits_on="link"), CONTACTS)
    report(store, outcome(8, "skipped", waits_on="link"), CONTACTS)
    assert again(store) == []
    save(store, link(7, "003", version=6), CONTACTS)
    assert again(store) == [7]


def test_nothing_is_asked_for_what_no_record_waits_for(store: Store) -> None:
    """Each hour and each look of the retries asks this of every object of each CRM."""

    def asked() -> int:
        with explaining() as statements:
            assert again(store) == []
        return sum("AS waiting JOIN" in statement for statement, _ in statements)

    nothing_waits = asked()
    report(store, outcome(7, "skipped", waits_on="customer", waits_for="41"), CONTACTS)
    a_contact_waits = asked()
    report(store, outcome(8, "skipped", waits_on="link"), CONTACTS)
    assert nothing_waits == 0 < a_contact_waits < asked()


def used_by(store: Store, org_id: str) -> None:
    with store.transaction() as connection:
        require_organization(connection, CONTACTS.integration, CONTACTS.crm, org_id=org_id)


def test_a_record_that_another_crm_record_stands_in_the_way_of_follows_once_that_is_linked_or_written(store: Store) -> None:
    used_by(store, "org")
    report(store, outcome(7, "skipped", waits_on="holder", waits_for="003"), CONTACTS)
    report(store, outcome(8, "skipped", waits_on="holder", waits_for="004"), CONTACTS)
    assert again(store) == []
    save(store, link(9, "003"), CONTACTS)
    save(store, link(9, "004"), replace(CONTACTS, integration="another"), org_id="another")
    assert again(store) == [7], "the other record of that id is another organization's"
    save(store, link(10, "004"), replace(CONTACTS, integration="another"))
    assert again(store) == [7, 8], "by whichever integration"


def test_a_record_follows_that_was_stored_at_once_with_the_write_of_what_stood_in_its_way(store: Store) -> None:
    used_by(store, "org")
    with store.transaction() as connection:
        CONTACTS.save_links(connection, org_id="org", links=link(9, "003"))
        CONTACTS.save_outcomes(
            connection, outcomes=outcome(7, "skipped", waits_on="holder", waits_for="003"), attempt=Attempt("run", None, BACKOFF)
        )
    assert again(store) == [7]
    report(store, outcome(7, "skipped", waits_on="holder", waits_for="003"), CONTACTS)
    assert again(store) == [], "it was tried since"


def test_a_record_in_conflict_follows_once_the_link_of_the_other_is_removed(store: Store) -> None:
    used_by(store, "org")
    save(store, link(9, "003"), CONTACTS)
    report(store, outcome(7, "skipped", error_type="LinkConflictException", waits_on="holder", waits_for="003"), CONTACTS)
    report(store, outcome(8, "skipped", error_type="ExistingRecordException", waits_on="holder", waits_for="nobodys"), CONTACTS)
    assert again(store) == []
    with store.transaction() as connection:
        remove_link(connection, CONTACTS, qbench_id=9)
    assert again(store) == [7]


def stage_state(store: Store, phone: str, customers: list[int] | None) -> None:
    frame = normalized_schema(RecordType.CONTACT).build(pd.DataFrame({"qbench_id": [7], "version": [5], "phone": [phone]}))
    with store.transaction() as connection:
        stage_normalized(connection, "acme", RecordType.CONTACT, frame=frame, mapping_digest="d", customers=[customers])


@pytest.mark.parametrize(
    ("customers", "found", "told"),
    [
        (None, {}, {"name": "skipped", "waits_on": "record"}),
        ([41, -42], {}, {"name": "unchanged"}),
        (None, {"late": True}, {"name": "unchanged"}),
    ],
    ids=["waits", "of several customers", "found late"],
)
def test_a_record_is_planned_again_by_its_state_and_not_by_the_clock(
    store: Store, customers: list[int] | None, found: dict[str, bool], told: dict[str, Any]
) -> None:
    with store.transaction() as connection:
        raw = RAW.build(pd.DataFrame({"qbench_id": [7], "version": [5], "content": [{}]}))
        stage_raw(connection, "acme", RecordType.CONTACT, frame=raw, **found)
    stage_state(store, "+15125550101", customers)
    [(state,)] = query(store, "SELECT state_digest FROM crm_pipeline.normalized_record")
    of_this_state = outcome(7, **told, state_digest=state)
    report(store, of_this_state, CONTACTS)
    stage_state(store, "+15125550101", customers)
    assert again(store) == [], "it was normalized again, to the same state"
    stage_state(store, "+15125550102", customers)
    report(store, of_this_state, CONTACTS)
    assert again(store) == [7], "whoever stored the outcome had read the row before it was normalized"
