"""How requests reach Salesforce: one pool of connections, signing in, and every bad answer as an error of ours.

simple-salesforce builds the requests; three of its habits are kept away. It is given the token instead of the credentials,
so its own re-login (without a lock, losing per-call headers, endless on single-row calls) never runs. Its answers are
checked in a hook before it reads them. And its fixed ``https://`` hosts are led elsewhere by an adapter, where ``url`` says so.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import Any, Literal
from urllib.parse import quote_plus, urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceError
from simple_salesforce.login import SalesforceLogin
from urllib3.exceptions import NewConnectionError

from crm_pipeline.calls import UNFINISHED, CallCounter, with_retries
from crm_pipeline.clocks import Clock
from crm_pipeline.contracts import Form, fault_of
from crm_pipeline.counting import counted
from crm_pipeline.crms.encoding import json_body
from crm_pipeline.crms.salesforce.contracts import TOGETHER, TOKEN, first_page, is_of_rows, page, retrieved
from crm_pipeline.crms.salesforce.encoding import Client
from crm_pipeline.crms.salesforce.errors import ExpiredSessionError, RowsRefusedError, refused_request
from crm_pipeline.crms.salesforce.ids import Identity, identity_of
from crm_pipeline.crms.salesforce.queries import SelectIn, compare, select, selected
from crm_pipeline.crms.salesforce.settings import SalesforceSettings
from crm_pipeline.errors import LimitReachedError, ServiceError, ServiceUnavailableError, UnexpectedAnswerError
from crm_pipeline.halving import may_be_of_one, read_in_halves

Deleted = Literal["left_out", "included"]

logger = logging.getLogger(__name__)

# The first of them is what the library says of a SOCKS proxy.
_OF_A_PROXY = (requests.exceptions.InvalidSchema, requests.exceptions.ProxyError, requests.exceptions.InvalidProxyURL)
_PROXY = "the proxy that HTTPS_PROXY or ALL_PROXY names: it must be an http:// one that lets us through, or NO_PROXY name the host"

TOKEN_PATH = "/services/oauth2/token"  # noqa: S105
CONNECT_SECONDS = 10.0
IDS_PER_RETRIEVE = 2_000
CONNECTIONS = 16
OK = 200
ADDRESS_TOO_LONG = frozenset({414, 431})
LARGEST_OFFSET = 2_000
"""Of a query ("OFFSET" in the SOQL reference)."""
URI_AND_HEADER_BYTES = 16_384
"""Most bytes of a request's address and headers together ("API Request Limits": 414 or 431 beyond)."""


