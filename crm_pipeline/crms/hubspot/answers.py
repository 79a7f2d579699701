"""What HubSpot's answers to a whole request mean: the one translation from HTTP to the package's service errors."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

import orjson

from crm_pipeline.calls import retry_after
from crm_pipeline.contracts import Form, fault_of
from crm_pipeline.crms.hubspot.errors import Problem, names_its_cause, read_problem
from crm_pipeline.errors import (
    AuthenticationError,
    LimitReachedError,
    RequestRefusedError,
    ServiceError,
    ServiceUnavailableError,
    UnexpectedAnswerError,
)
from crm_pipeline.halving import BatchRefusedError, DoubtfulRefusalError, FailedTogetherError

SERVICE = "hubspot"

RATE_LIMIT_WAITS: Mapping[str, float] = MappingProxyType({"TEN_SECONDLY_ROLLING": 10.0, "SECONDLY": 1.0})
"""Seconds to wait at least, by a 429's policyName (source: HubSpot's own Node client). DAILY is no wait but the end of the run."""

DAILY = "DAILY"
UNKNOWN_POLICY_WAIT = 10.0
LOCKED_WAIT = 2.0
"""423: too many writes to one object; HubSpot asks for at least two seconds between requests."""

BUSY = frozenset({408, 425, 477, *range(500, 600)})
"""Passing states: 477 is an account being moved to another data centre, 52x are Cloudflare's."""

TOO_MUCH = frozenset({408, 504, 524})
"""Statuses of a call that was not done in time."""

TOO_LARGE = frozenset({413, 414, 431})
"""Statuses of a request that is too large, whoever says so: a gateway in between does it in HTML."""

INPUTS_REFUSED = frozenset({400, 409, 422}) | TOO_LARGE
"""Statuses of what is in a request. Others that refuse it may be for one of its inputs or for what every call has."""

MISSING_SCOPES = "MISSING_SCOPES"

_CORRELATION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class InputsRefusedError(BatchRefusedError):
    """HubSpot refuses a request as a whole, maybe for one of its inputs; ``problem`` is what it says about it."""

    def __init__(self, message: str, *, integration: str, problem: Problem) -> None:
        self.problem = problem
        super().__init__(message, integration=integration, service=SERVICE, code=problem.code)


class InputsDoubtedError(DoubtfulRefusalError, RequestRefusedError):
    """HubSpot refuses a request by a status that leaves open whether for one of its inputs; ``problem`` is what it says about it."""

    def __init__(self, message: str, *, integration: str, problem: Problem, status: int) -> None:
        self.problem = problem
        super().__init__(message, integration=integration, service=SERVICE, code=problem.code or str(status))


class InputsForbiddenError(DoubtfulRefusalError, AuthenticationError):
    """HubSpot does not allow a request, and does not say that the token lacks a scope: it may be for one of its inputs."""

    def __init__(self, message: str, *, integration: str, problem: Problem) -> None:
        self.problem = problem
        super().__init__(message, integration=integration, service=SERVICE, code=problem.code or "403")


class NamelessError(FailedTogetherError):
    """HubSpot has an error for inputs of a batch and does not say for which; ``problem`` is what it says about it."""

    def __init__(self, *, integration: str, problem: Problem) -> None:
        self.problem = problem
        super().__init__(
            f"an error ({problem.code}) does not say which inputs of its batch it is about",
            integration=integration,
            service=SERVICE,
            code=problem.code,
        )


