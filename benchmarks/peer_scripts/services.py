"""The three services as a capable user of requests calls them: QBench read page by page, both CRMs written in their largest batches.

A record is found again by the CRM's own external key, so nothing is kept but how far QBench was read. Values go as QBench has them, but for
the industry, of which HubSpot takes its own options only. Whatever is not written raises.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

import jwt
import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

KINDS = ("customers", "contacts")
"""In the order of a load: a contact's customer is there before it."""
PAGE = 50
LIST: Mapping[str, str | int] = {"page_size": PAGE, "sort_by": "last_updated", "sort_order": "ASC"}
QBENCH_API = "/qbench/api/v2"
SALESFORCE_API = "/services/data/v64.0/composite/sobjects"

SALESFORCE_OBJECTS = {"customers": "Account", "contacts": "Contact"}
SALESFORCE_FIELDS = {
    "customers": {
        "Name": "customer_name",
        "Description": "comments",
        "Website": "website",
        "Industry": "industry",
        "NumberOfEmployees": "employees",
        "Phone": "phone",
        "BillingStreet": "address",
        "BillingCity": "city_name",
        "BillingState": "state_name",
        "BillingPostalCode": "zip_postal_code",
        "BillingCountry": "country_name",
    },
    "contacts": {
        "Email": "email_address",
        "FirstName": "first_name",
        "LastName": "last_name",
        "Phone": "phone",
        "MailingStreet": "contact_street",
        "MailingCity": "contact_city",
        "MailingState": "contact_state",
        "MailingPostalCode": "contact_zip",
        "MailingCountry": "contact_country",
    },
}
HUBSPOT_OBJECTS = {"customers": "companies", "contacts": "contacts"}
HUBSPOT_FIELDS = {
    "customers": {
        "name": "customer_name",
        "description": "comments",
        "website": "website",
        "industry": "industry",
        "numberofemployees": "employees",
        "phone": "phone",
        "address": "address",
        "city": "city_name",
        "state": "state_name",
        "zip": "zip_postal_code",
        "country": "country_name",
    },
    "contacts": {
        "email": "email_address",
        "firstname": "first_name",
        "lastname": "last_name",
        "phone": "phone",
        "address": "contact_street",
        "city": "contact_city",
        "state": "contact_state",
        "zip": "contact_zip",
        "country": "contact_country",
    },
}
SALESFORCE_ROWS, HUBSPOT_ROWS, HUBSPOT_PAIRS = 200, 100, 1_000
"""The most rows of a write, and the most pairs of an association."""
PRIMARY = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 1}
"""The association with a contact's primary company."""

Row = dict[str, Any]


class NotWrittenError(Exception):
    """A CRM refused rows."""


def new_session() -> requests.Session:
    """A session that tries again what was too much or came too early; every call of these scripts may be repeated."""
    session = requests.Session()
    retries = Retry(total=5, backoff_factor=1, status_forcelist=(429, 502, 503), allowed_methods=None)
    session.mount("http", HTTPAdapter(max_retries=retries))
    return session


def qbench_token(session: requests.Session) -> str:
    """A token of QBench, for an hour."""
    now = int(time.time())
    claims = {"sub": os.environ["QBENCH_CLIENT_ID"], "iat": now, "exp": now + 3_300}
    assertion = jwt.encode(claims, os.environ["QBENCH_CLIENT_SECRET"], algorithm="HS256")
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
    return str(_answer(session.post(f"{os.environ['QBENCH_URL']}/qbench/oauth2/v1/token", data=form))["access_token"])


def needed(kind: str, record: Row) -> Row:
    """What of QBench's record is written to the CRMs, and how far it was read, without what is nested."""
    row = {name: record[name] for name in ("id", "last_updated", *SALESFORCE_FIELDS[kind].values())}
    if kind == "contacts":
        row["customer_id"] = record["customers"][0]["id"]
    return row


