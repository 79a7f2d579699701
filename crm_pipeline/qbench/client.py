"""Asks QBench's API v2, at its pace, signed in, again where that helps; every failure becomes one of our errors."""

from __future__ import annotations

import copy
import re
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from types import MappingProxyType, TracebackType
from typing import Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

import httpx

from crm_pipeline.calls import AnswerTimes, CallCounter, with_retries
from crm_pipeline.clocks import Clock
from crm_pipeline.contracts import Form
from crm_pipeline.errors import RequestRefusedError, ServiceUnavailableError
from crm_pipeline.pacing import Leases, Pace
from crm_pipeline.proxies import proxy_to
from crm_pipeline.qbench.answers import API_PATH, NOT_FOUND, Caller, json_object, refuses_token, rows_refused
from crm_pipeline.qbench.auth import Token, Tokens
from crm_pipeline.qbench.contracts import LIST, PROBE, WRITTEN, one_record, record_id
from crm_pipeline.qbench.dates import zone_of
from crm_pipeline.qbench.settings import QBenchSettings

PROBE_PATH = "/qbench/api/v1/updates"
PACE_MARGIN_SECONDS = 0.5
"""Calls are paced when they leave; those of a window may arrive closer together by the differences of their journeys."""

DEFAULT_PAGE = 20
"""Records of a page where QBench is asked for no number of them, or passes it over (its API documentation)."""

HEADERS = MappingProxyType({"accept": "application/json", "accept-encoding": "gzip, deflate", "user-agent": "crm-pipeline"})

_DIGITS = re.compile(r"[0-9]{1,18}")

T = TypeVar("T")

Query = Mapping[str, str | Sequence[str]]

