"""How a message leaves: posted to a webhook or Slack, or sent by email. Raises a ServiceError that names no address and no secret."""

from __future__ import annotations

import html
import logging
import smtplib
import ssl
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from email.message import EmailMessage
from functools import partial
from typing import Any

import httpx

from crm_pipeline.alerts.messages import Message
from crm_pipeline.alerts.settings import AlertSettings, EmailSettings
from crm_pipeline.calls import with_retries
from crm_pipeline.configuration.model import EnvVariable, sends_in_clear
from crm_pipeline.counting import counted
from crm_pipeline.errors import AuthenticationError, RequestRefusedError, ServiceError, ServiceUnavailableError
from crm_pipeline.proxies import proxy_to

logger = logging.getLogger(__name__)

ATTEMPTS = 2

Send = Callable[[Message], None]

PERMANENT = 500
"""From here on a mail server's answers mean that a repeat is refused too."""

_BUSY = frozenset({httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS})


def channels(settings: AlertSettings) -> Mapping[str, Send]:
    """The configured channels by name. Each raises a ServiceError when it did not take the message, or MissingCredentialError."""
    send: dict[str, Callable[[Message], None]] = {}
    if settings.slack is not None:
        send["slack"] = partial(_post_to_slack, settings.slack, settings)
    if settings.webhook is not None:
        send["webhook"] = partial(_post_to_webhook, settings.webhook, settings)
    if settings.email is not None:
        send["email"] = partial(_send_email, settings.email, timeout_seconds=settings.timeout_seconds)
    return {name: partial(_send_patiently, call) for name, call in send.items()}


def _send_patiently(send: Send, message: Message) -> None:
    # A repeat may tell an incident twice where an answer was lost; better twice than never.
    with_retries(lambda: send(message), repeatable=True, attempts=ATTEMPTS)


def _post_to_slack(url: EnvVariable, settings: AlertSettings, message: Message) -> None:
    # Slack refuses keys that it does not know, and reads <, > and & as markup.
    body = {"text": html.escape(message.text, quote=False)}
    _post(url, body, integration=message.integration, channel="slack", settings=settings)


def _post_to_webhook(url: EnvVariable, settings: AlertSettings, message: Message) -> None:
    _post(url, message.data(), integration=message.integration, channel="webhook", settings=settings)


def _post(url: EnvVariable, body: dict[str, Any], *, integration: str, channel: str, settings: AlertSettings) -> None:
    service = f"alerts by {channel}"
    address = url.read(integration=integration)
    try:
        if not settings.allow_http and sends_in_clear(address):
            raise RequestRefusedError(
                f"{url.env} begins with http:// and leads to another machine; use https://, or set `alerts.allow_http: true` "
                "inside a trusted network",
                integration=integration,
                service=service,
            )
        # With a transport of its own the library looks for no proxies, of which it stumbles over those that it does not know.
        with httpx.Client(transport=httpx.HTTPTransport(proxy=proxy_to(address)), timeout=settings.timeout_seconds) as client:
            answer = client.post(address, json=body)
    # ValueError: of those that take the address apart, whose texts repeat it.
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, ValueError):
        raise RequestRefusedError(f"{url.env} holds no address of the web", integration=integration, service=service) from None
    except (httpx.TransportError, httpx.DecodingError) as error:
        raise ServiceUnavailableError(f"no answer ({type(error).__name__})", integration=integration, service=service) from None
    if answer.is_server_error or answer.status_code in _BUSY:
        raise ServiceUnavailableError(f"answered {answer.status_code}", integration=integration, service=service)
    if not answer.is_success:
        raise RequestRefusedError(f"answered {answer.status_code}; check {url.env}", integration=integration, service=service)


def _send_email(settings: EmailSettings, message: Message, *, timeout_seconds: float) -> None:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = message.subject, settings.sender, ", ".join(settings.to)
    mail.set_content(message.text)
    try:
        with _connected(settings, timeout_seconds=timeout_seconds) as server:
            if settings.username is not None and settings.password is not None:
                server.login(
                    settings.username.read(integration=message.integration), settings.password.read(integration=message.integration)
                )
            refused = server.send_message(mail)
    except (OSError, UnicodeError, smtplib.SMTPException) as error:
        kind, meaning = _meaning(error, settings)
        raise kind(f"{settings.host} {meaning}", integration=message.integration, service="alerts by email") from None
    if refused:
        logger.warning("integration %s: the mail server refused %s of an alert", message.integration, counted(len(refused), "receiver"))


def _meaning(error: Exception, settings: EmailSettings) -> tuple[type[ServiceError], str]:
    """Our error for what went wrong with the mail server, and its text; the server's own words may hold addresses."""
    match error:
        case smtplib.SMTPAuthenticationError():
            return AuthenticationError, f"refuses the user or password ({error.smtp_code})"
        case UnicodeError():
            return RequestRefusedError, "is no name of a host; check alerts.email.host"
        case smtplib.SMTPNotSupportedError():
            return RequestRefusedError, f"does not offer {settings.security} or signing in; check security and port"
        case smtplib.SMTPRecipientsRefused():
            return RequestRefusedError, "refuses every receiver"
        case smtplib.SMTPResponseException() if error.smtp_code >= PERMANENT:
            return RequestRefusedError, f"answered {error.smtp_code}"
        case smtplib.SMTPResponseException():
            return ServiceUnavailableError, f"answered {error.smtp_code}"
        case _:
            return ServiceUnavailableError, f"cannot be reached ({type(error).__name__})"


def _connected(settings: EmailSettings, *, timeout_seconds: float) -> smtplib.SMTP:
    if settings.security == "tls":
        return smtplib.SMTP_SSL(settings.host, settings.port, timeout=timeout_seconds, context=ssl.create_default_context())
    server = smtplib.SMTP(settings.host, settings.port, timeout=timeout_seconds)
    if settings.security == "starttls":
        with ExitStack() as unless_encrypted:
            unless_encrypted.callback(server.close)
            server.starttls(context=ssl.create_default_context())
            unless_encrypted.pop_all()
    return server
