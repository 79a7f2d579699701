"""A portal served over HTTP, and a client that is signed in to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from crm_pipeline.sandbox.faults import Faults
from crm_pipeline.sandbox.hubspot import HubSpotPortal, hubspot_app
from crm_pipeline.sandbox.journal import Journal
from crm_pipeline.sandbox.server import serve

OBJECTS = "/crm/v3/objects"
ASSOCIATIONS = "/crm/v4/associations"
TOKEN = "pat-na1-a-token-for-tests"


@dataclass
class Hand:
    """A clock that is moved by hand, in seconds since 1970."""

    now: float = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Served:
    """A portal, where it is served, and a client with its token."""

    portal: HubSpotPortal
    url: str
    http: httpx.Client
    clock: Hand
    faults: Faults

    def post(self, path: str, body: Any, *, expect: int | None = 200) -> Any:
        """Post a body and return the answer's, after a look at its status."""
        answer = self.http.post(path, json=body)
        assert expect is None or answer.status_code == expect, (answer.status_code, answer.text)
        return answer.json() if answer.content else None

    def get(self, path: str, *, expect: int = 200, **query: str) -> Any:
        """Get a path and return the answer's body."""
        answer = self.http.get(path, params=query)
        assert answer.status_code == expect, (answer.status_code, answer.text)
        return answer.json()


Serve = Callable[..., Served]


class Front:
    """The app that is served for all tests; each test puts its own portal behind it."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def front() -> Iterator[tuple[Front, str, httpx.Client, Faults]]:
    """One server and one client (whose making is dear) for all tests."""
    front, faults = Front(), Faults()
    with serve({"hubspot": front}, journal=Journal(), faults=faults) as urls, httpx.Client(base_url=urls["hubspot"], timeout=60) as http:
        yield front, urls["hubspot"], http, faults


@pytest.fixture
def served_portal(front: tuple[Front, str, httpx.Client, Faults]) -> Iterator[Serve]:
    """Serves a portal with these settings; its clocks stand still until they are moved."""
    served, url, http, faults = front

    def start(**settings: Any) -> Served:
        clock = Hand()
        portal = HubSpotPortal(**{"token": TOKEN, "external_keys": True, "clock": clock, "ticks": clock, **settings})
        served.app = hubspot_app(portal)
        http.headers["Authorization"] = f"Bearer {portal.token}"
        return Served(portal, url, http, clock, faults)

    yield start
    faults.clear()


@pytest.fixture
def hubspot(served_portal: Serve) -> Served:
    """A portal with its default settings and the unique property ``qbench_id``."""
    return served_portal()


def contact_row(number: int, *, trace: bool = True, **properties: str | None) -> dict[str, Any]:
    """An upsert input for a contact keyed by its QBench id."""
    values = {"qbench_id": str(number), "email": f"person{number}@example.com", **properties}
    row: dict[str, Any] = {"id": str(number), "idProperty": "qbench_id", "properties": values}
    return {**row, "objectWriteTraceId": f"trace-{number}"} if trace else row


def create_row(trace: str | None = None, *, associations: list[Any] | None = None, **properties: str | None) -> dict[str, Any]:
    """A create input."""
    row: dict[str, Any] = {"properties": properties, "associations": associations or []}
    return row if trace is None else {**row, "objectWriteTraceId": trace}


def reading(*ids: str, **more: Any) -> dict[str, Any]:
    """A batch/read body."""
    return {"properties": [], "propertiesWithHistory": [], "inputs": [{"id": identity} for identity in ids], **more}


def searching(*filters: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A search body with one filter group."""
    groups = [{"filters": list(filters)}] if filters else []
    return {"filterGroups": groups, "properties": [], "sorts": [], "limit": 100, "after": "0", **more}


def pair(from_id: str, to_id: str, *types: int) -> dict[str, Any]:
    """An association input."""
    specs = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": number} for number in types]
    return {"from": {"id": from_id}, "to": {"id": to_id}, "types": specs}


def codes(message: str) -> list[tuple[str, str]]:
    """The property and the code of every problem that a message embeds."""
    embedded = json.loads(message.partition("Property values were not valid: ")[2])
    return [(problem["name"], problem["error"]) for problem in embedded]