NOT_EXECUTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list: its records, whether pages may follow, and how many records the whole list has (None: not said)."""

    records: list[dict[str, Any]]
    more: bool
    total: int | None


def may_go_on(*, more: bool, total: int | None, here: int, read: int) -> bool:
    """Whether pages may follow one with ``here`` places, ``read`` places into its list.

    The total decides too: QBench may announce the last page by longer pages than it gives.
    """
    return more or (total is not None and here > 0 and read < total)


class QBenchClient:
    """One integration's way to its QBench tenant; safe over threads. No I/O before the first call, which signs in.

    ``calls`` counts the HTTP calls made, labels ``sign_in``, ``read`` and ``write``; ``clock`` is QBench's, as its answers show it.
    Every method may raise a ServiceError, or MissingCredentialError from the first call on.
    """

    def __init__(self, settings: QBenchSettings, *, integration: str) -> None:
        limits = settings.limits
        self.settings = settings
        self.integration = integration
        self.calls = CallCounter()
        self.clock = Clock()
        self.caller = Caller(integration=integration, host=urlsplit(settings.url).hostname or settings.url)
        self.zone: tzinfo = zone_of(settings.time_zone)
        self._patient = True
        self._pace = Pace(calls=limits.calls, seconds=limits.seconds + PACE_MARGIN_SECONDS)
        self._answer_times = AnswerTimes()
        self._places = threading.BoundedSemaphore(limits.concurrent)
        # Not a whole client of the library: what that does around a call for cookies, redirects and hooks costs as much as the call.
        self._http = httpx.HTTPTransport(
            verify=_certificates(settings.url),
            limits=httpx.Limits(max_connections=limits.concurrent, max_keepalive_connections=limits.concurrent),
            proxy=proxy_to(settings.url),
        )
        self._closed = threading.Event()
        self._extensions = {"timeout": httpx.Timeout(settings.timeout_seconds).as_dict()}
        self._tokens = Tokens(settings, caller=self.caller, send=self._post_for_token)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back. No call leaves behind this, also of those that wait for their turn."""
        self._closed.set()
        self._http.close()

    def share_pace(self, leases: Leases) -> None:
        """Keep the tenant's limit of calls together with all who use it."""
        self._pace.share(leases, lambda: f"qbench {self.settings.url}")

    def sign_in(self) -> None:
        """Ask for a token where there is none, as the first call does."""
        self._with_retries(self._tokens.current)

    @property
    def calls_at_once(self) -> int:
        """How many calls must be under way at one time to reach the limit, as quickly as QBench answers now."""
        limits = self.settings.limits
        return self._answer_times.calls_at_once(calls=limits.calls, seconds=limits.seconds, most=limits.concurrent)

    @property
    def once(self) -> QBenchClient:
        """The same way to the tenant, on which a call that QBench fails on, without a word when to come back, is not made again.

        For reads that are asked for in parts where they fail: the waits between the attempts of each would take hours.
        """
        other = copy.copy(self)
        other._patient = False
        return other

    def list_page(self, path: str, *, page: int, size: int, parameters: Query | None = None, holds: Form = LIST) -> Listing:
        """One page of a list, ``customers`` for instance; pages count from 1.

        Behind a full page there may always be another one: counts can say that pages follow, never that none does.
        """
        query = {"page_num": str(page), "page_size": str(size), **(parameters or {})}
        content = self._get(path, query, holds)
        records = content["data"]
        pages, total = _count(content.get("total_pages")), _count(content.get("total_count"))
        if not records or len(records) in {size, DEFAULT_PAGE} or len(records) > size:
            more = bool(records)
        elif pages is not None:
            more = page < pages or (total is not None and (page - 1) * size + len(records) < total)
        elif total is not None:
            # Pages may be shorter than asked for, so only their own length tells what those before held.
            more = page * len(records) < total
        else:
            more = self._is_filled(path, {**query, "page_num": str(page + 1)}, holds)
        return Listing(records, more, total)

    def record(self, path: str) -> dict[str, Any]:
        """One record, ``customers/41`` for instance. Raises RequestRefusedError when there is none."""
        record: dict[str, Any] = self._get(path, {}, one_record(int(path.rpartition("/")[2])))["data"]
        return record

    def deleted_since(self, name: str, seconds: int) -> frozenset[int]:
        """Ids of the records deleted since then, by the probe for changes: ``name`` is ``customer`` or ``contact``.

        Raises RequestRefusedError where the tenant does not answer it.
        """
        found = self._get(f"{PROBE_PATH}/{name}/{seconds}", {}, PROBE)["deleted"]
        return frozenset(number for value in found if (number := record_id(value)) is not None)

    def write(
        self, method: Literal["PATCH", "POST"], path: str, rows: Sequence[Mapping[str, Any]], *, repeatable: bool
    ) -> list[dict[str, Any]]:
        """Send rows; the records that QBench answers, none where it answers without content.

        ``repeatable``: whether they may be sent again where nobody knows what became of them. Raises RowsRefusedError where it may be
        a row's fault, AuthenticationError that names what the API client is not granted.
        """

        def call() -> list[dict[str, Any]]:
            response = self._ask(method, path, label="write", json=list(rows))
            if response.status_code == httpx.codes.NO_CONTENT:
                return []
            if refusal := rows_refused(response, caller=self.caller):
                raise refusal
            records: list[dict[str, Any]] = json_object(response, caller=self.caller, holds=WRITTEN)["data"]
            return records

        return self._with_retries(call, repeatable=repeatable)

    def _is_filled(self, path: str, query: Query, holds: Form) -> bool:
        try:
            return bool(self._get(path, query, holds)["data"])
        except RequestRefusedError as error:
            if error.code == NOT_FOUND:
                return False
            raise

    def _get(self, path: str, query: Query, holds: Form) -> dict[str, Any]:
        return self._with_retries(lambda: json_object(self._ask("GET", path, label="read", query=query), caller=self.caller, holds=holds))

    def _with_retries(self, call: Callable[[], T], *, repeatable: bool = True) -> T:
        settings = self.settings
        return with_retries(call, repeatable=repeatable, attempts=settings.attempts, waits=settings.waits, patient=self._patient)

    def _ask(self, method: str, path: str, *, label: str, **request: Any) -> httpx.Response:
        """What a signed-in call is answered. Raises AuthenticationError where QBench takes no token of ours."""
        path = path if path.startswith("/") else f"{API_PATH}/{path}"
        token = self._tokens.current()
        response = self._send(method, path, label=label, headers=_bearer(token), **request)
        if refuses_token(response):
            token = self._tokens.renewed(token)
            response = self._send(method, path, label=label, headers=_bearer(token), **request)
            if refuses_token(response):
                raise self._tokens.refusal("refuses the token that it has just given")
        return response

    def _post_for_token(self, path: str, **body: Any) -> httpx.Response:
        return self._send("POST", path, label="sign_in", **body)

    def _send(
        self,
        method: str,
        path: str,
        *,
        label: str,
        query: Query | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
        **body: Any,
    ) -> httpx.Response:
        """Send one request within the limits. Raises ServiceUnavailableError where no answer came."""
        url = httpx.URL(f"{self.settings.url}{path}", params=query)
        request = httpx.Request(method, url, headers={**HEADERS, **headers}, extensions=self._extensions, **body)
        with self._places:
            self._pace.wait()
            if self._closed.is_set():
                raise RuntimeError(f"{method} {path}: this client was closed")
            self.calls.add(label)
            sent, began = datetime.now(UTC), time.monotonic()
            try:
                response = self._answer(request)
            except (httpx.TransportError, httpx.DecodingError) as error:
                raise ServiceUnavailableError(
                    f"{self.caller.host} did not answer {method} {path} ({type(error).__name__}); check that the integration's url is "
                    "right and that this machine reaches it",
                    executed=not isinstance(error, NOT_EXECUTED),
                    **self.caller.names,
                ) from None
            self._answer_times.note(time.monotonic() - began)
            self.clock.note(response.headers.get("Date"), sent=sent, answered=datetime.now(UTC))
            return response

    def _answer(self, request: httpx.Request) -> httpx.Response:
        response = self._http.handle_request(request)
        response.request = request
        try:
            response.read()
        finally:
            response.close()
        return response


def _bearer(token: Token) -> dict[str, str]:
    return {"authorization": f"Bearer {token.value}"}


def _certificates(url: str) -> ssl.SSLContext | bool:
    """What to verify a tenant's certificate against. Loading the usual authorities is slow and plain http needs none."""
    return True if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _count(value: Any) -> int | None:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
