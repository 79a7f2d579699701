"""The Salesforce stand-in's single rows and composite calls."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline_tests.sandbox.salesforce_http import API, KEY, Rest, outcomes, rest_of


@pytest.fixture
def rest() -> Iterator[Rest]:
    with rest_of(SalesforceOrg(external_keys=True)) as client:
        yield client


def test_a_row_is_created_read_changed_and_deleted(rest: Rest) -> None:
    created = rest.call("POST", "sobjects/Account", json={"Name": "A"})
    record_id = created.json()["id"]
    assert (created.status_code, created.json()["success"]) == (201, True)
    changed = rest.call("PATCH", f"sobjects/Account/{record_id}", json={"Phone": "1"})
    assert (changed.status_code, changed.content) == (204, b"")
    shown = rest.call("GET", f"sobjects/Account/{record_id}", params={"fields": "Name,Phone"}).json()
    assert (shown["Name"], shown["Phone"]) == ("A", "1")
    assert rest.call("DELETE", f"sobjects/Account/{record_id}").status_code == 204
    assert rest.refusal("GET", f"sobjects/Account/{record_id}") == (404, "ENTITY_IS_DELETED")


def test_a_refused_row_is_a_refused_call(rest: Rest) -> None:
    answer = rest.call("POST", "sobjects/Account", json={})
    assert (answer.status_code, answer.json()[0]["errorCode"], answer.json()[0]["fields"]) == (400, "REQUIRED_FIELD_MISSING", ["Name"])


def test_a_row_of_an_unknown_or_malformed_id_is_not_found(rest: Rest) -> None:
    for record_id in ("001Qb0000009999", "nope"):
        assert rest.refusal("PATCH", f"sobjects/Account/{record_id}", json={"Name": "A"}) == (404, "NOT_FOUND")


def test_a_single_upsert_creates_with_201_and_updates_with_200(rest: Rest) -> None:
    path = f"sobjects/Account/{KEY}/a%2F1"
    first = rest.call("PATCH", path, json={"Name": "A"})
    second = rest.call("PATCH", path, json={"Name": "B"})
    assert (first.status_code, first.json()["created"]) == (201, True)
    assert (second.status_code, second.json()["created"]) == (200, False)
    assert rest.call("GET", path).json()[KEY] == "a/1"


@pytest.mark.parametrize("values", [{"Id": "001Qb0000000001"}, {KEY: "a1"}])
def test_a_single_upsert_takes_neither_id_nor_key_in_its_body(rest: Rest, values: dict[str, str]) -> None:
    assert rest.refusal("PATCH", f"sobjects/Account/{KEY}/a1", json={"Name": "A", **values}) == (400, "INVALID_FIELD")


def test_a_single_upsert_that_several_records_match_offers_the_choice(rest: Rest) -> None:
    rest.org.add_field("Account", name="Code__c", type="string", length=10, external_id=True)
    ids = [rest.org.add("Account", {"Name": "A", "Code__c": "x"}) for _ in range(2)]
    answer = rest.call("PATCH", "sobjects/Account/Code__c/x", json={"Name": "B"})
    assert (answer.status_code, [url.rpartition("/")[2] for url in answer.json()]) == (300, ids)


def test_users_cannot_be_created_by_the_api(rest: Rest) -> None:
    assert rest.refusal("POST", "sobjects/User", json={"Username": "u"}) == (400, "INVALID_TYPE_FOR_OPERATION")


def test_a_converted_lead_cannot_be_updated(rest: Rest) -> None:
    lead = rest.org.add("Lead", {"LastName": "B", "Company": "C", "IsConverted": True})
    assert rest.refusal("PATCH", f"sobjects/Lead/{lead}", json={"Title": "x"}) == (400, "CANNOT_UPDATE_CONVERTED_LEAD")


# --- composite


def upsert_call(name: str, object_name: str, *records: dict[str, object]) -> dict[str, object]:
    typed = [{"attributes": {"type": object_name}, **record} for record in records]
    return {
        "method": "PATCH",
        "url": f"{API}/composite/sobjects/{object_name}/{KEY}",
        "referenceId": name,
        "body": {"records": typed},
    }


def query_call(name: str, soql: str = "SELECT+Id+FROM+Account") -> dict[str, object]:
    return {"method": "GET", "url": f"{API}/query?q={soql}", "referenceId": name}


def test_a_composite_counts_as_one_call_and_keeps_its_order(rest: Rest) -> None:
    accounts, contacts = rest.composite(
        upsert_call("accounts", "Account", {KEY: "a1", "Name": "A"}),
        upsert_call("contacts", "Contact", {KEY: "c1", "LastName": "B", "AccountId": "@{accounts[0].id}"}),
    )
    assert (accounts["referenceId"], outcomes(accounts["body"]), outcomes(contacts["body"])) == ("accounts", ["ok"], ["ok"])
    assert rest.org.records("Contact")[0]["AccountId"] == accounts["body"][0]["id"]
    assert rest.org.api_calls == 1


def test_one_failed_subrequest_leaves_the_others_standing(rest: Rest) -> None:
    wrong, right = rest.composite(query_call("wrong", "SELECT+Nope+FROM+Account"), query_call("right"))
    assert (wrong["httpStatusCode"], wrong["body"][0]["errorCode"], right["httpStatusCode"]) == (400, "INVALID_FIELD", 200)


def test_a_reference_to_nothing_halts_its_subrequest(rest: Rest) -> None:
    found, halted = rest.composite(query_call("found"), query_call("halted", "SELECT+Id+FROM+Account+WHERE+Id='@{Found.records[0].Id}'"))
    assert (found["httpStatusCode"], halted["body"][0]["errorCode"]) == (200, "PROCESSING_HALTED")


def test_an_all_or_none_composite_is_rolled_back(rest: Rest) -> None:
    results = rest.composite(upsert_call("a", "Account", {KEY: "a1", "Name": "A"}), query_call("b", "nonsense"), allOrNone=True)
    assert [result["body"][0]["errorCode"] for result in results] == ["PROCESSING_HALTED", "MALFORMED_QUERY"]
    assert rest.org.records("Account") == []


def test_describes_ride_in_a_composite(rest: Rest) -> None:
    names = ("Account", "Contact")
    calls = [{"method": "GET", "url": f"{API}/sobjects/{name}/describe", "referenceId": name} for name in names]
    assert [result["body"]["name"] for result in rest.composite(*calls)] == list(names)


@pytest.mark.parametrize(
    "subrequests",
    [
        [{"method": "GET", "url": f"{API}/sobjects/Account/describe", "referenceId": f"r{number}"} for number in range(26)],
        [query_call(f"r{number}") for number in range(6)],
    ],
    ids=["26 subrequests", "6 queries"],
)
def test_a_composite_over_its_limits_is_refused(rest: Rest, subrequests: list[dict[str, object]]) -> None:
    assert rest.refusal("POST", "composite", json={"compositeRequest": subrequests}) == (400, "LIMIT_EXCEEDED")
