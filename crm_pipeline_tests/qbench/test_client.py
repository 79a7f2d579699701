"""Signing in, failing and trying again, over a socket."""

from __future__ import annotations

import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from crm_pipeline.errors import (
    AuthenticationError,
    CrmPipelineError,
    MissingCredentialError,
    RequestRefusedError,
    ServiceUnavailableError,
    UnexpectedAnswerError,
)
from crm_pipeline.qbench.client import QBenchClient
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.tenant import Limits
from crm_pipeline_tests.qbench.bench import Bench, bench, quiet_tenant, settings_for

LIST = "/qbench/api/v2/customers$"


def ask(bench: Bench) -> int | None:
    return bench.client.list_page("customers", page=1, size=50).total


def test_nothing_is_asked_before_the_first_call(qbench: Bench) -> None:
    assert qbench.journal.calls() == []


def test_one_token_serves_many_calls(qbench: Bench) -> None:
    for _ in range(3):
        ask(qbench)
    assert qbench.client.calls.snapshot() == {"sign_in": 1, "read": 3}


def test_no_call_leaves_a_client_that_was_closed(qbench: Bench) -> None:
    """A thread that waits for its turn goes on where its run was ended."""
    ask(qbench)
    before = qbench.journal.calls()
    qbench.client.close()
    for client in (qbench.client, qbench.client.once):
        with pytest.raises(RuntimeError, match="closed"):
            client.list_page("customers", page=1, size=50)
    assert qbench.journal.calls() == before


def test_either_token_endpoint_can_be_used() -> None:
    with bench(sign_in="api_v2") as running:
        ask(running)
        assert running.journal.calls()[0].path == "/qbench/api/v2/auth/token"


@pytest.mark.parametrize(("sign_in", "other"), [("oauth2", "api_v2"), ("api_v2", "oauth2")])
def test_tenant_without_the_token_endpoint_is_told_with_the_setting_and_its_other_value(sign_in: str, other: str) -> None:
    with bench(sign_in=sign_in) as running:
        running.faults.add(Fault(path="token", status=404))
        with pytest.raises(AuthenticationError, match=rf"gives no tokens at /qbench/.*set qbench\.sign_in to {other}"):
            ask(running)


def test_threads_share_one_sign_in(qbench: Bench) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ask(qbench), range(24)))
    assert qbench.client.calls.snapshot() == {"sign_in": 1, "read": 24}


@pytest.mark.parametrize("error", [{"code": "invalid_grant"}, ["invalid_grant"]])
def test_refusal_in_another_form_than_qbenchs_says_nothing_of_the_token(qbench: Bench, error: object) -> None:
    qbench.faults.add(Fault(path=LIST, status=400, body={"error": error}))
    with pytest.raises(RequestRefusedError) as refused:
        ask(qbench)
    assert refused.value.code == "400"


@pytest.mark.parametrize("answer", ["unauthorized", "invalid_grant", "invalid_request"])
def test_stale_token_is_renewed_once(qbench: Bench, answer: str) -> None:
    ask(qbench)
    qbench.tenant.refuses_stale_with = answer  # type: ignore[assignment]  # parametrized
    qbench.tenant.expire_tokens()
    assert ask(qbench) == 0
    assert qbench.client.calls.snapshot() == {"sign_in": 2, "read": 3}


def test_token_about_to_end_is_renewed_before_use(qbench: Bench) -> None:
    qbench.faults.add(Fault(path="token", status=200, body={"access_token": "ends-at-once", "expires_in": 0.000001}))
    qbench.faults.add(Fault(path=LIST, status=200, body={"data": []}))
    ask(qbench)
    ask(qbench)
    assert qbench.statuses() == [200, 200, 200, 200]
    assert qbench.client.calls.snapshot() == {"sign_in": 2, "read": 2}


