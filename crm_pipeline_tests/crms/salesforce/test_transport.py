"""Sessions, limits and refusals of a whole request."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.salesforce import ACCOUNTS
from crm_pipeline.errors import (
    AuthenticationError,
    LimitReachedError,
    RequestRefusedError,
    ServiceError,
    ServiceUnavailableError,
    UnexpectedAnswerError,
)
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.testing.batches import Put, intents_of, writes_of
from crm_pipeline_tests.crms.salesforce_bench import connect_salesforce

ACCOUNT = RecordType.ACCOUNT
DATA = "^/services/data/"
TOKEN = "^/services/oauth2/token$"


@pytest.fixture
def crm(sandbox: Sandbox) -> Iterator[Crm]:
    with closing(connect_salesforce(sandbox, external_key=None)) as adapter:
        yield adapter


def asked(crm: Crm) -> str:
    """What a call answers, the same each time."""
    return repr(crm.has_values(ACCOUNTS, "Name"))


def refuse(sandbox: Sandbox, path: str, status: int, code: str, message: str = "", **more: Any) -> None:
    body = [{"errorCode": code, "message": message}]
    sandbox.faults.add(Fault(path=path, kind="status", status=status, body=body, **{"times": None, **more}))


@pytest.mark.parametrize("proxy", ["socks5h://user:secret@127.0.0.1:9", "http://user:secret@127.0.0.1:9"])
def test_proxy_that_leads_nowhere_is_named_by_its_variables(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("ALL_PROXY", proxy)
    with closing(connect_salesforce(sandbox, external_key=None)) as crm, pytest.raises(ServiceError) as raised:
        crm.organization()
    assert "check the proxy that HTTPS_PROXY or ALL_PROXY names" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_expired_session_is_renewed_once(sandbox: Sandbox, crm: Crm) -> None:
    before = asked(crm)
    sandbox.org.expire_sessions()
    assert asked(crm) == before
    assert crm.calls.snapshot() == {"sign_in": 2, "read": 3}


def test_threads_that_meet_an_expired_session_sign_in_once(sandbox: Sandbox, crm: Crm) -> None:
    asked(crm)
    sandbox.org.expire_sessions()
    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(lambda _: asked(crm), range(8)))) == 1
    assert crm.calls.snapshot()["sign_in"] == 2


def test_session_that_is_never_accepted_ends_after_one_renewal(sandbox: Sandbox, crm: Crm) -> None:
    refuse(sandbox, DATA, 401, "INVALID_SESSION_ID")
    with pytest.raises(AuthenticationError, match="INVALID_SESSION_ID"):
        asked(crm)
    assert crm.calls.snapshot() == {"sign_in": 2, "read": 2}


def test_sign_in_that_fails_for_the_moment_is_tried_again(sandbox: Sandbox, crm: Crm) -> None:
    sandbox.faults.add(Fault(path=TOKEN, kind="status", status=503))
    assert asked(crm)
    assert crm.calls.snapshot() == {"sign_in": 2, "read": 1}
    assert crm.calls.lost == 0, "nothing that a sign-in does is carried out late"


def test_netrc_file_of_the_machine_takes_no_tokens_place(
    sandbox: Sandbox, crm: Crm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("default login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert asked(crm)


def test_create_is_made_after_a_sign_in_that_failed_for_the_moment(sandbox: Sandbox, crm: Crm) -> None:
    sandbox.faults.add(Fault(path=TOKEN, kind="drop_after"))
    crm.write(ACCOUNTS, writes_of(Put(1, {"Name": "Laboratory"})))
    assert len(sandbox.org.records("Account")) == 1


@pytest.mark.parametrize("body", [[], {"access_token": "x"}, {"instance_url": "https://x"}])
def test_token_answer_without_a_token_is_unexpected(sandbox: Sandbox, crm: Crm, body: object) -> None:
    sandbox.faults.add(Fault(path=TOKEN, kind="status", status=200, body=body, times=None))
    with pytest.raises(UnexpectedAnswerError, match="answered the sign-in, but"):
        asked(crm)


@pytest.mark.parametrize("path", [TOKEN, DATA])
@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("body", ["[" * 100_000, f'{{"id": {"1" * 5_000}}}'], ids=["too deep", "a number beyond measure"])
def test_json_that_cannot_be_read_is_an_error_of_the_service(sandbox: Sandbox, crm: Crm, path: str, status: int, body: str) -> None:
    sandbox.faults.add(Fault(path=path, kind="status", status=status, body=body, times=None))
    with pytest.raises(ServiceError):
        asked(crm)


def test_redirection_is_unexpected(sandbox: Sandbox, crm: Crm) -> None:
    sandbox.faults.add(Fault(path=DATA, kind="status", status=302, headers={"location": "/login"}, times=None))
    with pytest.raises(UnexpectedAnswerError, match="redirection"):
        asked(crm)


def test_reserve_of_daily_calls_is_kept_before_a_write(sandbox: Sandbox, crm: Crm) -> None:
    sandbox.org.daily_limit = 4
    for _ in range(4):
        asked(crm)
    with pytest.raises(LimitReachedError, match="4 of the organization's 4 daily API calls"):
        crm.write(ACCOUNTS, writes_of(Put(1, {"Name": "Laboratory"})))
    assert "write" not in crm.calls.snapshot()


def test_writes_go_on_while_the_reserve_is_whole(sandbox: Sandbox, crm: Crm) -> None:
    sandbox.org.daily_limit = 4
    for _ in range(3):
        asked(crm)
    crm.write(ACCOUNTS, writes_of(Put(1, {"Name": "Laboratory"})))
    assert len(sandbox.org.records("Account")) == 1


def test_write_that_is_the_first_call_tells_whether_the_reserve_is_whole(sandbox: Sandbox, crm: Crm) -> None:
    sandbox.org.daily_limit = 1
    crm.write(ACCOUNTS, writes_of(Put(1, {"Name": "Laboratory"})))
    with pytest.raises(LimitReachedError, match="1 of the organization's 1 daily API calls"):
        crm.write(ACCOUNTS, writes_of(Put(2, {"Name": "Laboratory"})))


def test_used_up_daily_calls_are_a_reached_limit(sandbox: Sandbox, crm: Crm) -> None:
    sandbox.org.daily_limit = 0
    with pytest.raises(LimitReachedError, match="REQUEST_LIMIT_EXCEEDED"):
        asked(crm)


def test_too_many_calls_at_once_are_waited_for(sandbox: Sandbox, crm: Crm) -> None:
    refuse(sandbox, DATA, 403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (Concurrent API Requests) Limit exceeded.", times=1)
    assert asked(crm)


@pytest.mark.parametrize("code", ["API_DISABLED_FOR_ORG", "INVALID_OPERATION_WITH_EXPIRED_PASSWORD", "LOGIN_DURING_RESTRICTED_TIME"])
def test_missing_permission_is_an_authentication_error_of_the_user_not_of_a_row(sandbox: Sandbox, crm: Crm, code: str) -> None:
    refuse(sandbox, "/composite/", 403, code)
    with pytest.raises(AuthenticationError, match=rf"{code}.*run-as user"):
        crm.write(ACCOUNTS, writes_of(Put(1, {"Name": "Laboratory"}), Put(2, {"Name": "Clinic"})))
    assert crm.calls.snapshot()["write"] == 1


def test_address_that_gives_no_tokens_is_told_as_a_wrong_address(sandbox: Sandbox, crm: Crm) -> None:
    sandbox.faults.add(Fault(path="/oauth2/token", status=404, body="<html>URL no longer exists</html>", times=None))
    with pytest.raises(RequestRefusedError, match=r"gives no token: 404; check url"):
        asked(crm)


def test_unknown_version_or_object_is_a_refused_request(sandbox: Sandbox) -> None:
    with closing(connect_salesforce(sandbox, api_version="998.0")) as crm, pytest.raises(RequestRefusedError, match="api_version"):
        asked(crm)


def test_key_field_that_is_not_there_is_named(sandbox: Sandbox) -> None:
    with closing(connect_salesforce(sandbox, external_key="Nope__c")) as crm, pytest.raises(RequestRefusedError, match="Nope__c"):
        crm.has_keyed_records(ACCOUNTS)


def test_silent_service_is_unavailable_after_the_time_out(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(path=DATA, kind="delay", seconds=3600))
    with closing(connect_salesforce(sandbox, timeout_seconds=2, attempts=1)) as crm, pytest.raises(ServiceUnavailableError) as raised:
        crm.fields(ACCOUNTS)
    assert raised.value.executed


def test_plain_create_whose_answer_is_lost_is_not_repeated(sandbox: Sandbox, crm: Crm) -> None:
    sandbox.faults.add(Fault(method="POST", path="/composite/sobjects$", kind="drop_after"))
    with pytest.raises(ServiceUnavailableError):
        crm.write(ACCOUNTS, writes_of(Put(1, {"Name": "Laboratory"})))
    assert len(sandbox.org.records("Account")) == 1


def test_intents_of_other_users_records_are_not_taken(sandbox: Sandbox, crm: Crm) -> None:
    someone = sandbox.org.add_user(username="sales@sandbox.example", last_name="Sales")
    sandbox.org.add("Account", {"Name": "Laboratory", "CreatedById": someone})
    assert crm.resolve_intents(ACCOUNTS, intents_of((7, {"Name": "Laboratory"}))).empty


def test_address_may_hold_a_path(sandbox: Sandbox) -> None:
    with closing(connect_salesforce(sandbox, url=f"{sandbox.salesforce_url}/gateway/")) as crm, pytest.raises(RequestRefusedError):
        asked(crm)
    assert sandbox.journal.calls()[0].path == "/gateway/services/oauth2/token"
