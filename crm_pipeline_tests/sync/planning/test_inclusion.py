"""Records that sync only while they are in a list of the CRM's (docs/rules.md, 51)."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from crm_pipeline.errors import ConfigurationError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.store.staging import Window
from crm_pipeline_tests.sync.conftest import ACCOUNT, LEAN_ACCOUNT_MAP, Bench, customer

LATER = Window(since=200, until=201)
ONLY = {"crm_list": {"hubspot": "Lab customers"}}
LEFT = ("skipped", "NotInListException", "list: Lab customers")


def listed_only(bench: Bench, **only: Any) -> IntegrationSpec:
    return bench.spec(contacts=None, accounts={"map": LEAN_ACCOUNT_MAP, "only": only or ONLY})


@pytest.fixture
def synced(hubspot: Bench) -> dict[int, str]:
    """Customers 1 to 3, the first two of them in the list; their ids in HubSpot."""
    hubspot.sandbox.portal.scopes |= {"crm.lists.read"}
    ids = hubspot.given(listed_only(hubspot), ACCOUNT, *(customer(number) for number in range(1, 4)))
    hubspot.sandbox.portal.lists.join(hubspot.sandbox.portal.lists.add("Lab customers", "companies"), ids[1], ids[2])
    return ids


def edit(bench: Bench, spec: IntegrationSpec, *numbers: int, version: int = 200) -> None:
    """Somebody comments customers in QBench, and they are loaded."""
    bench.stage(spec, ACCOUNT, *(customer(number, version, comments=f"new {version}") for number in numbers))
    bench.load(spec, ACCOUNT, window=Window(since=version, until=version + 1))


def descriptions(bench: Bench) -> list[str | None]:
    return [record["properties"].get("description") for record in bench.sandbox.portal.records("companies")]


def outcomes(bench: Bench) -> dict[int, tuple[str, str | None, str | None]]:
    rows = bench.rows("SELECT qbench_id, outcome, error_type, reason FROM crm_pipeline.outcome")
    return {qbench_id: (outcome, error, reason) for qbench_id, outcome, error, reason in rows}


def test_records_outside_the_list_stay_as_they_are_and_say_so(hubspot: Bench, synced: dict[int, str]) -> None:
    edit(hubspot, listed_only(hubspot), 1, 3)
    assert descriptions(hubspot) == ["new 200", None, None]
    assert (outcomes(hubspot)[1], outcomes(hubspot)[3]) == (("updated", None, None), LEFT)


def test_record_that_leaves_the_list_is_left_alone_and_taken_up_once_it_is_back(hubspot: Bench, synced: dict[int, str]) -> None:
    spec, lists = listed_only(hubspot), hubspot.sandbox.portal.lists
    found = lists.named("Lab customers")
    assert found is not None
    lists.leave(found.id, synced[1])
    edit(hubspot, spec, 1)
    assert descriptions(hubspot)[0] is None
    lists.join(found.id, synced[1])
    assert hubspot.rows("SELECT next_attempt_at > now() FROM crm_pipeline.outcome WHERE qbench_id = 1") == [(True,)]
    hubspot.load(spec, ACCOUNT, window=LATER)
    assert descriptions(hubspot)[0] == "new 200"


def test_record_that_is_not_in_the_crm_yet_is_made_there(hubspot: Bench, synced: dict[int, str]) -> None:
    edit(hubspot, listed_only(hubspot), 4)
    assert outcomes(hubspot)[4][0] == "created"
    edit(hubspot, listed_only(hubspot), 4, version=300)
    assert (descriptions(hubspot)[-1], outcomes(hubspot)[4]) == ("new 200", LEFT)


def test_rule_may_ask_for_more_beside_the_list(hubspot: Bench, synced: dict[int, str]) -> None:
    spec = listed_only(hubspot, all=[ONLY, {"field": "comments", "starts_with": "new"}])
    hubspot.stage(spec, ACCOUNT, customer(1, 200, comments="old"), customer(2, 200, comments="new"), customer(3, 200, comments="new"))
    hubspot.load(spec, ACCOUNT, window=LATER)
    assert descriptions(hubspot) == [None, "new", None]
    assert [outcomes(hubspot)[number][1] for number in (1, 2, 3)] == ["FilteredOutException", None, "NotInListException"]


def test_nobody_asks_for_records_that_did_not_change(hubspot: Bench, synced: dict[int, str]) -> None:
    hubspot.stage(listed_only(hubspot), ACCOUNT, customer(1, 200), customer(3, 200))
    hubspot.load(listed_only(hubspot), ACCOUNT, window=LATER)
    asked = [call for call in hubspot.sandbox.journal.calls("hubspot") if "lists" in call.path]
    assert asked == []


def test_record_of_which_hubspot_fails_to_tell_is_not_written_over(hubspot: Bench, synced: dict[int, str]) -> None:
    hubspot.sandbox.faults.add(Fault(service="hubspot", path="memberships", naming=synced[1], status=500, times=None))
    edit(hubspot, listed_only(hubspot), 1, 2)
    assert descriptions(hubspot)[:2] == [None, "new 200"]
    assert outcomes(hubspot)[1][:2] == ("failed", "CrmFailsOnRecordException")


def test_list_that_is_not_there_stops_the_load_and_names_those_that_are(hubspot: Bench, synced: dict[int, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"no list 'Others'.*Lab customers"):
        edit(hubspot, listed_only(hubspot, crm_list={"hubspot": "Others"}), 1)


@pytest.mark.parametrize(
    ("only", "said"),
    [
        ({"any": [ONLY, {"field": "status", "is": "x"}]}, "stands in the `only` of accounts or contacts by itself"),
        ({"crm_list": {"hubspott": "x"}}, "is no CRM of this integration"),
        ({"crm_list": {"salesforce": "x"}}, r"only\.crm_list\.salesforce: Salesforce keeps no lists"),
        ({"all": [ONLY, {"crm_list": {"salesforce": "x"}}]}, r"only\.all\[1\]\.crm_list\.salesforce: Salesforce keeps no lists"),
        ({"crm_list": {"hubspot": "x"}, "field": "status", "is": "y"}, "a rule is either"),
    ],
)
def test_list_that_could_not_be_asked_is_refused(hubspot: Bench, only: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        listed_only(hubspot, **only)


def test_list_is_no_rule_for_records_that_are_made_in_qbench(hubspot: Bench) -> None:
    create = {"only": {"all": [ONLY, {"field": "hubspot.industry", "is": "FOOD"}]}}
    with pytest.raises(ValidationError, match=r"from_crm\.create\.only\.all\[0\]\.crm_list.*stands in the `only` of accounts"):
        hubspot.spec(contacts=None, accounts={"map": LEAN_ACCOUNT_MAP, "from_crm": {"create": create}})


def test_id_may_be_written_as_a_number(hubspot: Bench) -> None:
    spec = listed_only(hubspot, crm_list={"hubspot": 42})
    assert spec.accounts.only is not None
    assert spec.accounts.only.crm_list == {"hubspot": "42"}
