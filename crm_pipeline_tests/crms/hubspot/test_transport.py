"""How HubSpot is called: its limits kept, its refusals understood, one connection reused."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from crm_pipeline.contracts import OBJECT
from crm_pipeline.crms.abilities import TimedCrm
from crm_pipeline.crms.hubspot import COMPANIES, CONTACTS
from crm_pipeline.crms.hubspot.answers import Answer, InputsRefusedError, content
from crm_pipeline.crms.hubspot.paths import PathFamily
from crm_pipeline.errors import (
    AuthenticationError,
    LimitReachedError,
    ServiceError,
    ServiceUnavailableError,
    UnexpectedAnswerError,
)
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.hubspot import HubSpotPortal
from crm_pipeline.sandbox.hubspot.limits import RateLimits
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.testing.batches import Put, associations_of, results_by_id, valid, writes_of
from crm_pipeline.testing.bench import Bench
from crm_pipeline_tests.crms.hubspot_bench import open_bench

ACCOUNT, CONTACT = RecordType.ACCOUNT, RecordType.CONTACT


@pytest.fixture
def bench(sandbox: Sandbox) -> Bench:
    return open_bench(sandbox)


def error_of(status: int, body: object = None, headers: Mapping[str, str] | None = None) -> ServiceError:
    """The error that an answer means."""
    answer = Answer("POST /path", status, headers or {}, json.dumps(body or {}).encode())
    with pytest.raises(ServiceError) as raised:
        content(answer, integration="demo", token="HUBSPOT_TOKEN", holds=OBJECT)
    return raised.value


# --- what an answer means


@pytest.mark.parametrize(
    ("policy", "headers", "seconds"),
    [
        ("TEN_SECONDLY_ROLLING", {}, 10.0),
        ("SECONDLY", {}, 1.0),
        ("SECONDLY", {"Retry-After": "6"}, 6.0),
        ("TEN_SECONDLY_ROLLING", {"Retry-After": "6"}, 10.0),
        ("SOMETHING_NEW", {"Retry-After": "3"}, 3.0),
        (None, {}, 10.0),
    ],
)
def test_rate_limit_says_how_long_to_wait_and_that_nothing_was_done(policy: str | None, headers: dict[str, str], seconds: float) -> None:
    error = error_of(429, {"errorType": "RATE_LIMIT", "policyName": policy}, headers)
    assert isinstance(error, ServiceUnavailableError)
    assert (error.wait_seconds, error.executed) == (seconds, False)


def test_daily_limit_ends_the_run() -> None:
    assert isinstance(error_of(429, {"policyName": "DAILY"}), LimitReachedError)


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (423, {}, 2.0),
        (423, {"Retry-After": "7"}, 7.0),
        (477, {"Retry-After": "60"}, 60.0),
        (477, {"Retry-After": "Sat, 28 Nov 2026 13:00:00 GMT", "Date": "Sat, 28 Nov 2026 12:00:00 GMT"}, 3_600.0),
        (502, {}, None),
        (524, {}, None),
    ],
)
def test_busy_service_is_unavailable_for_as_long_as_it_says(status: int, headers: dict[str, str], seconds: float | None) -> None:
    error = error_of(status, None, headers)
    assert isinstance(error, ServiceUnavailableError)
    assert error.wait_seconds == seconds


def test_refused_request_names_code_and_correlation_but_no_words_of_the_answer() -> None:
    body = {"message": "ada@example.com is bad", "category": "VALIDATION_ERROR", "correlationId": "aeb5f871-7f07-4993-9211-075dc63e7cbf"}
    error = error_of(400, body)
    assert isinstance(error, InputsRefusedError)
    assert str(error) == (
        "integration demo: hubspot: POST /path answered 400 VALIDATION_ERROR (correlation id aeb5f871-7f07-4993-9211-075dc63e7cbf)"
    )


def test_address_that_knows_no_such_path_is_told_with_the_settings_to_check() -> None:
    assert "check the url and path_family settings" in str(error_of(404, {"status": "error", "message": "resource not found"}))


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"\xff\xfe", b""])
def test_answer_that_is_no_json_object_is_unexpected(body: bytes) -> None:
    for status in (200, 400):
        with pytest.raises(UnexpectedAnswerError):
            content(Answer("GET /path", status, {}, body), integration="demo", token="HUBSPOT_TOKEN", holds=OBJECT)


# --- limits


def test_rate_limited_create_is_made_again_after_the_wait(bench: Bench, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(path="batch/create", status=429, body={"errorType": "RATE_LIMIT", "policyName": "SECONDLY"}))
    with closing(bench.connect(external_key=None)) as crm:
        result = results_by_id(crm.write(COMPANIES, writes_of(Put(1, valid(bench, ACCOUNT)))))[1]
    assert result["error_type"] is None
    assert [call.status for call in sandbox.journal.calls("hubspot")] == [429, 201]


def test_calls_keep_within_the_limit(bench: Bench, portal: HubSpotPortal, sandbox: Sandbox) -> None:
    portal.burst_calls = 4
    hurry(portal, times=50)
    with closing(bench.connect(limits={"calls": 4, "seconds": 0.5})) as crm:
        for _ in range(7):
            crm.find(COMPANIES, bench.key, ["1"])
    assert {call.status for call in sandbox.journal.calls("hubspot")} == {207}


def test_searches_keep_within_their_own_limit(bench: Bench, portal: HubSpotPortal, sandbox: Sandbox) -> None:
    portal.search_calls = 3
    hurry(portal, times=10)
    with closing(bench.connect(limits={"searches_per_second": 3})) as crm:
        for _ in range(5):
            crm.has_keyed_records(COMPANIES)
    assert {call.status for call in sandbox.journal.calls("hubspot")} == {200}


@pytest.mark.parametrize(("settings", "at_once"), [({}, 50), ({"calls_in_flight": 60}, 30), ({"calls_in_flight": 4}, 2)])
def test_as_many_writes_go_at_once_as_the_limit_and_the_time_of_an_answer_ask_for(
    bench: Bench, settings: dict[str, Any], at_once: int
) -> None:
    with closing(bench.connect(limits={"calls": 1_000_000, "seconds": 0.1}, **settings)) as crm:
        assert isinstance(crm, TimedCrm)
        before = crm.calls_at_once
        crm.organization()
        assert (before, crm.calls_at_once) == (min(20, at_once), at_once)


def test_no_fewer_writes_go_at_once_where_answers_come_quickly(bench: Bench) -> None:
    with closing(bench.connect(limits={"calls": 1, "seconds": 10_000})) as crm:
        assert isinstance(crm, TimedCrm)
        crm.organization()
        assert crm.calls_at_once == 20


def hurry(portal: HubSpotPortal, *, times: int) -> None:
    """Let the windows of the portal's rate limits pass faster than time does."""
    portal.limits = RateLimits(clock=portal.clock, ticks=lambda: time.monotonic() * times, time_zone=portal.time_zone)


