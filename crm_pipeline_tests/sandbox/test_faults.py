"""Faults on purpose: each kind, over a real connection, and which requests they meet."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from crm_pipeline.sandbox.faults import Fault, Faults, Kind
from crm_pipeline.sandbox.journal import Journal
from crm_pipeline.sandbox.server import serve
from crm_pipeline_tests.awaiting import await_that
from crm_pipeline_tests.sandbox.qbench_http import plain_client


@dataclass
class Bench:
    client: httpx.Client
    faults: Faults
    journal: Journal
    executed: list[str] = field(default_factory=list)


@pytest.fixture
def bench() -> Iterator[Bench]:
    executed: list[str] = []

    async def execute(request: Request) -> JSONResponse:
        executed.append(f"{request.method} {request.url.path} {len(await request.body())}")
        return JSONResponse({"executed": len(executed)} if request.url.path == "/count" else {"done": True})

    app = Starlette(routes=[Route("/{path:path}", execute, methods=["GET", "POST"])])
    faults, journal = Faults(), Journal()
    with serve({"one": app}, journal=journal, faults=faults) as urls, plain_client(urls["one"]) as client:
        yield Bench(client, faults, journal, executed)


def test_status_answers_in_place_of_the_service(bench: Bench) -> None:
    bench.faults.add(Fault(kind="status", status=429, headers={"Retry-After": "7"}, body={"error": "slow down"}))
    answer = bench.client.post("/x", json=[1])
    assert (answer.status_code, answer.headers["retry-after"], answer.json()) == (429, "7", {"error": "slow down"})
    assert bench.executed == []


def test_status_is_503_unless_said_otherwise(bench: Bench) -> None:
    bench.faults.add(Fault())
    assert bench.client.get("/x").status_code == 503


@pytest.mark.parametrize(
    ("path", "body", "met"),
    [
        ("/people/105", None, True),
        ("/people/105/firm", None, True),
        ("/people?id=105", None, True),
        ("/people/read", {"ids": [104, 105]}, True),
        ("/people/read", {"ids": ["105"]}, True),
        ("/people/1055", None, False),
        ("/people/read", {"ids": ["r105"]}, False),
    ],
)
def test_fault_meets_the_requests_that_name_a_record_wherever_that_stands(bench: Bench, path: str, body: object, *, met: bool) -> None:
    bench.faults.add(Fault(naming="105"))
    assert (bench.client.post(path, json=body).status_code == 503) == met


def test_html_answers_a_page(bench: Bench) -> None:
    bench.faults.add(Fault(kind="html"))
    answer = bench.client.get("/x")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert bench.executed == []


def test_drop_before_closes_the_connection_and_executes_nothing(bench: Bench) -> None:
    bench.faults.add(Fault(kind="drop_before"))
    with pytest.raises(httpx.RemoteProtocolError):
        bench.client.post("/x", content=b"y" * 100_000)
    assert bench.executed == []


def test_drop_after_closes_the_connection_and_has_executed(bench: Bench) -> None:
    bench.faults.add(Fault(kind="drop_after"))
    with pytest.raises(httpx.RemoteProtocolError):
        bench.client.post("/x", content=b"y" * 100_000)
    assert bench.executed == ["POST /x 100000"]


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
def test_dropped_call_is_in_the_journal_without_a_status(bench: Bench, kind: Kind) -> None:
    bench.faults.add(Fault(kind=kind))
    with pytest.raises(httpx.RemoteProtocolError):
        bench.client.get("/x")
    assert [call.status for call in bench.journal.calls()] == [0]


def test_delay_executes_and_answers_late(bench: Bench) -> None:
    bench.faults.add(Fault(kind="delay", seconds=0.05))
    assert bench.client.get("/x").json() == {"done": True}
    assert bench.journal.calls()[0].seconds >= 0.05


def test_held_call_is_executed_once_it_is_let_go(bench: Bench) -> None:
    held = Fault(kind="delay", until=threading.Event())
    bench.faults.add(held)
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(bench.client.get, "/x")
        await_that(lambda: held not in bench.faults.open(), "the call is held")
        assert bench.client.get("/y").json() == {"done": True}, "others are not held"
        assert not answer.done()
        assert held.until is not None
        held.until.set()
        assert answer.result().json() == {"done": True}


def test_held_answer_is_as_it_was_when_the_request_came(bench: Bench) -> None:
    held = Fault(kind="hold", path="/count", until=threading.Event())
    bench.faults.add(held)
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(bench.client.get, "/count")
        await_that(lambda: len(bench.executed) == 1, "the call is executed")
        assert bench.client.get("/count").json() == {"executed": 2}, "others are not held"
        assert not answer.done()
        assert held.until is not None
        held.until.set()
        assert answer.result().json() == {"executed": 1}


def test_fault_meets_only_its_method_and_path(bench: Bench) -> None:
    bench.faults.add(Fault(method="POST", path=r"/batch/\w+$"))
    answers = [bench.client.get("/batch/create"), bench.client.post("/other"), bench.client.post("/batch/create")]
    assert [answer.status_code for answer in answers] == [200, 200, 503]


def test_fault_meets_only_its_service(bench: Bench) -> None:
    bench.faults.add(Fault(service="two"))
    assert bench.client.get("/x").status_code == 200


@pytest.mark.parametrize("asked", [{"params": {"q": "Lab 7 & co"}}, {"json": {"name": "Lab 7 & co"}}], ids=["query", "body"])
def test_fault_meets_only_requests_that_hold_its_text(bench: Bench, asked: dict[str, object]) -> None:
    bench.faults.add(Fault(holding="Lab 7 & co", times=None))
    answers = [bench.client.request("POST", "/x", **asked), bench.client.post("/x", json={"name": "Lab 8"})]  # type: ignore[arg-type]
    assert [answer.status_code for answer in answers] == [503, 200]
    assert len(bench.executed) == 1


def test_rows_are_all_answered_alike(bench: Bench) -> None:
    bench.faults.add(Fault(kind="rows", body={"success": False}))
    answer = bench.client.post("/x", json={"records": [1, 2, 3]})
    assert (answer.status_code, answer.json()) == (200, [{"success": False}] * 3)


def test_fault_ends_after_its_times(bench: Bench) -> None:
    bench.faults.add(Fault(times=2))
    assert [bench.client.get("/x").status_code for _ in range(4)] == [503, 503, 200, 200]


def test_fault_without_an_end_goes_on_until_cleared(bench: Bench) -> None:
    bench.faults.add(Fault(times=None))
    assert [bench.client.get("/x").status_code for _ in range(3)] == [503, 503, 503]
    bench.faults.clear()
    assert bench.client.get("/x").status_code == 200


def test_fault_lets_the_first_ones_pass(bench: Bench) -> None:
    bench.faults.add(Fault(skip=2))
    assert [bench.client.get("/x").status_code for _ in range(4)] == [200, 200, 503, 200]


def test_faults_are_tried_in_the_order_of_their_planning(bench: Bench) -> None:
    bench.faults.add(Fault(status=500))
    bench.faults.add(Fault(status=502))
    assert [bench.client.get("/x").status_code for _ in range(3)] == [500, 502, 200]


def test_open_faults_are_those_not_applied_yet(bench: Bench) -> None:
    used, unused = Fault(path="/x"), Fault(path="/y")
    bench.faults.add(used)
    bench.faults.add(unused)
    bench.client.get("/x")
    assert bench.faults.open() == [unused]


def test_bend_answers_the_truth_changed(bench: Bench) -> None:
    bench.faults.add(Fault(kind="bend", bend=lambda answer: {**answer, "done": "not quite"}))
    assert bench.client.get("/x").json() == {"done": "not quite"}
    assert bench.executed == ["GET /x 0"]