def test_token_refused_twice_is_an_authentication_error(qbench: Bench) -> None:
    qbench.faults.add(Fault(path=LIST, status=401, times=None))
    with pytest.raises(AuthenticationError, match="QBENCH_CLIENT_ID and QBENCH_CLIENT_SECRET"):
        ask(qbench)
    assert qbench.client.calls.snapshot() == {"sign_in": 2, "read": 2}


def test_wrong_secret_says_what_to_check_and_shows_no_secret(qbench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QBENCH_CLIENT_SECRET", "hunter2")
    with pytest.raises(AuthenticationError) as refused:
        ask(qbench)
    assert "integration acme: qbench: refuses the API client; check that QBENCH_CLIENT_ID and QBENCH_CLIENT_SECRET" in str(refused.value)
    assert "hunter2" not in f"{refused.value!r} {qbench.client!r} {vars(qbench.client)!r}"
    assert qbench.statuses() == [400]


def test_missing_secret_names_its_variable(qbench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QBENCH_CLIENT_SECRET")
    with pytest.raises(MissingCredentialError, match="QBENCH_CLIENT_SECRET is not set"):
        ask(qbench)
    assert qbench.journal.calls() == []


@pytest.mark.parametrize(
    ("page", "length", "counts", "more"),
    [
        (1, 19, {"total_pages": 3, "total_count": 57}, True),
        (3, 19, {"total_pages": 3, "total_count": 57}, False),
        (1, 19, {"total_pages": "3", "total_count": "57"}, True),
        (3, 19, {"total_pages": "3", "total_count": "57"}, False),
        (1, 19, {"total_count": 57}, True),
        (1, 19, {"total_count": "57"}, True),
        (2, 19, {"total_count": 39}, True),
        (3, 19, {"total_count": 57}, False),
        (1, 0, {"total_pages": 3}, False),
        (1, 50, {"total_pages": 1, "total_count": 50}, True),
        (1, 50, {"total_count": 50}, True),
        (1, 50, {"total_pages": 0, "total_count": 0}, True),
        (1, 60, {"total_pages": 1, "total_count": 60}, True),
        (3, 20, {"total_pages": 3, "total_count": 60}, True),
    ],
)
def test_counts_tell_whether_pages_follow_a_short_one_and_behind_a_full_one_there_may_always_be_another(
    qbench: Bench, page: int, length: int, counts: dict[str, int | str], *, more: bool
) -> None:
    qbench.faults.add(Fault(path=LIST, status=200, body={"data": [{"id": 1}] * length, **counts}))
    assert qbench.client.list_page("customers", page=page, size=50).more is more
    assert qbench.client.calls.snapshot()["read"] == 1


@pytest.mark.parametrize(
    ("following", "more"),
    [
        (Fault(path=LIST, status=200, body={"data": [{"id": 2}]}), True),
        (Fault(path=LIST, status=200, body={"data": []}), False),
        (Fault(path=LIST, status=404), False),
    ],
)
def test_without_counts_the_next_page_tells_whether_it_follows(qbench: Bench, following: Fault, *, more: bool) -> None:
    qbench.faults.add(Fault(path=LIST, status=200, body={"data": [{"id": 1}] * 19}))
    qbench.faults.add(following)
    assert qbench.client.list_page("customers", page=1, size=50).more is more
    assert qbench.client.calls.snapshot()["read"] == 2


@pytest.mark.parametrize(
    "fault",
    [
        Fault(path=LIST, status=429, headers={"X-QBAPI-Throttle-TTL": "0"}, body={"error": "ratelimit exceeded"}),
        Fault(path=LIST, status=429, body={"error": "ratelimit exceeded 300 per 60 seconds [current count: 301. Retry in 0 seconds]"}),
        Fault(path=LIST, status=429, body={"error": "exceeded concurrent request limit of 10"}),
        Fault(path=LIST, status=500),
        Fault(path=LIST, kind="html", status=502),
        Fault(path=LIST, status=503, headers={"Retry-After": "0"}),
        Fault(path=LIST, kind="drop_before"),
        Fault(path=LIST, kind="drop_after"),
        Fault(path="token", status=503, headers={"Retry-After": "0"}),
        Fault(path="token", kind="drop_before"),
    ],
    ids=lambda fault: f"{fault.path[-7:]}-{fault.kind}-{fault.status}",
)
def test_passing_failure_is_tried_again(qbench: Bench, fault: Fault) -> None:
    qbench.faults.add(fault)
    assert ask(qbench) == 0
    assert qbench.faults.open() == []


def test_slow_answer_is_tried_again() -> None:
    with bench(timeout_seconds=0.5, attempts=20) as running:
        ask(running)
        running.faults.add(Fault(path=LIST, kind="delay", seconds=3600))
        assert ask(running) == 0
        assert running.client.calls.snapshot()["read"] > 2


def test_throttle_header_says_how_long_to_wait() -> None:
    with bench(attempts=1) as running:
        running.faults.add(Fault(path=LIST, status=429, headers={"X-QBAPI-Throttle-TTL": "17"}))
        with pytest.raises(ServiceUnavailableError) as busy:
            ask(running)
    assert (busy.value.wait_seconds, busy.value.executed) == (17, False)


def test_throttle_text_says_how_long_to_wait_where_the_header_is_missing() -> None:
    with bench(attempts=1) as running:
        running.faults.add(Fault(path=LIST, status=429, body={"error": "ratelimit exceeded [current count: 301. Retry in 30 seconds]"}))
        with pytest.raises(ServiceUnavailableError) as busy:
            ask(running)
    assert busy.value.wait_seconds == 30


def test_tenant_that_says_to_come_back_tomorrow_by_a_date_is_left_alone_until_a_later_run() -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    with bench() as running:
        running.faults.add(Fault(path=LIST, status=503, headers={"Retry-After": tomorrow}, times=None))
        with pytest.raises(ServiceUnavailableError) as raised:
            running.read()
        assert raised.value.wait_seconds == pytest.approx(86_400, abs=3_600)
        assert running.statuses().count(503) == 1


def test_lasting_failure_ends_after_the_attempts() -> None:
    with bench(attempts=2) as running:
        running.faults.add(Fault(path=LIST, status=503, headers={"Retry-After": "0"}, times=None))
        with pytest.raises(ServiceUnavailableError, match=r"failed with status 503 on GET /qbench/api/v2/customers"):
            ask(running)
        assert running.statuses() == [200, 503, 503]


def test_unreachable_host_is_named_with_the_integration() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with (
            QBenchClient(settings_for(url, attempts=1), integration="acme") as client,
            pytest.raises(ServiceUnavailableError, match=r"integration acme: qbench: 127\.0\.0\.1 did not answer .*ConnectError") as lost,
        ):
            client.record("customers/1")
    assert lost.value.executed is False


def test_calls_go_through_the_proxy_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy, ThreadPoolExecutor() as thread:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.setenv("no_proxy", "")
        with QBenchClient(settings_for("http://qbench.invalid", allow_http=True, attempts=1), integration="acme") as client:
            asked = thread.submit(client.sign_in)
            connection, _ = proxy.accept()
            with connection:
                assert connection.recv(1_000).startswith(b"POST http://qbench.invalid/")
            with pytest.raises(ServiceUnavailableError):
                asked.result()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(path=LIST, kind="html"), "answered no JSON to GET /qbench/api/v2/customers (status 200, content type text/html)"),
        (Fault(path=LIST, status=200, body='{"data": [{"id": 1, "phone": "+1 512'), "answered no JSON"),
        (Fault(path=LIST, status=200, body=[1]), "no JSON object"),
        (Fault(path=LIST, status=200, body={"rows": []}), "answered, but data is missing, to GET /qbench/api/v2/customers"),
        (Fault(path=LIST, status=200, body={"data": None}), "data is null, not a list"),
        (Fault(path=LIST, status=200, body={"data": [1]}), "data[0] is a number, not an object"),
        (Fault(path=LIST, status=200, body={"data": [{"id": 1}, {"phone": "+1 512"}]}), "data[1].id is missing"),
        (Fault(path=LIST, status=200, body={"data": [{"id": 1, "phone": "512"}, {"id": "1"}]}), "holds one id twice"),
        (Fault(path=LIST, status=302, headers={"location": "/login"}), "redirects"),
        (Fault(path="token", kind="html"), "answered no JSON to POST /qbench/oauth2/v1/token"),
        (Fault(path="token", status=200, body={"token": "abc"}), "answered, but access_token is missing, to POST"),
    ],
)
def test_answer_outside_the_contract_is_named_by_path_and_type_alone(fault: Fault, words: str) -> None:
    with bench(attempts=1) as running:
        running.faults.add(fault)
        with pytest.raises(UnexpectedAnswerError) as unexpected:
            ask(running)
    assert words in str(unexpected.value)
    assert "integration acme" in str(unexpected.value)
    assert "512" not in str(unexpected.value)
    assert "abc" not in str(unexpected.value)


