"""A direction that is switched off, on, or to other fields: both sides are accepted as they are, and the next edit travels."""

from __future__ import annotations

from collections.abc import Mapping

from crm_pipeline.model import RecordType
from crm_pipeline.sync.returning.selection import Open
from crm_pipeline_tests.sync.conftest import ACCOUNT, Bench
from crm_pipeline_tests.sync.returning.home import BOTH, DESCRIPTION, MINUTE, NOON, Home, home

NAME = {"name": {"from": "customer_name", **BOTH}}


def one_customer(bench: Bench, *, accounts: Mapping[str, object]) -> tuple[Home, str]:
    house = home(bench, accounts=accounts)
    house.tenant.add_customer(id=1, customer_name="Lab 1", comments="old", at=1_000)
    crm_id = house.linked()[1]
    house.hour()
    return house, crm_id


def load(house: Home, record_type: RecordType = ACCOUNT) -> None:
    house.extract(record_type)
    house.bench.load(house.spec, record_type)


def test_what_people_changed_while_nothing_came_back_stays_where_it_is(salesforce: Bench) -> None:
    house, crm_id = one_customer(salesforce, accounts=DESCRIPTION)
    both, house.spec = house.spec, salesforce.spec()
    house.describe(crm_id, "edited while the field went one way")
    load(house)
    house.spec = both
    report = house.hour()
    assert (house.comments(), dict(report.verdicts), house.conflicts()) == ("old", {"kept": 1}, [])

    house.describe(crm_id, "edited once it went both ways again", NOON + MINUTE)
    house.hour()
    assert house.comments() == "edited once it went both ways again"


def test_all_records_are_accepted_as_they_are_before_a_new_field_is_edited(salesforce: Bench) -> None:
    """The hours since the first of them hold no record that has not changed."""
    house, crm_id = one_customer(salesforce, accounts=NAME)
    house.spec = home(salesforce, accounts={**NAME, **DESCRIPTION}).spec
    report = house.bring(selection=Open())
    assert (report.read_again, dict(report.verdicts), house.comments()) == (1, {"agreed": 2}, "old")

    house.describe(crm_id, "edited", NOON + MINUTE)
    house.hour()
    assert house.comments() == "edited"
