"""The Salesforce stand-in driven by the real simple-salesforce client, as its users drive the vendor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
import requests
from requests.adapters import HTTPAdapter
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceAuthenticationFailed, SalesforceMalformedRequest
from simple_salesforce.format import format_soql

from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline_tests.sandbox.salesforce_http import served


class EndpointAdapter(HTTPAdapter):
    """Sends every request to one server: the client has ``https://`` and the vendor's domain built in."""

    def __init__(self, base: str) -> None:
        self.base = urlsplit(base)
        super().__init__()

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        url = urlsplit(request.url or "")
        request.url = urlunsplit((self.base.scheme, self.base.netloc, str(url.path), str(url.query), ""))
        return super().send(request, *args, **kwargs)


@pytest.fixture
def org() -> SalesforceOrg:
    return SalesforceOrg(external_keys=True)


@pytest.fixture
def session(org: SalesforceOrg) -> Iterator[requests.Session]:
    with served(org) as http, requests.Session() as session:
        session.mount("https://", EndpointAdapter(str(http.base_url)))
        yield session


@pytest.fixture
def client(org: SalesforceOrg, session: requests.Session) -> Any:
    return Salesforce(consumer_key=org.client_id, consumer_secret=org.client_secret, domain="sandbox.my", session=session, version="64.0")


def test_wrong_credentials_fail_the_login(org: SalesforceOrg, session: requests.Session) -> None:
    with pytest.raises(SalesforceAuthenticationFailed, match="invalid_client"):
        Salesforce(consumer_key=org.client_id, consumer_secret="wrong", domain="sandbox.my", session=session)


def test_the_client_upserts_collections_and_follows_pages(org: SalesforceOrg, client: Any) -> None:
    org.page_size = 150
    records = [{"attributes": {"type": "Account"}, "QBench_Id__c": f"k{number}", "Name": f"A'{number}"} for number in range(200)]
    results = client.restful("composite/sobjects/Account/QBench_Id__c", method="PATCH", json={"records": records})
    assert all(result["created"] for result in results)
    found = client.query_all("SELECT Id, Name FROM Account")
    assert (found["totalSize"], len(found["records"])) == (200, 200)
    assert client.query(format_soql("SELECT Id FROM Account WHERE Name = {}", "A'7"))["totalSize"] == 1
    assert client.api_usage["api-usage"].used == org.api_calls


def test_the_client_signs_in_again_when_the_session_expires(org: SalesforceOrg, client: Any) -> None:
    org.expire_sessions()
    assert client.query("SELECT Id FROM Organization")["records"][0]["Id"] == org.organization_id


def test_the_client_reads_and_writes_single_rows(org: SalesforceOrg, client: Any) -> None:
    created = client.Account.create({"Name": "A"})
    assert client.Account.update(created["id"], {"Phone": "1"}) == 204
    assert client.Account.upsert("QBench_Id__c/k1", {"Name": "B"}) == 201
    assert client.Account.get_by_custom_id("QBench_Id__c", "k1")["Name"] == "B"
    assert client.Account.describe()["name"] == "Account"
    with pytest.raises(SalesforceMalformedRequest):
        client.Account.create({})


def test_the_client_sees_merges_with_query_all(org: SalesforceOrg, client: Any) -> None:
    winner, loser = org.add("Account", {"Name": "W"}), org.add("Account", {"Name": "L"})
    org.merge("Account", winner, [loser])
    (row,) = client.query_all("SELECT Id, MasterRecordId FROM Account WHERE IsDeleted = true", include_deleted=True)["records"]
    assert (row["Id"], row["MasterRecordId"]) == (loser, winner)
