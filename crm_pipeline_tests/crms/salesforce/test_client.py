"""Reading Salesforce: pages, person accounts, ids."""

from __future__ import annotations

from contextlib import closing

import pytest

from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.salesforce import ACCOUNTS, CONTACTS
from crm_pipeline.crms.salesforce.client import SalesforceCrm
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, Sandbox, start_sandbox
from crm_pipeline.testing.batches import intents_of
from crm_pipeline_tests.crms.salesforce_bench import KEY, connect_salesforce, open_bench

ACCOUNT, CONTACT = RecordType.ACCOUNT, RecordType.CONTACT


def test_scan_follows_every_page(sandbox: Sandbox, crm: Crm) -> None:
    sandbox.org.page_size = 50
    ids = [sandbox.org.add("Account", {"Name": f"Laboratory {number}"}) for number in range(120)]
    frames = list(crm.scan(ACCOUNTS, "Name"))
    assert [len(frame) for frame in frames] == [50, 50, 20]
    assert sorted(crm_id for frame in frames for crm_id in frame["crm_id"]) == sorted(ids)
    assert crm.calls.snapshot()["read"] == 3


def test_read_takes_two_thousand_ids_a_call(sandbox: Sandbox, crm: Crm) -> None:
    ids = [sandbox.org.add("Account", {"Name": f"Laboratory {number}"}) for number in range(2_001)]
    assert len(crm.read(ACCOUNTS, ids, ["Name"])) == 2_001
    assert crm.calls.snapshot()["read"] == 2


def test_examined_records_show_a_field_that_is_spelled_as_the_organization_does_not(sandbox: Sandbox, crm: SalesforceCrm) -> None:
    crm_id = sandbox.org.add("Account", {"Name": "Laboratory", "Website": "lab.example.com"})
    [found] = crm.examine(ACCOUNTS, [crm_id], fields=["WEBSITE", "Name"]).to_dict("records")
    assert (found["WEBSITE"], found["Name"]) == ("lab.example.com", "Laboratory")


def test_answer_with_a_number_beyond_measure_is_read_all_the_same(sandbox: Sandbox, crm: Crm) -> None:
    crm_id = sandbox.org.add("Account", {"Name": "Laboratory"})
    body = f'[{{"Id": "{crm_id}", "Name": "Laboratory", "Size__c": 1e999, "Rate__c": NaN}}]'
    sandbox.faults.add(Fault(path="composite/sobjects", status=200, body=body, times=None))
    assert crm.read(ACCOUNTS, [crm_id], ["Name"])["Name"].tolist() == ["Laboratory"]


