"""One HTTP call to HubSpot: paced, counted, sent by the client library, translated, repeated where that is safe.

The client library (hubspot-api-client) brings the token's header, the host, TLS and the connection pool. Its generated
methods are fixed to the v3 paths, open a pool per API object, log answers and write JSON slowly, so requests with paths of ours
go through the pool of one such object: one way for both families of paths.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import hubspot
import urllib3

from crm_pipeline.calls import UNFINISHED, AnswerTimes, CallCounter, with_retries
from crm_pipeline.clocks import Clock
from crm_pipeline.contracts import Form
from crm_pipeline.crms.encoding import json_body
from crm_pipeline.crms.hubspot.answers import SERVICE, Answer, content
from crm_pipeline.crms.hubspot.contracts import ACCOUNT, REMOVED, SEARCH
from crm_pipeline.crms.hubspot.paths import PATHS
from crm_pipeline.crms.hubspot.settings import HubSpotSettings
from crm_pipeline.errors import LimitReachedError, ServiceError, ServiceUnavailableError, UnexpectedAnswerError
from crm_pipeline.pacing import Leases, Pace
from crm_pipeline.proxies import proxy_to

logger = logging.getLogger(__name__)

Label = Literal["sign_in", "describe", "read", "write", "associate"]

WRITES: frozenset[Label] = frozenset({"write", "associate"})
PACE_MARGIN_SECONDS = 0.5
"""Added to the limits' windows: HubSpot counts calls as they arrive, we as they leave, and the first opens a connection."""

