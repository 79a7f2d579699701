"""One HTTP call to Rolodex: counted, sent, its failure translated, repeated where that is safe."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

import httpx

from crm_pipeline import (
    AuthenticationError,
    BatchRefusedError,
    CallCounter,
    DoubtfulRefusalError,
    ServiceError,
    ServiceUnavailableError,
    UnexpectedAnswerError,
    retry_after,
    with_retries,
)

from . import RolodexSettings

SERVICE = "rolodex"
REFUSED_FOR_ITS_CONTENT = frozenset({400, 409, 413, 422})


class Transport:
    """The connection of one integration. Raises ServiceErrors, none of which repeats what was sent."""

    def __init__(self, settings: RolodexSettings, integration: str) -> None:
        self.calls = CallCounter()
        self._settings = settings
        self._integration = integration
        self._client: httpx.Client | None = None

    def ask(
        self,
        method: Literal["GET", "POST"],
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        label: str,
        holds: str,
        repeatable: bool = True,
        divisible: bool = False,
    ) -> tuple[Any, bool]:
        """The member ``holds`` of the answer, and whether an earlier attempt may have been carried out too."""
        repeated = False

        def call() -> Any:
            nonlocal repeated
            try:
                return self._call(method, path, body, label=label, holds=holds)
            except ServiceError as error:
                repeated = repeated or error.executed
                raise

        settings = self._settings
        answer = with_retries(call, repeatable=repeatable, attempts=settings.attempts, waits=settings.waits, divisible=divisible)
        return answer, repeated

    def is_up(self) -> bool:
        """Whether Rolodex answers now, asked once."""
        try:
            self._call("GET", "/me", None, label="read", holds="organization")
        except ServiceError:
            return False
        return True

    def close(self) -> None:
        """Give the connections back."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None, *, label: str, holds: str) -> Any:
        if self._client is None:
            token = self._settings.token.read(integration=self._integration)
            self._client = httpx.Client(
                base_url=self._settings.url,
                timeout=self._settings.timeout_seconds,
                verify=_certificates(),
                headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            )
        sent = None if body is None else json.dumps(body, default=lambda value: value.item())
        self.calls.add(label)
        try:
            answer = self._client.request(method, path, content=sent)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise self._unavailable(type(error).__name__, executed=False) from None
        except httpx.TransportError as error:
            self.calls.lose()
            raise self._unavailable(type(error).__name__, too_much=isinstance(error, httpx.ReadTimeout)) from None
        self._refuse(answer, path)
        try:
            return answer.json()[holds]
        except (ValueError, KeyError, TypeError):
            raise UnexpectedAnswerError(
                f"{path} answers without {holds}", integration=self._integration, service=SERVICE, code="UNEXPECTED"
            ) from None

    def _refuse(self, answer: httpx.Response, path: str) -> None:
        status, about = answer.status_code, {"integration": self._integration, "service": SERVICE, "code": f"HTTP {answer.status_code}"}
        if status == 401:
            raise AuthenticationError(f"the token is refused; check the variable {self._settings.token.env}", **about)
        if status == 429 or status >= 500:
            raise ServiceUnavailableError(
                f"{path} failed", **about, wait_seconds=retry_after(answer.headers), executed=status != 429, too_much=status == 504
            )
        if status in REFUSED_FOR_ITS_CONTENT:
            raise BatchRefusedError(f"{path} is refused", **about)
        if status >= 400:
            raise DoubtfulRefusalError(f"{path} is refused", **about)

    def _unavailable(self, cause: str, *, executed: bool = True, too_much: bool = False) -> ServiceUnavailableError:
        return ServiceUnavailableError(
            f"no answer from {self._settings.url} ({cause})",
            integration=self._integration,
            service=SERVICE,
            code=cause,
            executed=executed,
            too_much=too_much,
        )


@cache
def _certificates() -> ssl.SSLContext:
    """Those that the machine trusts, read once: every client that reads them anew costs as much as ten calls."""
    return ssl.create_default_context()
