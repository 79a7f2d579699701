"""What Salesforce's errors mean in our own terms: the status codes of records, and the answers to whole requests.

Salesforce's messages carry field values: they are searched for ids, field names and a few fixed words, and dropped.
Codes: "Status Codes" of the SOAP API guide and the table in the reference; a code not listed is RecordRefusedException.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import requests

from crm_pipeline import errors
from crm_pipeline.calls import retry_after
from crm_pipeline.crms.salesforce.ids import long_id
from crm_pipeline.halving import BatchRefusedError, DoubtfulRefusalError, FailedTogetherError

LIMIT_CODES = frozenset({"STORAGE_LIMIT_EXCEEDED", "REQUEST_LIMIT_EXCEEDED"})
DUPLICATE_CODES = frozenset({"DUPLICATES_DETECTED", "DUPLICATE_VALUE", "DUPLICATE_EXTERNAL_ID"})
GONE_CODES = frozenset({"ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY"})
NO_ACCESS_CODES = frozenset(
    {"INSUFFICIENT_ACCESS_OR_READONLY", "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", "CHILD_SHARE_FAILS_PARENT"}
)
REFERENCE_CODES = GONE_CODES | {"INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", "MALFORMED_ID", "FIELD_INTEGRITY_EXCEPTION"}
BUSY_CODES = frozenset({"SERVER_UNAVAILABLE", "REQUEST_RUNNING_TOO_LONG", "QUERY_TIMEOUT", "UNABLE_TO_LOCK_ROW"})
TOO_MUCH_CODES = frozenset({"REQUEST_RUNNING_TOO_LONG", "QUERY_TIMEOUT"})
AUTOMATION_CODES = frozenset({"CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "CANNOT_EXECUTE_FLOW_TRIGGER"})
CALL_CODES = (
    AUTOMATION_CODES
    | TOO_MUCH_CODES
    | {
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        "APEX_ERROR",
        "LIMIT_EXCEEDED",
        "PROCESSING_HALTED",
        "SERVER_UNAVAILABLE",
        "TXN_SECURITY_APEX_ERROR",
        "UNKNOWN_EXCEPTION",
    }
)
"""Codes that rows get for the sake of another row of their call, although ``allOrNone`` is false: Salesforce gives all rows of a
trigger's or a flow's run the error that one of them causes ("Bulk DML Exception Handling" in the Apex guide)."""
TOO_LARGE = frozenset({413, 414, 431})
"""Statuses of a request that is too large, whoever says so: a gateway in between does it in HTML."""
RIGHTS_CODES = frozenset(
    {
        "API_CURRENTLY_DISABLED",
        "API_DISABLED_FOR_ORG",
        "CLIENT_NOT_ACCESSIBLE_FOR_USER",
        "FUNCTIONALITY_NOT_ENABLED",
        "INVALID_OPERATION_WITH_EXPIRED_PASSWORD",
        "INVALID_SESSION_ID",
        "LOGIN_DURING_RESTRICTED_DOMAIN",
        "LOGIN_DURING_RESTRICTED_TIME",
        "ORG_LOCKED",
        "PASSWORD_LOCKOUT",
        "TRIAL_EXPIRED",
    }
)
"""Codes of a 403 that every call would get: what the organization, the app or its user may not do at all."""

RECORD_ERRORS: Mapping[str, type[errors.RecordError]] = MappingProxyType(
    {
        "UNABLE_TO_LOCK_ROW": errors.RecordLockedException,
        "ENTITY_IS_LOCKED": errors.RecordHeldException,
        "ALREADY_IN_PROCESS": errors.RecordHeldException,
        "RECORD_IN_USE_BY_WORKFLOW": errors.RecordHeldException,
        "TERRITORY_REALIGN_IN_PROGRESS": errors.RecordHeldException,
        "TOO_MANY_APEX_REQUESTS": errors.CrmFailsOnRecordException,
        "PLATFORM_EVENT_PUBLISHING_UNAVAILABLE": errors.CrmFailsOnRecordException,
        "PLATFORM_EVENT_PUBLISH_FAILED": errors.CrmFailsOnRecordException,
        "FUNCTIONALITY_TEMPORARILY_UNAVAILABLE": errors.CrmFailsOnRecordException,
        "API_CURRENTLY_DISABLED": errors.CrmFailsOnRecordException,
        "SERVER_UNAVAILABLE": errors.CrmFailsOnRecordException,
        "REQUEST_RUNNING_TOO_LONG": errors.CrmFailsOnRecordException,
        "QUERY_TIMEOUT": errors.CrmFailsOnRecordException,
        "UNKNOWN_EXCEPTION": errors.CrmFailsOnRecordException,
        "STORAGE_LIMIT_EXCEEDED": errors.ServiceFailedException,
        "REQUEST_LIMIT_EXCEEDED": errors.ServiceFailedException,
        "REQUIRED_FIELD_MISSING": errors.RequiredFieldException,
        "STRING_TOO_LONG": errors.ValueTooLongException,
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": errors.InvalidOptionException,
        "INVALID_EMAIL_ADDRESS": errors.InvalidValueException,
        "NUMBER_OUTSIDE_VALID_RANGE": errors.InvalidValueException,
        "FIELD_CUSTOM_VALIDATION_EXCEPTION": errors.InvalidValueException,
        "FIELD_INTEGRITY_EXCEPTION": errors.InvalidValueException,
        "INVALID_TYPE_ON_FIELD_IN_RECORD": errors.InvalidValueException,
        "MALFORMED_ID": errors.InvalidValueException,
        "JSON_PARSER_ERROR": errors.InvalidValueException,
        "INVALID_FIELD": errors.MappingRefusedException,
        "INVALID_FIELD_FOR_INSERT_UPDATE": errors.MappingRefusedException,
        "INSUFFICIENT_ACCESS_OR_READONLY": errors.NoAccessToRecordException,
        "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": errors.NoAccessToRecordException,
        "CHILD_SHARE_FAILS_PARENT": errors.NoAccessToRecordException,
        "CANNOT_UPDATE_CONVERTED_LEAD": errors.ConvertedLeadException,
        "INVALID_TYPE": errors.NoAccessToObjectException,
        "INVALID_TYPE_FOR_OPERATION": errors.NoAccessToObjectException,
    }
)

VALUE_CODES = frozenset(
    {
        "STRING_TOO_LONG", "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "INVALID_EMAIL_ADDRESS", "NUMBER_OUTSIDE_VALID_RANGE",
        "FIELD_INTEGRITY_EXCEPTION", "INVALID_TYPE_ON_FIELD_IN_RECORD", "JSON_PARSER_ERROR",
    }
)  # fmt: skip
"""Codes that speak of the named fields' values alone. A validation rule does not: it looks at the record as a whole."""

