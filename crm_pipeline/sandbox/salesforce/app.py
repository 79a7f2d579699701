"""The organization over HTTP: sign-in, sessions, API versions, sizes and limits around the REST resources."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import time
from typing import Any
from urllib.parse import parse_qsl, unquote

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from crm_pipeline.sandbox.dating import Dated
from crm_pipeline.sandbox.salesforce import describe
from crm_pipeline.sandbox.salesforce.calls import ApiRequest
from crm_pipeline.sandbox.salesforce.errors import CallError, not_found
from crm_pipeline.sandbox.salesforce.org import SalesforceOrg
from crm_pipeline.sandbox.salesforce.resources import dispatch

OLDEST_VERSION = 46
EVERY_METHOD = ("GET", "POST", "PATCH", "PUT", "DELETE")


def salesforce_app(org: SalesforceOrg) -> Starlette:
    """The ASGI app of one organization: the token endpoint (client credentials only) and the REST API."""

    async def token(request: Request) -> Response:
        return _token(org, request, dict(parse_qsl((await request.body()).decode(errors="replace"))))

    async def versions(request: Request) -> Response:  # noqa: ARG001 - Starlette passes it
        return JSONResponse(describe.versions(OLDEST_VERSION, org.latest_version))

    async def rest(request: Request) -> Response:
        body = await request.body()
        try:
            response = _rest(org, request, body)
        except CallError as error:
            response = JSONResponse(error.body(), status_code=error.status)
        response.headers["Sforce-Limit-Info"] = f"api-usage={org.api_calls}/{org.daily_limit}"
        return response

    return Starlette(
        routes=[
            Route("/services/oauth2/token", token, methods=["POST"]),
            Route("/services/data", versions, methods=["GET"]),
            Route("/services/data/{path:path}", rest, methods=list(EVERY_METHOD)),
        ],
        middleware=[Middleware(Dated, clock=lambda: org.clock().timestamp() + org.clock_ahead)],
    )


def _rest(org: SalesforceOrg, request: Request, body: bytes) -> Response:
    _check_size(request, org.longest_address)
    scheme, _, session = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() not in ("bearer", "oauth") or not org.knows_session(session):
        raise CallError(401, "INVALID_SESSION_ID", "Session expired or invalid")
    version, _, path = _raw_path(request).removeprefix("/services/data/").partition("/")
    if not version.startswith("v") or not version.endswith(".0") or not _served(org, version[1:-2]):
        raise not_found()
    if not org.count_call():
        raise CallError(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
    call = ApiRequest(
        method=request.method,
        path=path,
        base=f"/services/data/{version}",
        params=dict(request.query_params),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=_parsed(request, body),
    )
    if org.on_request is not None:
        org.on_request(call.method, call.path)
    answer = dispatch(org, call)
    content, media_type = b"", None
    if isinstance(answer.body, str):
        content, media_type = answer.body.encode(), "text/csv;charset=UTF-8"
    elif answer.body is not None:
        content, media_type = json.dumps(answer.body, ensure_ascii=False).encode(errors="replace"), "application/json;charset=UTF-8"
    return Response(content, status_code=answer.status, headers=dict(answer.headers), media_type=media_type)


def _raw_path(request: Request) -> str:
    """The path with only its segments unquoted, so that an external id may contain a slash."""
    raw = request.scope.get("raw_path") or request.url.path.encode()
    return str(raw.decode("latin-1").partition("?")[0])


def _served(org: SalesforceOrg, version: str) -> bool:
    return version.isdigit() and OLDEST_VERSION <= int(version) <= org.latest_version


def _check_size(request: Request, longest: int) -> None:
    uri = len(_raw_path(request)) + 1 + len(request.scope.get("query_string", b""))
    headers = sum(len(name) + len(value) + len(": \r\n") for name, value in request.scope["headers"])
    if uri > longest:
        raise CallError(414, "URI_TOO_LONG", f"The length of the URI exceeds the {longest:,} byte limit.")
    if uri + headers > longest:
        message = f"The combined length of the URI and headers exceeds the {longest:,} byte limit."
        raise CallError(431, "REQUEST_HEADER_FIELDS_TOO_LARGE", message)


def _parsed(request: Request, body: bytes) -> Any:
    if not body:
        return None
    if request.method == "PUT" and request.headers.get("content-type", "").lower().startswith("text/csv"):
        return body.decode(errors="replace")
    if not request.headers.get("content-type", "").lower().startswith("application/json"):
        raise CallError(415, "UNSUPPORTED_MEDIA_TYPE", "The content type of the request's entity is not supported: application/json")
    try:
        return json.loads(body, parse_constant=_no_number)
    except ValueError:
        raise CallError(400, "JSON_PARSER_ERROR", "The HTTP entity body is not valid JSON") from None


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _token(org: SalesforceOrg, request: Request, form: dict[str, str]) -> Response:
    """The client-credentials flow, and the vendor's refusal of everything else. Sign-ins are no API calls."""
    if form.get("grant_type") != "client_credentials":
        return _refused("unsupported_grant_type", "grant type not supported")
    client_id, client_secret = _basic(request) or (form.get("client_id", ""), form.get("client_secret", ""))
    if not secrets.compare_digest(client_id.encode(), org.client_id.encode()):
        return _refused("invalid_client_id", "client identifier invalid")
    if not secrets.compare_digest(client_secret.encode(), org.client_secret.encode()):
        return _refused("invalid_client", "invalid client credentials")
    base = str(request.base_url).rstrip("/")
    return JSONResponse(
        {
            "access_token": org.sign_in(),
            "scope": "api",
            "instance_url": base,
            "api_instance_url": base,
            "id": f"{base}/id/{org.organization_id}/{org.user_id}",
            "token_type": "Bearer",
            "issued_at": str(int(time.time() * 1_000)),
        }
    )


def _refused(error: str, description: str) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status_code=400)


def _basic(request: Request) -> tuple[str, str] | None:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, _, client_secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote(client_id), unquote(client_secret)
