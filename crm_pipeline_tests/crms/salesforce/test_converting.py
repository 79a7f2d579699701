"""Leads in Salesforce: what became of them, and what is sent with them."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from crm_pipeline.crms.abilities import ConvertingCrm
from crm_pipeline.crms.base import Crm, CrmObject
from crm_pipeline.crms.salesforce import ACCOUNTS, CONTACTS, LEADS
from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, Sandbox, start_sandbox
from crm_pipeline.testing.batches import Put, results_by_id, writes_of
from crm_pipeline_tests.crms.salesforce_bench import KEY, connect_salesforce, open_bench

RUIZ = {"LastName": "Ruiz", "Email": "ana@labs.example.org", "Company": "Laboratory"}


def told(crm: Crm, *leads: str) -> list[tuple[Any, ...]]:
    """Lead, contact, account and whether that is a person account, of the converted ones."""
    assert isinstance(crm, ConvertingCrm)
    found = crm.converted(LEADS, list(leads)).astype("object")
    assert found["error_type"].isna().all()
    found = found.where(found.notna(), None)
    return list(found[["crm_id", "contact_crm_id", "account_crm_id", "person"]].itertuples(index=False, name=None))


def test_contact_that_was_merged_after_the_conversion_is_told_as_the_one_that_it_is_now(sandbox: Sandbox, crm: Crm) -> None:
    org = sandbox.org
    lead, account = org.add("Lead", RUIZ), org.add("Account", {"Name": "Laboratory"})
    _, contact = org.convert_lead(lead)
    winner = org.add("Contact", {"LastName": "Ruiz", "AccountId": account})
    org.merge("Contact", winner, [contact])
    assert told(crm, lead) == [(lead, winner, account, False)]
    org.delete("Contact", winner)
    org.empty_recycle_bin()
    assert told(crm, lead) == [(lead, contact, None, False)]


def test_account_that_the_contact_belongs_to_now_is_told(sandbox: Sandbox, crm: Crm) -> None:
    lead = sandbox.org.add("Lead", RUIZ)
    _, contact = sandbox.org.convert_lead(lead)
    account = sandbox.org.add("Account", {"Name": "Another"})
    sandbox.org.update("Contact", contact, {"AccountId": account})
    assert told(crm, lead) == [(lead, contact, account, False)]


def test_lead_that_became_no_contact_is_told_as_converted(sandbox: Sandbox, crm: Crm) -> None:
    lead = sandbox.org.add("Lead", RUIZ | {"IsConverted": True})
    assert told(crm, lead) == [(lead, None, None, False)]
    assert crm.calls.snapshot()["read"] == 1


def test_person_accounts_are_told_from_business_contacts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SANDBOX_CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with start_sandbox(org=SalesforceOrg(person_accounts=True)) as sandbox, closing(connect_salesforce(sandbox, external_key=None)) as crm:
        person, business = sandbox.org.add("Lead", RUIZ | {"Company": None}), sandbox.org.add("Lead", RUIZ)
        (account, contact), (other_account, other) = (sandbox.org.convert_lead(lead) for lead in (person, business))
        assert told(crm, person, business) == [(person, contact, account, True), (business, other, other_account, False)]


def test_conversions_are_asked_for_two_thousand_leads_a_call_and_one_more_for_their_contacts(sandbox: Sandbox, crm: Crm) -> None:
    org = sandbox.org
    leads = [org.add("Lead", {**RUIZ, "Email": f"person{number}@labs.example.org"}) for number in range(2_001)]
    became = {lead: org.convert_lead(lead)[1] for lead in leads[-2:]}
    assert {lead: contact for lead, contact, _, _ in told(crm, *leads)} == became
    assert crm.calls.snapshot()["read"] == 3


def test_converted_lead_is_refused_as_such_where_the_organization_guards_it(sandbox: Sandbox, crm: Crm) -> None:
    lead = sandbox.org.add("Lead", RUIZ | {KEY: "7"})
    sandbox.org.convert_lead(lead)
    rows = writes_of(Put(7, {"LastName": "New"}, crm_id=lead)), writes_of(Put(7, {**RUIZ, "LastName": "New"}, key="7"))
    assert [results_by_id(crm.write(LEADS, batch))[7]["error_type"] for batch in rows] == ["ConvertedLeadException"] * 2


@pytest.mark.parametrize(
    ("auto_assign", "ruled"),
    [
        (None, {"Account", "Contact", "Lead"}),
        (True, {"Account", "Contact", "Lead"}),
        (False, set()),
        ({"leads": False, "contacts": True}, {"Account", "Contact"}),
        ({"accounts": False}, {"Contact", "Lead"}),
    ],
)
def test_assignment_rules_run_with_creates_and_updates_of_the_objects_that_they_are_not_turned_off_for(
    sandbox: Sandbox, auto_assign: object, ruled: set[str]
) -> None:
    open_bench(sandbox)
    org = sandbox.org
    org.assigned_owner.update(dict.fromkeys(("Account", "Contact", "Lead"), lambda _row: org.person_id))
    with closing(connect_salesforce(sandbox, auto_assign=auto_assign)) as crm:
        for crm_object, values in ((ACCOUNTS, {"Name": "Laboratory"}), (CONTACTS, {"LastName": "Ruiz"}), (LEADS, RUIZ)):
            there = org.add(crm_object.name, values)
            crm.write(crm_object, writes_of(Put(1, values, key="1"), Put(2, values), Put(3, values, crm_id=there)))
            owners = {row["OwnerId"] for row in org.records(crm_object.name)}
            assert owners == {org.person_id if crm_object.name in ruled else org.user_id}


@pytest.mark.parametrize(
    ("auto_assign", "said"),
    [
        (None, {}),
        (True, {"accounts": "TRUE", "contacts": "TRUE", "leads": "TRUE"}),
        ({"leads": False, "accounts": True}, {"accounts": "TRUE", "leads": "FALSE"}),
    ],
)
def test_header_of_assignment_rules_goes_with_writes_of_the_objects_that_the_yaml_names_and_nothing_else(
    sandbox: Sandbox, auto_assign: object, said: dict[str, str]
) -> None:
    open_bench(sandbox)
    with closing(connect_salesforce(sandbox, auto_assign=auto_assign)) as crm:
        for crm_object, values in ((ACCOUNTS, {"Name": "Laboratory"}), (CONTACTS, {"LastName": "Ruiz"}), (LEADS, RUIZ)):
            there = sandbox.org.add(crm_object.name, values)
            sandbox.journal.clear()
            crm.write(crm_object, writes_of(Put(1, values, key="1"), Put(2, values), Put(3, values, crm_id=there)))
            crm.find(crm_object, KEY, ["1"])
            calls = {call.options.get("sforce-auto-assign") for call in sandbox.journal.calls() if call.rows}
            assert calls == {said.get(crm_object.asset)}
            assert all(call.options == {} for call in sandbox.journal.calls() if not call.rows)


@pytest.mark.parametrize("crm_object", [ACCOUNTS, CONTACTS, LEADS], ids=lambda each: each.asset)
def test_fields_of_the_preset_are_fields_of_the_object_that_can_be_written(crm_object: CrmObject, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SANDBOX_CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    preset = crm_object.preset
    named = {*preset.fields.values(), *preset.phones.values(), *(field for address in preset.addresses for field in address.fields)}
    with start_sandbox(org=SalesforceOrg(state_country_picklists=True)) as sandbox, closing(connect_salesforce(sandbox)) as crm:
        fields = crm.fields(crm_object).set_index("name")
        assert named <= set(fields.index[fields["creatable"]])
