"""Whose is an email address, and in which order addresses change hands: rules 22 and 23."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.store.emails import CONTENDERS
from crm_pipeline.store.staging import Window
from crm_pipeline.sync import emails
from crm_pipeline.sync.planning import Plan
from crm_pipeline_tests.sync.conftest import ACCOUNT, BY_EMAIL, CONTACT, Bench, Staged, contact, customer
from crm_pipeline_tests.sync.test_deletions import delete

ANA, BEA, CLEO = "ana@labs.example.org", "bea@labs.example.org", "cleo@labs.example.org"
LATER = Window(since=900, until=1_000)

ELIGIBLE = {"eligible": True, "linked": False, "digest": None}
DIGEST, ANOTHER = 2**62 + 1, 2**62 + 2
LINKED = {"eligible": True, "linked": True, "digest": ANOTHER}
HOLDING = {"eligible": True, "linked": True, "digest": DIGEST}
HELD_BACK = {"eligible": False, "linked": True, "digest": ANOTHER}
HELD_BACK_HOLDING = {"eligible": False, "linked": True, "digest": DIGEST}


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({}, None),
        ({8: ELIGIBLE}, 8),
        ({9: ELIGIBLE, 8: ELIGIBLE}, 8),
        ({9: LINKED, 8: ELIGIBLE}, 9),
        ({9: HOLDING, 8: LINKED}, 9),
        ({9: LINKED, 8: LINKED}, 8),
        ({9: ELIGIBLE, 8: HELD_BACK}, 9),
        ({9: ELIGIBLE, 8: HELD_BACK_HOLDING}, 8),
    ],
    ids=[
        "nobody",
        "the only one",
        "the oldest id",
        "linked before older",
        "of linked ones the one who has it",
        "else the oldest of them",
        "one held back claims nothing new",
        "but keeps what it has",
    ],
)
def test_an_address_belongs_to(claims: dict[int, dict[str, Any]], expected: int | None) -> None:
    rows = [{"email": ANA, "qbench_id": number, **claim} for number, claim in claims.items()]
    known = CONTENDERS.build(pd.DataFrame(rows, columns=CONTENDERS.names, dtype=object))
    found = emails.winners(pd.Series([ANA, None], dtype="str"), pd.Series([DIGEST, pd.NA], dtype="Int64"), known)
    assert found.astype(object).where(found.notna(), None).tolist() == [expected, None]


def writes(*rows: tuple[int | None, int | None]) -> Plan:
    """Writes 1, 2 … as pairs of the address last sent and the one to send."""
    frame = pd.DataFrame(rows, columns=["email_held", "email_wanted"]).astype("Int64")
    frame.insert(0, "qbench_id", range(1, len(rows) + 1))
    return Plan(frame, pd.DataFrame(index=frame.index), pd.DataFrame(index=frame.index))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(None, 1), (2, 2), (3, None)], [[1, 2, 3]]),
        ([(None, 1), (1, 2)], [[2], [1]]),
        ([(3, 1), (1, 2), (None, 3)], [[2], [1], [3]]),
        ([(1, 2), (2, 1)], [[1, 2]]),
        ([(1, 2), (2, 1), (None, 4)], [[3], [1, 2]]),
        ([], []),
    ],
    ids=["nothing changes hands", "a hand-over", "a chain", "a swap", "a swap beside another", "no rows"],
)
def test_what_gives_up_an_address_is_written_before_what_takes_it(rows: list[Any], expected: list[list[int]]) -> None:
    assert [part.rows["qbench_id"].tolist() for part in emails.in_order(writes(*rows))] == expected


def people(*emails: str, version: int = 100) -> list[Staged]:
    """Contacts 7, 8 … of customer 1 with these addresses."""
    return [contact(number, version, of=1, email_address=email) for number, email in enumerate(emails, start=7)]


def with_customer(bench: Bench, **rules: Any) -> IntegrationSpec:
    """The integration, whose customer 1 is synced."""
    spec = bench.spec(**rules)
    bench.given(spec, ACCOUNT, customer(1))
    return spec


def test_of_contacts_with_one_address_one_syncs_and_the_others_are_named(hubspot: Bench) -> None:
    spec = with_customer(hubspot)
    hubspot.given(spec, CONTACT, contact(19, of=1, email_address=CLEO))
    linked_keeps_it_from_an_older_one = [contact(18, of=1, email_address=CLEO)]
    oldest_has_it = [contact(9, of=1, email_address=ANA), contact(8, of=1, email_address=f" {ANA.upper()}")]
    cannot_sync = [contact(15, of=1, email_address=BEA, phone=None), contact(16, of=99, email_address=BEA)]
    has_it_before_them = [contact(17, of=1, email_address=BEA)]
    hubspot.stage(spec, CONTACT, *linked_keeps_it_from_an_older_one, *oldest_has_it, *cannot_sync, *has_it_before_them)
    hubspot.load(spec, CONTACT)
    duplicate = ("skipped", "DuplicateEmailException")
    found = hubspot.outcomes(CONTACT)
    assert {number: found[number] for number in (18, 19)} == {18: duplicate, 19: ("unchanged", None)}
    assert {number: found[number] for number in (8, 9)} == {8: ("created", None), 9: duplicate}
    assert found[17] == ("created", None)
    assert hubspot.rows("SELECT reason, waits_on FROM crm_pipeline.outcome WHERE qbench_id = 9") == [("it is QBench id 8's", "email:8")]
    assert hubspot.load(spec, CONTACT, window=LATER).replanned == 0


def test_once_the_address_is_given_up_the_duplicate_follows_in_the_same_run(hubspot: Bench) -> None:
    spec = with_customer(hubspot)
    hubspot.given(spec, CONTACT, contact(8, of=1, email_address=ANA))
    hubspot.stage(spec, CONTACT, contact(9, of=1, email_address=ANA))
    hubspot.load(spec, CONTACT)
    hubspot.stage(spec, CONTACT, contact(8, 950, of=1, email_address=BEA))
    report = hubspot.load(spec, CONTACT, window=LATER)
    assert (report.rows, report.replanned, dict(report.outcomes)) == (1, 1, {"updated": 1, "created": 1})
    assert hubspot.emails() == [ANA, BEA]


def test_once_the_contact_is_deleted_its_duplicate_takes_the_record_over(salesforce: Bench) -> None:
    spec = with_customer(salesforce, contacts=BY_EMAIL)
    salesforce.given(spec, CONTACT, contact(8, of=1, email_address=ANA))
    salesforce.stage(spec, CONTACT, contact(9, of=1, email_address=ANA))
    salesforce.load(spec, CONTACT)
    delete(salesforce, spec, CONTACT, contact(8, 950, of=1, email_address=ANA))
    report = salesforce.load(spec, CONTACT, window=LATER)
    assert (report.replanned, dict(report.outcomes)) == (1, {"skipped": 1, "linked": 1})
    assert salesforce.emails() == [ANA]


def test_once_the_contact_is_unlinked_an_older_duplicate_follows(salesforce: Bench) -> None:
    spec = with_customer(salesforce)
    salesforce.given(spec, CONTACT, contact(9, of=1, email_address=ANA))
    salesforce.stage(spec, CONTACT, contact(8, 200, of=1, email_address=ANA))
    salesforce.load(spec, CONTACT)
    salesforce.rows("DELETE FROM crm_pipeline.link WHERE qbench_id = 9 RETURNING 1")
    report = salesforce.load(spec, CONTACT, window=LATER)
    assert (report.replanned, dict(report.outcomes)) == (1, {"created": 1})


@pytest.mark.parametrize(("order", "frame_rows"), [((7, 8, 9), 100), ((9, 8, 7), 100), ((7, 8, 9), 1)])
def test_addresses_are_handed_on_between_linked_contacts(hubspot: Bench, order: tuple[int, int, int], frame_rows: int) -> None:
    spec = with_customer(hubspot)
    first, second, third = order
    hubspot.given(spec, CONTACT, contact(first, of=1, email_address=ANA), contact(second, of=1, email_address=BEA))
    hubspot.stage(
        spec,
        CONTACT,
        contact(first, 950, of=1, email_address=BEA),
        contact(second, 950, of=1, email_address=CLEO),
        contact(third, 950, of=1, email_address=ANA),
    )
    report = hubspot.load(spec, CONTACT, window=LATER, frame_rows=frame_rows)
    assert dict(report.outcomes) == {"updated": 2, "created": 1}
    assert hubspot.emails() == [ANA, BEA, CLEO]


def held(bench: Bench) -> dict[str, str]:
    """The email of each of the CRM's contacts, by its last name."""
    if bench.crm == "salesforce":
        return {person["LastName"]: person["Email"] for person in bench.sandbox.org.records("Contact")}
    people = [person["properties"] for person in bench.sandbox.portal.records("contacts")]
    return {person["lastname"]: person["email"] for person in people}


