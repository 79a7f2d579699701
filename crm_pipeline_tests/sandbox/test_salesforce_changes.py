"""How the Salesforce stand-in shows what changed: stamps, users, field history, deletions, and what no stamp tells."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline_tests.sandbox.salesforce_http import API, KEY, Rest, error, outcomes, rest_of

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
EARLIER = NOW - timedelta(minutes=10)


@pytest.fixture
def org() -> SalesforceOrg:
    return SalesforceOrg(external_keys=True, clock=lambda: NOW)


@pytest.fixture
def rest(org: SalesforceOrg) -> Iterator[Rest]:
    with rest_of(org) as client:
        yield client


def shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def window(since: datetime, until: datetime, *, after: str = "", fields: str = "Id") -> str:
    """A closed window of the stamp, walked by id."""
    bound = f" AND Id > '{after}'" if after else ""
    stamps = f"SystemModstamp >= {since:%Y-%m-%dT%H:%M:%SZ} AND SystemModstamp < {until:%Y-%m-%dT%H:%M:%SZ}"
    return f"SELECT {fields} FROM Contact WHERE {stamps}{bound} ORDER BY Id LIMIT 2000"


# Who changed a record, and when


def test_record_names_its_last_writer(org: SalesforceOrg, rest: Rest) -> None:
    account = org.add("Account", {"Name": "Lab"}, at=EARLIER, by=org.person_id)
    rest.update("Account", {"id": account, "Phone": "1"})
    assert org.record("Account", account)["LastModifiedById"] == org.user_id
    colleague = org.add_user(username="ana@acme.example", last_name="Ruiz")
    org.update("Account", account, {"Phone": "2"}, by=colleague)
    org.update("Account", account, {"Fax": "3"})
    row = org.record("Account", account)
    assert (row["CreatedById"], row["LastModifiedById"], row["OwnerId"]) == (org.person_id, org.person_id, org.person_id)
    assert org.user_id not in (org.person_id, colleague)


def test_person_edits_at_a_time(org: SalesforceOrg) -> None:
    account = org.add("Account", {"Name": "Lab"}, at=EARLIER)
    later = EARLIER + timedelta(seconds=90, milliseconds=600)
    org.update("Account", account, {"Phone": "2"}, at=later)
    row = org.record("Account", account)
    assert row["CreatedDate"] == shown(EARLIER)
    assert row["LastModifiedDate"] == row["SystemModstamp"] == shown(later), "whole seconds"


def test_clock_that_is_ahead_shows_in_stamps_and_in_the_date_of_answers(org: SalesforceOrg, rest: Rest) -> None:
    org.clock_ahead = 90
    account = org.add("Account", {"Name": "Lab"}, at=EARLIER)
    assert org.record("Account", account)["CreatedDate"] == shown(EARLIER + timedelta(seconds=90))
    answer = rest.call("GET", f"sobjects/Account/{account}")
    assert parsedate_to_datetime(answer.headers["date"]) == NOW + timedelta(seconds=90)
    assert "date" in rest.call("GET", "sobjects/Nothing").headers


def test_import_may_bring_an_older_modification_date_and_no_older_stamp(org: SalesforceOrg) -> None:
    account = org.add("Account", {"Name": "Lab", "LastModifiedDate": "2020-01-01T00:00:00Z"})
    row = org.record("Account", account)
    assert (row["LastModifiedDate"], row["SystemModstamp"]) == ("2020-01-01T00:00:00.000+0000", shown(NOW))


def test_system_process_moves_the_stamp_of_all_records_and_nothing_else(org: SalesforceOrg, rest: Rest) -> None:
    ids = org.load("Contact", ({"LastName": f"C{number}"} for number in range(3)), at=EARLIER)
    before = [{**org.record("Contact", each), "SystemModstamp": None} for each in ids]
    org.touch("Contact")
    assert [{**org.record("Contact", each), "SystemModstamp": None} for each in ids] == before
    assert [row["Id"] for row in rest.query(window(NOW, NOW + timedelta(hours=1)))] == ids
    org.touch("Contact", ids[:1], at=NOW + timedelta(hours=2))
    assert [row["Id"] for row in rest.query(window(NOW, NOW + timedelta(hours=1)))] == ids[1:]


def test_change_that_becomes_visible_late_has_an_early_stamp(org: SalesforceOrg, rest: Rest) -> None:
    contact = org.add("Contact", {"LastName": "C"}, at=NOW - timedelta(days=1))
    passed = window(EARLIER - timedelta(minutes=1), NOW)
    assert rest.query(passed) == []
    org.update("Contact", contact, {"Phone": "1"}, at=EARLIER)
    assert [row["Id"] for row in rest.query(passed)] == [contact]


def test_thousands_of_records_with_one_stamp_are_walked_by_id(org: SalesforceOrg, rest: Rest) -> None:
    ids = org.load("Contact", ({"LastName": f"C{number}"} for number in range(4_500)), at=EARLIER)
    pages: list[list[str]] = []
    while not pages or len(pages[-1]) == 2_000:
        statement = window(EARLIER, EARLIER + timedelta(seconds=1), after=pages[-1][-1] if pages else "")
        (result,) = rest.composite({"method": "GET", "url": f"{API}/query?q={statement.replace(' ', '+')}", "referenceId": "changed"})
        pages.append([row["Id"] for row in result["body"]["records"]])
        org.update("Contact", ids[len(pages)], {"Phone": "1"})
    assert [len(page) for page in pages] == [2_000, 2_000, 500]
    assert [each for page in pages for each in page] == ids, "an edited record left the window behind the walk"


def test_loader_changes_and_adds_records_with_one_stamp(org: SalesforceOrg) -> None:
    old = org.add("Account", {"Name": "Old"}, at=EARLIER)
    loader = org.add_user(username="loader@acme.example", last_name="Loader")
    changed, added = org.load("Account", [{"Id": old, "Phone": "1"}, {"Name": "New"}], by=loader)
    rows = [org.record("Account", each) for each in (changed, added)]
    assert (changed, [row["Phone"] for row in rows]) == (old, ["1", None])
    assert {(row["LastModifiedById"], row["SystemModstamp"]) for row in rows} == {(loader, shown(NOW))}


def test_call_can_be_met_by_a_person_who_edits_before_its_answer(org: SalesforceOrg, rest: Rest) -> None:
    contact = org.add("Contact", {"LastName": "C"})
    calls: list[tuple[str, str]] = []

    def edit(method: str, path: str) -> None:
        calls.append((method, path))
        org.update("Contact", contact, {"Phone": str(len(calls))})

    org.on_request = edit
    assert [rest.query("SELECT Phone FROM Contact")[0]["Phone"] for _ in range(2)] == ["1", "2"]
    assert calls == [("GET", "query")] * 2


def test_organization_may_keep_values_in_a_form_of_its_own(org: SalesforceOrg, rest: Rest) -> None:
    org.formatting = lambda name, value: value.replace(" ", "") if name == "Phone" and isinstance(value, str) else value
    account = org.add("Account", {"Name": "Old Lab", "Phone": "1 5"})
    assert org.record("Account", account)["Phone"] == "15"
    rest.update("Account", {"id": account, "Phone": "1 555"})
    assert (org.record("Account", account)["Phone"], org.record("Account", account)["Name"]) == ("1555", "Old Lab")


def test_all_that_changed_comes_in_one_counted_call_and_goes_with_it(org: SalesforceOrg, rest: Rest) -> None:
    account = org.add("Account", {"Name": "Lab"})
    contact = org.add("Contact", {"LastName": "C"})
    org.track("Account", "Phone")
    org.api_calls = 0
    queries = [f"SELECT Id FROM {name} WHERE SystemModstamp >= {EARLIER:%Y-%m-%dT%H:%M:%SZ}" for name in ("Account", "Contact", "Lead")]
    queries.append("SELECT Id FROM AccountHistory")
    urls = [f"{API}/query?q={query.replace(' ', '+')}" for query in queries]
    calls = [{"method": "GET", "url": url, "referenceId": f"q{number}"} for number, url in enumerate(urls)]
    delete = {"method": "DELETE", "url": f"{API}/composite/sobjects?ids={contact}", "referenceId": "delete"}
    results = rest.composite(*calls, delete)
    assert [[row["Id"] for row in result["body"]["records"]] for result in results[:4]] == [[account], [contact], [], []]
    assert (outcomes(results[4]["body"]), org.records("Contact"), org.api_calls) == (["ok"], [], 1)
    six = {"compositeRequest": [*calls, delete, {**calls[0], "referenceId": "sixth"}]}
    assert rest.refusal("POST", "composite", json=six) == (400, "LIMIT_EXCEEDED")


# Formulas


def test_formula_changes_without_moving_a_stamp(org: SalesforceOrg, rest: Rest) -> None:
    rate = {"value": 2}
    org.add_field("Account", name="Score__c", type="double", digits=18, formula=lambda row: rate["value"] * row.get("NumberOfEmployees", 0))
    account = org.add("Account", {"Name": "Lab", "NumberOfEmployees": 10}, at=EARLIER)
    before = org.record("Account", account)
    rate["value"] = 3
    assert before["Score__c"] == 20
    assert org.record("Account", account) == {**before, "Score__c": 30}
    assert rest.query("SELECT Score__c FROM Account WHERE Score__c > 25")[0]["Score__c"] == 30
    org.add("Contact", {"LastName": "C", "AccountId": account})
    assert rest.query("SELECT Account.Score__c FROM Contact")[0]["Account"]["Score__c"] == 30


def test_formula_is_described_as_calculated_and_cannot_be_written(org: SalesforceOrg, rest: Rest) -> None:
    org.add_field("Account", name="Score__c", type="double", formula=lambda row: 1.0)  # noqa: ARG005 - the same for all
    described = {field["name"]: field for field in rest.call("GET", "sobjects/Account/describe").json()["fields"]}
    assert [described["Score__c"][name] for name in ("calculated", "createable", "updateable")] == [True, False, False]
    assert described["Name"]["calculated"] is False
    (result,) = rest.update("Account", {"id": org.add("Account", {"Name": "Lab"}), "Score__c": 2.0})
    assert error(result) == ("INVALID_FIELD_FOR_INSERT_UPDATE", ["Score__c"])


# Field history


def history(rest: Rest, *ids: str, of: str = "Account") -> list[tuple[Any, ...]]:
    """Field, old and new value of all history rows but those of creates."""
    named = ",".join(f"'{each}'" for each in ids)
    rows = rest.query(f"SELECT Field, OldValue, NewValue FROM {of}History WHERE {of}Id IN ({named}) AND Field != 'created' ORDER BY Id")
    return [(row["Field"], row["OldValue"], row["NewValue"]) for row in rows]


def test_history_holds_each_change_of_a_tracked_field_with_its_time_and_user(org: SalesforceOrg, rest: Rest) -> None:
    org.track("Contact", "Phone", "Email")
    contact = org.add("Contact", {"LastName": "C", "Phone": "1"}, at=EARLIER, by=org.person_id)
    org.update("Contact", contact, {"Phone": "2", "Title": "Dr"}, at=EARLIER + timedelta(minutes=1))
    rest.update("Contact", {"id": contact, "Phone": None, "Email": "c@labs.example.org"})
    rows = rest.query(
        "SELECT ContactId, Field, DataType, OldValue, NewValue, CreatedDate, CreatedById, CreatedBy.Username FROM ContactHistory "
        f"WHERE ContactId IN ('{contact}') ORDER BY Id"
    )
    assert [(row["Field"], row["DataType"], row["OldValue"], row["NewValue"], row["CreatedById"]) for row in rows] == [
        ("created", None, None, None, org.person_id),
        ("Phone", "Phone", "1", "2", org.person_id),
        ("Phone", "Phone", "2", None, org.user_id),
        ("Email", "Email", None, "c@labs.example.org", org.user_id),
    ]
    assert [row["CreatedDate"] for row in rows[:3]] == [shown(EARLIER), shown(EARLIER + timedelta(minutes=1)), shown(NOW)]
    assert (rows[2]["CreatedBy"]["Username"], rows[2]["ContactId"]) == ("integration@sandbox.example", contact)


def test_untracked_fields_and_times_leave_no_history(org: SalesforceOrg, rest: Rest) -> None:
    account = org.add("Account", {"Name": "Lab", "Phone": "1"})
    org.update("Account", account, {"Phone": "2"})
    org.track("Account", "Phone")
    assert history(rest, account) == []
    org.update("Account", account, {"Phone": "2", "Name": "Laboratory"})
    org.touch("Account")
    assert history(rest, account) == []


def test_long_text_is_named_without_its_values(org: SalesforceOrg, rest: Rest) -> None:
    org.track("Account", "Description", "BillingStreet")
    account = org.add("Account", {"Name": "Lab", "Description": "a"})
    org.update("Account", account, {"Description": "b", "BillingStreet": "1 Main St"})
    assert history(rest, account) == [("Description", None, None), ("BillingStreet", None, "1 Main St")]


def test_numbers_and_flags_keep_their_types_in_history(org: SalesforceOrg, rest: Rest) -> None:
    org.track("Account", "NumberOfEmployees")
    org.track("Contact", "DoNotCall")
    account, contact = org.add("Account", {"Name": "Lab"}), org.add("Contact", {"LastName": "C"})
    org.update("Account", account, {"NumberOfEmployees": 7})
    org.update("Contact", contact, {"DoNotCall": True})
    assert history(rest, account) == [("NumberOfEmployees", None, 7)]
    assert history(rest, contact, of="Contact") == [("DoNotCall", False, True)]


def test_history_may_name_a_field_in_its_own_way(org: SalesforceOrg, rest: Rest) -> None:
    org.track("Account", "Name")
    org.history_names = {("Account", "Name"): "TextName"}
    account = org.add("Account", {"Name": "Lab"})
    org.update("Account", account, {"Name": "Laboratory"})
    assert history(rest, account) == [("TextName", "Lab", "Laboratory")]


def test_refused_and_undone_saves_leave_no_history(org: SalesforceOrg, rest: Rest) -> None:
    org.track("Account", "Phone")
    account = org.add("Account", {"Name": "Lab"})
    bad = {"id": account[:15] + "AAA", "Phone": "2"}
    results = rest.update("Account", {"id": account, "Phone": "1"}, bad, allOrNone=True)
    assert [result["success"] for result in results] == [False, False]
    assert (history(rest, account), org.record("Account", account)["Phone"]) == ([], None)


def test_there_is_no_history_of_an_object_that_is_not_tracked(org: SalesforceOrg, rest: Rest) -> None:
    assert rest.query_refusal("SELECT Id FROM AccountHistory") == "INVALID_TYPE"
    org.track("Account", "Phone")
    assert rest.query("SELECT Id FROM AccountHistory") == []
    assert rest.query_refusal("SELECT Id FROM ContactHistory") == "INVALID_TYPE"


def test_history_can_be_neither_written_nor_filtered_by_value(org: SalesforceOrg, rest: Rest) -> None:
    org.track("Account", "Phone")
    assert rest.query_refusal("SELECT Id FROM AccountHistory WHERE NewValue = 'x'") == "INVALID_FIELD"
    assert rest.query_refusal("SELECT Id FROM AccountHistory WHERE ParentId = '001'") == "INVALID_FIELD"
    assert outcomes(rest.create("AccountHistory", {"Field": "Phone"})) == ["INVALID_TYPE_FOR_OPERATION"]
    assert org.records("AccountHistory") == []


def test_history_goes_and_comes_back_with_its_record(org: SalesforceOrg, rest: Rest) -> None:
    org.track("Account", "Phone")
    account = org.add("Account", {"Name": "Lab"})
    org.update("Account", account, {"Phone": "1"})
    org.delete("Account", account)
    assert history(rest, account) == []
    org.undelete("Account", account)
    assert history(rest, account) == [("Phone", None, "1")]
    org.purge("Account", account)
    assert org.records("AccountHistory", include_deleted=True) == []


def test_at_most_20_fields_are_tracked_and_none_that_the_system_computes(org: SalesforceOrg) -> None:
    org.add_field("Account", name="Score__c", type="double", formula=lambda row: 1.0)  # noqa: ARG005 - the same for all
    for name in ("Score__c", "LastModifiedDate", "ParentId", "BillingAddress"):
        with pytest.raises(ValueError, match=name):
            org.track("Account", name)
    for number in range(20):
        org.add_field("Account", name=f"F{number}__c", type="string", length=10)
        org.track("Account", f"F{number}__c")
    with pytest.raises(ValueError, match="20"):
        org.track("Account", "Phone")
    with pytest.raises(ValueError, match="User"):
        org.track("User", "Alias")


# Deleting


def test_deleted_account_takes_contacts_and_opportunities_along_and_back(org: SalesforceOrg, rest: Rest) -> None:
    account, other = org.add("Account", {"Name": "Lab"}), org.add("Account", {"Name": "Other"})
    contact = org.add("Contact", {"LastName": "C", "AccountId": account})
    org.add("Contact", {"LastName": "D", "AccountId": other})
    deal = org.add("Opportunity", {"Name": "Deal", "AccountId": account, "StageName": "Open", "CloseDate": "2026-12-01"})
    answer = rest.call("DELETE", "composite/sobjects", params={"ids": account}).json()
    assert outcomes(answer) == ["ok"]
    assert [row["LastName"] for row in org.records("Contact")] == ["D"]
    assert (org.records("Opportunity"), org.record("Contact", contact)["IsDeleted"]) == ([], True)
    assert org.record("Contact", contact)["LastModifiedById"] == org.user_id
    org.undelete("Account", account)
    assert [row["Id"] for row in org.records("Opportunity")] == [deal]
    described = rest.call("GET", "sobjects/Account/describe").json()["childRelationships"]
    cascades = {child["childSObject"] for child in described if child["cascadeDelete"]}
    assert {"Contact", "Opportunity"} <= cascades


def test_200_records_are_deleted_in_one_call_and_not_more(org: SalesforceOrg, rest: Rest) -> None:
    ids = org.load("Contact", ({"LastName": f"C{number}"} for number in range(201)))
    assert rest.refusal("DELETE", "composite/sobjects", params={"ids": ",".join(ids)}) == (400, "EXCEEDED_ID_LIMIT")
    assert rest.call("DELETE", "composite/sobjects", params={"ids": ",".join(ids[:200])}).json()[199]["success"] is True
    assert [row["Id"] for row in org.records("Contact")] == ids[200:]


@pytest.mark.parametrize("whose", ["own", "child's"])
def test_record_on_which_others_hang_cannot_be_deleted(org: SalesforceOrg, rest: Rest, whose: str) -> None:
    account, free = org.add("Account", {"Name": "Lab"}), org.add("Account", {"Name": "Free"})
    contact = org.add("Contact", {"LastName": "C", "AccountId": account})
    org.undeletable.add(account if whose == "own" else contact)
    answer = rest.call("DELETE", "composite/sobjects", params={"ids": f"{account},{free}"}).json()
    assert outcomes(answer) == ["DELETE_FAILED", "ok"]
    assert [row["Id"] for row in org.records("Account")] == [account]
    assert len(org.records("Contact")) == 1


def test_emptied_bin_is_still_seen_for_a_time_and_gives_nothing_back(org: SalesforceOrg, rest: Rest) -> None:
    contact = org.add("Contact", {"LastName": "C"})
    org.delete("Contact", contact, at=EARLIER, by=org.user_id)
    row = org.record("Contact", contact)
    assert (row["SystemModstamp"], row["LastModifiedById"]) == (shown(EARLIER), org.user_id)
    org.empty_recycle_bin(leaves_traces=True)
    assert [each["Id"] for each in rest.query("SELECT Id FROM Contact WHERE IsDeleted = true", resource="queryAll")] == [contact]
    with pytest.raises(KeyError):
        org.undelete("Contact", contact)
    org.empty_recycle_bin()
    assert org.records("Contact", include_deleted=True) == []


def test_purged_account_takes_its_contacts_past_the_bin(org: SalesforceOrg, rest: Rest) -> None:
    account = org.add("Account", {"Name": "Lab"})
    org.add("Contact", {"LastName": "C", "AccountId": account})
    org.purge("Account", account)
    assert [rest.query(f"SELECT Id FROM {name}", resource="queryAll") for name in ("Account", "Contact")] == [[], []]


# Leads


@pytest.fixture
def lead(org: SalesforceOrg) -> str:
    org.add_field("Lead", name=KEY, type="string", length=64, external_id=True, unique=True)
    return org.add("Lead", {"LastName": "Ruiz", "Company": "Lab", "Email": "ana@labs.example.org", "Phone": "1", KEY: "c1"}, at=EARLIER)


def test_converted_lead_points_to_the_records_it_became(org: SalesforceOrg, rest: Rest, lead: str) -> None:
    account, contact = org.convert_lead(lead, carried={KEY: KEY})
    row = rest.query(f"SELECT IsConverted, ConvertedDate, ConvertedAccountId, ConvertedContactId FROM Lead WHERE {KEY} = 'c1'")[0]
    assert [row[name] for name in ("IsConverted", "ConvertedDate", "ConvertedAccountId", "ConvertedContactId")] == [
        True,
        "2026-11-01",
        account,
        contact,
    ]
    became = org.record("Contact", contact)
    assert [became[name] for name in ("LastName", "Email", "AccountId", KEY)] == ["Ruiz", "ana@labs.example.org", account, "c1"]
    assert org.record("Account", account)["Name"] == "Lab"


def test_conversion_into_a_contact_fills_only_what_it_lacks(org: SalesforceOrg, lead: str) -> None:
    account = org.add("Account", {"Name": "Held"})
    contact = org.add("Contact", {"LastName": "Held", "AccountId": account})
    assert org.convert_lead(lead, account_id=account, contact_id=contact) == (account, contact)
    row = org.record("Contact", contact)
    assert (row["LastName"], row["Phone"], row[KEY]) == ("Held", "1", None)


def test_conversion_fails_where_the_key_is_another_contacts(org: SalesforceOrg, lead: str) -> None:
    org.add("Contact", {"LastName": "Other", KEY: "c1"})
    with pytest.raises(ValueError, match=KEY):
        org.convert_lead(lead, carried={KEY: KEY})
    assert org.records("Account") == []
    assert not org.record("Lead", lead)["IsConverted"]


def test_lead_without_a_company_becomes_a_person_account_where_there_are_such() -> None:
    org = SalesforceOrg(person_accounts=True)
    ids = [org.add("Lead", {"LastName": "Ruiz", "Email": "ana@labs.example.org", **values}) for values in ({}, {"Company": "Lab"})]
    became = [org.convert_lead(lead) for lead in ids]
    rows = [(org.record("Account", account), org.record("Contact", contact)) for account, contact in became]
    assert [(account["Name"], account["IsPersonAccount"], contact["IsPersonAccount"]) for account, contact in rows] == [
        ("Ruiz", True, True),
        ("Lab", False, False),
    ]


def test_lead_needs_a_company_where_there_are_no_person_accounts(org: SalesforceOrg) -> None:
    with pytest.raises(ValueError, match="Company"):
        org.add("Lead", {"LastName": "Ruiz"})


def test_converted_lead_is_not_updated_unless_the_organization_lets_it(org: SalesforceOrg, rest: Rest, lead: str) -> None:
    org.convert_lead(lead)
    assert outcomes(rest.update("Lead", {"id": lead, "Phone": "2"})) == ["CANNOT_UPDATE_CONVERTED_LEAD"]
    assert outcomes(rest.upsert("Lead", {KEY: "c1", "LastName": "R", "Company": "L"})) == ["CANNOT_UPDATE_CONVERTED_LEAD"], "found by key"
    org.edits_converted_leads = True
    assert outcomes(rest.update("Lead", {"id": lead, "Phone": "2"})) == ["ok"]
    with pytest.raises(ValueError, match="converted"):
        org.convert_lead(lead)


@pytest.mark.parametrize(
    ("header", "assigned"), [({}, True), ({"Sforce-Auto-Assign": "TRUE"}, True), ({"Sforce-Auto-Assign": "FALSE"}, False)]
)
def test_assignment_rules_run_unless_the_call_says_no(org: SalesforceOrg, rest: Rest, header: dict[str, str], assigned: Any) -> None:
    org.assigned_owner["Lead"] = lambda row: org.person_id  # noqa: ARG005 - one owner for all
    record = {"attributes": {"type": "Lead"}, "LastName": "Ruiz", "Company": "Lab"}
    (created,) = rest.call("POST", "composite/sobjects", json={"records": [record]}, headers=header).json()
    owner = org.record("Lead", created["id"])["OwnerId"]
    assert (owner == org.person_id) is assigned
