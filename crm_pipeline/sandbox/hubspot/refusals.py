"""How HubSpot says no: to a whole request, and to one row of a batch.

Shapes and texts follow the error-handling guide, its multi-status example, and what production code has seen live
(``status, message, correlationId, category, errors, context, links``). Texts marked assumed have not been seen.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SCOPES_PAGE = "https://developers.hubspot.com/scopes"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with the value of one property: ``error`` is HubSpot's code (INVALID_OPTION, PROPERTY_DOESNT_EXIST …)."""

    name: str
    error: str
    message: str


class Refusal(Exception):
    """The request, or one row of it, is refused; nothing of it is written."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        category: str | None = "VALIDATION_ERROR",
        context: Mapping[str, list[str]] | None = None,
        errors: list[dict[str, Any]] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(category)
        self.status = status
        self.message = message
        self.category = category
        self.context = dict(context or {})
        self.errors = errors
        self.more = dict(more or {})

    def body(self) -> dict[str, Any]:
        """The answer that refuses the whole request."""
        parts = {"context": self.context, "errors": self.errors, "category": self.category}
        return {
            "status": "error",
            "message": self.message,
            "correlationId": str(uuid.uuid4()),
            **{name: part for name, part in parts.items() if part},
            **self.more,
        }

    def row(self, **context: list[str]) -> dict[str, Any]:
        """The entry in ``errors`` of an answer that refuses only some rows."""
        return {"status": "error", "category": self.category, "message": self.message, "context": {**self.context, **context}}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is not a refusal; no body means an empty one."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def invalid_json(what: str) -> Refusal:
    """A body that cannot be read as what the specification says."""
    return Refusal(400, f"Invalid input JSON on line 1, column 1: {what}", category=None)


def missing_member(name: str) -> Refusal:
    """A body that lacks a member which the specification requires."""
    return Refusal(
        400,
        f"Some required fields were not set: [{name}]",
        errors=[{"message": f"Some required fields were not set: [{name}]", "code": "REQUIRED_FIELD", "in": name}],
    )


def too_many_inputs(limit: int) -> Refusal:
    """A batch that is too large."""
    return Refusal(400, f"The maximum number of inputs supported in a batch is {limit}. Please reduce the number of items and try again")


def too_many_histories(limit: int) -> Refusal:
    """A batch of reads with property history that is too large."""
    return Refusal(400, f"The maximum number of inputs supported in a batch request for property histories is {limit}")


def duplicate_ids(ids: list[str]) -> Refusal:
    """A batch that names a record twice."""
    listed = ", ".join(ids)
    return Refusal(400, f"Duplicate IDs found in batch input: [{listed}]. IDs must be unique", context={"ids": ids})


def invalid_values(problems: list[Problem], *, portal_id: int) -> Refusal:
    """Values that do not fit their properties: the message embeds them as JSON."""
    embedded = [
        {
            "isValid": False,
            "message": problem.message,
            "error": problem.error,
            "name": problem.name,
            "localizedErrorMessage": problem.message,
            "portalId": portal_id,
        }
        for problem in problems
    ]
    return Refusal(
        400,
        f"Property values were not valid: {json.dumps(embedded, separators=(',', ':'), ensure_ascii=False)}",
        errors=[{"message": problem.message, "code": problem.error, "context": {"propertyName": [problem.name]}} for problem in problems],
    )


def required_properties(title: str, names: tuple[str, ...]) -> Refusal:
    """A new record without the properties that its object needs."""
    return Refusal(
        400,
        f"Error creating {title.upper()}. Some required properties were not set.",
        context={"properties": list(names)},
    )


def already_exists(title: str, existing_id: str) -> Refusal:
    """A unique value that another record holds, in the form that the email of contacts takes."""
    return Refusal(409, f"{title} already exists. Existing ID: {existing_id}", category="CONFLICT", context={"existingId": [existing_id]})


def not_unique(type_id: str, name: str, *, portal_id: int) -> Refusal:
    """A property that cannot identify records."""
    return Refusal(400, f"Unable to perform update/upsert by non-unique {type_id} property {name} in portal ID {portal_id}")


def not_found(message: str = "resource not found") -> Refusal:
    """A record, property or path that is not there."""
    return Refusal(404, message, category="OBJECT_NOT_FOUND")


def unknown_object(name: str) -> Refusal:
    """An object that this portal does not have."""
    return Refusal(400, f"Unable to infer object type from: {name}")


def missing_scopes(scopes: list[str]) -> Refusal:
    """A token that lacks every one of these scopes."""
    return Refusal(
        403,
        f"This app hasn't been granted all required scopes to make this call. Read more about required scopes here: {SCOPES_PAGE}.",
        category="MISSING_SCOPES",
        errors=[
            {"message": "One or more of the following scopes are required.", "context": {"requiredGranularScopes": scopes}},
        ],
        more={"links": {"scopes": SCOPES_PAGE}},
    )


def unauthenticated() -> Refusal:
    """No token, or one that this portal does not know."""
    return Refusal(
        401,
        "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more details at "
        "https://developers.hubspot.com/docs/methods/auth/oauth-overview",
        category="INVALID_AUTHENTICATION",
    )


def missing_objects(title: str, ids: list[str]) -> dict[str, Any]:
    """The one entry in ``errors`` for all ids of a batch that lead to no record."""
    return {
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "message": f"Could not get some {title.upper()} objects, they may be deleted or not exist. Check that ids are valid.",
        "context": {"ids": ids},
    }