@pytest.mark.parametrize("frame_rows", [1, 100])
def test_a_rotation_with_a_free_end_ends_as_in_qbench(hubspot: Bench, frame_rows: int) -> None:
    spec = with_customer(hubspot)
    hubspot.given(spec, CONTACT, *people(ANA, BEA, CLEO))
    moved = (BEA, CLEO, "dora@labs.example.org")
    hubspot.stage(spec, CONTACT, *people(*moved, version=950))
    assert dict(hubspot.load(spec, CONTACT, window=LATER, frame_rows=frame_rows).outcomes) == {"updated": 3}
    assert held(hubspot) == dict(zip(("Ruiz 7", "Ruiz 8", "Ruiz 9"), moved, strict=True))


def swapped(bench: Bench) -> IntegrationSpec:
    """Contacts 7 and 8 as synced, then with each other's address in QBench, and loaded."""
    spec = with_customer(bench)
    bench.given(spec, CONTACT, *people(ANA, BEA))
    bench.stage(spec, CONTACT, *people(BEA, ANA, version=950))
    bench.load(spec, CONTACT, window=LATER)
    return spec


def test_contacts_swap_their_addresses_where_the_crm_allows_it(salesforce: Bench) -> None:
    swapped(salesforce)
    assert salesforce.outcomes(CONTACT) == {7: ("updated", None), 8: ("updated", None)}
    assert held(salesforce) == {"Ruiz 7": BEA, "Ruiz 8": ANA}


