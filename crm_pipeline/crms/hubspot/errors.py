"""What HubSpot's errors mean for a record: read for codes, property names and ids; their words are dropped.

HubSpot's messages repeat the values of records, so nothing of a message leaves this module but what a pattern of ours
recognizes as a code, a property name or a record id. Every member of an error may be missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from crm_pipeline.errors import (
    CrmFailsOnRecordException,
    DuplicateRecordException,
    EmailBlockedException,
    InvalidOptionException,
    InvalidValueException,
    MappingRefusedException,
    NoAccessToRecordException,
    ParentNotFoundException,
    RecordError,
    RecordLockedException,
    RecordRefusedException,
    RequiredFieldException,
    ValueTooLongException,
)

RECORD_ERRORS: Mapping[str, type[RecordError]] = MappingProxyType(
    {
        "PROPERTY_DOESNT_EXIST": MappingRefusedException,
        "READ_ONLY": MappingRefusedException,
        "READ_ONLY_VALUE": MappingRefusedException,
        "READ_ONLY_PROPERTY": MappingRefusedException,
        "MISSING_SCOPES": MappingRefusedException,
        "FORBIDDEN": NoAccessToRecordException,
        "PERMISSION_DENIED": NoAccessToRecordException,
        "USER_DOES_NOT_HAVE_PERMISSIONS": NoAccessToRecordException,
        "INVALID_OPTION": InvalidOptionException,
        "INVALID_EMAIL": InvalidValueException,
        "INVALID_INTEGER": InvalidValueException,
        "INVALID_LONG": InvalidValueException,
        "INVALID_NUMBER": InvalidValueException,
        "INVALID_BOOLEAN": InvalidValueException,
        "INVALID_DATE": InvalidValueException,
        "INVALID_DATE_TIME": InvalidValueException,
        "INVALID_PHONE_NUMBER": InvalidValueException,
        "INVALID_URL": InvalidValueException,
        "PROPERTY_VALUE_TOO_LONG": ValueTooLongException,
        "VALUE_TOO_LONG": ValueTooLongException,
        "STRING_TOO_LONG": ValueTooLongException,
        "REQUIRED_PROPERTIES": RequiredFieldException,
        "GDPR_BLOCKLISTED": EmailBlockedException,
        "INVALID_OBJECT_IDS": ParentNotFoundException,
        "INVALID_ASSOCIATION_TYPE_ID": RecordRefusedException,
        "LOCKED": RecordLockedException,
        "RATE_LIMITS": CrmFailsOnRecordException,
        "RATE_LIMIT": CrmFailsOnRecordException,
        "SERVICE_UNAVAILABLE": CrmFailsOnRecordException,
        "TIMEOUT": CrmFailsOnRecordException,
        "INTERNAL_ERROR": CrmFailsOnRecordException,
    }
)
"""HubSpot's code, most telling first (of a property's validation, sub-category, category), to the record error. Sources:
HubSpot's error handling guide for the categories, answers seen by others for the validation codes; the codes for
over-long and read-only values, and for records that may not be changed, are assumed. REQUIRED_PROPERTIES and
GDPR_BLOCKLISTED are words of ours, see _CODES_IN_WORDS."""

TRACE = "objectWriteTraceId"
NOT_FOUND = "OBJECT_NOT_FOUND"
NO_ASSOCIATIONS = "NO_ASSOCIATIONS_FOUND"
CONFLICTS = frozenset({"CONFLICT", "CONFLICTING_UNIQUE_VALUE"})

_CODE = re.compile(r"[A-Z][A-Z_]{2,60}")
_PROPERTY = re.compile(r"[a-z][a-z0-9_]{0,99}")
_SCOPE = re.compile(r"[a-z][a-z0-9_.-]{2,80}")
_DIGITS = re.compile(r"\d{1,20}")
_OWNER_IDS = (re.compile(r"Existing ID:\s*(\d{1,20})"), re.compile(r"(?<!\d)(\d{1,20}) already has that value"))
_INVALID_OBJECT = re.compile(r"(CONTACT|COMPANY)=(\d{1,20})\b")
_CODES_IN_WORDS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "GDPR_BLOCKLISTED": re.compile(r"GDPR (blacklist|blocklist)ed", re.IGNORECASE),
        "REQUIRED_PROPERTIES": re.compile(r"required properties were not set", re.IGNORECASE),
    }
)
"""What HubSpot has no code for and says in words only."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One error of HubSpot's without its words.

    ``codes``: most telling first. ``properties``: the names of properties it is about.
    ``owners``: ids of records that already hold a value. ``ids``, ``traces``: the inputs it speaks of; ``from_ids``,
    ``to_ids``: the contacts and companies of associations. ``scopes``: what the token lacks.
    """

    codes: tuple[str, ...] = ()
    properties: frozenset[str] = frozenset()
    owners: tuple[str, ...] = ()
    ids: frozenset[str] = frozenset()
    from_ids: frozenset[str] = frozenset()
    to_ids: frozenset[str] = frozenset()
    traces: frozenset[str] = frozenset()
    scopes: tuple[str, ...] = ()

    @property
    def code(self) -> str | None:
        """The most telling code."""
        return self.codes[0] if self.codes else None

    def says(self, code: str) -> bool:
        """Whether any of its codes is this one."""
        return code in self.codes


def read_problem(error: object) -> Problem:
    """The problem that an error body, or one entry of a batch answer's ``errors``, speaks of."""
    if not isinstance(error, Mapping):
        return Problem()
    message = str(error.get("message") or "")
    nested = [entry for entry in _list(error.get("errors")) if isinstance(entry, Mapping)]
    validations = [*_embedded(message), *(entry for entry in _list(error.get("validationResults")) if isinstance(entry, Mapping))]
    inner = [read_problem({**entry, "errors": []}) for entry in nested]
    context = _context(error)
    texts = [message, *(str(entry.get("message") or "") for entry in validations)]
    in_words = [code for code, pattern in _CODES_IN_WORDS.items() if any(pattern.search(text) for text in texts)]
    raw_codes = [
        *in_words,
        *(entry.get("error") or entry.get("code") for entry in validations),
        *(code for problem in inner for code in problem.codes),
        *context,
        error.get("code"),
        str(error.get("subCategory") or "").rpartition(".")[2],
        error.get("category"),
        error.get("errorType"),
    ]
    raw_properties = [
        *(entry.get("name") for entry in validations),
        *(name for problem in inner for name in problem.properties),
        *context.get("propertyName", ()),
        *context.get("properties", ()),
        error.get("in"),
    ]
    owners = [found for text in texts for pattern in _OWNER_IDS for found in pattern.findall(text)]
    return Problem(
        codes=_unique(code for code in raw_codes if isinstance(code, str) and _CODE.fullmatch(code)),
        properties=frozenset(name for name in raw_properties if isinstance(name, str) and _PROPERTY.fullmatch(name)),
        owners=_unique(
            [*owners, *(owner for inside in inner for owner in inside.owners), *_digits(context, "existingId", "existingObjectId")]
        ),
        ids=frozenset([*context.get("ids", ()), *context.get("id", ())]).union(*(inside.ids for inside in inner)),
        from_ids=frozenset([*_digits(context, "fromObjectId"), *_invalid(context, "CONTACT")]).union(
            *(inside.from_ids for inside in inner)
        ),
        to_ids=frozenset([*_digits(context, "toObjectId"), *_invalid(context, "COMPANY")]).union(*(inside.to_ids for inside in inner)),
        traces=frozenset([*context.get(TRACE, ()), *map(str, _list(error.get(TRACE)))]).union(*(inside.traces for inside in inner)),
        scopes=_unique(
            scope
            for found in (*context.get("requiredScopes", ()), *context.get("requiredGranularScopes", ()), *_inner_scopes(inner))
            if _SCOPE.fullmatch(scope := found)
        ),
    )