DAILY_LIMIT = "X-HubSpot-RateLimit-Daily"
DAILY_REMAINING = "X-HubSpot-RateLimit-Daily-Remaining"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a POST was answered. ``repeated``: an earlier attempt of the same request may have been carried out too."""

    content: dict[str, Any] = field(repr=False)
    repeated: bool


class Transport:
    """The connection of one integration to HubSpot; safe over threads.

    Every call says what its answer must hold (``holds``, contracts): one without it is an UnexpectedAnswerError.
    """

    def __init__(self, settings: HubSpotSettings, *, integration: str) -> None:
        limits = settings.limits
        self.calls = CallCounter()
        self.clock = Clock()
        self.answer_times = AnswerTimes()
        self.integration = integration
        self._settings = settings
        self._pace = Pace(calls=limits.calls, seconds=limits.seconds + PACE_MARGIN_SECONDS)
        self._search_pace = Pace(calls=limits.searches_per_second, seconds=1 + PACE_MARGIN_SECONDS)
        self._lock = threading.Lock()
        self._client: Any = None
        self._daily: tuple[int, int] | None = None

    def share_pace(self, leases: Leases) -> None:
        """Keep the limits together with all who use the token.

        HubSpot counts calls by the app, whose token it is. It counts searches by the portal, which a call would have to tell.
        """

        def app() -> str:
            token = self._settings.token.read(integration=self.integration)
            # A token is long and random, so that nobody finds it by its digest; half of one would not even prove it.
            return f"hubspot app {hashlib.sha256(token.encode()).hexdigest()[:16]}"

        self._pace.share(leases, app)
        self._search_pace.share(leases, lambda: f"{app()} searches")

    def get(
        self, path: str, query: Mapping[str, str] | None = None, *, label: Label, holds: Form, repeatable: bool = True
    ) -> dict[str, Any]:
        """The JSON object at a path. Raises ServiceError."""
        return with_retries(
            lambda: self._call("GET", path, query=query, label=label, holds=holds),
            repeatable=repeatable,
            attempts=self._settings.attempts,
            waits=self._settings.waits,
        )

    def post(
        self, path: str, body: Mapping[str, Any], *, label: Label, holds: Form, repeatable: bool = True, divisible: bool = False
    ) -> Reply:
        """What a POST answers with 2xx, 207 included. Raises ServiceError.

        ``divisible``: whether less can be asked for where this is too much. Raises LimitReachedError before a write when the
        reserve of daily calls is reached (docs/rules.md, 31).
        """
        repeated = False

        def call() -> dict[str, Any]:
            nonlocal repeated
            try:
                return self._call("POST", path, body=body, label=label, holds=holds)
            except (ServiceUnavailableError, UnexpectedAnswerError) as error:
                repeated = repeated or error.executed
                raise

        answered = with_retries(
            call, repeatable=repeatable, attempts=self._settings.attempts, waits=self._settings.waits, divisible=divisible
        )
        return Reply(answered, repeated)

    def remove(
        self, path: str, body: Mapping[str, Any], *, label: Label = "associate", repeatable: bool = True, divisible: bool = False
    ) -> dict[str, Any]:
        """Take associations, or records, away; again changes nothing. What is answered, empty for no content. Raises ServiceError."""
        return with_retries(
            lambda: self._call("POST", path, body=body, label=label, holds=REMOVED, empty="allowed"),
            repeatable=repeatable,
            attempts=self._settings.attempts,
            waits=self._settings.waits,
            divisible=divisible,
        )

    def search(self, path: str, body: Mapping[str, Any], *, repeatable: bool = True) -> dict[str, Any]:
        """The answer of a search, which has a pace of its own besides that of all calls. Raises ServiceError."""

        return with_retries(
            lambda: self._call("POST", path, body=body, label="read", holds=SEARCH, paces=(self._pace, self._search_pace)),
            repeatable=repeatable,
            attempts=self._settings.attempts,
            waits=self._settings.waits,
        )

    def is_up(self) -> bool:
        """Whether HubSpot answers now, asked once for its account details."""
        try:
            self._call("GET", PATHS[self._settings.path_family].account, label="read", holds=ACCOUNT)
        except ServiceError:
            return False
        return True

    def daily_calls(self) -> tuple[int, int] | None:
        """Calls of the day, used and allowed, as the last answer that told them said; searches and OAuth apps are not told."""
        with self._lock:
            if self._daily is None:
                return None
            remaining, limit = self._daily
            return limit - remaining, limit

    def close(self) -> None:
        """Give the connections back; a later call opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.rest_client.pool_manager.clear()

    def _call(
        self,
        method: str,
        path: str,
        *,
        label: Label,
        holds: Form,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        paces: Sequence[Pace] = (),
        empty: Literal["refused", "allowed"] = "refused",
    ) -> dict[str, Any]:
        if label in WRITES:
            self._keep_reserve()
        client = self._connected()
        for pace in paces or (self._pace,):
            pace.wait()
        self.calls.add(label)
        sent = datetime.now(UTC)
        began = time.monotonic()
        answer = self._send(client, method, path, query=query, body=body)
        self.answer_times.note(time.monotonic() - began)
        self.clock.note(answer.headers.get("Date"), sent=sent, answered=datetime.now(UTC))
        if answer.status in UNFINISHED:
            self.calls.lose()
        self._note_daily(answer.headers)
        return content(answer, integration=self.integration, token=self._settings.token.env, holds=holds, empty=empty)

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                token = self._settings.token.read(integration=self.integration)
                url = self._settings.url
                # Beyond its size, a pool gives up a connection after each call.
                pool = {"connection_pool_maxsize": self._settings.calls_in_flight}
                library = hubspot.HubSpot(access_token=token, host=url, retry=False, proxy=proxy_to(url), **pool)
                # Every further access to a library's API object would open a pool of its own, so one is kept.
                self._client = library.crm.objects.batch_api.api_client
            return self._client

    def _send(self, client: Any, method: str, path: str, *, query: Mapping[str, str] | None, body: Mapping[str, Any] | None) -> Answer:
        headers = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": client.user_agent}
        client.update_params_for_auth(headers, [], ["oauth2"])
        asked = f"{method} {path}"
        seconds = self._settings.timeout_seconds
        try:
            response = client.rest_client.pool_manager.request(
                method,
                f"{client.configuration.host}{path}",
                headers=headers,
                timeout=urllib3.Timeout(connect=seconds, read=seconds),
                preload_content=False,
                **({"fields": query} if body is None else {"body": json_body(body)}),
            )
            return Answer(asked, response.status, response.headers, response.data)
        except urllib3.exceptions.SSLError:
            raise self._unreachable(asked, "TLS failed", executed=False) from None
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
            raise self._unreachable(asked, type(error).__name__, executed=False) from None
        except urllib3.exceptions.HTTPError as error:
            self.calls.lose()
            too_much = isinstance(error, urllib3.exceptions.ReadTimeoutError)
            raise self._unreachable(asked, type(error).__name__, executed=True, too_much=too_much) from None

    def _unreachable(self, asked: str, cause: str, *, executed: bool, too_much: bool = False) -> ServiceUnavailableError:
        return ServiceUnavailableError(
            f"{asked} got no answer from {self._settings.url} ({cause}); check that the integration's url is right and that this "
            "machine reaches it",
            integration=self.integration,
            service=SERVICE,
            code=cause,
            executed=executed,
            too_much=too_much,
        )

    def _note_daily(self, headers: Mapping[str, str]) -> None:
        """Remember what is left of the day; searches and OAuth apps are not told."""
        limit, remaining = headers.get(DAILY_LIMIT, ""), headers.get(DAILY_REMAINING, "")
        if all(said.isascii() and said.isdecimal() for said in (limit, remaining)):
            with self._lock:
                self._daily = (int(remaining), int(limit))

    def _keep_reserve(self) -> None:
        with self._lock:
            daily = self._daily
        if daily is None:
            return
        remaining, limit = daily
        if remaining < limit * self._settings.keep_free:
            raise LimitReachedError(
                f"{remaining} of {limit} daily calls are left, which keep_free reserves for others; the next run continues",
                integration=self.integration,
                service=SERVICE,
            )
