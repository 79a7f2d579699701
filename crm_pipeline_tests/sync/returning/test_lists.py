"""Nothing comes home of a record that is not in the list that the integration syncs (docs/rules.md, 51)."""

from __future__ import annotations

import pytest

from crm_pipeline.sandbox.faults import Fault
from crm_pipeline_tests.sync.conftest import ACCOUNT, LEAN_ACCOUNT_MAP, Bench
from crm_pipeline_tests.sync.returning.home import EVERYTHING_CHANGED, MINUTE, NOON, Home, home

LEFT = ("skipped", "NotInListException")


@pytest.fixture
def listed(hubspot: Bench) -> tuple[Home, str, str]:
    """A customer whose company is in the list; the company's id and the list's."""
    portal = hubspot.sandbox.portal
    portal.scopes |= {"crm.lists.read"}
    only = {"crm_list": {"hubspot": "Lab customers"}}
    house = home(hubspot, settings={"accounts": {"map": LEAN_ACCOUNT_MAP, "only": only}})
    house.tenant.add_customer(id=1, customer_name="Lab 1", comments="old", at=1_000)
    crm_id, list_id = house.linked()[1], portal.lists.add("Lab customers", "companies")
    portal.lists.join(list_id, crm_id)
    return house, crm_id, list_id


def test_member_is_brought_home(listed: tuple[Home, str, str]) -> None:
    house, crm_id, _ = listed
    house.describe(crm_id, "new")
    house.hour()
    assert (house.comments(), house.outcome(crm_id)[0]) == ("new", "updated")


def test_record_that_left_is_left_alone_and_brought_home_once_it_is_back(listed: tuple[Home, str, str]) -> None:
    house, crm_id, list_id = listed
    lists = house.bench.sandbox.portal.lists
    before = house.bases()
    house.describe(crm_id, "new")
    lists.leave(list_id, crm_id)
    house.hour()
    assert (house.comments(), house.outcome(crm_id)[:2], house.bases()["bases"]) == ("old", LEFT, before["bases"])
    lists.join(list_id, crm_id)
    house.bring()
    assert (house.comments(), house.outcome(crm_id)[:2]) == ("new", ("updated", None))


def test_edit_by_which_a_record_leaves_comes_home_while_hubspot_lists_it_and_then_neither_way_goes_on(hubspot: Bench) -> None:
    """HubSpot evaluates an active list after the record changed, which it tells nobody."""
    portal = hubspot.sandbox.portal
    portal.scopes |= {"crm.lists.read"}
    house = home(hubspot, settings={"accounts": {"map": LEAN_ACCOUNT_MAP, "only": {"crm_list": {"hubspot": "Lab customers"}}}})
    house.tenant.add_customer(id=1, customer_name="Lab 1", comments="old", at=1_000)
    portal.list_lag_seconds, crm_id = 0, house.linked(lifecyclestage="customer")[1]
    portal.lists.add("Lab customers", "companies", matching={"lifecyclestage": "customer"})
    portal.list_lag_seconds = 3_600
    house.edit(crm_id, {"description": "last", "lifecyclestage": "other"})
    house.hour()
    assert (house.comments(), house.outcome(crm_id)[:2]) == ("last", ("updated", None))

    portal.list_lag_seconds = 0
    house.describe(crm_id, "later", NOON + MINUTE)
    house.hour()
    assert (house.comments(), house.outcome(crm_id)[:2]) == ("last", LEFT)
    house.tenant.edit_customer(1, comments="ours")
    house.extract()
    hubspot.load(house.spec, ACCOUNT, window=EVERYTHING_CHANGED)
    assert (house.comments(), hubspot.values(ACCOUNT, "description"), hubspot.outcomes()[1]) == ("ours", ["later"], LEFT)


def test_nobody_asks_for_a_record_that_brings_nothing(listed: tuple[Home, str, str]) -> None:
    house, _, _ = listed
    house.hour()
    assert [call for call in house.bench.sandbox.journal.calls("hubspot") if "lists" in call.path] == []


def test_record_of_which_the_crm_fails_to_tell_is_open(listed: tuple[Home, str, str]) -> None:
    house, crm_id, _ = listed
    house.describe(crm_id, "new")
    house.bench.sandbox.faults.add(Fault(service="hubspot", path="memberships", naming=crm_id, status=500, times=None))
    house.hour()
    assert (house.comments(), house.outcome(crm_id)[:2]) == ("old", ("failed", "CrmFailsOnRecordException"))
    house.bench.sandbox.faults.clear()
    house.bring()
    assert house.comments() == "new"