def record_error(problem: Problem, *, not_found: type[RecordError], email_taken: type[RecordError], sends_email: bool) -> type[RecordError]:
    """The record error that a problem means.

    ``not_found`` and ``email_taken`` are what a missing record and an email of another contact mean for what was asked.
    HubSpot's conflict does not always name its property: it is the email where one was sent and nothing else is named.
    Nor does it always carry a code: a problem that names who holds the value is one.
    """
    conflict = email_taken if sends_email and problem.properties <= {"email"} else DuplicateRecordException
    for code in problem.codes:
        if code in CONFLICTS:
            return conflict
        if code == NOT_FOUND:
            return not_found
        if code in RECORD_ERRORS:
            return RECORD_ERRORS[code]
        if code.startswith("INVALID_"):
            return InvalidValueException
    return conflict if problem.owners else RecordRefusedException


def names_its_cause(problem: Problem) -> bool:
    """Whether a problem is certainly that of a record: it has a code of records', or names the record that is missing."""
    known = CONFLICTS | RECORD_ERRORS.keys()
    return any(code in known for code in problem.codes) or (
        problem.says(NOT_FOUND) and bool(problem.ids | problem.from_ids | problem.to_ids | problem.traces)
    )


def _embedded(message: str) -> Iterator[Mapping[str, Any]]:
    """The JSON list of validation results that HubSpot puts into a message, or nothing."""
    start = message.find("[{")
    if start < 0:
        return
    try:
        found, _ = json.JSONDecoder().raw_decode(message, start)
    except (ValueError, RecursionError):
        return
    yield from (entry for entry in found if isinstance(entry, Mapping))


def _context(error: Mapping[str, Any]) -> dict[str, list[str]]:
    context = error.get("context")
    if not isinstance(context, Mapping):
        return {}
    return {name: [str(value) for value in _list(values)] for name, values in context.items()}


def _list(value: object) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _digits(context: Mapping[str, list[str]], *names: str) -> list[str]:
    return [value for name in names for value in context.get(name, ()) if _DIGITS.fullmatch(value)]


def _invalid(context: Mapping[str, list[str]], kind: str) -> list[str]:
    """The ids of contacts or companies that an association named and HubSpot does not find."""
    return [found for text in context.get("INVALID_OBJECT_IDS", ()) for name, found in _INVALID_OBJECT.findall(text) if name == kind]


def _inner_scopes(problems: Iterable[Problem]) -> Iterator[str]:
    for problem in problems:
        yield from problem.scopes


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