class SalesforceTransport:
    """Signed-in requests to one organization; safe over threads."""

    def __init__(self, settings: SalesforceSettings, *, integration: str, calls: CallCounter) -> None:
        self._settings = settings
        self.integration = integration
        self._calls = calls
        self.clock = Clock()
        self._lock = threading.Lock()
        self._client: Salesforce | None = None
        self._identity = Identity()
        self.daily_calls: tuple[int, int] | None = None
        """Calls of the day, used and allowed, as the last answer said."""
        self._limit: LimitReachedError | None = None
        self._longest_query = URI_AND_HEADER_BYTES
        self._session = requests.Session()
        # Else requests takes what a .netrc file of the machine has for the host, or for all, in the place of the token.
        self._session.auth = _as_it_is
        self._session.mount("https://", _EndpointAdapter(base=settings.url, timeout=(CONNECT_SECONDS, settings.timeout_seconds)))
        self._session.hooks["response"] = [self._check]

    def call(self, send: Callable[[Salesforce], Any], *, label: str, holds: Form, repeatable: bool = True, divisible: bool = False) -> Any:
        """Make one request through the signed-in client, again where that may help; ``send`` makes exactly one.

        ``divisible``: whether less can be asked for where this is too much. Raises a ServiceError for everything but a
        success that holds what it must (contracts).
        """
        return with_retries(
            lambda: self._attempt(send, label, holds),
            repeatable=repeatable,
            attempts=self._settings.attempts,
            waits=self._settings.waits,
            divisible=divisible,
        )

    def is_up(self) -> bool:
        """Whether Salesforce answers now, asked once for the organization's id."""
        return self.answers("SELECT Id FROM Organization")

    def query(
        self, soql: str, *, deleted: Deleted = "left_out", repeatable: bool = True, divisible: bool = False
    ) -> Iterator[list[dict[str, Any]]]:
        """The pages of a query's records, each of at most 2,000; with ``deleted`` included, those in the recycle bin too."""
        fields = selected(soql)

        def read(send: Callable[[Salesforce], Any], holds: Form) -> Any:
            return self.call(send, label="read", holds=holds, repeatable=repeatable, divisible=divisible)

        answer = read(lambda client: client.query(soql, include_deleted=deleted == "included"), first_page(fields))
        yield answer["records"]
        passed: set[str] = set()
        while more := answer.get("nextRecordsUrl"):
            if more in passed:
                raise self.unexpected("leads from a query's page back to one before")
            passed.add(more)
            answer = read(_next_page(more), page(fields))
            yield answer["records"]

    def answers(self, soql: str) -> bool:
        """Whether Salesforce answers a query now, asked once."""
        try:
            self._attempt(lambda client: client.query(soql), "read", first_page(selected(soql)))
        except ServiceError:
            return False
        return True

    def query_in(
        self, statement: SelectIn, values: Iterable[str], *, deleted: Deleted = "left_out"
    ) -> tuple[list[dict[str, Any]], set[str]]:
        """The records whose field is one of the values, and the values on which Salesforce fails."""

        def send(part: Sequence[str], /, *, again: bool) -> list[dict[str, Any]]:
            soql = statement.of(part)
            try:
                pages = self.query(soql, deleted=deleted, repeatable=not again, divisible=len(part) > 1)
                return [record for page in pages for record in page]
            except RowsRefusedError as refusal:
                if refusal.status in ADDRESS_TOO_LONG and len(part) > 1:
                    self._longest_query = min(self._longest_query, len(quote_plus(soql)) // 2)
                raise

        portions = statement.portions(values, room=self.query_room)
        answers, failed = read_in_halves(portions, send, is_up=lambda: self.answers(statement.of_none()))
        return list(chain.from_iterable(answers)), set(failed)

    def all_records(
        self, sobject: str, fields: Sequence[str], *, where: Sequence[str], deleted: Deleted = "left_out"
    ) -> Iterator[tuple[list[dict[str, Any]], int]]:
        """The records that meet the conditions, in parts, and how many there are besides that Salesforce fails to show.

        Where a page of the query fails for a record's sake, all are read in parts, and some come twice.
        """
        of_none = select(sobject, fields, where=[compare("Id", "=", None), *where], limit=1)
        try:
            for found in self.query(select(sobject, fields, where=where), deleted=deleted):
                yield found, 0
        except ServiceError as error:
            if not (may_be_of_one(error) and self.answers(of_none)):
                raise
            yield from self.walk(sobject, fields, where=where, deleted=deleted)

    def walk(
        self, sobject: str, fields: Sequence[str], *, where: Sequence[str], after: str | None = None, deleted: Deleted = "left_out"
    ) -> Iterator[tuple[list[dict[str, Any]], int]]:
        """The same in the order of ids, from behind one on, 2,000 a call; none comes twice, nor is left out for what changes meanwhile.

        Some two calls for each halving of a part in which there is one that Salesforce fails to show: a query's own pages lead to no
        next where one fails.
        """
        of_none = select(sobject, fields, where=[compare("Id", "=", None), *where], limit=1)
        last = [] if after is None else [compare("Id", ">", after)]

        def send(places: Sequence[int], /, *, again: bool) -> tuple[int, list[dict[str, Any]]]:
            soql = select(sobject, fields, where=[*where, *last], order="Id", limit=len(places), offset=places[0])
            pages = self.query(soql, deleted=deleted, repeatable=not again, divisible=len(places) > 1)
            return places[0], list(chain.from_iterable(pages))

        while True:
            answers, failed = read_in_halves([range(LARGEST_OFFSET)], send, is_up=lambda: self.answers(of_none))
            records = [record for _, found in sorted(answers, key=itemgetter(0)) for record in found]
            if failed:
                logger.warning(
                    "integration %s: salesforce fails to show %s of %s", self.integration, counted(len(failed), "record"), sobject
                )
            yield records, len(failed)
            if not records or len(records) + len(failed) < LARGEST_OFFSET:
                return
            last[:] = [compare("Id", ">", records[-1]["Id"])]

    def first_pages(self, statements: Sequence[str], *, of_none: str) -> list[dict[str, Any] | None]:
        """The first page of each query, all in one call; None of one that was not answered well: it is to be asked by itself.

        At most five ("Composite" in the REST API guide). ``of_none``: a query like them for no record, which is to tell whether a call
        fails for what is in it. Raises the ServiceError of one that fails anyway.
        """
        path = f"/services/data/v{self._settings.api_version}/query"
        asked = [
            {"method": "GET", "url": f"{path}?q={quote_plus(soql)}", "referenceId": f"q{number}"} for number, soql in enumerate(statements)
        ]
        ask = partial(Salesforce.restful, path="composite", method="POST", json={"allOrNone": False, "compositeRequest": asked})
        try:
            answer = self.call(ask, label="read", holds=TOGETHER, divisible=len(statements) > 1)
        except ServiceError as error:
            if not (may_be_of_one(error) and self.answers(of_none)):
                raise
            return [None] * len(statements)
        told = {part["referenceId"]: part for part in answer["compositeResponse"]}
        found = [told.get(f"q{number}") for number in range(len(statements))]
        return [
            part["body"]
            if part is not None and part["httpStatusCode"] == OK and not fault_of(part["body"], first_page(selected(soql)))
            else None
            for part, soql in zip(found, statements, strict=True)
        ]

    def retrieve(self, sobject: str, record_ids: Sequence[str], fields: Sequence[str]) -> tuple[list[dict[str, Any]], set[str]]:
        """The records of these ids that exist and are visible, 2,000 a call, and the ids on which Salesforce fails."""
        of_none = SelectIn(sobject, fields, "Id").of_none()
        path = f"composite/sobjects/{sobject}"

        def send(part: Sequence[str], /, *, again: bool) -> list[dict[str, Any]]:
            body = {"ids": list(part), "fields": list(fields)}
            ask = partial(Salesforce.restful, path=path, method="POST", data=json_body(body))
            holds = retrieved(body["ids"], body["fields"])
            found = self.call(ask, label="read", holds=holds, repeatable=not again, divisible=len(part) > 1)
            return [record for record in found if record is not None]

        portions = (record_ids[start : start + IDS_PER_RETRIEVE] for start in range(0, len(record_ids), IDS_PER_RETRIEVE))
        in_flight = max(1, self._settings.calls_in_flight // 2)
        answers, failed = read_in_halves(portions, send, is_up=lambda: self.answers(of_none), in_flight=in_flight)
        return list(chain.from_iterable(answers)), set(failed)

    def query_room(self) -> int:
        """How many bytes a query may take, URL-encoded, beside the request's own address and headers; fewer once one was too long."""
        client = self._signed_in()
        headers = {**self._session.headers, **client.headers}
        taken = len(client.base_url) + sum(len(name) + len(value) + 4 for name, value in headers.items())
        return min(self._longest_query, URI_AND_HEADER_BYTES - taken - 256)

    def user_id(self) -> str:
        """The id of the user that our requests run as; it ends the identity address in the token's answer."""
        user_id = self.identity.user
        if user_id is None:
            raise self.unexpected("the token's answer names no user")
        return user_id

    @property
    def identity(self) -> Identity:
        """Whose token it is, as far as its answer says so."""
        self._signed_in()
        return self._identity

    def ensure_reserve(self) -> None:
        """Raise LimitReachedError when fewer daily calls are left than ``keep_free`` says, or ``limit_reached`` was called."""
        if self._limit is not None:
            raise self._limit
        if self.daily_calls is None:
            return
        used, total = self.daily_calls
        if total - used < self._settings.keep_free * total:
            raise self._limit_error(f"{used} of the organization's {total} daily API calls are used; keep_free leaves the rest to others")

    def limit_reached(self, message: str) -> LimitReachedError:
        """The error of a used-up limit; from now on ``ensure_reserve`` raises it."""
        self._limit = self._limit_error(message)
        return self._limit

    def unexpected(self, message: str, *, executed: bool = True) -> UnexpectedAnswerError:
        """The error of an answer that the API's contract does not know."""
        return UnexpectedAnswerError(
            f"{message}; check {self._remedy()}", integration=self.integration, service="Salesforce", executed=executed
        )

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def _limit_error(self, message: str) -> LimitReachedError:
        return LimitReachedError(f"{message}. A later run continues", integration=self.integration, service="Salesforce")

    def _attempt(self, send: Callable[[Salesforce], Any], label: str, holds: Form) -> Any:
        client = self._signed_in()
        try:
            answer = self._send(send, client, label)
        except ExpiredSessionError:
            answer = self._send(send, self._signed_in(instead_of=client), label)
        if fault := fault_of(answer, holds):
            raise self.unexpected(f"answered a call ({label}), but {fault}")
        return answer

    def _send(self, send: Callable[[Salesforce], Any], client: Salesforce, label: str) -> Any:
        self._calls.add(label)
        with self._translated(executed=True):
            return send(client)

    def _signed_in(self, *, instead_of: Salesforce | None = None) -> Salesforce:
        """The client with a token. Threads that meet an expired one together sign in once."""
        with self._lock:
            if self._client is None or self._client is instead_of:
                self._client = self._sign_in()
            return self._client

    def _sign_in(self) -> Salesforce:
        settings, integration = self._settings, self.integration
        client_id = settings.client_id.read(integration=integration)
        client_secret = settings.client_secret.read(integration=integration)
        self._calls.add("sign_in")
        with self._translated(executed=False):
            token, host = SalesforceLogin(
                session=self._session,
                consumer_key=client_id,
                consumer_secret=client_secret,
                domain=settings.domain or "organization",
            )
            return Client(session_id=token, instance_url=f"https://{host}", session=self._session, version=settings.api_version)

    def _check(self, response: requests.Response, **_: Any) -> None:
        """Look at every answer before the client library does: it knows neither lists from the token endpoint nor HTML."""
        headed = datetime.now(UTC)
        self.clock.note(response.headers.get("Date"), sent=headed - response.elapsed, answered=headed)
        signing_in = urlsplit(response.url).path.endswith(TOKEN_PATH)
        if response.status_code in UNFINISHED and not signing_in:
            self._calls.lose()
        if not response.ok or response.status_code >= 300:
            raise refused_request(response, integration=self.integration, signing_in=signing_in, remedy=self._remedy())
        if response.status_code != 204 and not is_of_rows(response) and response.content.lstrip()[:1] not in {b"{", b"["}:
            raise self.unexpected(f"answered {response.status_code} with something that is not JSON", executed=not signing_in)
        if signing_in:
            self._read_token(response)
        if usage := response.headers.get("Sforce-Limit-Info"):
            self._read_usage(usage)

    def _read_token(self, response: requests.Response) -> None:
        answer = response.json()
        if fault := fault_of(answer, TOKEN):
            raise self.unexpected(f"answered the sign-in, but {fault}", executed=False)
        self._identity = identity_of(answer.get("id"))

    def _read_usage(self, header: str) -> None:
        usage = Salesforce.parse_api_usage(header).get("api-usage")
        if usage is not None:
            self.daily_calls = (usage.used, usage.total)

    def _remedy(self) -> str:
        address = f"url ({self._settings.url})" if self._settings.url else f"domain ({self._settings.domain})"
        return (
            f"{address}, and that {self._settings.client_id.env} and {self._settings.client_secret.env} hold the key and secret of an "
            "External Client App with the client credentials flow and a run-as user"
        )

    @contextmanager
    def _translated(self, *, executed: bool) -> Iterator[None]:
        try:
            yield
        except (requests.exceptions.JSONDecodeError, SalesforceError):
            raise self.unexpected("answered something that is not JSON", executed=executed) from None
        except requests.exceptions.RequestException as error:
            executed = executed and not _never_sent(error)
            if executed:
                self._calls.lose()
            remedy = _PROXY if isinstance(error, _OF_A_PROXY) else self._remedy()
            raise ServiceUnavailableError(
                f"cannot be reached or did not answer ({type(error).__name__}); check {remedy}",
                integration=self.integration,
                service="Salesforce",
                code=type(error).__name__,
                executed=executed,
                too_much=isinstance(error, requests.exceptions.ReadTimeout),
            ) from None
        except (ValueError, RecursionError):  # of JSON that is too deep, or has a number beyond measure
            raise self.unexpected("answered JSON that cannot be read", executed=executed) from None


class _EndpointAdapter(HTTPAdapter):
    """Gives every request its time-outs and, where there is a base, leads it there."""

    def __init__(self, *, base: str | None, timeout: tuple[float, float]) -> None:
        self._base = urlsplit(base) if base else None
        # The proxies that are chosen for a request are those of its address before it is changed.
        self._proxies = get_environ_proxies(base) if base else {}
        self._timeout = timeout
        super().__init__(pool_maxsize=CONNECTIONS)

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send a prepared request."""
        options["timeout"] = options.get("timeout") or self._timeout
        if self._base:
            path, query = urlsplit(request.url or "")[2:4]
            request.url = urlunsplit((self._base.scheme, self._base.netloc, self._base.path + str(path), str(query), ""))
            options["proxies"] = self._proxies
        return super().send(request, *args, **options)


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _next_page(path: str) -> Callable[[Salesforce], Any]:
    return lambda client: client.query_more(path, identifier_is_url=True)


def _never_sent(error: requests.exceptions.RequestException) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.exceptions.ConnectTimeout) or isinstance(reason, NewConnectionError)
