"""Nothing comes home of a record that is not in the list that the integration syncs, or that limits the way back (docs/rules.md, 51)."""

from __future__ import annotations

from typing import Any

import pytest

from crm_pipeline.errors import ConfigurationError
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, LEAN_ACCOUNT_MAP, Bench
from crm_pipeline_tests.sync.returning.home import EVERYTHING_CHANGED, MINUTE, NOON, Home, home

LEFT = ("skipped", "NotInListException")
BOTH_WAYS = {"accounts": {"map": LEAN_ACCOUNT_MAP, "only": {"crm_list": {"hubspot": "Lab customers"}}}}
BACK = {"settings": {"receive": {"only_in_list": "Lab customers"}}}


@pytest.fixture(params=[BOTH_WAYS, BACK], ids=["crm_list", "only_in_list"])
def listed(hubspot: Bench, request: pytest.FixtureRequest) -> tuple[Home, str, str]:
    """A customer whose company is in the list; the company's id and the list's."""
    return listed_by(hubspot, request.param)


def listed_by(hubspot: Bench, settings: dict[str, Any]) -> tuple[Home, str, str]:
    portal = hubspot.sandbox.portal
    portal.scopes |= {"crm.lists.read"}
    house = home(hubspot, settings=settings)
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
    assert (house.comments(), house.outcome(crm_id), house.bases()["bases"]) == ("old", (*LEFT, "list: Lab customers"), before["bases"])
    lists.join(list_id, crm_id)
    house.bring()
    assert (house.comments(), house.outcome(crm_id)[:2]) == ("new", ("updated", None))


def test_edit_by_which_a_record_leaves_comes_home_while_hubspot_lists_it_and_then_neither_way_goes_on(hubspot: Bench) -> None:
    """HubSpot evaluates an active list after the record changed, which it tells nobody."""
    portal = hubspot.sandbox.portal
    portal.scopes |= {"crm.lists.read"}
    house = home(hubspot, settings=BOTH_WAYS)
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


def test_list_of_the_way_back_stops_nothing_on_the_way_out(hubspot: Bench) -> None:
    house, crm_id, list_id = listed_by(hubspot, BACK)
    hubspot.sandbox.portal.lists.leave(list_id, crm_id)
    house.tenant.edit_customer(1, comments="ours")
    house.extract()
    hubspot.load(house.spec, ACCOUNT, window=EVERYTHING_CHANGED)
    assert (hubspot.values(ACCOUNT, "description"), hubspot.outcomes()[1]) == (["ours"], ("updated", None))


def test_record_must_be_in_both_lists_where_there_are_two(hubspot: Bench) -> None:
    house, crm_id, list_id = listed_by(hubspot, {**BOTH_WAYS, "settings": {"receive": {"only_in_list": {"accounts": "Editors"}}}})
    lists = hubspot.sandbox.portal.lists
    editors = lists.add("Editors", "companies")
    house.describe(crm_id, "new")
    house.hour()
    assert (house.comments(), house.outcome(crm_id)[2]) == ("old", "list: Editors")
    lists.join(editors, crm_id)
    lists.leave(list_id, crm_id)
    house.bring()
    assert (house.comments(), house.outcome(crm_id)[2]) == ("old", "list: Lab customers")
    lists.join(list_id, crm_id)
    house.bring()
    assert house.comments() == "new"


@pytest.mark.parametrize("only_in_list", [{"contacts": "Lab people"}, {"accounts": "Lab customers"}])
def test_record_type_whose_list_is_not_named_comes_back_whole(hubspot: Bench, only_in_list: dict[str, str]) -> None:
    house, crm_id, list_id = listed_by(hubspot, {"settings": {"receive": {"only_in_list": only_in_list}}})
    hubspot.sandbox.portal.lists.leave(list_id, crm_id)
    house.describe(crm_id, "new")
    house.hour()
    assert house.comments() == ("new" if "contacts" in only_in_list else "old")


def test_one_name_that_is_no_list_of_a_record_type_stops_its_way_back_and_tells_how_to_name_one_for_each(hubspot: Bench) -> None:
    """A list that is renamed must not let everything in."""
    portal = hubspot.sandbox.portal
    portal.scopes |= {"crm.lists.read"}
    portal.lists.add("Lab customers", "companies")
    portal.lists.add("Lab people", "contacts")
    house = home(hubspot, settings=BACK, contacts={"last_name": {"from": "last_name", "direction": "both"}})
    house.tenant.add_customer(id=1, customer_name="Lab 1", at=1_000)
    house.tenant.add_contact(id=5, customer_ids=[1], email_address="a@lab.example", first_name="A", last_name="B", at=1_000)
    house.extract()
    crm_id = house.linked(CONTACT)[5]
    house.edit(crm_id, {"lastname": "C"}, record_type=CONTACT)
    with pytest.raises(
        ConfigurationError, match=r"no list 'Lab customers' of contacts.*Lab people.*only_in_list: {accounts: <list>, contacts"
    ):
        house.hour(CONTACT)
    assert house.tenant.contact(5)["last_name"] == "B"