def problem_of(error: ServiceError) -> Problem | None:
    """What HubSpot refuses of an input that it refused alone; null where it failed inside, or leaves open what it refuses."""
    if isinstance(error, InputsRefusedError | NamelessError):
        return error.problem
    if isinstance(error, InputsDoubtedError | InputsForbiddenError) and names_its_cause(error.problem):
        return error.problem
    return None


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer. ``asked`` is method and path, without query."""

    asked: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def content(
    answer: Answer, *, integration: str, token: str, holds: Form, empty: Literal["refused", "allowed"] = "refused"
) -> dict[str, Any]:
    """The JSON object of a successful answer that has the form it must have. Raises the service error that any other answer means.

    ``token`` is the name of the environment variable that holds the token. ``empty``: whether 204, no content, is an answer.
    """
    if answer.status == 204 and empty == "allowed":
        return {}
    parsed = _parsed(answer.body)
    if not 200 <= answer.status < 300:
        raise _error(answer, parsed, integration=integration, token=token)
    if parsed is None:
        raise _unexpected(f"{answer.asked} answered {answer.status} without a JSON object", integration=integration)
    if fault := fault_of(parsed, holds):
        raise _unexpected(f"{answer.asked} answered {answer.status}, but {fault}", integration=integration)
    return parsed


def _unexpected(says: str, *, integration: str) -> UnexpectedAnswerError:
    return UnexpectedAnswerError(f"{says}; check the url setting and proxies in between", integration=integration, service=SERVICE)


def _parsed(body: bytes) -> dict[str, Any] | None:
    try:
        parsed = _read(body)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _read(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        # It reads neither lone surrogates nor numbers beyond measure.
        return json.loads(body)


def _error(answer: Answer, body: dict[str, Any] | None, *, integration: str, token: str) -> ServiceError:
    problem = read_problem(body)
    says = f"{answer.asked} answered {answer.status}{_details(problem, body)}"
    if answer.status == 429:
        return _rate_limited(answer, body, says=says, integration=integration)
    if answer.status == 401:
        return AuthenticationError(f"{says}: the token in {token} is refused; set a valid one", integration=integration, service=SERVICE)
    if answer.status == 403 and (problem.scopes or problem.says(MISSING_SCOPES)):
        scopes = f": {', '.join(problem.scopes)}" if problem.scopes else ""
        return AuthenticationError(f"{says}: the token in {token} lacks scopes{scopes}; add them", integration=integration, service=SERVICE)
    if answer.status == 423:
        wait = max(LOCKED_WAIT, retry_after(answer.headers) or 0)
        return ServiceUnavailableError(says, integration=integration, service=SERVICE, code=_code(problem, answer), wait_seconds=wait)
    if answer.status in BUSY:
        return ServiceUnavailableError(
            says,
            integration=integration,
            service=SERVICE,
            code=_code(problem, answer),
            wait_seconds=retry_after(answer.headers),
            executed=answer.status != 477,
            too_much=answer.status in TOO_MUCH,
        )
    if body is None and answer.status not in TOO_LARGE:
        return _unexpected(f"{says} without a JSON object", integration=integration)
    if answer.status in INPUTS_REFUSED:
        problem = problem if problem.codes else replace(problem, codes=(str(answer.status),))
        return InputsRefusedError(says, integration=integration, problem=problem)
    if answer.status == 403:
        return InputsForbiddenError(
            f"{says}: the token in {token} may not do this; check its scopes", integration=integration, problem=problem
        )
    says = f"{says}; check the url and path_family settings"
    return InputsDoubtedError(says, integration=integration, problem=problem, status=answer.status)


def _rate_limited(answer: Answer, body: dict[str, Any] | None, *, says: str, integration: str) -> ServiceError:
    policy = (body or {}).get("policyName")
    if policy == DAILY:
        return LimitReachedError(f"{says}: the daily limit is used up", integration=integration, service=SERVICE)
    known = RATE_LIMIT_WAITS.get(policy, 0.0) if isinstance(policy, str) else 0.0
    wait = max(known, retry_after(answer.headers) or 0.0) or UNKNOWN_POLICY_WAIT
    return ServiceUnavailableError(says, integration=integration, service=SERVICE, wait_seconds=wait, executed=False)


def _code(problem: Problem, answer: Answer) -> str:
    return problem.code or str(answer.status)


def _details(problem: Problem, body: dict[str, Any] | None) -> str:
    correlation = str((body or {}).get("correlationId") or "")
    known = f" (correlation id {correlation})" if _CORRELATION.fullmatch(correlation) else ""
    return f" {problem.code}{known}" if problem.code else known
