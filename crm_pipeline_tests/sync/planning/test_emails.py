"""Whose is an email address, and in which order addresses change hands (docs/rules.md, 22 and 23)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.mapping.digests import digests
from crm_pipeline.sandbox.salesforce.org import ValidationRule
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.staging import FRAME_ROWS, Window
from crm_pipeline.sync.loading.report import LoadReport
from crm_pipeline.sync.planning import email_claims, emails
from crm_pipeline.sync.planning.plan import Plan
from crm_pipeline_tests.sync.conftest import (
    ACCOUNT,
    BY_EMAIL,
    CONTACT,
    EVERYTHING,
    LEAN_CONTACT_MAP,
    Bench,
    Staged,
    contact,
    customer,
    own_bench,
)
from crm_pipeline_tests.sync.extracting.test_deletions import delete

ANA = "ana@labs.example.org"
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
    known = emails.CLAIMS.build(pd.DataFrame(rows, columns=emails.CLAIMS.names, dtype=object))
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


def test_the_address_that_a_contact_gives_up_is_known_whoever_else_is_in_the_frame() -> None:
    """Beside a contact without a link: a float would keep of the digest what it has room for."""
    addresses = digests(pd.DataFrame({"email": [address(name) for name in ("new", "former")]}))
    links = pd.DataFrame({"qbench_id": [7], "version": [100], "digests": [addresses.loc[1].to_dict()]})
    given_up = email_claims.given_up(
        CrmState("acme", "hubspot", CONTACT),
        frame=pd.DataFrame({"qbench_id": [7, 8], "version": [900, 900]}),
        links=links,
        digests=addresses,
        verdicts=pd.DataFrame({"error_type": pd.Series([None, None], dtype="str")}),
    )
    assert given_up == {addresses.loc[1, "email"]}


def address(name: str) -> str:
    return f"{name}@labs.example.org"


def people(addresses: dict[int, str], version: int = 100) -> list[Staged]:
    """Contacts of customer 1 with these addresses."""
    return [contact(number, version, of=1, email_address=address(name)) for number, name in addresses.items()]


def with_customer(bench: Bench, **rules: Any) -> IntegrationSpec:
    """The integration, whose customer 1 is synced."""
    spec = bench.spec(**rules)
    bench.given(spec, ACCOUNT, customer(1))
    return spec


def held(bench: Bench) -> dict[str, str]:
    """The name in the address of each of the CRM's contacts, by its id there."""
    if bench.crm == "salesforce":
        found = {person["Id"]: person["Email"] for person in bench.sandbox.org.records("Contact")}
    else:
        found = {person["id"]: person["properties"]["email"] for person in bench.sandbox.portal.records("contacts")}
    return {crm_id: email.removesuffix("@labs.example.org") for crm_id, email in found.items()}


@dataclass(frozen=True)
class Seen:
    """What a load left, by QBench id: outcomes, for what they wait and why, links, and the names in the addresses that the CRM has."""

    report: LoadReport
    outcomes: dict[int, tuple[str, str | None]]
    waits: dict[int, tuple[str | None, str | None]]
    reasons: dict[int, str | None]
    links: dict[int, str]
    held: dict[int, str]

    def of(self, *numbers: int) -> list[tuple[str, str | None]]:
        return [self.outcomes[number] for number in numbers]


def seen(
    bench: Bench, spec: IntegrationSpec, *, window: Window, frame_rows: int = FRAME_ROWS, refused: Literal["left", "again"] = "left"
) -> Seen:
    """Load the contacts of a window."""
    report = bench.load(spec, CONTACT, window=window, frame_rows=frame_rows, refused=refused)
    said = bench.rows("SELECT qbench_id, reason, waits_on, waits_for FROM crm_pipeline.outcome WHERE record_type = 'contact'")
    reasons, waits = {row[0]: row[1] for row in said}, {row[0]: row[2:] for row in said}
    links = dict(bench.rows("SELECT qbench_id, crm_id FROM crm_pipeline.link WHERE record_type = 'contact'"))
    addresses = held(bench)
    return Seen(report, bench.outcomes(CONTACT), waits, reasons, links, {number: addresses[crm_id] for number, crm_id in links.items()})


DUPLICATE, TAKEN = ("skipped", "DuplicateEmailException"), ("skipped", "EmailTakenException")
SYNCED, UPDATED, CREATED = ("unchanged", None), ("updated", None), ("created", None)