def test_a_swap_that_the_crm_refuses_names_both_and_follows_once_one_of_them_takes_a_third_address(hubspot: Bench) -> None:
    spec = swapped(hubspot)
    assert hubspot.outcomes(CONTACT) == {7: ("skipped", "EmailTakenException"), 8: ("skipped", "EmailTakenException")}
    assert held(hubspot) == {"Ruiz 7": ANA, "Ruiz 8": BEA}
    links = dict(hubspot.rows("SELECT qbench_id, crm_id FROM crm_pipeline.link WHERE record_type = 'contact'"))
    said = hubspot.rows("SELECT qbench_id, reason, waits_on FROM crm_pipeline.outcome WHERE record_type = 'contact' ORDER BY 1")
    assert [(number, waits_on) for number, _, waits_on in said] == [(7, f"holder:{links[8]}"), (8, f"holder:{links[7]}")]
    assert all(f"ids: {waits_on.removeprefix('holder:')}" in reason for _, reason, waits_on in said)
    assert hubspot.load(spec, CONTACT, window=Window(since=1_800, until=1_801)).replanned == 0, "not tried in vain"
    hubspot.stage(spec, CONTACT, contact(7, 1_950, of=1, email_address=CLEO))
    hubspot.load(spec, CONTACT, window=Window(since=1_900, until=2_000))
    report = hubspot.load(spec, CONTACT, window=Window(since=2_000, until=2_001))
    assert (report.replanned, dict(report.outcomes)) == (1, {"updated": 1})
    assert held(hubspot) == {"Ruiz 7": CLEO, "Ruiz 8": ANA}


def test_an_update_to_an_address_that_a_foreign_contact_owns_is_skipped_and_goes_on_demand_once_it_is_free(hubspot: Bench) -> None:
    spec = with_customer(hubspot)
    hubspot.given(spec, CONTACT, *people(ANA))
    foreign = hubspot.add(CONTACT, {"email": BEA})
    hubspot.stage(spec, CONTACT, contact(7, 950, of=1, email_address=BEA, first_name="New"))
    hubspot.load(spec, CONTACT, window=LATER)
    assert hubspot.outcomes(CONTACT) == {7: ("skipped", "EmailTakenException")}
    assert hubspot.rows("SELECT waits_on FROM crm_pipeline.outcome WHERE qbench_id = 7") == [(f"holder:{foreign}",)]
    assert hubspot.emails() == [ANA, BEA]
    hubspot.sandbox.portal.update("contacts", foreign, {"email": CLEO})
    assert dict(hubspot.load(spec, CONTACT, window=LATER).outcomes) == {"updated": 1}
    assert hubspot.emails() == [BEA, CLEO]
