"""QBench and both CRMs, edited in one hour and synced both ways: all agree, and nothing is lost untold (docs/rules.md, 45 to 50)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import pytest

from crm_pipeline_tests.sync.conftest import ACCOUNT, Stories
from crm_pipeline_tests.sync.returning.home import EVERYTHING_CHANGED, MINUTE, NOON, Home, home

CRMS = ("salesforce", "hubspot")


@pytest.fixture
def houses(stories: Stories) -> Iterator[dict[str, Home]]:
    """The one integration as it is with each CRM: customer 1, whose description all three have agreed on."""
    with stories("salesforce") as bench:
        both = {crm: home(replace(bench, crm=crm)) for crm in CRMS}
        bench.sandbox.tenant.add_customer(id=1, customer_name="Lab 1", comments="old", at=1_000)
        yield both


def an_hour(houses: dict[str, Home]) -> int:
    """What an hourly run does, both ways; returns how many writes it made."""
    return homeward(houses) + outward(houses)


def homeward(houses: dict[str, Home]) -> int:
    """What the run does that brings changes home; returns how many writes it made."""
    writes = 0
    for house in houses.values():
        house.hour()
        writes += house.calls["write"]
    return writes


def outward(houses: dict[str, Home]) -> int:
    """What the run does that sends; returns how many writes it made."""
    writes = 0
    houses["salesforce"].extract()
    for house in houses.values():
        house.bench.load(house.spec, ACCOUNT, window=EVERYTHING_CHANGED)
        writes += house.bench.calls.get("write", 0)
    return writes


def everywhere(houses: dict[str, Home]) -> set[str | None]:
    """The descriptions that the three have."""
    sandbox = houses["salesforce"].bench.sandbox
    [account], [company] = sandbox.org.records("Account"), sandbox.portal.records("companies")
    return {houses["salesforce"].comments(), account["Description"], company["properties"]["description"]}


def told(houses: dict[str, Home]) -> set[str]:
    """The values that were lost."""
    rows = houses["salesforce"].bench.rows("SELECT winner, qbench_value, crm_value FROM crm_pipeline.conflict")
    return {str(next(iter((crm if winner == "qbench" else qbench).values()))) for winner, qbench, crm in rows}


def edited(houses: dict[str, Home], *, qbench: datetime | None = None, **crms: datetime) -> None:
    """Persons describe the record at these times, each as what it is where they do."""
    ids = {crm: house.linked()[1] for crm, house in houses.items()}
    for crm, at in crms.items():
        houses[crm].describe(ids[crm], f"of {crm}", at)
    if qbench is not None:
        houses["salesforce"].tenant.edit_customer(1, comments="of qbench", at=int(qbench.timestamp()))


@pytest.mark.parametrize(
    ("edits", "latest"),
    [
        ({"salesforce": NOON + 5 * MINUTE, "hubspot": NOON + 20 * MINUTE}, "hubspot"),
        ({"salesforce": NOON + 40 * MINUTE, "hubspot": NOON + 20 * MINUTE, "qbench": NOON + 30 * MINUTE}, "salesforce"),
    ],
)
def test_the_latest_of_the_edits_of_one_field_stands_everywhere_after_two_hours(
    houses: dict[str, Home], edits: dict[str, datetime], latest: str
) -> None:
    edited(houses, **edits)
    an_hour(houses)
    an_hour(houses)

    assert everywhere(houses) == {f"of {latest}"}
    assert told(houses) == {f"of {party}" for party in edits if party != latest}
    assert an_hour(houses) == 0


def test_edits_of_two_fields_meet_in_all_three(houses: dict[str, Home]) -> None:
    edited(houses, hubspot=NOON + 20 * MINUTE)
    houses["salesforce"].tenant.edit_customer(1, customer_name="Lab One", at=int(NOON.timestamp()))
    an_hour(houses)
    an_hour(houses)

    assert everywhere(houses) == {"of hubspot"}
    sandbox = houses["salesforce"].bench.sandbox
    assert sandbox.org.records("Account")[0]["Name"] == sandbox.portal.records("companies")[0]["properties"]["name"] == "Lab One"
    assert told(houses) == set()


def test_edit_stands_in_qbench_with_the_first_run_after_it_and_everywhere_with_the_second(houses: dict[str, Home]) -> None:
    """Wherever a person made it: the first run that reads its hour brings it home, the next one that sends takes it to the others."""
    sandbox = houses["salesforce"].bench.sandbox
    for number in (2, 3):
        sandbox.tenant.add_customer(id=number, customer_name=f"Lab {number}", comments="old", at=1_000)
    ids = {crm: house.linked() for crm, house in houses.items()}
    edits = {1: "of salesforce", 2: "of hubspot", 3: "of qbench"}
    houses["salesforce"].describe(ids["salesforce"][1], edits[1])
    houses["hubspot"].describe(ids["hubspot"][2], edits[2])
    sandbox.tenant.edit_customer(3, comments=edits[3], at=int(NOON.timestamp()))

    homeward(houses)
    assert {number: houses["salesforce"].comments(number) for number in edits} == edits
    outward(houses)
    assert {number: sandbox.org.record("Account", crm_id)["Description"] for number, crm_id in ids["salesforce"].items()} == edits
    companies = {number: sandbox.portal.record("companies", crm_id)["properties"] for number, crm_id in ids["hubspot"].items()}
    assert {number: company["description"] for number, company in companies.items()} == edits