@dataclass(frozen=True)
class InHubSpot:
    """Loads into HubSpot, where an address is one contact's only, and what they had to do with it."""

    foreign: str
    first: Seen
    later: Seen
    nothing_new: Seen
    set_free: Seen
    in_the_end: Seen


@pytest.fixture(scope="module")
def in_hubspot(postgres: str) -> Iterator[InHubSpot]:
    with own_bench(postgres, "hubspot") as bench:
        spec = with_customer(bench)
        foreign = bench.add(CONTACT, {"email": address("foreign")})
        given = people({19: "cleo", 28: "given.up", 37: "fay", 38: "gia", 47: "hal"})
        bench.given(spec, CONTACT, *given)
        linked_keeps_it_from_an_older_one = people({18: "cleo"})
        oldest_has_it = [*people({9: "ana"}), contact(8, of=1, email_address=f" {address('ana').upper()}")]
        cannot_sync = [contact(15, of=1, email_address=address("bea"), phone=None), contact(16, of=99, email_address=address("bea"))]
        has_it_before_them = people({17: "bea"})
        waits_for_28 = people({29: "given.up"})
        bench.stage(spec, CONTACT, *linked_keeps_it_from_an_older_one, *oldest_has_it, *cannot_sync, *has_it_before_them, *waits_for_28)
        first = seen(bench, spec, window=EVERYTHING)
        gives_up, swap = people({28: "another"}, version=950), people({37: "gia", 38: "fay"}, version=950)
        wants_what_is_foreign = contact(47, 960, of=1, email_address=address("foreign"), first_name="New")
        bench.stage(spec, CONTACT, *gives_up, *swap, wants_what_is_foreign)
        later = seen(bench, spec, window=LATER)
        nothing_new = seen(bench, spec, window=Window(since=1_800, until=1_801))
        bench.sandbox.portal.update("contacts", foreign, {"email": address("elsewhere")})
        bench.stage(spec, CONTACT, *people({37: "third"}, version=1_950))
        set_free = seen(bench, spec, window=Window(since=960, until=2_000), refused="again")
        in_the_end = seen(bench, spec, window=Window(since=2_000, until=2_001))
        yield InHubSpot(foreign, first, later, nothing_new, set_free, in_the_end)


def test_of_contacts_with_one_address_one_syncs_and_the_others_are_named(in_hubspot: InHubSpot) -> None:
    first = in_hubspot.first
    assert first.of(18, 19) == [DUPLICATE, SYNCED]
    assert first.of(8, 9) == [CREATED, DUPLICATE]
    assert first.of(17) == [CREATED]
    assert (first.reasons[9], first.waits[9]) == ("it is QBench id 8's", ("email", "8"))
    assert in_hubspot.nothing_new.report.replanned == 0, "not tried in vain"


def test_once_the_address_is_given_up_the_duplicate_follows_in_the_same_run(in_hubspot: InHubSpot) -> None:
    first, later = in_hubspot.first, in_hubspot.later
    assert first.of(28, 29) == [SYNCED, DUPLICATE]
    assert later.of(28, 29) == [UPDATED, CREATED]
    assert (later.report.rows, later.report.replanned) == (4, 1), "nobody else is planned again"
    assert (later.held[28], later.held[29]) == ("another", "given.up")


def test_a_swap_that_the_crm_refuses_names_both_and_follows_once_one_of_them_takes_a_third_address(in_hubspot: InHubSpot) -> None:
    later, in_the_end = in_hubspot.later, in_hubspot.in_the_end
    assert later.of(37, 38) == [TAKEN, TAKEN]
    assert (later.held[37], later.held[38]) == ("fay", "gia")
    for number, holder in ((37, 38), (38, 37)):
        assert later.waits[number] == ("holder", later.links[holder])
        assert f"ids: {later.links[holder]}" in str(later.reasons[number])
    assert in_hubspot.nothing_new.report.replanned == 0, "not tried in vain"
    assert (in_the_end.report.replanned, dict(in_the_end.report.outcomes)) == (1, {"updated": 1})
    assert (in_the_end.held[37], in_the_end.held[38]) == ("third", "fay")


def test_an_update_to_an_address_that_a_foreign_contact_owns_is_skipped_and_goes_on_demand_once_it_is_free(in_hubspot: InHubSpot) -> None:
    later, set_free = in_hubspot.later, in_hubspot.set_free
    assert later.of(47) == [TAKEN]
    assert (later.waits[47], later.held[47]) == (("holder", in_hubspot.foreign), "hal")
    assert (set_free.of(47), set_free.held[47]) == ([UPDATED], "foreign")


