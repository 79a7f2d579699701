"""The server of the stand-ins: real ports, a journal of every call, a quick end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import requests
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from crm_pipeline.sandbox.faults import Fault, Faults
from crm_pipeline.sandbox.journal import Call, Journal
from crm_pipeline.sandbox.server import reached_directly, serve
from crm_pipeline_tests.sandbox.qbench_http import plain_client


def app_that_says(word: str) -> Starlette:
    async def answer(request: Request) -> JSONResponse:
        body = await request.body()
        return JSONResponse({"word": word, "bytes": len(body)}, status_code=201 if request.method == "POST" else 200)

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with plain_client() as client:
        yield client


@pytest.fixture
def url(journal: Journal) -> Iterator[str]:
    with serve({"one": app_that_says("one")}, journal=journal, faults=Faults()) as urls:
        yield urls["one"]


def test_an_answer_has_no_date_rather_than_that_of_the_start(client: httpx.Client, url: str) -> None:
    assert "date" not in client.get(url).headers


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_every_app_answers_under_its_own_url(client: httpx.Client) -> None:
    apps = {"one": app_that_says("one"), "two": app_that_says("two")}
    with serve(apps, journal=Journal(), faults=Faults()) as urls:
        assert {name: client.get(url).json()["word"] for name, url in urls.items()} == {"one": "one", "two": "two"}


def test_fixed_port_is_used() -> None:
    port = free_port()
    with serve({"one": app_that_says("one")}, ports={"one": port}, journal=Journal(), faults=Faults()) as urls:
        assert urlsplit(urls["one"]).port == port


def test_taken_port_raises(url: str) -> None:
    ports = {"two": urlsplit(url).port or 0}
    with pytest.raises(OSError, match="in use"), serve({"two": app_that_says("two")}, ports=ports, journal=Journal(), faults=Faults()):
        pass


def test_port_is_free_again_after_the_block(client: httpx.Client) -> None:
    with serve({"one": app_that_says("one")}, journal=Journal(), faults=Faults()) as urls:
        client.get(urls["one"])
    port = urlsplit(urls["one"]).port or 0
    with serve({"one": app_that_says("again")}, ports={"one": port}, journal=Journal(), faults=Faults()) as urls:
        assert client.get(urls["one"]).json()["word"] == "again"


def test_nothing_answers_after_the_block(client: httpx.Client) -> None:
    with serve({"one": app_that_says("one")}, journal=Journal(), faults=Faults()) as urls:
        pass
    with pytest.raises(httpx.ConnectError):
        client.get(urls["one"])


def test_block_ends_while_a_request_is_waiting(client: httpx.Client) -> None:
    faults, seen = Faults(), []
    faults.add(Fault(kind="delay", seconds=3600))

    def ask(url: str) -> None:
        try:
            client.get(url, timeout=None)
        except httpx.HTTPError as error:
            seen.append(type(error))

    with serve({"one": app_that_says("one")}, journal=Journal(), faults=faults) as urls:
        thread = threading.Thread(target=ask, args=(urls["one"],))
        thread.start()
        while faults.open():
            thread.join(0.005)
    thread.join()
    assert seen == [httpx.RemoteProtocolError]


def test_servers_end_with_their_process(client: httpx.Client) -> None:
    program = """
from crm_pipeline.sandbox.faults import Faults
from crm_pipeline.sandbox.journal import Journal
from crm_pipeline.sandbox.server import reached_directly, serve
async def app(scope, receive, send): ...
never_left = serve({"one": app}, journal=Journal(), faults=Faults())
print(never_left.__enter__()["one"])
raise SystemExit(7)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout[:17]) == (7, "http://127.0.0.1:"), ended.stderr
    with pytest.raises(httpx.ConnectError):
        client.get(ended.stdout.strip())


def test_journal_holds_service_method_path_and_status(client: httpx.Client, url: str, journal: Journal) -> None:
    client.post(f"{url}/a/b?secret=1", content=b"x")
    (call,) = journal.calls()
    assert (call.service, call.method, call.path, call.status) == ("one", "POST", "/a/b", 201)


def test_journal_holds_the_seconds_that_a_call_took(client: httpx.Client, url: str, journal: Journal) -> None:
    client.get(url)
    assert journal.calls()[0].seconds > 0


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        ([{}, {}, {}], 3),
        ({"inputs": [{}, {}]}, 2),
        ({"allOrNone": False, "records": [{}] * 200}, 200),
        ({"properties": {}}, None),
        ("text", None),
    ],
)
def test_journal_counts_the_rows_of_a_batch(client: httpx.Client, url: str, journal: Journal, body: Any, rows: int | None) -> None:
    client.post(url, json=body)
    assert journal.calls()[0].rows == rows


def test_broken_json_has_no_rows(client: httpx.Client, url: str, journal: Journal) -> None:
    client.post(url, content=b"[{", headers={"content-type": "application/json"})
    assert journal.calls()[0].rows is None


def test_journal_tells_calls_by_service_and_forgets() -> None:
    journal = Journal()
    for service in ("one", "two", "one"):
        journal.record(Call(service, "GET", "/", 200, 0.1, None))
    assert [call.service for call in journal.calls("one")] == ["one", "one"]
    journal.clear()
    assert journal.calls() == []


def test_large_body_arrives_whole(client: httpx.Client, url: str) -> None:
    assert client.post(url, json=["x" * 10_000_000]).json()["bytes"] == 10_000_004


def test_many_requests_run_over_one_connection(client: httpx.Client, url: str, journal: Journal) -> None:
    for _ in range(50):
        client.get(url)
    assert len(journal.calls()) == 50


@pytest.mark.parametrize("left_out", ["", "example.org"])
def test_stand_ins_are_reached_past_the_proxy_of_the_environment(journal: Journal, monkeypatch: pytest.MonkeyPatch, left_out: str) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", left_out)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    environment = reached_directly(os.environ)
    monkeypatch.setenv("no_proxy", environment["no_proxy"])
    with serve({"echo": app_that_says("hello")}, journal=journal, faults=Faults()) as urls:
        assert httpx.get(urls["echo"], timeout=60).json()["word"] == "hello"
        assert requests.get(urls["echo"], timeout=60).json()["word"] == "hello"
    assert environment["no_proxy"].startswith(left_out)
