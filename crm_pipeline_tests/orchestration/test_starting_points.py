"""The article's four starting points: QBench new or with years of data, the CRMs empty or with records of their own.

None takes more than the configuration: every customer and contact ends in both CRMs, once, and what users made stays theirs.
The CRMs are loaded beside each other, so one may be empty while the other has records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import dagster as dg
import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sandbox.hubspot import HubSpotPortal
from crm_pipeline.sandbox.journal import Call
from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline.sandbox.sandbox import Sandbox, start_sandbox
from crm_pipeline_tests.orchestration.conftest import (
    LOADS,
    READS,
    CrmRecords,
    World,
    in_crms,
    made_by_hand,
    metadata_of,
    outcomes,
    own_world,
    writes,
)
from crm_pipeline_tests.tenants import BEFORE_START, FEW_FIELDS, FIRST, IN_SECOND, SECOND, add_laboratories, attributes

YEARS_AGO = BEFORE_START - 3 * 365 * 86_400
CRMS = ("salesforce", "hubspot")
NAME, EMAIL = {"salesforce": "Name", "hubspot": "name"}, {"salesforce": "Email", "hubspot": "email"}


def add_to_qbench(sandbox: Sandbox, *, at: int) -> None:
    """Three laboratories of two people each; laboratory 1's first person has no phone."""
    add_laboratories(sandbox.tenant, 3, contacts_each=2, at=at)
    sandbox.tenant.edit_contact(1, phone=None, at=at)


def matching(sandbox: Sandbox, *crms: str, keyless: Collection[str] = ()) -> IntegrationSpec:
    """The integration with both CRMs, which links in some of them what has the same name or email."""
    keys = attributes(sandbox) | FEW_FIELDS
    for crm in keyless:
        del keys["crms"][crm]["external_key"]
    keys["accounts"] = {**keys["accounts"], "sync_on": [{"name": {crm: NAME[crm] for crm in crms}}]}
    keys["contacts"] = {**keys["contacts"], "sync_on": [{"email": {crm: EMAIL[crm] for crm in crms}}]}
    return IntegrationSpec.model_validate({"name": "acme", **keys})


Found = tuple[dict[str, str], dict[str, str]]
"""The names of a CRM's accounts and the last names of its contacts, by CRM id."""


@dataclass(frozen=True)
class Ended:
    """What a run left in a CRM, and how the records ended there."""

    said: dict[tuple[str, int], tuple[str, str | None]]
    accounts: dict[str, str]
    contacts: dict[str, str]

    @property
    def counts(self) -> Counter[tuple[str, str]]:
        """How many records of each type ended how."""
        return Counter((record_type, outcome) for (record_type, _), (outcome, _) in self.said.items())


def ended(sandbox: Sandbox) -> dict[str, Ended]:
    """What there is now, by CRM."""
    said = outcomes()
    return {
        crm: Ended({(record_type, number): found[:2] for (of, record_type, number), found in said.items() if of == crm}, accounts, contacts)
        for crm, (accounts, contacts) in in_crms(sandbox).items()
    }


def expect_all_created(found: Ended) -> None:
    assert found.counts == {("account", "created"): 3, ("contact", "created"): 5, ("contact", "skipped"): 1}
    assert found.said["contact", 1] == ("skipped", "MissingFieldForContactException")
    assert sorted(found.accounts.values()) == ["Laboratory 1", "Laboratory 2", "Laboratory 3"]
    assert len(found.contacts) == 5


def expect_linked_and_created(found: Ended, made: CrmRecords) -> None:
    assert found.counts == {("account", "linked"): 2, ("account", "created"): 1, ("contact", "linked"): 2, ("contact", "created"): 4}
    assert {number: found.accounts[made.accounts[number]] for number in (1, 2)} == {1: "Laboratory 1", 2: "Laboratory 2"}
    assert {number: found.contacts[made.contacts[number]] for number in (1, 2)} == {1: "Person 1-1", 2: "Person 2-1"}
    assert (found.accounts[made.accounts[99]], found.contacts[made.contacts[99]]) == ("LABORATORY  99", "By Hand")
    assert (len(found.accounts), len(found.contacts)) == (4, 7)


@dataclass(frozen=True)
class NewQBench:
    """A run before QBench has a record, and the hour in which it gets the first; Salesforce is empty, HubSpot has records."""

    before: dict[str, Found]
    empty: dg.ExecuteInProcessResult
    after_empty: dict[str, Found]
    made: dict[str, CrmRecords]
    filled: dg.ExecuteInProcessResult
    ended: dict[str, Ended]