def test_answer_outside_the_contract_is_asked_for_again(qbench: Bench) -> None:
    qbench.faults.add(Fault(path=LIST, status=200, body={}))
    assert ask(qbench) == 0
    assert qbench.client.calls.snapshot()["read"] == 2


def test_record_that_was_not_asked_for_is_no_answer() -> None:
    with bench(attempts=1) as running:
        running.faults.add(Fault(path="customers/41", status=200, body={"data": {"id": 42}}))
        with pytest.raises(UnexpectedAnswerError, match="another record than was asked for"):
            running.client.record("customers/41")


def test_refused_request_carries_the_code_and_no_value(qbench: Bench) -> None:
    qbench.faults.add(Fault(path=LIST, status=422, body={"error_type": "bad_sort", "error_description": "ana@ecolabs.example"}))
    with pytest.raises(RequestRefusedError) as refused:
        ask(qbench)
    assert refused.value.code == "bad_sort"
    assert "ana@" not in str(refused.value)
    assert qbench.client.calls.snapshot()["read"] == 1


def test_value_in_place_of_a_code_is_not_taken_for_one(qbench: Bench) -> None:
    qbench.faults.add(Fault(path=LIST, status=422, body={"error_type": "ana@ecolabs.example is wrong"}))
    with pytest.raises(RequestRefusedError) as refused:
        ask(qbench)
    assert refused.value.code == "422"


