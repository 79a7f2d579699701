"""What does an answer of QBench mean? Its status and body as content, or as one of our errors.

Error texts name path, status and content type, never what an answer holds.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from crm_pipeline.calls import retry_after
from crm_pipeline.contracts import Form, fault_of
from crm_pipeline.errors import AuthenticationError, RequestRefusedError, ServiceUnavailableError, UnexpectedAnswerError
from crm_pipeline.halving import BatchRefusedError

SERVICE = "qbench"
NOT_FOUND = "404"
"""``RequestRefusedError.code`` where there is no such record; the words of QBench's own code for it are not documented."""
FORBIDDEN = "403"
"""``AuthenticationError.code`` where QBench knows us and does not let us have what was asked for."""
THROTTLE_HEADER = "X-QBAPI-Throttle-TTL"
"""QBench's own header that says how many seconds to wait (its API documentation)."""
STALE_TOKEN_CODES = frozenset({"invalid_grant", "invalid_request"})
"""``error`` of a 400 that means a stale or malformed token (observed)."""
BUSY_STATUSES = frozenset({408, 425})
REFUSES_ROWS = frozenset({400, 404, 409, 413, 422})
"""Statuses of a write by which one of its rows may be meant; the first two are documented."""
API_PATH = "/qbench/api/v2"

_RETRY_IN = re.compile(r"retry in (\d{1,15}(?:\.\d{1,9})?) second", re.IGNORECASE)
_SECONDS = re.compile(r"\d{1,15}(?:\.\d{1,9})?", re.ASCII)
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_NUMBER_IN_PATH = re.compile(r"/\d+")


class RowsRefusedError(BatchRefusedError):
    """QBench refuses the rows of a write. ``words``: all texts of its own account of them, which may hold values of records."""

    def __init__(self, message: str, *, words: Collection[str], integration: str, service: str, code: str) -> None:
        self.words = words
        super().__init__(message, integration=integration, service=service, code=code)


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf and of which host is asked: the names that every error carries."""

    integration: str
    host: str

    @property
    def names(self) -> dict[str, Any]:
        """What every ServiceError is told."""
        return {"integration": self.integration, "service": SERVICE}


def refuses_token(response: httpx.Response) -> bool:
    """Whether the answer means that the token is not, or no longer, good."""
    if response.status_code == httpx.codes.BAD_REQUEST:
        error = _body(response).get("error")
        return isinstance(error, str) and error in STALE_TOKEN_CODES
    return response.status_code == httpx.codes.UNAUTHORIZED


def json_object(response: httpx.Response, *, caller: Caller, holds: Form) -> dict[str, Any]:
    """The answer's JSON object, which holds what it must (contracts), or the error that the answer means, raised.

    ServiceUnavailableError for 429 (with the wait that QBench names), 5xx and their like; AuthenticationError for 403;
    RequestRefusedError for every other 4xx; UnexpectedAnswerError for what is no JSON object, or lacks a member.
    """
    if not response.is_success:
        raise _meaning(response, caller=caller)
    try:
        content = response.json()
    except (ValueError, RecursionError):
        raise unexpected(response, "answered no JSON", caller=caller) from None
    if not isinstance(content, dict):
        raise unexpected(response, "answered no JSON object", caller=caller)
    if fault := fault_of(content, holds):
        raise unexpected(response, f"answered, but {fault},", caller=caller)
    return content


def unexpected(response: httpx.Response, what: str, *, caller: Caller) -> UnexpectedAnswerError:
    """The error for an answer outside QBench's contract."""
    kind = response.headers.get("content-type", "none").partition(";")[0].strip()
    return UnexpectedAnswerError(
        f"{caller.host} {what} to {_asked(response)} (status {response.status_code}, content type {kind}); check that the integration's "
        "url is a QBench tenant's and that nothing between here and there (a proxy, a maintenance page) answers in its place",
        **caller.names,
    )


def rows_refused(response: httpx.Response, *, caller: Caller) -> RowsRefusedError | None:
    """The error of an answer to a write by which one of its rows may be meant; None of any other answer."""
    if response.status_code not in REFUSES_ROWS:
        return None
    words = frozenset(_words(_body(response).get("errors")))
    return RowsRefusedError(_refusal(response, caller), words=words, code=_refusal_code(response), **caller.names)


def _meaning(response: httpx.Response, *, caller: Caller) -> Exception:
    status = response.status_code
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return ServiceUnavailableError(
            f"{caller.host} takes no more calls for now; lower the integration's limits where others call it too",
            wait_seconds=_wait_seconds(response),
            executed=False,
            **caller.names,
        )
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or status in BUSY_STATUSES:
        return ServiceUnavailableError(
            f"{caller.host} failed with status {status} on {_asked(response)}", wait_seconds=_wait_seconds(response), **caller.names
        )
    if status == httpx.codes.FORBIDDEN:
        return AuthenticationError(
            f"{caller.host} does not allow {_asked(response)}; {_to_grant(response)}",
            code=FORBIDDEN,
            **caller.names,
        )
    if status < httpx.codes.BAD_REQUEST:
        return unexpected(response, "redirects or answers nothing", caller=caller)
    return RequestRefusedError(_refusal(response, caller), code=_refusal_code(response), **caller.names)


def _refusal(response: httpx.Response, caller: Caller) -> str:
    return f"{caller.host} refuses {_asked(response)} with status {response.status_code}"


def _refusal_code(response: httpx.Response) -> str:
    return NOT_FOUND if response.status_code == httpx.codes.NOT_FOUND else _code(response) or str(response.status_code)


def _to_grant(response: httpx.Response) -> str:
    """What the API client has to be allowed, in the words of QBench's documentation."""
    request = response.request
    call = f"{request.method} {_NUMBER_IN_PATH.sub('/{id}', request.url.path.removeprefix(API_PATH))}"
    return f"let the API client read customers and contacts: grant it {call}" if request.method == "GET" else f"grant the API client {call}"


def _words(told: Any) -> Iterator[str]:
    """The texts in what QBench says of refused rows, whose shape it does not document."""
    if isinstance(told, str):
        yield told
    elif isinstance(told, dict | list):
        for part in told.values() if isinstance(told, dict) else told:
            yield from _words(part)


def _asked(response: httpx.Response) -> str:
    return f"{response.request.method} {response.request.url.path}"


def _wait_seconds(response: httpx.Response) -> float | None:
    own = response.headers.get(THROTTLE_HEADER, "").strip()
    if _SECONDS.fullmatch(own):
        return float(own)
    if (asked := retry_after(response.headers)) is not None:
        return asked
    found = _RETRY_IN.search(str(_body(response).get("error", "")))
    return float(found[1]) if found else None


def _code(response: httpx.Response) -> str | None:
    """QBench's own error code; only what looks like one, for the fields beside it may hold values of records."""
    body = _body(response)
    named = (body.get(name) for name in ("error_type", "error"))
    return next((code for code in named if isinstance(code, str) and _CODE.fullmatch(code)), None)


def _body(response: httpx.Response) -> dict[str, Any]:
    try:
        content = response.json()
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
