"""Who may own records: users by their id or username."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_pipeline.crms.salesforce.ids import record_id
from crm_pipeline.crms.salesforce.queries import SelectIn
from crm_pipeline.crms.salesforce.transport import SalesforceTransport
from crm_pipeline.schemas import UNREAD

FIELDS = ("Id", "Username", "IsActive")
USER_PREFIX = "005"
"""The first three characters of a user's id ("Object Key Prefixes", Salesforce Help)."""


def find_owners(transport: SalesforceTransport, users: list[str]) -> list[dict[str, str | None]]:
    """Rows of schemas.OWNERS, in the order of the users. Usernames compare without case."""
    by_id = {user: user_id for user in users if (user_id := _user_id(user)) is not None}
    names = {user: user.casefold() for user in users if user not in by_id}
    found: dict[str, Mapping[str, Any]] = {}
    unread: set[str] = set()
    for field, wanted in (("Id", list(by_id.values())), ("Username", list(names))):
        records, failed = transport.query_in(SelectIn("User", FIELDS, field), wanted) if wanted else ([], set())
        found |= {str(record[field]).casefold() if field == "Username" else str(record[field]): record for record in records}
        unread |= failed
    return [_owner(user, found.get(by_id.get(user) or names[user]), unread=by_id.get(user, user) in unread) for user in users]


def _user_id(user: str) -> str | None:
    """The 18 characters of a user's id; None for a username, or an id mistyped."""
    try:
        return record_id(user) if user.startswith(USER_PREFIX) else None
    except ValueError:
        return None


def _owner(user: str, record: Mapping[str, Any] | None, *, unread: bool) -> dict[str, str | None]:
    if record is None:
        return {"user": user, "owner_id": None, "problem": UNREAD if unread else "unknown"}
    active = bool(record["IsActive"])
    return {"user": user, "owner_id": str(record["Id"]) if active else None, "problem": None if active else "inactive"}
