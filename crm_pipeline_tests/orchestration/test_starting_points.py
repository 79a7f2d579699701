"""The article's four starting points: QBench new or with years of data, the CRMs empty or with records of their own.

None takes more than the configuration: every customer and contact ends in both CRMs, once, and what users made stays theirs.
"""

from __future__ import annotations

from collections import Counter

import dagster as dg
import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline_tests.orchestration.conftest import (
    LOADS,
    READS,
    CrmRecords,
    Dagster,
    World,
    in_crms,
    made_by_hand,
    metadata_of,
    outcomes,
    writes,
)
from crm_pipeline_tests.tenants import (
    ACCOUNT_MAP,
    BEFORE_START,
    CONTACT_MAP,
    FIRST,
    IN_SECOND,
    SECOND,
    add_laboratories,
    attributes,
    integration,
)

YEARS_AGO = BEFORE_START - 3 * 365 * 86_400
CRMS = ("salesforce", "hubspot")
NAME, EMAIL = {"salesforce": "Name", "hubspot": "name"}, {"salesforce": "Email", "hubspot": "email"}


def add_to_qbench(sandbox: Sandbox, *, at: int) -> None:
    """Three laboratories of two people each; laboratory 1's first person has no phone."""
    add_laboratories(sandbox.tenant, 3, contacts_each=2, at=at)
    sandbox.tenant.edit_contact(1, phone=None, at=at)


def outcomes_of(crm: str) -> Counter[tuple[str, str]]:
    """How many records of each type ended how."""
    return Counter((record_type, outcome) for (of, record_type, _), (outcome, _, _) in outcomes().items() if of == crm)


def expect_all_created(sandbox: Sandbox, *crms: str) -> None:
    for crm in crms:
        assert outcomes_of(crm) == {("account", "created"): 3, ("contact", "created"): 5, ("contact", "skipped"): 1}
        assert outcomes()[crm, "contact", 1][:2] == ("skipped", "MissingFieldForContactException")
        accounts, contacts = in_crms(sandbox)[crm]
        assert sorted(accounts.values()) == ["Laboratory 1", "Laboratory 2", "Laboratory 3"]
        assert len(contacts) == 5


def expect_linked_and_created(sandbox: Sandbox, made: dict[str, CrmRecords], *crms: str) -> None:
    for crm in crms:
        assert outcomes_of(crm) == {
            ("account", "linked"): 2,
            ("account", "created"): 1,
            ("contact", "linked"): 2,
            ("contact", "created"): 4,
        }
        accounts, contacts = in_crms(sandbox)[crm]
        ours = made[crm]
        assert {number: accounts[ours.accounts[number]] for number in (1, 2)} == {1: "Laboratory 1", 2: "Laboratory 2"}
        assert {number: contacts[ours.contacts[number]] for number in (1, 2)} == {1: "Person 1-1", 2: "Person 2-1"}
        assert (accounts[ours.accounts[99]], contacts[ours.contacts[99]]) == ("LABORATORY  99", "By Hand")
        assert (len(accounts), len(contacts)) == (4, 7)


def matching(sandbox: Sandbox, *crms: str) -> IntegrationSpec:
    """The integration with these CRMs, which links what has the same name or email."""
    keys = attributes(sandbox)
    return IntegrationSpec.model_validate(
        {
            **keys,
            "name": "acme",
            "crms": {crm: keys["crms"][crm] for crm in crms},
            "accounts": {"map": ACCOUNT_MAP, "sync_on": [{"name": {crm: NAME[crm] for crm in crms}}]},
            "contacts": {"map": CONTACT_MAP, "sync_on": [{"email": {crm: EMAIL[crm] for crm in crms}}]},
        }
    )


@pytest.fixture(scope="module")
def empty(world: World) -> dg.ExecuteInProcessResult:
    """The first run, before QBench and the CRM have a record."""
    return world.dagster.run(matching(world.sandbox, "salesforce"), FIRST)


def test_empty_tenant_is_a_good_run(empty: dg.ExecuteInProcessResult) -> None:
    assert empty.success
    assert {metadata_of(empty, *asset.split("/"))["dagster/row_count"] for asset in (*READS, *LOADS[:2])} == {0}


def test_empty_hour_asks_the_crm_nothing(empty: dg.ExecuteInProcessResult) -> None:
    assert {metadata_of(empty, *load.split("/"))["calls"] for load in LOADS[:2]} == {0}


def test_new_qbench_and_no_crm_data(empty: dg.ExecuteInProcessResult, world: World) -> None:
    add_to_qbench(world.sandbox, at=IN_SECOND)
    assert world.dagster.run(matching(world.sandbox, "salesforce"), SECOND).success
    expect_all_created(world.sandbox, "salesforce")


def test_new_qbench_and_existing_crm_data(sandbox: Sandbox, dagster: Dagster) -> None:
    made, spec = made_by_hand(sandbox, 1, 2), matching(sandbox, "hubspot")
    before = in_crms(sandbox)
    assert dagster.run(spec, FIRST, assets=("qbench/customers", "normalized/accounts", "hubspot/companies")).success
    assert in_crms(sandbox) == before
    add_to_qbench(sandbox, at=IN_SECOND)
    assert dagster.run(spec, SECOND).success
    expect_linked_and_created(sandbox, made, "hubspot")


def test_existing_qbench_and_no_crm_data_nor_fields_for_external_keys(keyless_sandbox: Sandbox, dagster: Dagster) -> None:
    add_to_qbench(keyless_sandbox, at=YEARS_AGO)
    spec = integration(keyless_sandbox, external_keys=False)
    assert dagster.run(spec, FIRST).success
    expect_all_created(keyless_sandbox, *CRMS)
    assert len(keyless_sandbox.portal.associations()) == 5
    keyless_sandbox.journal.clear()
    assert dagster.run(spec, FIRST, assets=("salesforce/contacts", "hubspot/contacts")).success
    assert writes(keyless_sandbox) == []


def test_existing_qbench_and_existing_crm_data(sandbox: Sandbox, dagster: Dagster) -> None:
    made, spec = made_by_hand(sandbox, 1, 2), matching(sandbox, *CRMS)
    add_to_qbench(sandbox, at=YEARS_AGO)
    assert dagster.run(spec, FIRST).success
    expect_linked_and_created(sandbox, made, *CRMS)
    accounts = {record["Id"]: (record["Phone"], record["QBench_Id__c"]) for record in sandbox.org.records("Account")}
    assert [accounts[ours] for ours in made["salesforce"].accounts.values()] == [("by hand", "1"), ("by hand", "2"), ("by hand", None)]
    sandbox.tenant.edit_contact(1, last_name="Married", at=BEFORE_START)
    sandbox.journal.clear()
    assert dagster.run(spec, FIRST, assets=("qbench/contacts", "normalized/contacts", "hubspot/contacts")).success
    assert in_crms(sandbox)["hubspot"][1][made["hubspot"].contacts[1]] == "Married"
    assert [call.rows for call in writes(sandbox)] == [1], "nothing but the edit is written"