def test_reserve_of_daily_calls_stops_the_next_write_before_it_is_sent(bench: Bench, portal: HubSpotPortal, sandbox: Sandbox) -> None:
    portal.daily_calls = 1000
    portal.use_day(850)
    with closing(bench.connect(keep_free=0.2)) as crm:
        crm.organization()
        with pytest.raises(LimitReachedError, match="integration demo"):
            crm.write(COMPANIES, writes_of(Put(1, valid(bench, ACCOUNT), key="1")))
        with pytest.raises(LimitReachedError):
            crm.associate(associations_of((1, "1", "2")))
    assert [call.method for call in sandbox.journal.calls("hubspot")] == ["GET"]


def test_used_up_day_is_a_reached_limit_and_not_asked_again(bench: Bench, portal: HubSpotPortal, sandbox: Sandbox) -> None:
    portal.daily_calls = 0
    with closing(bench.connect()) as crm, pytest.raises(LimitReachedError):
        crm.organization()
    assert len(sandbox.journal.calls("hubspot")) == 1


# --- rights


def test_missing_scopes_are_named(bench: Bench, portal: HubSpotPortal) -> None:
    portal.scopes -= {"crm.objects.companies.write"}
    with closing(bench.connect()) as crm, pytest.raises(AuthenticationError, match=r"crm\.objects\.companies\.write"):
        crm.write(COMPANIES, writes_of(Put(1, valid(bench, ACCOUNT), key="1")))


