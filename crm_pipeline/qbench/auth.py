"""May we call? The bearer token of one QBench API client: asked for, kept, and renewed in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import httpx
import jwt

from crm_pipeline.errors import AuthenticationError
from crm_pipeline.qbench.answers import Caller, json_object
from crm_pipeline.qbench.contracts import TOKEN
from crm_pipeline.qbench.settings import QBenchSettings

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_SECONDS = 3300
"""Life of the signed assertion; QBench refuses more than 3600 (observed)."""
CLOCK_SKEW_SECONDS = 30
"""How far in the past the assertion is dated, because one from the future is refused (observed)."""
TOKEN_SECONDS = 3600
"""Life of a token whose answer does not say it (observed)."""
LONGEST_MARGIN_SECONDS = 60.0
"""A token is renewed this long before its end, or a tenth of its life before where that is less."""
SHA256_BYTES = 32
"""PyJWT warns of a shorter secret, whose length is QBench's choice; HMAC fills it with zeros anyway (RFC 2104)."""

TOKEN_ENDPOINTS: Mapping[str, tuple[str, Literal["form", "multipart"]]] = {
    "oauth2": ("/qbench/oauth2/v1/token", "form"),
    "api_v2": ("/qbench/api/v2/auth/token", "multipart"),
}
"""Where tokens are given and how the request is encoded there."""

REFUSED_STATUSES = frozenset({400, 401, 403})


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """A bearer token and until when (on the monotonic clock) it is used."""

    value: str
    use_until: float


class Tokens:
    """Keeps one valid token for all threads.

    ``send(path, **request)`` posts to the tenant. Raises AuthenticationError where QBench refuses the credentials,
    MissingCredentialError where the environment lacks them, and what ``send`` raises.
    """

    def __init__(self, settings: QBenchSettings, *, caller: Caller, send: Callable[..., httpx.Response]) -> None:
        self._settings = settings
        self._caller = caller
        self._send = send
        self._lock = threading.Lock()
        self._token: Token | None = None

    def current(self) -> Token:
        """The token to use now, asked for when there is none or it is about to end."""
        with self._lock:
            if self._token is None or time.monotonic() >= self._token.use_until:
                self._token = self._sign_in()
            return self._token

    def renewed(self, stale: Token) -> Token:
        """A token other than the ``stale`` one that was just refused; another thread's is as good as an own one."""
        with self._lock:
            if self._token is None or self._token is stale:
                self._token = None
                self._token = self._sign_in()
            return self._token

    def _sign_in(self) -> Token:
        path, encoding = TOKEN_ENDPOINTS[self._settings.sign_in]
        fields = {"grant_type": GRANT_TYPE, "assertion": self._assertion()}
        body: dict[str, Any] = (
            {"data": fields} if encoding == "form" else {"files": {name: (None, value) for name, value in fields.items()}}
        )
        asked_at = time.monotonic()
        response = self._send(path, **body)
        if response.status_code in REFUSED_STATUSES:
            raise self.refusal("refuses the API client")
        if response.status_code == httpx.codes.NOT_FOUND:
            other = next(name for name in TOKEN_ENDPOINTS if name != self._settings.sign_in)
            raise AuthenticationError(
                f"{self._caller.host} gives no tokens at {path} (status 404); set qbench.sign_in to {other}, and check that the "
                "integration's url is a QBench tenant's",
                **self._caller.names,
            )
        answer = json_object(response, caller=self._caller, holds=TOKEN)
        life = answer.get("expires_in")
        seconds = float(life) if isinstance(life, int | float) and life > 0 else float(TOKEN_SECONDS)
        return Token(answer["access_token"], asked_at + seconds - min(LONGEST_MARGIN_SECONDS, seconds / 10))

    def refusal(self, what: str) -> AuthenticationError:
        """The error for refused credentials, with what to check."""
        names = f"{self._settings.client_id.env} and {self._settings.client_secret.env}"
        return AuthenticationError(
            f"{what}; check that {names} hold the id and secret of an active API client of {self._caller.host}, "
            "and that this machine's clock is right",
            **self._caller.names,
        )

    def _assertion(self) -> str:
        issued = int(time.time()) - CLOCK_SKEW_SECONDS
        integration = self._caller.integration
        claims = {"sub": self._settings.client_id.read(integration=integration), "iat": issued, "exp": issued + ASSERTION_SECONDS}
        secret = self._settings.client_secret.read(integration=integration).encode()
        try:
            return jwt.encode(claims, secret.ljust(SHA256_BYTES, b"\0"), algorithm="HS256")
        except jwt.PyJWTError:
            raise self.refusal("takes no such secret") from None
