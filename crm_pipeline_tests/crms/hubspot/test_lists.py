"""Lists of HubSpot's: how they are found, and in how many calls their members."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from crm_pipeline.crms.hubspot import COMPANIES, CONTACTS
from crm_pipeline.crms.hubspot.client import HubSpotCrm
from crm_pipeline.errors import AuthenticationError, ConfigurationError, ServiceUnavailableError
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline_tests.crms.hubspot_bench import connect_hubspot, open_bench


@pytest.fixture(params=["v3", "2026-03"])
def crm(sandbox: Sandbox, request: pytest.FixtureRequest) -> Iterator[HubSpotCrm]:
    open_bench(sandbox)
    with closing(connect_hubspot(sandbox, path_family=request.param)) as adapter:
        assert isinstance(adapter, HubSpotCrm)
        yield adapter


def companies(sandbox: Sandbox, count: int) -> list[str]:
    return [sandbox.portal.add("companies", {"name": f"Laboratory {number}"}) for number in range(count)]


def test_members_are_asked_for_a_hundred_records_a_call_and_the_list_once(sandbox: Sandbox, crm: HubSpotCrm) -> None:
    ids = companies(sandbox, 101)
    sandbox.portal.lists.join(sandbox.portal.lists.add("Ours", "companies"), *ids[50:])
    for _ in range(2):
        found = crm.members(COMPANIES, "ours", ids)
        assert found.loc[found["member"], "crm_id"].tolist() == ids[50:]
    assert crm.calls.snapshot() == {"describe": 1, "read": 4}


def test_members_of_none_cost_no_call(crm: HubSpotCrm) -> None:
    assert crm.members(COMPANIES, "Ours", []).empty
    assert crm.calls.snapshot() == {}


@pytest.mark.parametrize("name", ["Labs / active", "ää & öö?", "50 %", "a#b"])
def test_name_may_hold_any_character(sandbox: Sandbox, crm: HubSpotCrm, name: str) -> None:
    list_id = sandbox.portal.lists.add(name, "companies")
    assert crm.list_id(COMPANIES, name) == list_id


def test_name_that_is_a_number_comes_before_the_list_of_that_id(sandbox: Sandbox, crm: HubSpotCrm) -> None:
    first = sandbox.portal.lists.add("First", "companies")
    second = sandbox.portal.lists.add(first, "companies")
    assert crm.list_id(COMPANIES, first) == second
    assert crm.list_id(COMPANIES, second) == second


def test_deleted_list_is_unknown_by_its_id_too(sandbox: Sandbox, crm: HubSpotCrm) -> None:
    list_id = sandbox.portal.lists.add("Ours", "companies")
    sandbox.portal.lists.delete(list_id)
    for named in ("Ours", list_id):
        with pytest.raises(ConfigurationError, match="there is none"):
            crm.list_id(COMPANIES, named)


def test_record_in_other_lists_alone_is_no_member(sandbox: Sandbox, crm: HubSpotCrm) -> None:
    contact = sandbox.portal.add("contacts", {"email": "ada@example.com"})
    sandbox.portal.lists.join(sandbox.portal.lists.add("Others", "contacts"), contact)
    sandbox.portal.lists.add("Ours", "contacts")
    assert crm.members(CONTACTS, "Ours", [contact])["member"].tolist() == [False]


@pytest.mark.parametrize("status", [400, 403, 404, 500, 504])
def test_record_for_which_memberships_are_refused_or_fail_is_named_and_the_others_are_told(
    sandbox: Sandbox, crm: HubSpotCrm, status: int
) -> None:
    ids = companies(sandbox, 12)
    sandbox.portal.lists.join(sandbox.portal.lists.add("Ours", "companies"), *ids)
    no = {"status": "error", "category": "OF_ITS_OWN", "message": "no"}
    sandbox.faults.add(Fault(service="hubspot", status=status, body=no, holding=ids[4], times=None))
    found = crm.members(COMPANIES, "Ours", ids)
    assert found.loc[found["error_type"].notna(), "crm_id"].tolist() == [ids[4]]
    assert found.loc[found["member"].fillna(False), "crm_id"].tolist() == [crm_id for crm_id in ids if crm_id != ids[4]]


def test_service_that_fails_on_all_memberships_is_down_after_a_few_calls(sandbox: Sandbox, crm: HubSpotCrm) -> None:
    ids = companies(sandbox, 100)
    sandbox.portal.lists.add("Ours", "companies")
    sandbox.faults.add(Fault(service="hubspot", status=500, path="/memberships/batch/read$", times=None))
    with pytest.raises(ServiceUnavailableError):
        crm.members(COMPANIES, "Ours", ids)
    assert crm.calls.snapshot()["read"] <= 20


def test_token_without_the_scope_is_told_which_one(sandbox: Sandbox, crm: HubSpotCrm) -> None:
    sandbox.portal.scopes -= {"crm.lists.read"}
    with pytest.raises(AuthenticationError, match=r"crm\.lists\.read"):
        crm.list_id(COMPANIES, "Ours")