# --- paths and connections


@pytest.mark.parametrize(
    ("family", "starts"),
    [
        ("v3", ("/account-info/v3/", "/crm/v3/objects/", "/crm/v3/properties/", "/crm/v4/associations/")),
        ("2026-03", ("/account-info/2026-03/", "/crm/objects/2026-03/", "/crm/properties/2026-03/", "/crm/associations/2026-03/")),
    ],
)
def test_path_family_is_that_of_every_call(bench: Bench, sandbox: Sandbox, family: PathFamily, starts: tuple[str, ...]) -> None:
    with closing(bench.connect(path_family=family)) as crm:
        crm.organization()
        crm.fields(CONTACTS)
        crm.has_keyed_records(CONTACTS)
        company = results_by_id(crm.write(COMPANIES, writes_of(Put(1, valid(bench, ACCOUNT), key="1"))))[1]["crm_id"]
        contact = results_by_id(crm.write(CONTACTS, writes_of(Put(1, valid(bench, CONTACT), parent=company))))[1]["crm_id"]
        crm.associate(associations_of((1, contact, company)))
        crm.write(CONTACTS, writes_of(Put(1, {"firstname": "Ada"}, crm_id=contact)))
        assert [len(frame) for frame in crm.scan(CONTACTS, "email")] == [1]
        current = crm.read(CONTACTS, [contact], ["firstname"])
    assert current.drop(columns="error_type").to_dict("records") == [{"crm_id": contact, "parent_crm_id": company, "firstname": "Ada"}]
    paths = [call.path for call in sandbox.journal.calls("hubspot")]
    assert [path for path in paths if not path.startswith(starts)] == []
    assert [start for start in starts if not any(path.startswith(start) for path in paths)] == []


@pytest.mark.parametrize(("left_out", "through_proxy"), [("", True), ("hubspot.invalid", False)])
def test_proxy_of_the_environment_is_used_but_for_the_hosts_left_out(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, left_out: str, *, through_proxy: bool
) -> None:
    with counting_server() as (proxy, connections):
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("no_proxy", left_out)
        with closing(bench.connect(url="http://hubspot.invalid", allow_http=True, attempts=1)) as crm:
            if through_proxy:
                assert crm.organization() == "1"
            else:
                with pytest.raises(ServiceUnavailableError):
                    crm.organization()
        assert bool(connections) == through_proxy


def test_unreachable_host_says_to_check_the_url_and_that_nothing_was_done(bench: Bench) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        words = rf"integration demo: hubspot: GET \S+ got no answer from {url} \(NewConnectionError\); check that the integration's url"
        with closing(bench.connect(url=url, attempts=1)) as crm, pytest.raises(ServiceUnavailableError, match=words) as lost:
            crm.organization()
    assert lost.value.executed is False


def test_one_connection_serves_every_call(bench: Bench) -> None:
    with counting_server() as (url, connections), closing(bench.connect(url=url)) as crm:
        crm.organization()
        crm.fields(COMPANIES)
        crm.fields(CONTACTS)
        crm.find(CONTACTS, "email", ["ada@example.com"])
    assert len(connections) == 1


@contextmanager
def counting_server() -> Iterator[tuple[str, list[object]]]:
    """A server that answers everything alike; its URL, and an entry for each connection that was made to it."""
    connections: list[object] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            connections.append(self.client_address)

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = b'{"portalId": 1, "results": []}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815 - names that the server looks for

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", connections
        finally:
            server.shutdown()
            thread.join()