@dataclass(frozen=True)
class Refused:
    """Contacts 5 and 7 claim the addresses of 6 and 8, and the CRM refuses their creates for good; then 5 loses its phone.

    9 cannot be created, because it has no phone, and 10, the next to claim its address, is refused too.
    """

    first: Seen
    nothing_new: Seen
    later: Seen
    in_the_end: Seen


@pytest.fixture(scope="module")
def refused(postgres: str) -> Iterator[Refused]:
    with own_bench(postgres, "salesforce") as bench:
        bench.sandbox.org.add_validation_rule(ValidationRule("Contact", lambda row: row["FirstName"] == "Refused"))
        spec = with_customer(bench)
        cannot, without_phone = {"first_name": "Refused"}, {"phone": None}
        shared: dict[int, tuple[str, dict[str, Any]]] = {
            5: ("ana", cannot),
            6: ("ana", {}),
            7: ("bea", cannot),
            8: ("bea", {}),
            9: ("cleo", without_phone),
            10: ("cleo", cannot),
        }
        bench.stage(spec, CONTACT, *(contact(n, of=1, email_address=address(name), **more) for n, (name, more) in shared.items()))
        first = seen(bench, spec, window=EVERYTHING)
        nothing_new = seen(bench, spec, window=Window(since=1_800, until=1_801))
        bench.stage(spec, CONTACT, contact(5, 950, of=1, email_address=address("ana"), **cannot, **without_phone))
        later = seen(bench, spec, window=LATER)
        yield Refused(first, nothing_new, later, seen(bench, spec, window=Window(since=1_800, until=1_801)))


REFUSED = ("failed", "InvalidValueException")


def test_a_contact_that_the_crm_refuses_for_good_keeps_its_claim_and_the_others_wait_for_it(refused: Refused) -> None:
    assert refused.first.of(5, 6, 7, 8, 9, 10) == [REFUSED, DUPLICATE, REFUSED, DUPLICATE, DUPLICATE, REFUSED]
    assert [refused.first.waits[number] for number in (6, 8, 9)] == [("email", "5"), ("email", "7"), ("email", "10")]


def test_once_a_refused_contact_may_not_be_created_at_all_its_duplicate_is(refused: Refused) -> None:
    assert refused.later.of(5, 6) == [DUPLICATE, CREATED]
    assert refused.later.waits[5] == ("email", "6"), "and not each on the other"


def test_contacts_that_wait_for_a_refused_one_are_not_planned_again_in_vain(refused: Refused) -> None:
    assert [seen.report.replanned for seen in (refused.nothing_new, refused.in_the_end)] == [0, 0]


UNUSABLE_LINKS = {"deleted": 36, "conflict": 37}


@dataclass(frozen=True)
class InSalesforce:
    """Loads into Salesforce, where several contacts may have one address, and what they had to do with it."""

    first: Seen
    later: Seen


@pytest.fixture(scope="module")
def in_salesforce(postgres: str) -> Iterator[InSalesforce]:
    with own_bench(postgres, "salesforce") as bench:
        spec = with_customer(bench, contacts={"map": LEAN_CONTACT_MAP, "sync_on": [{"phone": {"salesforce": "Phone"}}]})
        ana: dict[str, Any] = {"email_address": ANA, "phone": "5125550103"}
        bea: dict[str, Any] = {"email_address": address("bea"), "phone": "5125550104"}
        bench.given(spec, CONTACT, contact(8, of=1, **ana), contact(19, of=1, **bea), *people({27: "cleo", 28: "dora"}))
        bench.given(spec, CONTACT, *people({36: "eva", 37: "fay"}))
        bench.stage(spec, CONTACT, *people({46: "eva", 47: "fay"}))
        bench.stage(spec, CONTACT, contact(9, of=1, **ana), contact(18, 200, of=1, **bea | {"phone": "5125550105"}))
        first = seen(bench, spec, window=EVERYTHING)
        delete(bench, spec, CONTACT, contact(8, 950, of=1, **ana))
        bench.rows("DELETE FROM crm_pipeline.link WHERE qbench_id = 19 RETURNING 1")
        for status, number in UNUSABLE_LINKS.items():
            bench.rows(f"UPDATE crm_pipeline.link SET status = '{status}' WHERE qbench_id = {number} RETURNING 1")
        bench.stage(spec, CONTACT, *people({27: "dora", 28: "cleo", 36: "eva", 37: "fay"}, version=950))
        later = seen(bench, spec, window=LATER)
        yield InSalesforce(first, later)


