"""How the Salesforce stand-in lets a client in, and what it refuses before it looks at a record."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline_tests.sandbox.salesforce_http import API, TOKEN, Rest, rest_of, served, sign_in


@pytest.fixture
def org() -> SalesforceOrg:
    return SalesforceOrg(external_keys=True)


@pytest.fixture
def http(org: SalesforceOrg) -> Iterator[httpx.Client]:
    with served(org) as client:
        yield client


@pytest.fixture
def rest(org: SalesforceOrg) -> Iterator[Rest]:
    with rest_of(org) as client:
        yield client


def test_client_credentials_in_the_form_get_a_token(org: SalesforceOrg, http: httpx.Client) -> None:
    answer = sign_in(http, client_id=org.client_id, client_secret=org.client_secret).json()
    assert answer["token_type"] == "Bearer"
    assert answer["instance_url"] == str(http.base_url)
    assert answer["id"].endswith(f"/{org.organization_id}/{org.user_id}")
    assert answer["access_token"]
    assert answer["issued_at"].isdigit()


def test_client_credentials_as_basic_authentication_get_a_token(org: SalesforceOrg, http: httpx.Client) -> None:
    answer = http.post(TOKEN, data={"grant_type": "client_credentials"}, auth=(org.client_id, org.client_secret))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"client_id": "nobody", "client_secret": "nothing"}, "invalid_client_id"),
        ({"client_id": "sandbox-consumer-key", "client_secret": "nothing"}, "invalid_client"),
        ({"grant_type": "password", "username": "u", "password": "p"}, "unsupported_grant_type"),
    ],
)
def test_anything_but_the_right_client_credentials_is_refused(http: httpx.Client, form: dict[str, str], expected: str) -> None:
    answer = sign_in(http, **form)
    assert (answer.status_code, answer.json()["error"]) == (400, expected)


def test_a_call_without_a_session_is_unauthorized(http: httpx.Client) -> None:
    answer = http.get(f"{API}/limits")
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (401, "INVALID_SESSION_ID")


def test_an_expired_session_is_unauthorized(rest: Rest) -> None:
    rest.org.expire_sessions()
    assert rest.refusal("GET", "limits") == (401, "INVALID_SESSION_ID")


@pytest.mark.parametrize("version", ["v45.0", "v999.0", "64.0", "v64"])
def test_an_api_version_that_is_not_served_is_not_found(rest: Rest, version: str) -> None:
    assert rest.http.get(f"/services/data/{version}/limits").status_code == 404


def test_an_unknown_resource_is_not_found(rest: Rest) -> None:
    assert rest.refusal("GET", "sobjects/Nothing/describe") == (404, "NOT_FOUND")


def test_a_resource_names_the_methods_it_allows(rest: Rest) -> None:
    answer = rest.call("GET", "composite/sobjects/Account/QBench_Id__c")
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (405, "METHOD_NOT_ALLOWED")
    assert "Allowed are PATCH" in answer.json()[0]["message"]


def test_every_answer_tells_the_calls_used(rest: Rest) -> None:
    rest.call("GET", "limits")
    answer = rest.call("GET", "sobjects/Nothing")
    assert answer.headers["Sforce-Limit-Info"] == "api-usage=2/100000"


def test_the_daily_limit_refuses_further_calls(rest: Rest) -> None:
    rest.org.daily_limit = 1
    assert rest.call("GET", "limits").json()["DailyApiRequests"] == {"Max": 1, "Remaining": 0}
    answer = rest.call("GET", "limits")
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (403, "REQUEST_LIMIT_EXCEEDED")
    assert answer.headers["Sforce-Limit-Info"] == "api-usage=1/1"


def test_signing_in_is_no_api_call(rest: Rest) -> None:
    assert rest.org.api_calls == 0


def test_a_uri_over_16_384_bytes_is_too_long(rest: Rest) -> None:
    soql = "SELECT Id FROM Account WHERE Name = '" + "x" * 3_000 + "'" + " " * 14_000
    assert rest.call("GET", "query", params={"q": soql}).status_code == 414


def test_uri_and_headers_over_16_384_bytes_are_too_large(rest: Rest) -> None:
    answer = rest.call("GET", "query", params={"q": "SELECT Id FROM Account"}, headers={"x-filler": "y" * 16_384})
    assert answer.status_code == 431


@pytest.mark.parametrize("body", ["{", '{"records": NaN}'])
def test_a_body_that_is_no_json_is_refused(rest: Rest, body: str) -> None:
    assert rest.refusal("POST", "composite/sobjects", content=body, headers={"content-type": "application/json"}) == (
        400,
        "JSON_PARSER_ERROR",
    )


def test_a_body_that_is_not_sent_as_json_is_refused(rest: Rest) -> None:
    assert rest.call("POST", "composite/sobjects", content="a=b", headers={"content-type": "text/plain"}).status_code == 415


def test_describe_tells_what_may_be_written(rest: Rest) -> None:
    fields = {field["name"]: field for field in rest.call("GET", "sobjects/Account/describe").json()["fields"]}
    key = fields["QBench_Id__c"]
    assert all(key[property_] for property_ in ("externalId", "unique", "createable", "updateable", "idLookup", "custom"))
    assert (fields["Name"]["nillable"], fields["Name"]["length"]) == (False, 255)
    assert fields["SystemModstamp"]["createable"] is False
    assert (fields["NumberOfEmployees"]["type"], fields["NumberOfEmployees"]["digits"]) == ("int", 8)
    assert "Biotechnology" in [value["value"] for value in fields["Industry"]["picklistValues"]]


def test_a_field_hidden_from_the_user_does_not_exist_for_the_api(rest: Rest) -> None:
    rest.org.hide_field("Account", "QBench_Id__c")
    fields = [field["name"] for field in rest.call("GET", "sobjects/Account/describe").json()["fields"]]
    assert "QBench_Id__c" not in fields
    assert rest.query_refusal("SELECT QBench_Id__c FROM Account") == "INVALID_FIELD"


def test_person_accounts_and_code_fields_exist_only_where_turned_on(rest: Rest) -> None:
    assert rest.query_refusal("SELECT IsPersonAccount FROM Account") == "INVALID_FIELD"
    assert rest.query_refusal("SELECT BillingCountryCode FROM Account") == "INVALID_FIELD"
    with rest_of(SalesforceOrg(person_accounts=True, state_country_picklists=True)) as other:
        other.org.add("Account", {"FirstName": "Ada", "LastName": "Byron", "IsPersonAccount": True, "BillingCountry": "France"})
        (row,) = other.query("SELECT Name, IsPersonAccount, BillingCountryCode FROM Account")
    assert (row["Name"], row["IsPersonAccount"], row["BillingCountryCode"]) == ("Ada Byron", True, "FR")


def test_all_objects_are_listed(rest: Rest) -> None:
    names = [each["name"] for each in rest.call("GET", "sobjects").json()["sobjects"]]
    assert names[:6] == ["Account", "Contact", "Lead", "Opportunity", "User", "Organization"]
    assert names[6:11] == ["DuplicateRule", "PermissionSet", "PermissionSetAssignment", "FieldPermissions", "ObjectPermissions"]
    assert names[11:] == ["AccountHistory", "ContactHistory", "LeadHistory"]
