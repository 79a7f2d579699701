"""One HTTP call to SugarCRM: paced, counted, sent, translated, repeated where that is safe.

A call is a form, whose ``rest_data`` holds the arguments by their order, the session first. Errors are answered with status 200 and
three members; what the database refuses is a 500 (source: REST v4_1, SuiteCRM developer guide; the order of arguments and the statuses
were seen on SuiteCRM 7.14 to 8.10). No cookies are kept: a cookie of an earlier sign-in makes later sessions invalid.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Literal

import httpx

from crm_pipeline.calls import UNFINISHED, CallCounter, retry_after, with_retries
from crm_pipeline.clocks import Clock
from crm_pipeline.contracts import Form, fault_of
from crm_pipeline.crms.sugarcrm.contracts import REFUSAL, SERVER, SESSION
from crm_pipeline.crms.sugarcrm.settings import SugarSettings
from crm_pipeline.errors import (
    AuthenticationError,
    RequestRefusedError,
    ServiceError,
    ServiceUnavailableError,
    UnexpectedAnswerError,
)
from crm_pipeline.halving import BatchRefusedError, DoubtfulRefusalError
from crm_pipeline.pacing import Leases, Pace
from crm_pipeline.proxies import proxy_to

Label = Literal["sign_in", "describe", "read", "write", "associate"]
Arguments = Sequence[Any]

SERVICE = "SugarCRM"
PATH = "/service/v4_1/rest.php"
APPLICATION = "crm-pipeline"

WRONG_LOGIN, NO_SESSION, NO_MODULE, NO_ACCESS, NO_METHOD = "10", "11", "20", "40", "-1"
"""Numbers of errors."""
TOO_LARGE = frozenset({HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.REQUEST_URI_TOO_LONG})


class _EndedSessionError(Exception):
    """The session is over, or was never valid; nothing was carried out."""


class Transport:
    """The connection of one integration to SugarCRM; safe over threads.

    Every call says what its answer must hold (``holds``, contracts): one without it is an UnexpectedAnswerError. No error repeats
    what was sent, in which the session and, when signing in, the password stand.
    """

    def __init__(self, settings: SugarSettings, *, integration: str) -> None:
        self.calls = CallCounter()
        self.clock = Clock()
        self.integration = integration
        self._settings = settings
        self._pace = Pace(calls=settings.limits.calls, seconds=settings.limits.seconds)
        self._lock = threading.RLock()
        self._client: httpx.Client | None = None
        self._session: str | None = None

    def share_pace(self, leases: Leases) -> None:
        """Keep the limit together with all who use the site."""
        self._pace.share(leases, lambda: f"sugarcrm {self._settings.url}")

    def ask(self, method: str, *arguments: Any, label: Label, holds: Form, repeatable: bool = True, divisible: bool = False) -> Any:
        """What a method answers to these arguments, those behind the session. Raises ServiceError."""
        return self.carry_out(method, lambda _: arguments, label=label, holds=holds, repeatable=repeatable, divisible=divisible)

    def carry_out(
        self,
        method: str,
        arguments: Callable[[int], Arguments],
        *,
        label: Label,
        holds: Form,
        repeatable: bool = True,
        divisible: bool = False,
    ) -> Any:
        """The same with arguments that are made anew for each attempt, the number of which they are told, from 1 on."""
        attempt = 0

        def call() -> Any:
            nonlocal attempt
            attempt += 1
            return self._in_session(method, arguments(attempt), label=label, holds=holds)

        settings = self._settings
        return with_retries(call, repeatable=repeatable, attempts=settings.attempts, waits=settings.waits, divisible=divisible)

    def sign_in(self) -> None:
        """Sign in, unless that was done. Raises ServiceError."""
        with_retries(self._signed_in, repeatable=True, attempts=self._settings.attempts, waits=self._settings.waits)

    def is_up(self) -> bool:
        """Whether SugarCRM answers now, asked once for its time."""
        try:
            self._call("get_server_info", [], label="read", holds=SERVER)
        except ServiceError:
            return False
        return True

    def unexpected(self, message: str, *, executed: bool = True) -> UnexpectedAnswerError:
        """The error of an answer that the API's contract does not know."""
        return UnexpectedAnswerError(
            f"{message}; check url ({self._settings.url})", integration=self.integration, service=SERVICE, executed=executed
        )

    def close(self) -> None:
        """Give the connections back; a later call opens new ones and signs in again."""
        with self._lock:
            client, self._client, self._session = self._client, None, None
        if client is not None:
            client.close()

    def _in_session(self, method: str, arguments: Arguments, *, label: Label, holds: Form) -> Any:
        session = self._signed_in()
        try:
            return self._call(method, [session, *arguments], label=label, holds=holds)
        except _EndedSessionError:
            session = self._signed_in(instead_of=session)
        try:
            return self._call(method, [session, *arguments], label=label, holds=holds)
        except _EndedSessionError:
            raise ServiceUnavailableError(
                "ends each session at once",
                integration=self.integration,
                service=SERVICE,
                code=f"error {NO_SESSION}",
                executed=False,
            ) from None

    def _signed_in(self, *, instead_of: str | None = None) -> str:
        """The session's id. Threads that meet an ended one together sign in once."""
        with self._lock:
            if self._session is None or self._session == instead_of:
                self._session = self._sign_in()
            return self._session

    def _sign_in(self) -> str:
        user = self._settings.user.read(integration=self.integration)
        password = self._settings.password.read(integration=self.integration)
        digest = hashlib.md5(password.encode(), usedforsecurity=False).hexdigest()
        # Else each record that is given to a user sends that user an e-mail.
        told = [{"name": "notifyonsave", "value": "false"}]
        answer = self._call("login", [{"user_name": user, "password": digest}, APPLICATION, told], label="sign_in", holds=SESSION)
        return str(answer["id"])

    def _call(self, method: str, arguments: Arguments, *, label: Label, holds: Form) -> Any:
        client = self._connected()
        self._pace.wait()
        self.calls.add(label)
        form = {"method": method, "input_type": "JSON", "response_type": "JSON", "rest_data": json.dumps(arguments)}
        executed = label != "sign_in"
        sent = datetime.now(UTC)
        try:
            answer = client.post(PATH, data=form)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise self._unavailable(f"cannot be reached ({type(error).__name__})", code=type(error).__name__, executed=False) from None
        except httpx.TransportError as error:
            if executed:
                self.calls.lose()
            too_much = isinstance(error, httpx.ReadTimeout)
            message = f"did not answer {method} ({type(error).__name__})"
            raise self._unavailable(message, code=type(error).__name__, executed=executed, too_much=too_much) from None
        self.clock.note(answer.headers.get("Date"), sent=sent, answered=datetime.now(UTC))
        self._refuse_status(answer, method, executed=executed)
        try:
            content = answer.json()
        except (ValueError, RecursionError):
            raise self.unexpected(f"answered {method} with something that is not JSON", executed=executed) from None
        self._refuse(content, method)
        if fault := fault_of(content, holds):
            raise self.unexpected(f"answered {method}, but {fault}", executed=executed)
        return content

    def _connected(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                url = self._settings.url
                self._client = httpx.Client(
                    base_url=url,
                    timeout=self._settings.timeout_seconds,
                    # With a transport of its own the library looks for no proxies, of which it stumbles over those that it does not know.
                    transport=httpx.HTTPTransport(verify=_certificates(url), proxy=proxy_to(url)),
                    cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                )
            return self._client

    def _refuse_status(self, answer: httpx.Response, method: str, *, executed: bool) -> None:
        status = answer.status_code
        if status in UNFINISHED and executed:
            self.calls.lose()
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise ServiceUnavailableError(
                f"failed on {method}",
                integration=self.integration,
                service=SERVICE,
                code=f"HTTP {status}",
                wait_seconds=retry_after(answer.headers),
                executed=executed and status != HTTPStatus.TOO_MANY_REQUESTS,
                too_much=status == HTTPStatus.GATEWAY_TIMEOUT,
            )
        if status in TOO_LARGE:
            raise BatchRefusedError(f"refuses {method}", integration=self.integration, service=SERVICE, code=f"HTTP {status}")
        if not answer.is_success:
            raise DoubtfulRefusalError(
                f"refuses {method}; check url ({self._settings.url})",
                integration=self.integration,
                service=SERVICE,
                code=f"HTTP {status}",
            )

    def _refuse(self, content: Any, method: str) -> None:
        """Raise what an answer says that is an error."""
        if not isinstance(content, dict) or fault_of(content, REFUSAL):
            return
        number = str(content["number"])
        about = {"integration": self.integration, "service": SERVICE, "code": f"error {number}"}
        if number == NO_SESSION:
            raise _EndedSessionError
        if number == WRONG_LOGIN:
            variables = f"{self._settings.user.env} and {self._settings.password.env}"
            raise AuthenticationError(f"refuses the user or the password; check the variables {variables}", **about)
        if number in (NO_MODULE, NO_METHOD):
            raise RequestRefusedError(f"does not know {method}, or the module it is asked for; check url ({self._settings.url})", **about)
        raise DoubtfulRefusalError(f"refuses {method}; check what the user {self._settings.user.env} may do", **about)

    def _unavailable(self, message: str, *, code: str, executed: bool, too_much: bool = False) -> ServiceUnavailableError:
        return ServiceUnavailableError(
            f"{message}; check url ({self._settings.url})",
            integration=self.integration,
            service=SERVICE,
            code=code,
            executed=executed,
            too_much=too_much,
        )


def _certificates(url: str) -> ssl.SSLContext | bool:
    """What to verify the site's certificate against. Loading the usual authorities is slow and plain http needs none."""
    return True if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