class Crms:
    """Salesforce and HubSpot, signed in to once something is to be written."""

    def __init__(self) -> None:
        self._salesforce, self._hubspot = new_session(), new_session()
        self._hubspot.headers["Authorization"] = f"Bearer {os.environ['HUBSPOT_TOKEN']}"
        self._company_ids: dict[str, str] = {}

    def write(self, kind: str, rows: list[Row]) -> None:
        """Create or update rows of a kind in both CRMs. Raises NotWrittenError."""
        for batch in batched(rows, SALESFORCE_ROWS):
            self._write_to_salesforce(kind, batch)
        contact_ids: dict[str, str] = {}
        for batch in batched(rows, HUBSPOT_ROWS):
            (self._company_ids if kind == "customers" else contact_ids).update(self._write_to_hubspot(kind, batch))
        if kind == "contacts":
            self._associate([(contact_ids[str(row["id"])], str(row["customer_id"])) for row in rows])

    def _write_to_salesforce(self, kind: str, rows: list[Row]) -> None:
        if "Authorization" not in self._salesforce.headers:
            form = {"grant_type": "client_credentials"} | {
                name: os.environ[f"SALESFORCE_{name.upper()}"] for name in ("client_id", "client_secret")
            }
            token = _answer(self._salesforce.post(f"{os.environ['SALESFORCE_URL']}/services/oauth2/token", data=form))["access_token"]
            self._salesforce.headers["Authorization"] = f"Bearer {token}"
        name = SALESFORCE_OBJECTS[kind]
        records = [_salesforce_record(kind, row) for row in rows]
        url = f"{os.environ['SALESFORCE_URL']}{SALESFORCE_API}/{name}/QBench_Id__c"
        results = _answer(self._salesforce.patch(url, json={"allOrNone": False, "records": records}))
        refused = [row["id"] for row, result in zip(rows, results, strict=True) if not result["success"]]
        if refused:
            raise NotWrittenError(f"Salesforce refused {kind} {refused}")

    def _write_to_hubspot(self, kind: str, rows: list[Row]) -> dict[str, str]:
        """The ids of the records by those of QBench."""
        inputs = [_hubspot_input(kind, row) for row in rows]
        return self._ids(self._hubspot_batch(f"v3/objects/{HUBSPOT_OBJECTS[kind]}/batch/upsert", {"inputs": inputs}))

    def _associate(self, pairs: list[tuple[str, str]]) -> None:
        """Give contacts, by their ids in HubSpot, their companies, by the customers' ids."""
        unknown = sorted({customer for _, customer in pairs} - self._company_ids.keys())
        for batch in batched(unknown, HUBSPOT_ROWS):
            asked: Row = {"idProperty": "qbench_id", "properties": ["qbench_id"], "propertiesWithHistory": []}
            asked["inputs"] = [{"id": customer} for customer in batch]
            self._company_ids |= self._ids(self._hubspot_batch("v3/objects/companies/batch/read", asked))
        for part in batched(pairs, HUBSPOT_PAIRS):
            inputs = [
                {"from": {"id": contact}, "to": {"id": self._company_ids[customer]}, "types": [PRIMARY]} for contact, customer in part
            ]
            self._hubspot_batch("v4/associations/contacts/companies/batch/create", {"inputs": inputs})

    def _hubspot_batch(self, path: str, body: Row) -> list[Row]:
        answer = _answer(self._hubspot.post(f"{os.environ['HUBSPOT_URL']}/crm/{path}", json=body))
        if answer.get("errors"):
            raise NotWrittenError(f"HubSpot refused {answer['numErrors']} inputs of {path}")
        return list(answer["results"])

    @staticmethod
    def _ids(results: list[Row]) -> dict[str, str]:
        return {result["properties"]["qbench_id"]: result["id"] for result in results}


def batched(items: list[Any], most: int) -> Iterator[list[Any]]:
    """The items in parts of at most so many."""
    return (items[start : start + most] for start in range(0, len(items), most))


def _salesforce_record(kind: str, row: Row) -> Row:
    record: Row = {name: row.get(source) for name, source in SALESFORCE_FIELDS[kind].items()}
    if kind == "contacts":
        record["Account"] = {"QBench_Id__c": str(row["customer_id"])}
    return {"attributes": {"type": SALESFORCE_OBJECTS[kind]}, "QBench_Id__c": str(row["id"]), **record}


def _hubspot_input(kind: str, row: Row) -> Row:
    properties = {name: str(row.get(source) or "") for name, source in HUBSPOT_FIELDS[kind].items()}
    if kind == "customers":
        properties["industry"] = re.sub(r"\W+", "_", properties["industry"]).upper()
    return {"idProperty": "qbench_id", "id": str(row["id"]), "properties": {"qbench_id": str(row["id"]), **properties}}


def _answer(response: requests.Response) -> Any:
    response.raise_for_status()
    return response.json()
