"""Of several records that claim one CRM record none is linked, however far apart they come (docs/rules.md, 7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from crm_pipeline_tests.sync.conftest import ACCOUNT, BY_NAME, CONTACT, LEAN_CONTACT_MAP, Bench, contact, customer, own_bench

RULES = {
    **BY_NAME,
    "sync_on": [{"field": "code", "in": {"salesforce": "AccountNumber"}}, *BY_NAME["sync_on"]],
    "only": {"field": "status", "is": "ACTIVE"},
}
AMBIGUOUS = ("skipped", "AmbiguousMatchException")
RIVALS: list[dict[str, Any]] = [
    {"customer_name": "Eco Labs"},
    {"customer_name": "Bio Labs"},
    {"customer_name": "Geo Labs"},
    {"code": "s-1"},
    {},
    {"customer_name": " ECO labs"},
    {"customer_name": "Bio Labs"},
    {"customer_name": "Geo Labs"},
    {"customer_name": "Sea Labs"},
]


@dataclass(frozen=True)
class Told:
    """The outcomes by QBench id, and by name to whom each account of the CRM was linked."""

    outcomes: dict[int, tuple[str, str | None]]
    linked_to: dict[str, int | None]


@pytest.fixture(scope="module", params=[4, 100], ids=["in several frames", "in one frame"])
def told(request: pytest.FixtureRequest, postgres: str) -> Iterator[Told]:
    """A load of pairs of rivals, numbers 1 and 6, 2 and 7 …, in frames of so many rows."""
    with own_bench(postgres, "salesforce") as bench:
        spec = bench.spec(accounts=RULES)
        there = [
            {"Name": "Eco Labs"},
            {"Name": "Bio Labs"},
            {"Name": "Geo Labs", "QBench_Id__c": "8"},
            {"Name": "Sea Labs", "AccountNumber": "S-1"},
            {"Name": "Lab 5"},
        ]
        ids = [bench.add(ACCOUNT, values) for values in there]
        bench.stage(
            spec,
            ACCOUNT,
            *(customer(number, status="ACTIVE", **content) for number, content in enumerate(RIVALS, start=1) if number != 7),
            customer(7, status="INACTIVE", **RIVALS[6]),
        )
        report = bench.load(spec, ACCOUNT, frame_rows=request.param)
        assert report.rows == report.accounted == len(RIVALS)
        links = dict(bench.rows("SELECT crm_id, qbench_id FROM crm_pipeline.link"))
        yield Told(bench.outcomes(), dict(zip((values["Name"] for values in there), map(links.get, ids), strict=True)))


def test_of_several_records_that_claim_one_none_is_linked(told: Told) -> None:
    assert (told.outcomes[1], told.outcomes[6]) == (AMBIGUOUS, AMBIGUOUS)
    assert told.linked_to["Eco Labs"] is None
    assert (told.outcomes[5], told.linked_to["Lab 5"]) == (("linked", None), 5), "it has no rival"


def test_records_that_may_not_sync_claim_nothing(told: Told) -> None:
    assert (told.outcomes[2], told.outcomes[7]) == (("linked", None), ("skipped", "FilteredOutException"))
    assert told.linked_to["Bio Labs"] == 2


def test_the_record_whose_key_a_candidate_carries_is_linked_and_the_other_is_another_one(told: Told) -> None:
    assert (told.outcomes[3], told.outcomes[8]) == (("created", None), ("linked", None))
    assert told.linked_to["Geo Labs"] == 8


def test_records_that_claim_one_by_different_match_keys_are_not_guessed_either(told: Told) -> None:
    assert (told.outcomes[4], told.outcomes[9]) == (AMBIGUOUS, AMBIGUOUS)
    assert told.linked_to["Sea Labs"] is None


@pytest.mark.parametrize("frame_rows", [1, 100], ids=["in frames of their own", "in one frame"])
def test_a_duplicate_contact_that_may_not_sync_does_not_stand_in_its_way(salesforce: Bench, frame_rows: int) -> None:
    spec = salesforce.spec(external_keys=False, contacts={"map": LEAN_CONTACT_MAP, "sync_on": [{"phone": {"salesforce": "Phone"}}]})
    salesforce.sandbox.org.add("Contact", {"LastName": "Ruiz", "Phone": "(512) 555-0102"})
    salesforce.given(spec, ACCOUNT, customer(1))
    twins = [contact(number, of=1, email_address="ana@labs.example.org") for number in (7, 8)]
    salesforce.stage(spec, CONTACT, *twins)
    salesforce.load(spec, CONTACT, frame_rows=frame_rows)
    assert salesforce.outcomes(CONTACT) == {7: ("linked", None), 8: ("skipped", "DuplicateEmailException")}