_CODES_OF_RECORDS = RECORD_ERRORS.keys() | DUPLICATE_CODES | REFERENCE_CODES | NO_ACCESS_CODES

_CODE = re.compile(r"(?=.{1,80}$)(?:[A-Z][A-Z0-9_]*|[a-z][a-z0-9]*(?:_[a-z0-9]+)+)")
"""Codes of the API (UNKNOWN_EXCEPTION) and of signing in (invalid_client); a name, a token or a password has seldom their form."""
_FIELD_NAME = re.compile(r"[A-Za-z]\w{0,79}")
_FIELDS_IN_MESSAGE = (
    re.compile(r"\bcolumn '(\w+)'"),
    re.compile(r"\bduplicate value found: (\w+) duplicates value on record with id\b"),
    re.compile(r"^Field name provided, (\w+) is not an External ID\b"),
)
_ID_IN_MESSAGE = re.compile(r"\brecord with id: ?([0-9A-Za-z]{18}|[0-9A-Za-z]{15})\s*$")
_IDS_OF_ONE_KEY = re.compile(r"\bmore than one record found for external id field: \[([0-9A-Za-z, ]+)\]\s*$")
_RECORD_ID = re.compile(r"[0-9A-Za-z]{18}|[0-9A-Za-z]{15}")
_LOCKED = re.compile(r"\bUNABLE_TO_LOCK_ROW\b")
_HELD = re.compile(r"\b(?:ENTITY_IS_LOCKED|ALREADY_IN_PROCESS|RECORD_IN_USE_BY_WORKFLOW|TERRITORY_REALIGN_IN_PROGRESS)\b")


class RowsRefusedError(BatchRefusedError):
    """Salesforce refuses a request for what is in it (400, 413 …); ``problem`` says what, as if it were a row's."""

    def __init__(self, message: str, *, integration: str, problem: RowProblem, status: int) -> None:
        self.problem = problem
        self.status = status
        super().__init__(message, integration=integration, service="Salesforce", code=problem.code)


class RowsDoubtedError(DoubtfulRefusalError, errors.RequestRefusedError):
    """Salesforce refuses a request by a status that leaves open whether for one of its rows; ``problem`` is what it says."""

    def __init__(self, message: str, *, integration: str, problem: RowProblem, status: int) -> None:
        self.problem = problem
        super().__init__(message, integration=integration, service="Salesforce", code=problem.code or str(status))


class RowsForbiddenError(DoubtfulRefusalError, errors.AuthenticationError):
    """Salesforce does not allow a request, by a code that leaves open whether for one of its rows."""

    def __init__(self, message: str, *, integration: str, problem: RowProblem) -> None:
        self.problem = problem
        super().__init__(message, integration=integration, service="Salesforce", code=problem.code or "403")