def test_forbidden_says_to_allow_reading(qbench: Bench) -> None:
    qbench.faults.add(Fault(path=LIST, status=403))
    with pytest.raises(AuthenticationError, match="let the API client read"):
        ask(qbench)


def test_no_error_shows_where_it_came_from(qbench: Bench) -> None:
    qbench.faults.add(Fault(path=LIST, kind="html", times=None))
    with pytest.raises(CrmPipelineError) as error:
        ask(qbench)
    assert error.value.__suppress_context__


def test_no_more_is_asked_at_one_time_than_the_tenant_allows() -> None:
    tenant = quiet_tenant()
    tenant.limits = Limits(concurrent=3)
    tenant.latency = 0.01
    with bench(tenant, limits={"concurrent": 3}) as running, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ask(running), range(20)))
        assert Counter(running.statuses()) == {200: 21}


def test_no_more_is_asked_within_a_window_than_the_tenant_allows() -> None:
    tenant = quiet_tenant()
    # A window far shorter than the one the client is told, so that no slow machine moves one's calls into the other's.
    tenant.limits = Limits(calls=4, seconds=0.05)
    with bench(tenant, limits={"calls": 4, "seconds": 1}) as running:
        for _ in range(8):
            ask(running)
        assert Counter(running.statuses()) == {200: 9}
