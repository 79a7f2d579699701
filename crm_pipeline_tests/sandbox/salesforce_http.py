"""A plain HTTP client for the Salesforce stand-in, as someone else would write it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from crm_pipeline.sandbox.faults import Faults
from crm_pipeline.sandbox.journal import Journal
from crm_pipeline.sandbox.salesforce import SalesforceOrg, salesforce_app
from crm_pipeline.sandbox.server import serve

API = "/services/data/v64.0"
TOKEN = "/services/oauth2/token"
KEY = "QBench_Id__c"

Row = dict[str, Any]


@dataclass
class Rest:
    """A signed-in client; its paths begin behind ``/services/data/v64.0/``."""

    org: SalesforceOrg
    http: httpx.Client

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.http.request(method, f"{API}/{path}", **more)

    def query(self, soql: str, *, resource: str = "query") -> list[Row]:
        answer = self.call("GET", resource, params={"q": soql})
        assert answer.status_code == 200, answer.text
        records: list[Row] = answer.json()["records"]
        return records

    def refusal(self, method: str, path: str, **more: Any) -> tuple[int, str]:
        """The status and error code of a call that must fail as a whole."""
        answer = self.call(method, path, **more)
        assert answer.status_code >= 300, answer.text
        return answer.status_code, answer.json()[0]["errorCode"]

    def query_refusal(self, soql: str) -> str:
        status, code = self.refusal("GET", "query", params={"q": soql})
        assert status == 400
        return code

    def collection(self, method: str, path: str, object_name: str, records: list[Row], **more: Any) -> list[Row]:
        """The results of a collections call."""
        typed = [{"attributes": {"type": object_name}, **record} for record in records]
        answer = self.call(method, path, json={"records": typed, **more})
        assert answer.status_code == 200, answer.text
        results: list[Row] = answer.json()
        assert len(results) == len(records)
        return results

    def create(self, object_name: str, *records: Row, **more: Any) -> list[Row]:
        return self.collection("POST", "composite/sobjects", object_name, list(records), **more)

    def update(self, object_name: str, *records: Row, **more: Any) -> list[Row]:
        return self.collection("PATCH", "composite/sobjects", object_name, list(records), **more)

    def upsert(self, object_name: str, *records: Row, **more: Any) -> list[Row]:
        return self.collection("PATCH", f"composite/sobjects/{object_name}/{KEY}", object_name, list(records), **more)

    def composite(self, *subrequests: Row, **more: Any) -> list[Row]:
        answer = self.call("POST", "composite", json={"compositeRequest": list(subrequests), **more})
        assert answer.status_code == 200, answer.text
        results: list[Row] = answer.json()["compositeResponse"]
        return results


def error(result: Row) -> tuple[str, list[str]]:
    """The status code and the fields of a failed row."""
    assert result["success"] is False
    (only,) = result["errors"]
    return only["statusCode"], only["fields"]


def outcomes(results: list[Row]) -> list[str]:
    """Per row its status code, or "ok"."""
    return ["ok" if result["success"] else error(result)[0] for result in results]


def sign_in(http: httpx.Client, **form: str) -> httpx.Response:
    return http.post(TOKEN, data={"grant_type": "client_credentials", **form})


@contextmanager
def served(org: SalesforceOrg) -> Iterator[httpx.Client]:
    with (
        serve({"salesforce": salesforce_app(org)}, journal=Journal(), faults=Faults()) as urls,
        # Loading the machine's certificates for every test's client takes longer than the tests; nothing here speaks TLS.
        httpx.Client(base_url=urls["salesforce"], verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), timeout=60) as http,
    ):
        yield http


@contextmanager
def rest_of(org: SalesforceOrg) -> Iterator[Rest]:
    with served(org) as http:
        token = sign_in(http, client_id=org.client_id, client_secret=org.client_secret).json()["access_token"]
        http.headers["authorization"] = f"Bearer {token}"
        yield Rest(org, http)