class RowsFailedAlikeError(FailedTogetherError):
    """Every row of a call has an error that may be another row's; ``problem`` is the first one's."""

    def __init__(self, *, integration: str, problem: RowProblem) -> None:
        self.problem = problem
        super().__init__(f"fails on all rows of a call: {problem.code}", integration=integration, service="Salesforce", code=problem.code)


class ExpiredSessionError(errors.AuthenticationError):
    """The access token is not accepted (any more); signing in again may help."""


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Why Salesforce did not save a row: its code, the fields and record ids it names, and what stopped automation.

    ``ids``: of the row's own object; ``others``: of further ones, behind the object's name (``Lead 00Q…``). What stopped automation is
    a lock (``locked``), or an approval or process that is under way (``held``).
    """

    code: str | None
    fields: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    locked: bool = False
    held: bool = False

    def names(self, field: str) -> bool:
        """Whether the problem is with this field."""
        return field.lower() in {name.lower() for name in self.fields}


def problem_of(error: errors.ServiceError) -> RowProblem | None:
    """What Salesforce refuses of a row that it refused alone; null where it failed inside, or leaves open what it refuses."""
    if isinstance(error, RowsRefusedError | RowsFailedAlikeError):
        return error.problem
    if isinstance(error, RowsDoubtedError | RowsForbiddenError) and error.problem.code in _CODES_OF_RECORDS:
        return error.problem
    return None


def read_problem(entries: Any, *, sobject: str | None = None) -> RowProblem:
    """The problem that a row's ``errors`` (or a refused request's body) speak of; the first entry's code decides.

    ``sobject``: the object that was written; null: unknown.
    """
    listed = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    if not listed:
        return RowProblem(None)
    messages = [str(entry.get("message") or "") for entry in listed]
    named = [name for entry in listed if isinstance(entry.get("fields"), list) for name in entry["fields"] if isinstance(name, str)]
    matches = list(_matches(listed))
    own = [record_id for of, record_id in matches if None in (sobject, of) or of == sobject]
    return RowProblem(
        code=_code(listed[0].get("statusCode") or listed[0].get("errorCode") or listed[0].get("error")),
        fields=_unique(
            name
            for name in [*named, *(match for text in messages for form in _FIELDS_IN_MESSAGE for match in form.findall(text))]
            if _FIELD_NAME.fullmatch(name)
        ),
        ids=_unique(long_id(found) for found in [*_ids_in_messages(messages), *own]),
        others=_unique(f"{of} {long_id(record_id)}" for of, record_id in matches if record_id not in own),
        locked=any(_LOCKED.search(text) for text in messages),
        held=any(_HELD.search(text) for text in messages),
    )


def record_error(problem: RowProblem, *, crm_id: str | None, parent_sent: bool) -> type[errors.RecordError]:
    """The record error of a row's problem; ``crm_id`` is the record the row was to update, null for a create."""
    if problem.code in DUPLICATE_CODES:
        return errors.DuplicateRecordException if crm_id else errors.ExistingRecordException
    if problem.code in REFERENCE_CODES and problem.names("AccountId"):
        return errors.ParentNotFoundException
    if problem.code in NO_ACCESS_CODES:
        return _closed(problem, parent_sent=parent_sent)
    if problem.code in GONE_CODES:
        return _gone(problem, crm_id=crm_id, parent_sent=parent_sent)
    if problem.code in AUTOMATION_CODES and problem.locked:
        return errors.RecordLockedException
    if problem.code in AUTOMATION_CODES and problem.held:
        return errors.RecordHeldException
    return RECORD_ERRORS.get(problem.code or "", errors.RecordRefusedException)


def _closed(problem: RowProblem, *, parent_sent: bool) -> type[errors.RecordError]:
    """Of a right that the user lacks: to a field that is named, to the contact's account, or to the record (or its other references)."""
    if problem.code == "INSUFFICIENT_ACCESS_OR_READONLY":
        return errors.MappingRefusedException if problem.fields else errors.NoAccessToRecordException
    return errors.ParentNotFoundException if parent_sent and not problem.fields else errors.NoAccessToRecordException


def may_be_of_the_call(problem: RowProblem, *, saved: int) -> bool:
    """Whether a row may have this problem for another row's sake; ``saved``: how many rows of its call were saved.

    A code that nobody knows may be the call's where no row was saved. A lock is the row's own, but for one that automation met:
    its trigger runs for all rows of the call.
    """
    if (problem.locked or problem.held) and problem.code not in AUTOMATION_CODES:
        return False
    return problem.code in CALL_CODES or (saved == 0 and problem.code not in _CODES_OF_RECORDS | LIMIT_CODES)