def test_queries_get_shorter_where_only_shorter_addresses_get_through(sandbox: Sandbox, crm: Crm) -> None:
    sandbox.org.longest_address = 4_000
    values = [f"laboratory-{number}@a-rather-long-domain.example.com" for number in range(800)]
    crm_id = sandbox.org.add("Contact", {"LastName": "A", "Email": values[-1]})
    found = crm.find(CONTACTS, "Email", values)
    assert (found["crm_id"].tolist(), found["error_type"].isna().all()) == ([crm_id], True)
    refused = [call.status in {414, 431} for call in sandbox.journal.calls("salesforce")]
    assert any(refused)
    assert not any(refused[len(refused) // 2 :])


def test_contacts_found_bring_their_account(sandbox: Sandbox, crm: Crm) -> None:
    parent = sandbox.org.add("Account", {"Name": "Laboratory"})
    for email, account in (("ada@example.com", parent), ("bob@example.com", None)):
        sandbox.org.add("Contact", {"LastName": "L", "Email": email, "AccountId": account})
    found = crm.find(CONTACTS, "Email", ["ada@example.com", "bob@example.com"]).set_index("value")
    assert found.loc["ada@example.com", "parent_crm_id"] == parent
    assert found["parent_crm_id"].isna().tolist() == [False, True]


def test_value_with_several_records_has_several_rows(sandbox: Sandbox, crm: Crm) -> None:
    ids = {sandbox.org.add("Contact", {"LastName": name, "Email": "lab@example.com"}) for name in ("A", "B")}
    assert set(crm.find(CONTACTS, "Email", ["lab@example.com"])["crm_id"]) == ids


def test_values_that_differ_in_case_find_the_same_record(sandbox: Sandbox, crm: Crm) -> None:
    sandbox.org.add("Contact", {"LastName": "A", "Email": "lab@example.com"})
    found = crm.find(CONTACTS, "Email", ["lab@example.com", "LAB@example.com"])
    assert sorted(found["value"]) == ["LAB@example.com", "lab@example.com"]


def test_fields_hidden_from_the_user_are_not_described(sandbox: Sandbox, crm: Crm) -> None:
    sandbox.org.hide_field("Account", KEY)
    assert KEY not in crm.fields(ACCOUNTS)["name"].tolist()


def test_required_and_read_only_fields_are_told(crm: Crm) -> None:
    fields = crm.fields(CONTACTS).set_index("name")
    assert fields.index[fields["required"]].tolist() == ["LastName"]
    assert not fields.loc["Id", "creatable"]
    assert fields.loc["AccountId", "type"] == "reference"
    assert fields.loc["LastName", "length"] == 80


@pytest.mark.parametrize(("kind", "found"), [({"IsPersonAccount": True, "LastName": "Lovelace"}, 0), ({}, 1)], ids=["person", "business"])
def test_person_accounts_are_no_candidates_for_accounts(monkeypatch: pytest.MonkeyPatch, kind: dict[str, object], found: int) -> None:
    for name, value in SANDBOX_CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with start_sandbox(org=SalesforceOrg(person_accounts=True)) as sandbox:
        open_bench(sandbox)
        sandbox.org.add("Account", {"Name": "Ada Lovelace", KEY: "7", **kind})
        with closing(connect_salesforce(sandbox)) as crm:
            assert len(crm.find(ACCOUNTS, KEY, ["7"])) == found
            assert sum(len(frame) for frame in crm.scan(ACCOUNTS, "Name")) == found


def test_whole_number_of_a_number_field_has_no_fraction(sandbox: Sandbox, crm: Crm) -> None:
    sandbox.org.add_field("Account", name="Legacy_No__c", type="double", digits=18)
    crm_id = sandbox.org.add("Account", {"Name": "Laboratory", "Legacy_No__c": 4711.0})
    assert [value for frame in crm.scan(ACCOUNTS, "Legacy_No__c") for value in frame["value"]] == ["4711"]
    assert crm.read(ACCOUNTS, [crm_id], ["Legacy_No__c"])["Legacy_No__c"].map(str).tolist() == ["4711"]


def test_contact_intents_are_told_apart_by_name_and_account(sandbox: Sandbox, crm: Crm) -> None:
    parent = sandbox.org.add("Account", {"Name": "Laboratory"})
    ours = {"Email": "lab@example.com", "LastName": "Lovelace"}
    crm_id = sandbox.org.add("Contact", ours | {"AccountId": parent})
    sandbox.org.add("Contact", ours)
    sandbox.org.add("Contact", ours | {"LastName": "Other", "AccountId": parent})
    found = crm.resolve_intents(CONTACTS, intents_of((7, ours | {"parent_crm_id": parent})))
    assert found["crm_id"].tolist() == [crm_id]


def test_record_page_of_a_domain_is_known_without_a_call(crm: Crm, sandbox: Sandbox) -> None:
    with closing(connect_salesforce(sandbox, url=None, domain="acme.my")) as other:
        page = other.record_url(ACCOUNTS, "001Qb00000000aBIAQ", org_id="00D000000000001AAA")
        assert page == "https://acme.my.salesforce.com/lightning/r/Account/001Qb00000000aBIAQ/view"
