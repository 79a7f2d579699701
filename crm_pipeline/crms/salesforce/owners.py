"""Who may own records: users by their id or username."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from crm_pipeline.crms.salesforce.errors import long_id
from crm_pipeline.crms.salesforce.queries import selects_in
from crm_pipeline.crms.salesforce.transport import SalesforceTransport

FIELDS = ("Id", "Username", "IsActive")
_USER_ID = re.compile(r"005[0-9A-Za-z]{12}(?:[0-9A-Za-z]{3})?")
"""A record id whose first three characters say User ("Object Key Prefixes", Salesforce Help)."""


def find_owners(transport: SalesforceTransport, users: list[str]) -> list[dict[str, str | None]]:
    """Rows of schemas.OWNERS, in the order of the users. Usernames compare without case."""
    by_id = {user: long_id(user) for user in users if _USER_ID.fullmatch(user)}
    names = {user: user.casefold() for user in users if user not in by_id}
    found: dict[str, Mapping[str, Any]] = {}
    for field, wanted in (("Id", list(by_id.values())), ("Username", list(names))):
        for statement in selects_in("User", FIELDS, field=field, values=wanted, room=transport.query_room()) if wanted else ():
            for page in transport.query(statement):
                found |= {str(record[field]).casefold() if field == "Username" else str(record[field]): record for record in page}
    return [_owner(user, found.get(by_id.get(user) or names[user])) for user in users]


def _owner(user: str, record: Mapping[str, Any] | None) -> dict[str, str | None]:
    if record is None:
        return {"user": user, "owner_id": None, "problem": "unknown"}
    active = bool(record["IsActive"])
    return {"user": user, "owner_id": str(record["Id"]) if active else None, "problem": None if active else "inactive"}
