"""What the Salesforce stand-in saves and refuses, row by row, in sObject Collections."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from crm_pipeline.sandbox.salesforce import DuplicateRule, SalesforceOrg, ValidationRule
from crm_pipeline_tests.sandbox.salesforce_http import KEY, Rest, error, outcomes, rest_of


@pytest.fixture
def rest() -> Iterator[Rest]:
    with rest_of(SalesforceOrg(external_keys=True)) as client:
        yield client


# --- create, update, upsert, delete, retrieve


def test_create_answers_in_the_order_of_the_request(rest: Rest) -> None:
    results = rest.create("Account", {"Name": "A"}, {"Name": None}, {"Name": "C"})
    assert outcomes(results) == ["ok", "REQUIRED_FIELD_MISSING", "ok"]
    assert [rest.org.record("Account", result["id"])["Name"] for result in results if result["success"]] == ["A", "C"]
    assert "created" not in results[0]


def test_upsert_creates_then_updates(rest: Rest) -> None:
    (first,) = rest.upsert("Account", {KEY: "a1", "Name": "One", "Phone": "1"})
    (second,) = rest.upsert("Account", {KEY: "A1", "Name": "Two"})
    assert (first["created"], second["created"], first["id"]) == (True, False, second["id"])
    (row,) = rest.org.records("Account")
    assert (row["Name"], row["Phone"]) == ("Two", "1")


def test_null_clears_and_omitted_stays(rest: Rest) -> None:
    account = rest.org.add("Account", {"Name": "A", "Phone": "1", "Fax": "2"})
    assert outcomes(rest.update("Account", {"id": account, "Phone": None})) == ["ok"]
    row = rest.org.record("Account", account)
    assert (row["Phone"], row["Fax"]) == (None, "2")


def test_texts_are_trimmed_blanks_are_null_and_emails_lower_case(rest: Rest) -> None:
    (result,) = rest.create("Contact", {"LastName": "  B  ", "FirstName": "  ", "Email": "A.B@Example.COM"})
    row = rest.org.record("Contact", result["id"])
    assert (row["LastName"], row["FirstName"], row["Email"], row["Name"]) == ("B", None, "a.b@example.com", "B")


def test_a_parent_can_be_named_by_its_external_id(rest: Rest) -> None:
    account = rest.org.add("Account", {"Name": "A", KEY: "a1"})
    results = rest.upsert(
        "Contact",
        {KEY: "c1", "LastName": "B", "Account": {KEY: "a1"}},
        {KEY: "c2", "LastName": "C", "Account": {KEY: "none"}},
    )
    assert outcomes(results) == ["ok", "INVALID_FIELD"]
    assert rest.org.record("Contact", results[0]["id"])["AccountId"] == account
    assert results[1]["errors"][0]["message"].startswith("Foreign key external ID: none not found")


def test_retrieve_gives_null_for_what_is_not_there(rest: Rest) -> None:
    here, gone = rest.org.add("Account", {"Name": "A"}), rest.org.add("Account", {"Name": "B"})
    rest.org.delete("Account", gone)
    answer = rest.call("POST", "composite/sobjects/Account", json={"ids": [gone, here[:15], "nope"], "fields": ["Id", "Name"]}).json()
    assert [row and (row["Id"], row["Name"]) for row in answer] == [None, (here, "A"), None]


def test_delete_puts_records_into_the_recycle_bin(rest: Rest) -> None:
    account = rest.org.add("Account", {"Name": "A"})
    results = rest.call("DELETE", "composite/sobjects", params={"ids": f"{account},001Qb0000009999"}).json()
    assert outcomes(results) == ["ok", "INVALID_CROSS_REFERENCE_KEY"]
    assert rest.org.record("Account", account)["IsDeleted"] is True


def test_upsert_does_not_see_the_recycle_bin(rest: Rest) -> None:
    old = rest.org.add("Account", {"Name": "A", KEY: "a1"})
    rest.org.delete("Account", old)
    (result,) = rest.upsert("Account", {KEY: "a1", "Name": "B"})
    assert result["created"] is True
    assert result["id"] != old


def test_all_or_none_rolls_every_row_back(rest: Rest) -> None:
    account = rest.org.add("Account", {"Name": "Old"})
    results = rest.update("Account", {"id": account, "Name": "New"}, {"id": account[:-6] + "zzzzzz"}, allOrNone=True)
    assert outcomes(results) == ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "MALFORMED_ID"]
    assert rest.org.record("Account", account)["Name"] == "Old"


# --- refused rows

LONG = "x" * 41


@pytest.mark.parametrize(
    ("values", "code", "fields"),
    [
        ({"Phone": "1"}, "REQUIRED_FIELD_MISSING", ["Name"]),
        ({"Name": "   "}, "REQUIRED_FIELD_MISSING", ["Name"]),
        ({"Name": "A", "BillingCity": LONG}, "STRING_TOO_LONG", ["BillingCity"]),
        ({"Name": "A", "NumberOfEmployees": 100_000_000}, "NUMBER_OUTSIDE_VALID_RANGE", ["NumberOfEmployees"]),
        ({"Name": "A", "Nothing__c": "x"}, "INVALID_FIELD", []),
        ({"Name": "A", "CreatedDate": "2026-01-01T00:00:00Z"}, "INVALID_FIELD_FOR_INSERT_UPDATE", ["CreatedDate"]),
        ({"Name": "A", "BillingAddress": None}, "INVALID_FIELD_FOR_INSERT_UPDATE", ["BillingAddress"]),
        ({"Name": "A", "ParentId": "nope"}, "MALFORMED_ID", ["ParentId"]),
        ({"Name": "A", "ParentId": "001Qb0000009999"}, "INVALID_CROSS_REFERENCE_KEY", ["ParentId"]),
        ({"Name": "A", "OwnerId": None}, "INVALID_CROSS_REFERENCE_KEY", ["OwnerId"]),
        ({"Name": "A", "id": "001Qb0000000001"}, "INVALID_FIELD_FOR_INSERT_UPDATE", ["Id"]),
    ],
)
def test_a_wrong_account_is_refused_with_its_code(rest: Rest, values: dict[str, Any], code: str, fields: list[str]) -> None:
    results = rest.create("Account", values, {"Name": "Right"})
    assert error(results[0]) == (code, fields)
    assert outcomes(results)[1] == "ok"
    assert len(rest.org.records("Account")) == 1


@pytest.mark.parametrize("email", ["a@b", "a b@c.de", "ä@c.de", ".a@c.de", "a..b@c.de", "a@-c.de", "a@c.de, d@c.de"])
def test_an_invalid_email_is_refused(rest: Rest, email: str) -> None:
    assert error(rest.create("Contact", {"LastName": "B", "Email": email})[0]) == ("INVALID_EMAIL_ADDRESS", ["Email"])


def test_a_picklist_takes_any_value_until_it_is_restricted(rest: Rest) -> None:
    assert outcomes(rest.create("Account", {"Name": "A", "Industry": "Alchemy"})) == ["ok"]
    rest.org.change_field("Account", "Industry", restricted_picklist=True)
    (result,) = rest.create("Account", {"Name": "A", "Industry": "Alchemy"})
    assert error(result) == ("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", ["Industry"])


def test_a_unique_value_of_another_record_is_refused_and_names_its_id(rest: Rest) -> None:
    holder = rest.org.add("Account", {"Name": "A", KEY: "a1"})
    (result,) = rest.create("Account", {"Name": "B", KEY: "A1"})
    assert error(result) == ("DUPLICATE_VALUE", [KEY])
    assert f"{KEY} duplicates value on record with id: {holder[:15]}" in result["errors"][0]["message"]


def test_external_ids_named_twice_in_one_upsert_fail_all_their_rows(rest: Rest) -> None:
    results = rest.upsert("Account", {KEY: "a1", "Name": "A"}, {KEY: "a2", "Name": "B"}, {KEY: "A1", "Name": "C"})
    assert outcomes(results) == ["DUPLICATE_VALUE", "ok", "DUPLICATE_VALUE"]
    assert results[0]["errors"][0]["message"].startswith("Duplicate external id specified")


def test_ids_named_twice_in_one_update_fail_all_their_rows(rest: Rest) -> None:
    account = rest.org.add("Account", {"Name": "A"})
    results = rest.update("Account", {"id": account, "Name": "B"}, {"id": account[:15], "Name": "C"})
    assert outcomes(results) == ["DUPLICATE_VALUE", "DUPLICATE_VALUE"]
    assert rest.org.record("Account", account)["Name"] == "A"


def test_an_upsert_takes_no_id_and_needs_its_key(rest: Rest) -> None:
    account = rest.org.add("Account", {"Name": "A"})
    results = rest.upsert("Account", {KEY: "a1", "id": account, "Name": "B"}, {"Name": "C"})
    assert outcomes(results) == ["INVALID_FIELD", "MISSING_ARGUMENT"]


def test_an_external_id_that_several_records_carry_is_refused(rest: Rest) -> None:
    rest.org.add_field("Account", name="Code__c", type="string", length=10, external_id=True)
    for _ in range(2):
        rest.org.add("Account", {"Name": "A", "Code__c": "x"})
    (result,) = rest.collection("PATCH", "composite/sobjects/Account/Code__c", "Account", [{"Code__c": "x", "Name": "B"}])
    assert error(result) == ("DUPLICATE_EXTERNAL_ID", ["Code__c"])


def test_an_update_of_a_record_that_is_gone_says_how(rest: Rest) -> None:
    deleted = rest.org.add("Account", {"Name": "A"})
    contact = rest.org.add("Contact", {"LastName": "B"})
    rest.org.delete("Account", deleted)
    ids = [deleted, "001Qb0000009999", "nope", contact, None]
    results = rest.update("Account", *({"id": record_id, "Name": "B"} for record_id in ids))
    assert outcomes(results) == ["ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY", "MALFORMED_ID", "MALFORMED_ID", "MISSING_ARGUMENT"]


def test_a_purged_record_is_an_unknown_one(rest: Rest) -> None:
    account = rest.org.add("Account", {"Name": "A"})
    rest.org.delete("Account", account)
    rest.org.empty_recycle_bin()
    assert outcomes(rest.update("Account", {"id": account, "Name": "B"})) == ["INVALID_CROSS_REFERENCE_KEY"]


def test_a_contact_of_a_deleted_account_is_refused(rest: Rest) -> None:
    account = rest.org.add("Account", {"Name": "A"})
    rest.org.delete("Account", account)
    assert error(rest.create("Contact", {"LastName": "B", "AccountId": account})[0]) == ("ENTITY_IS_DELETED", ["AccountId"])


def test_an_inactive_owner_is_refused(rest: Rest) -> None:
    user = rest.org.add_user(username="gone@sandbox.example", last_name="Gone", active=False)
    assert outcomes(rest.create("Account", {"Name": "A", "OwnerId": user})) == ["OPERATION_WITH_INACTIVE_USER_EXCEPTION"]


def test_a_validation_rule_refuses_what_it_refuses(rest: Rest) -> None:
    rest.org.add_validation_rule(ValidationRule("Account", lambda row: "Phone" not in row, field="Phone"))
    results = rest.create("Account", {"Name": "A"}, {"Name": "B", "Phone": "1"})
    assert outcomes(results) == ["FIELD_CUSTOM_VALIDATION_EXCEPTION", "ok"]


def test_a_locked_record_fails_as_often_as_told(rest: Rest) -> None:
    rest.org.add("Account", {"Name": "A", KEY: "a1"})
    rest.org.lock("Account", "a1", times=2)
    seen = [outcomes(rest.upsert("Account", {KEY: "a1", "Name": "B"}, {KEY: "a2", "Name": "C"})) for _ in range(3)]
    assert seen == [["UNABLE_TO_LOCK_ROW", "ok"], ["UNABLE_TO_LOCK_ROW", "ok"], ["ok", "ok"]]


def test_a_locked_account_fails_its_contacts(rest: Rest) -> None:
    account = rest.org.add("Account", {"Name": "A"})
    rest.org.lock("Account", account)
    results = rest.create("Contact", {"LastName": "B", "AccountId": account}, {"LastName": "C", "AccountId": account})
    assert outcomes(results) == ["UNABLE_TO_LOCK_ROW", "ok"]


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"BillingCountry": "France"}, "ok"),
        ({"BillingCountry": "United States", "BillingState": "Ohio"}, "ok"),
        ({"BillingCountryCode": "US", "BillingStateCode": "OH"}, "ok"),
        ({"BillingCountry": "FR"}, "FIELD_INTEGRITY_EXCEPTION"),
        ({"BillingState": "Ohio"}, "FIELD_INTEGRITY_EXCEPTION"),
        ({"BillingCountry": "France", "BillingState": "Ohio"}, "FIELD_INTEGRITY_EXCEPTION"),
        ({"BillingCountryCode": "ZZ"}, "FIELD_INTEGRITY_EXCEPTION"),
    ],
)
def test_places_are_checked_where_the_organization_keeps_lists_of_them(values: dict[str, Any], code: str) -> None:
    with rest_of(SalesforceOrg(state_country_picklists=True)) as rest:
        assert outcomes(rest.create("Account", {"Name": "A", **values})) == [code]


# --- duplicate rules


def test_duplicate_rules_are_off_until_one_is_added(rest: Rest) -> None:
    assert outcomes(rest.create("Account", {"Name": "A"}, {"Name": "A"})) == ["ok", "ok"]


def test_an_alert_rule_refuses_creates_and_updates_until_the_header_allows_them(rest: Rest) -> None:
    rest.org.add_duplicate_rule(DuplicateRule("Account", ("Name",)))
    rest.org.add("Account", {"Name": "A"})
    other = rest.org.add("Account", {"Name": "B"})
    assert error(rest.create("Account", {"Name": "a"})[0]) == ("DUPLICATES_DETECTED", [])
    assert outcomes(rest.update("Account", {"id": other, "Name": "A"})) == ["DUPLICATES_DETECTED"]
    rest.http.headers["Sforce-Duplicate-Rule-Header"] = "allowSave=true; includeRecordDetails=false"
    assert outcomes(rest.create("Account", {"Name": "a"})) == ["ok"]


def test_a_block_rule_refuses_whatever_the_header_says(rest: Rest) -> None:
    rest.org.add_duplicate_rule(DuplicateRule("Account", ("Name",), action="block"))
    rest.http.headers["Sforce-Duplicate-Rule-Header"] = "allowSave=true"
    assert outcomes(rest.create("Account", {"Name": "A"}, {"Name": "A"})) == ["ok", "DUPLICATES_DETECTED"]


def test_a_single_row_names_its_duplicates_and_a_collection_only_where_told(rest: Rest) -> None:
    rest.org.add_duplicate_rule(DuplicateRule("Account", ("Name",)))
    account = rest.org.add("Account", {"Name": "A"})
    single = rest.call("POST", "sobjects/Account", json={"Name": "A"}).json()[0]
    assert single["duplicateResult"]["matchResults"][0]["matchRecords"][0]["record"]["Id"] == account
    assert "duplicateResult" not in rest.create("Account", {"Name": "A"})[0]["errors"][0]
    rest.org.duplicates_named_in_collections = True
    assert "duplicateResult" in rest.create("Account", {"Name": "A"})[0]["errors"][0]


# --- calls refused as a whole


def whole(rest: Rest, method: str, path: str, records: list[Any]) -> tuple[int, str]:
    return rest.refusal(method, path, json={"records": records})


def test_more_than_200_records_are_refused(rest: Rest) -> None:
    records = [{"attributes": {"type": "Account"}, "Name": "A"}] * 201
    assert whole(rest, "POST", "composite/sobjects", records) == (400, "EXCEEDED_ID_LIMIT")
    assert rest.org.records("Account") == []


def test_more_than_2_000_ids_are_refused(rest: Rest) -> None:
    body = {"ids": ["001Qb0000000001"] * 2_001, "fields": ["Id"]}
    assert rest.refusal("POST", "composite/sobjects/Account", json=body) == (400, "EXCEEDED_ID_LIMIT")


def test_more_than_ten_runs_of_one_type_are_refused(rest: Rest) -> None:
    records = [{"attributes": {"type": ("Account", "Contact")[number % 2]}, "Name": "A"} for number in range(11)]
    assert whole(rest, "POST", "composite/sobjects", records) == (400, "LIMIT_EXCEEDED")


@pytest.mark.parametrize(
    "values", [{"Name": 5}, {"Name": "A", "NumberOfEmployees": "5"}, {"Name": "A", "NumberOfEmployees": 5.0}, {"Name": ["A"]}]
)
def test_a_value_of_the_wrong_json_type_stops_the_whole_call(rest: Rest, values: dict[str, Any]) -> None:
    records = [{"attributes": {"type": "Account"}, **each} for each in ({"Name": "Right"}, values)]
    assert whole(rest, "POST", "composite/sobjects", records) == (400, "JSON_PARSER_ERROR")
    assert rest.org.records("Account") == []


def test_records_without_a_type_or_of_another_one_are_refused(rest: Rest) -> None:
    assert whole(rest, "POST", "composite/sobjects", [{"Name": "A"}]) == (400, "INVALID_INPUT")
    contact = [{"attributes": {"type": "Contact"}, KEY: "c1"}]
    assert whole(rest, "PATCH", f"composite/sobjects/Account/{KEY}", contact) == (400, "INVALID_TYPE")


def test_an_upsert_by_a_field_that_is_no_external_id_is_refused(rest: Rest) -> None:
    records = [{"attributes": {"type": "Contact"}, "LastName": "B", "Email": "a@b.de"}]
    assert whole(rest, "PATCH", "composite/sobjects/Contact/Email", records) == (400, "INVALID_FIELD")
