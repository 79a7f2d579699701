"""May this request be answered? Tokens, limits, and the form in which the tenant refuses."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Iterable, Mapping
from typing import Any

import jwt

# Starlette reads forms with it, and misses it only once a form comes.
import python_multipart  # noqa: F401
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from crm_pipeline.sandbox.tenant import Limits, QBenchTenant

API = "/qbench/api/v2"
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LONGEST_ASSERTION_SECONDS = 3600
TOKEN_FORMS: Mapping[str, str] = {
    "/qbench/oauth2/v1/token": "application/x-www-form-urlencoded",
    f"{API}/auth/token": "multipart/form-data",
}


class Refused(Exception):
    """A request that the tenant refuses."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        self.status = status
        self.body = body
        super().__init__(status)


def problem(position: int, name: str, error_type: str) -> dict[str, Any]:
    """What is wrong with a field of a row, as an item of ``errors``; the items' shape is assumed."""
    return {"loc": [position, name], "msg": f"{name}: {error_type}", "type": error_type}


def refused(status: int, error_type: str, description: str, *, errors: Iterable[Mapping[str, Any]] = ()) -> Refused:
    """A refusal in the error form of API v2; a 400 also lists its errors, which are objects."""
    body: dict[str, Any] = {"error_description": description, "error_type": error_type, "error_token": secrets.token_hex(8)}
    if status == 400:
        body["errors"] = list(errors) or [{"msg": description}]
    return Refused(status, body)


class Throttle:
    """Refuses what is over the tenant's limits, without executing it; a window begins with its first request [assumed]."""

    def __init__(self, app: ASGIApp, *, tenant: QBenchTenant) -> None:
        self._app = app
        self._tenant = tenant
        self._running = 0
        self._count = 0
        self._window_ends = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it with 429."""
        refusal = self._refusal(self._tenant.limits)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        self._running += 1
        try:
            await asyncio.sleep(self._tenant.latency)
            await self._app(scope, receive, send)
        finally:
            self._running -= 1

    def _refusal(self, limits: Limits | None) -> Response | None:
        if limits is None:
            return None
        if self._running >= limits.concurrent:
            return JSONResponse({"error": f"exceeded concurrent request limit of {limits.concurrent}"}, status_code=429)
        now = time.monotonic()
        if now >= self._window_ends:
            self._window_ends = now + limits.seconds
            self._count = 0
        self._count += 1
        if self._count <= limits.calls:
            return None
        wait = math.ceil(self._window_ends - now)
        text = f"ratelimit exceeded {limits.calls} per {limits.seconds:g} seconds [current count: {self._count}. Retry in {wait} seconds]"
        headers = {"X-QBAPI-Throttle-Request-Count": str(self._count), "X-QBAPI-Throttle-TTL": str(wait)}
        return JSONResponse({"error": text}, status_code=429, headers=headers)


async def give_token(tenant: QBenchTenant, request: Request) -> Response:
    """Answer an assertion with a token. Both ways in take the same fields, each in its own form encoding."""
    if not request.headers.get("content-type", "").startswith(TOKEN_FORMS[request.url.path]):
        raise Refused(400, {"error": "invalid_request"})
    async with request.form() as form:
        grant_type, assertion = form.get("grant_type"), form.get("assertion")
    if grant_type != GRANT_TYPE or not isinstance(assertion, str):
        raise Refused(400, {"error": "invalid_request"})
    _check_assertion(tenant, assertion)
    token = secrets.token_urlsafe(24)
    with tenant.lock:
        tenant.tokens[token] = time.time() + tenant.token_seconds
    return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": tenant.token_seconds})


def _check_assertion(tenant: QBenchTenant, assertion: str) -> None:
    try:
        claims = jwt.decode(assertion, tenant.client_secret, algorithms=["HS256"], options={"require": ["sub", "iat", "exp"]})
    except jwt.InvalidTokenError:
        raise Refused(400, {"error": "invalid_grant"}) from None
    unknown = set(claims) - {"sub", "iat", "exp"}
    if unknown or claims["sub"] != tenant.client_id or claims["exp"] - claims["iat"] > LONGEST_ASSERTION_SECONDS:
        raise Refused(400, {"error": "invalid_grant"})


def check_token(tenant: QBenchTenant, request: Request) -> None:
    """Raises Refused unless the request carries a token that is known and not too old."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    with tenant.lock:
        good_until = tenant.tokens.get(token, 0.0)
    if scheme == "Bearer" and time.time() < good_until:
        return
    if tenant.refuses_stale_with == "unauthorized":
        raise refused(401, "unauthorized", "The access token is missing, unknown or expired.")
    raise Refused(400, {"error": tenant.refuses_stale_with})