@pytest.fixture(scope="module")
def new_qbench(world: World) -> NewQBench:
    sandbox, spec = world.sandbox, matching(world.sandbox, *CRMS)
    made = made_by_hand(sandbox, 1, 2, crms=("hubspot",))
    before = in_crms(sandbox)
    empty = world.dagster.run(spec, FIRST)
    after_empty = in_crms(sandbox)
    add_to_qbench(sandbox, at=IN_SECOND)
    filled = world.dagster.run(spec, SECOND)
    return NewQBench(before, empty, after_empty, made, filled, ended(sandbox))


def test_empty_tenant_is_a_good_run(new_qbench: NewQBench) -> None:
    assert new_qbench.empty.success
    assert {metadata_of(new_qbench.empty, *asset.split("/"))["dagster/row_count"] for asset in (*READS, *LOADS)} == {0}
    assert new_qbench.after_empty == new_qbench.before


def test_empty_hour_asks_the_crm_nothing(new_qbench: NewQBench) -> None:
    assert {metadata_of(new_qbench.empty, *load.split("/"))["calls"] for load in LOADS} == {0}


def test_new_qbench_and_no_crm_data(new_qbench: NewQBench) -> None:
    assert new_qbench.filled.success
    expect_all_created(new_qbench.ended["salesforce"])


def test_new_qbench_and_existing_crm_data(new_qbench: NewQBench) -> None:
    assert new_qbench.filled.success
    expect_linked_and_created(new_qbench.ended["hubspot"], new_qbench.made["hubspot"])


@dataclass(frozen=True)
class ExistingQBench:
    """The first load of years of data, and then an edit; Salesforce has records, HubSpot neither records nor fields for external keys."""

    first: dg.ExecuteInProcessResult
    made: dict[str, CrmRecords]
    ended: dict[str, Ended]
    salesforce_accounts: dict[str, tuple[str, str]]
    associations: int
    edit: dg.ExecuteInProcessResult
    married: str
    writes_of_edit: list[Call]


@pytest.fixture(scope="module")
def existing_qbench(postgres: str) -> ExistingQBench:
    org, portal = SalesforceOrg(external_keys=True), HubSpotPortal(external_keys=False, index_lag_seconds=0.0)
    with own_world(postgres, start_sandbox(org=org, portal=portal)) as world:
        sandbox, spec = world.sandbox, matching(world.sandbox, "salesforce", keyless=("hubspot",))
        made = made_by_hand(sandbox, 1, 2, crms=("salesforce",))
        add_to_qbench(sandbox, at=YEARS_AGO)
        first = world.dagster.run(spec, FIRST)
        found, associations = ended(sandbox), len(portal.associations())
        accounts = {record["Id"]: (record["Phone"], record["QBench_Id__c"]) for record in org.records("Account")}
        sandbox.tenant.edit_contact(1, last_name="Married", at=BEFORE_START)
        sandbox.journal.clear()
        contacts = ("qbench/contacts", "normalized/contacts", "salesforce/contacts", "hubspot/contacts")
        edit = world.dagster.run(spec, FIRST, assets=contacts)
        married = in_crms(sandbox)["salesforce"][1][made["salesforce"].contacts[1]]
        return ExistingQBench(first, made, found, accounts, associations, edit, married, writes(sandbox))


def test_existing_qbench_and_no_crm_data_nor_fields_for_external_keys(existing_qbench: ExistingQBench) -> None:
    assert existing_qbench.first.success
    expect_all_created(existing_qbench.ended["hubspot"])
    assert existing_qbench.associations == 5
    assert existing_qbench.edit.success
    assert [call for call in existing_qbench.writes_of_edit if call.service == "hubspot"] == [], "nothing is created again"


def test_existing_qbench_and_existing_crm_data(existing_qbench: ExistingQBench) -> None:
    assert existing_qbench.first.success
    made, accounts = existing_qbench.made["salesforce"], existing_qbench.salesforce_accounts
    expect_linked_and_created(existing_qbench.ended["salesforce"], made)
    assert [accounts[ours] for ours in made.accounts.values()] == [("by hand", "1"), ("by hand", "2"), ("by hand", None)]
    assert existing_qbench.edit.success
    assert existing_qbench.married == "Married"
    assert [call.rows for call in existing_qbench.writes_of_edit] == [1], "nothing but the edit is written"