def test_once_the_contact_is_deleted_its_duplicate_takes_the_record_over(in_salesforce: InSalesforce) -> None:
    first, later = in_salesforce.first, in_salesforce.later
    assert first.of(8, 9) == [SYNCED, DUPLICATE]
    assert later.of(8, 9) == [("skipped", "DeletedInQBenchException"), ("linked", None)]
    assert later.report.replanned == 4, "this one and those below"
    assert later.links[9] == first.links[8]


def test_once_the_contact_is_unlinked_an_older_duplicate_follows(in_salesforce: InSalesforce) -> None:
    first, later = in_salesforce.first, in_salesforce.later
    assert (first.of(18), later.of(18)) == ([DUPLICATE], [CREATED])


@pytest.mark.parametrize("status", UNUSABLE_LINKS)
def test_once_the_contacts_link_is_of_no_use_its_duplicate_follows(in_salesforce: InSalesforce, status: str) -> None:
    first, later, number = in_salesforce.first, in_salesforce.later, UNUSABLE_LINKS[status]
    assert first.of(number, number + 10) == [SYNCED, DUPLICATE]
    assert later.of(number, number + 10) == [
        ("skipped", "DeletedInCrmException" if status == "deleted" else "LinkConflictException"),
        CREATED,
    ]


def test_contacts_swap_their_addresses_where_the_crm_allows_it(in_salesforce: InSalesforce) -> None:
    later = in_salesforce.later
    assert later.of(27, 28) == [UPDATED, UPDATED]
    assert (later.held[27], later.held[28]) == ("dora", "cleo")


@pytest.fixture(scope="module", params=[3, FRAME_ROWS], ids=["in frames of their own", "in one frame"])
def handed_on(request: pytest.FixtureRequest, postgres: str) -> Iterator[Seen]:
    """Addresses go round in chains of three contacts, each of which has one contact in each frame of three rows."""
    with own_bench(postgres, "hubspot") as bench:
        spec = with_customer(bench)
        # The lowest id is a create's: creates are then sent first, unless something holds them back.
        bench.given(spec, CONTACT, *people({12: "a1", 22: "b1"}), *people({31: "a2", 21: "b2"}), *people({13: "a3", 23: "b3", 33: "c3"}))
        bench.stage(
            spec,
            CONTACT,
            *people({12: "b1", 22: "c1", 32: "a1"}, version=950),
            *people({31: "b2", 21: "c2", 11: "a2"}, version=950),
            *people({13: "b3", 23: "c3", 33: "d3"}, version=950),
        )
        yield seen(bench, spec, window=LATER, frame_rows=request.param)


@pytest.mark.parametrize(("chain", "order"), [(1, (12, 22, 32)), (2, (31, 21, 11))], ids=["by id", "against the ids"])
def test_addresses_are_handed_on_between_linked_contacts(handed_on: Seen, chain: int, order: tuple[int, int, int]) -> None:
    assert handed_on.of(*order) == [UPDATED, UPDATED, CREATED]
    assert [handed_on.held[number] for number in order] == [f"b{chain}", f"c{chain}", f"a{chain}"]


def test_a_rotation_with_a_free_end_ends_as_in_qbench(handed_on: Seen) -> None:
    assert handed_on.of(13, 23, 33) == [UPDATED, UPDATED, UPDATED]
    assert [handed_on.held[number] for number in (13, 23, 33)] == ["b3", "c3", "d3"]


@pytest.mark.parametrize(
    ("contacts", "taker"),
    [(BY_EMAIL, "is there"), (BY_EMAIL, "is new"), ({"map": LEAN_CONTACT_MAP}, "is there")],
    ids=["by email, both there", "by email, one there", "by keys alone"],
)
def test_an_address_is_handed_on_by_a_contact_that_is_found_by_its_key_in_the_same_load(
    hubspot: Bench, contacts: dict[str, Any], taker: str
) -> None:
    """Without their links, nobody knows that it gives the address up: a state that was lost, or a run killed behind its writes."""
    spec = with_customer(hubspot, contacts=contacts)
    there = {8: "bea"} | ({7: "ana"} if taker == "is there" else {})
    for number, name in there.items():
        hubspot.add(CONTACT, {"email": address(name), "qbench_id": str(number)})
    hubspot.stage(spec, CONTACT, *people({7: "bea", 8: "cleo"}))
    load = seen(hubspot, spec, window=EVERYTHING)
    assert load.held == {7: "bea", 8: "cleo"}
    assert {outcome for outcome, _ in load.outcomes.values()} <= {"linked", "created"}
