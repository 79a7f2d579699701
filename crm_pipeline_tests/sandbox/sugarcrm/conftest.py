"""A site served over HTTP, and a client that is signed in to it."""

from __future__ import annotations

import hashlib
import json
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from crm_pipeline.sandbox.faults import Faults
from crm_pipeline.sandbox.journal import Journal
from crm_pipeline.sandbox.server import serve
from crm_pipeline.sandbox.sugarcrm import SugarSite, sugarcrm_app

Row = dict[str, Any]
KEY = "qbench_id_c"


@dataclass
class Hand:
    """A clock that is moved by hand, in seconds since 1970."""

    now: float = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Served:
    """A site, and a client that is signed in to it and keeps no cookies."""

    site: SugarSite
    http: httpx.Client
    clock: Hand
    faults: Faults
    session: str = ""

    def post(self, method: str, *arguments: Any, headers: dict[str, str] | None = None, timeout: float = 60, **form: str) -> httpx.Response:
        """Call a method with its arguments in order, without a session."""
        rest_data = json.dumps({f"argument_{position}": value for position, value in enumerate(arguments)})
        self.http.cookies.clear()
        whole = {"method": method, "input_type": "JSON", "response_type": "JSON", "rest_data": rest_data, **form}
        return self.http.post(self.site.path, data=whole, headers=headers, timeout=timeout)

    def credentials(self, *, password: str | None = None) -> Row:
        """What ``login`` takes."""
        md5 = hashlib.md5((password or self.site.password).encode(), usedforsecurity=False).hexdigest()
        return {"user_name": self.site.user_name, "password": md5}

    def login(self, *, password: str | None = None) -> Any:
        options = [{"name": "notifyonsave", "value": "false"}]
        return self.post("login", self.credentials(password=password), "tests", options).json()

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the session; the answer's body, after a look at its status."""
        answer = self.post(method, self.session, *arguments)
        assert answer.status_code == 200, (answer.status_code, answer.text)
        return answer.json()

    def save(self, module: str, *rows: Row) -> list[str]:
        """The ids that ``set_entries`` answers."""
        ids: list[str] = self.call("set_entries", module, [named(row) for row in rows])["ids"]
        return ids

    def rows(self, module: str, query: str = "", *fields: str, order: str = "id", deleted: int = 0, most: int = 1_000) -> list[Row]:
        """The values by name of what a query finds."""
        found = self.call("get_entry_list", module, query, order, 0, list(fields), [], most, deleted, False)
        assert "entry_list" in found, found
        return [values(entry) for entry in found["entry_list"]]

    def ids(self, module: str, query: str = "", **more: Any) -> list[str]:
        return [row["id"] for row in self.rows(module, query, "id", **more)]


Serve = Callable[..., Served]


def named(row: Row) -> list[Row]:
    """A row as the API takes it."""
    return [{"name": name, "value": value} for name, value in row.items()]


def values(entry: Row) -> Row:
    """An entry's values by name."""
    return {name: pair["value"] for name, pair in dict(entry["name_value_list"]).items()}


def new(record_id: str, **more: Any) -> Row:
    """A row that is created with its own id."""
    return {"id": record_id, "new_with_id": 1, **more}


class Front:
    """The app that is served for all tests; each test puts its own site behind it."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def front() -> Iterator[tuple[Front, httpx.Client, Faults]]:
    """One server and one client for all tests."""
    front, faults = Front(), Faults()
    with (
        serve({"sugarcrm": front}, journal=Journal(), faults=faults) as urls,
        httpx.Client(base_url=urls["sugarcrm"], verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), timeout=60) as http,
    ):
        yield front, http, faults


@pytest.fixture
def served_site(front: tuple[Front, httpx.Client, Faults]) -> Iterator[Serve]:
    """Serves a site with these settings and signs in; its clock stands still until it is moved."""
    served, http, faults = front

    def start(**settings: Any) -> Served:
        clock = Hand()
        site = SugarSite(**{"external_keys": True, "clock": clock, **settings})
        served.app = sugarcrm_app(site)
        there = Served(site, http, clock, faults)
        there.session = there.login()["id"]
        return there

    yield start
    faults.clear()


@pytest.fixture
def sugar(served_site: Serve) -> Served:
    """A site with its default settings and the custom field ``qbench_id_c``."""
    return served_site()