def _gone(problem: RowProblem, *, crm_id: str | None, parent_sent: bool) -> type[errors.RecordError]:
    if any(name.lower() != "id" for name in problem.fields):
        return errors.InvalidValueException
    if crm_id:
        return errors.DeletedInCrmException
    return errors.ParentNotFoundException if parent_sent else errors.RecordRefusedException


def refused_request(response: requests.Response, *, integration: str, signing_in: bool, remedy: str) -> errors.ServiceError:
    """The service error of an answer that is no success. ``remedy`` says which settings hold credentials and address.

    Statuses: "Status Codes and Error Responses" of the REST API guide. There is no Retry-After in practice, but a gateway
    may send one.
    """
    status = response.status_code
    body = _json(response)
    problem = read_problem(body if isinstance(body, list) else [body])
    code = problem.code
    said = f"{status} ({code})" if code else str(status)
    where: dict[str, Any] = {"integration": integration, "service": "Salesforce", "code": code or str(status)}
    if code in LIMIT_CODES and not _speaks_of_concurrency(body):
        return errors.LimitReachedError(f"a limit of the organization is used up: {said}; a later run continues", **where)
    if status == 429 or code in LIMIT_CODES:
        return errors.ServiceUnavailableError(
            f"too many calls at once: {said}", wait_seconds=retry_after(response.headers), executed=False, **where
        )
    if status >= 500 or status == 408 or code in BUSY_CODES:
        return errors.ServiceUnavailableError(
            f"is busy or failed inside: {said}",
            wait_seconds=retry_after(response.headers),
            executed=not signing_in,
            too_much=code in TOO_MUCH_CODES or status in {408, 504},
            **where,
        )
    if signing_in and status in {400, 401, 403}:
        return errors.AuthenticationError(f"refuses the credentials: {said}; check {remedy}", **where)
    if status == 401:
        return ExpiredSessionError(f"does not accept the session: {said}; check {remedy}", **where)
    if status in {400, 403} and not isinstance(body, list):
        return errors.UnexpectedAnswerError(f"answered {status} in a form that is not Salesforce's; check {remedy}", **where)
    if status == 403:
        denied = (
            f"does not allow this: {said}; check the app's run-as user: permissions (API Enabled, object access), password, login hours"
        )
        if code in RIGHTS_CODES:
            return errors.AuthenticationError(denied, **where)
        return RowsForbiddenError(denied, integration=integration, problem=problem)
    if status == 400 or status in TOO_LARGE:
        problem = problem if problem.code else replace(problem, code=str(status))
        return RowsRefusedError(_refusal(said, problem), integration=integration, problem=problem, status=status)
    if status < 400:
        return errors.UnexpectedAnswerError(f"answered {status}, a redirection; check {remedy}", **where)
    if signing_in:
        return errors.RequestRefusedError(f"gives no token: {said}; check {remedy}", **where)
    refusal = f"{_refusal(said, problem)}; check api_version, external_key and the run-as user's access to the object"
    return RowsDoubtedError(refusal, integration=integration, problem=problem, status=status)


def _refusal(said: str, problem: RowProblem) -> str:
    fields = f", fields {', '.join(problem.fields)} (missing, or not visible to the run-as user)" if problem.fields else ""
    return f"refuses the request: {said}{fields}"


def _ids_in_messages(messages: Iterable[str]) -> list[str]:
    sharing = [part.strip() for text in messages for listed in _IDS_OF_ONE_KEY.findall(text) for part in listed.split(",")]
    return [found for text in messages for found in _ID_IN_MESSAGE.findall(text)] + [part for part in sharing if _RECORD_ID.fullmatch(part)]


def _matches(entries: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str | None, str]]:
    """The object, null where none is said, and id of each record that a duplicate rule names (``duplicateResult`` of DUPLICATES_DETECTED).

    A rule may compare contacts with leads. Some answers of Salesforce spell the member ``duplicateResut``.
    """
    for entry in entries:
        for result in _mappings(_get(entry, "duplicateResult") or _get(entry, "duplicateResut"), "matchResults"):
            for match in _mappings(result, "matchRecords"):
                record = _get(match, "record")
                of, found = _get(_get(record, "attributes"), "type") or _get(result, "entityType"), _get(record, "Id")
                if isinstance(found, str) and _RECORD_ID.fullmatch(found):
                    yield of if isinstance(of, str) and _FIELD_NAME.fullmatch(of) else None, found


def _mappings(holder: Any, name: str) -> list[Mapping[str, Any]]:
    listed = _get(holder, name)
    return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []


def _get(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, dict) else None


def _speaks_of_concurrency(body: Any) -> bool:
    return isinstance(body, list) and any("concurrent" in str(_get(entry, "message")).lower() for entry in body)


def _code(text: Any) -> str | None:
    return text if isinstance(text, str) and _CODE.fullmatch(text) else None


def _json(response: requests.Response) -> Any:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
