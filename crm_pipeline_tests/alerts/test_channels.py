"""What the receivers of alerts get, over real sockets, and what is said when they do not take it."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
import trustme

from crm_pipeline.alerts.channels import channels
from crm_pipeline.alerts.messages import Message, Notice
from crm_pipeline.alerts.settings import AlertSettings
from crm_pipeline.errors import CrmPipelineError, MissingCredentialError, RequestRefusedError, ServiceUnavailableError
from crm_pipeline.quiet import quiet_client_libraries
from crm_pipeline_tests.alerts.receivers import PATIENT, Hook, Mailbox, mail_server, web_hook
from crm_pipeline_tests.test_proxies import only

OPENED = datetime(2026, 11, 1, 12, tzinfo=UTC)
NEW = Notice("run acme/hubspot/contacts", "a run failed at acme/hubspot/contacts", "r1", OPENED, announced=False, cleared_at=None)
ENDED = Notice("silence hubspot", "nothing was synced", None, OPENED, announced=True, cleared_at=OPENED + timedelta(minutes=125))
MESSAGE = Message("acme", [NEW, ENDED], "https://dagster.example.org/")


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    with web_hook() as running:
        monkeypatch.setenv("HOOK", running.url)
        yield running


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as running:
        yield running


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """A certificate authority that this machine trusts."""
    trusted = trustme.CA()
    trusted.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return trusted


@pytest.fixture
def mail_user(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Any]:
    """Settings that name a user of the mail server."""
    monkeypatch.setenv("MAIL_USER", "crm")
    monkeypatch.setenv("MAIL_PASSWORD", "hunter2")
    return {"username": {"env": "MAIL_USER"}, "password": {"env": "MAIL_PASSWORD"}}


def certificate_of(authority: trustme.CA) -> ssl.SSLContext:
    """What the mail server proves with that it is 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def send(channel: str, settings: Any) -> None:
    channels(AlertSettings.model_validate({channel: settings, **PATIENT}))[channel](MESSAGE)


def email_to(mailbox: Mailbox, **changes: Any) -> dict[str, Any]:
    plain = {"host": "127.0.0.1", "port": mailbox.port, "security": "none"}
    return {**plain, "from": "crm@example.org", "to": ["a@example.org", "b@example.org"], **changes}


def test_slack_gets_a_text_with_a_line_per_incident(hook: Hook) -> None:
    send("slack", {"env": "HOOK"})
    lines = [
        "crm-pipeline, integration acme",
        "NEW: a run failed at acme/hubspot/contacts, https://dagster.example.org/runs/r1",
        "CLEARED after 2 h 5 min: nothing was synced",
    ]
    assert hook.posts == [("/services/T0/B0/secret-path", {"text": "\n".join(lines)})]


@pytest.mark.parametrize("channel", ["slack", "webhook"])
def test_alert_goes_unencrypted_to_another_machine_only_where_the_yaml_says_so(channel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", "http://hooks.example.org/secret-path")
    with pytest.raises(RequestRefusedError, match="HOOK begins with http://") as refused:
        send(channel, {"env": "HOOK"})
    assert "secret-path" not in str(refused.value)


def test_webhook_gets_the_text_and_each_incident_as_data(hook: Hook) -> None:
    send("webhook", {"env": "HOOK"})
    [(_, body)] = hook.posts
    assert (body["text"], body["integration"]) == (MESSAGE.text, "acme")
    assert [(incident["incident"], incident["state"]) for incident in body["incidents"]] == [
        (NEW.incident, "open"),
        (ENDED.incident, "cleared"),
    ]
    assert body["incidents"][0]["run_url"] == "https://dagster.example.org/runs/r1"


def test_email_goes_to_every_receiver(mailbox: Mailbox) -> None:
    send("email", email_to(mailbox))
    [mail] = mailbox.messages
    assert mailbox.receivers == ["a@example.org", "b@example.org"]
    assert (mail["from"], mail["subject"]) == ("crm@example.org", "crm-pipeline, acme: 1 new, 1 cleared")
    assert mail.get_content().splitlines() == MESSAGE.text.splitlines()


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_email_is_encrypted_before_anyone_signs_in(
    security: Literal["starttls", "tls"], authority: trustme.CA, mail_user: Mapping[str, Any]
) -> None:
    with mail_server(security, certificate_of(authority)) as mailbox:
        send("email", email_to(mailbox, security=security, **mail_user))
    assert mailbox.signed_in == [("crm", "hunter2")]
    assert len(mailbox.messages) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_server_whose_certificate_nobody_vouches_for_gets_nothing(
    security: Literal["starttls", "tls"], authority: trustme.CA, mail_user: Mapping[str, Any]
) -> None:
    unverified = pytest.raises(ServiceUnavailableError, match="SSLCertVerificationError")
    with mail_server(security, certificate_of(trustme.CA())) as mailbox, unverified:
        send("email", email_to(mailbox, security=security, **mail_user))
    assert (mailbox.signed_in, mailbox.messages) == ([], [])


def test_busy_receiver_is_asked_once_more(hook: Hook) -> None:
    hook.statuses = [503]
    send("slack", {"env": "HOOK"})
    assert len(hook.posts) == 1


@pytest.mark.parametrize(
    ("statuses", "error", "said"),
    [([503, 429], ServiceUnavailableError, "answered 429"), ([404], RequestRefusedError, "answered 404; check HOOK")],
)
def test_receiver_that_does_not_take_it_is_named_without_its_address(
    hook: Hook, statuses: list[int], error: type[Exception], said: str
) -> None:
    hook.statuses = statuses
    with pytest.raises(error, match=f"integration acme: alerts by slack: {said}") as raised:
        send("slack", {"env": "HOOK"})
    assert "secret-path" not in str(raised.value)


def test_alert_passes_over_a_proxy_that_is_no_http_proxy_as_calls_do(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, {"all_proxy": "socks5://127.0.0.1:9"})
    send("webhook", {"env": "HOOK"})
    assert len(hook.posts) == 1


def test_alert_goes_through_the_proxy_of_the_environment(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, {"all_proxy": hook.url, "HOOK": "http://elsewhere.invalid/secret"})
    channels(AlertSettings.model_validate({"webhook": {"env": "HOOK"}, "allow_http": True, **PATIENT}))["webhook"](MESSAGE)
    assert [path for path, _ in hook.posts] == ["http://elsewhere.invalid/secret"]


def test_answer_that_cannot_be_read_is_no_answer(hook: Hook) -> None:
    hook.garbled = True
    with pytest.raises(ServiceUnavailableError, match=r"no answer \(DecodingError\)"):
        send("slack", {"env": "HOOK"})


def test_receiver_that_is_silent_is_given_up_after_the_time_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HOOK", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        impatient = channels(AlertSettings.model_validate({"webhook": {"env": "HOOK"}, "timeout_seconds": 0.01}))
        with pytest.raises(ServiceUnavailableError, match=r"no answer \(ReadTimeout\)"):
            impatient["webhook"](MESSAGE)


def test_unset_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOK", raising=False)
    with pytest.raises(MissingCredentialError, match="HOOK"):
        send("slack", {"env": "HOOK"})


@pytest.mark.parametrize("value", ["hooks.slack.com/secret", "ftp://secret", "https://[secret/T0", "https://a..b/secret"])
def test_variable_that_holds_no_address_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HOOK", value)
    with pytest.raises(RequestRefusedError, match="HOOK holds no address") as raised:
        send("slack", {"env": "HOOK"})
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "answer", "said"),
    [
        ({}, "554 a@example.org is unwanted", "127.0.0.1 answered 554"),
        ({}, "452 full", "127.0.0.1 answered 452"),
        ({"security": "starttls"}, "250", "does not offer starttls or signing in; check security and port"),
        ({"host": "mail..example.org"}, "250", r"mail..example.org is no name of a host"),
        ({"port": 1}, "250", r"cannot be reached \(ConnectionRefusedError\)"),
    ],
)
def test_mail_that_is_not_taken_says_why_without_addresses(mailbox: Mailbox, changes: dict[str, Any], answer: str, said: str) -> None:
    mailbox.answer = answer
    with pytest.raises(CrmPipelineError, match=said) as raised:
        send("email", email_to(mailbox, **changes))
    assert mailbox.messages == []
    assert "@" not in str(raised.value)


def test_the_secret_address_is_not_logged(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    quiet_client_libraries()
    with caplog.at_level(logging.DEBUG):
        send("slack", {"env": "HOOK"})
    assert "secret-path" not in caplog.text
