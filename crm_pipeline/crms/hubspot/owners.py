"""Who may own records: owners by their id or email.

A record's owner field takes the owner's ``id``; ``userId`` is another number (source: HubSpot's owners guide).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crm_pipeline.crms.hubspot.contracts import OWNERS
from crm_pipeline.crms.hubspot.paths import Paths
from crm_pipeline.crms.hubspot.reading import pages
from crm_pipeline.crms.hubspot.transport import Transport

PAGE = 500
"""Owners of a list page (source: HubSpot's owners guide)."""


def find_owners(transport: Transport, paths: Paths, users: list[str]) -> list[dict[str, str | None]]:
    """Rows of schemas.OWNERS, in the order of the users. Those who left are asked for only where someone is missing."""
    active = _by_name(_owners(transport, paths, archived="false"))
    missing = [user for user in users if _folded(user) not in active]
    gone = _by_name(_owners(transport, paths, archived="true")) if missing else {}
    return [_owner(user, active.get(_folded(user), set()), inactive=_folded(user) in gone) for user in users]


def _owner(user: str, ids: set[str], *, inactive: bool) -> dict[str, str | None]:
    if len(ids) == 1:
        return {"user": user, "owner_id": next(iter(ids)), "problem": None}
    return {"user": user, "owner_id": None, "problem": "ambiguous" if ids else "inactive" if inactive else "unknown"}


def _owners(transport: Transport, paths: Paths, *, archived: str) -> Iterator[dict[str, Any]]:
    for page in pages(transport, paths.owners, {"limit": str(PAGE), "archived": archived}, holds=OWNERS):
        yield from page


def _by_name(owners: Iterator[dict[str, Any]]) -> dict[str, set[str]]:
    """The ids of the owners by id and by email."""
    found: dict[str, set[str]] = {}
    for owner in owners:
        for name in filter(None, (owner.get("id"), owner.get("email"))):
            found.setdefault(_folded(str(name)), set()).add(str(owner["id"]))
    return found


def _folded(name: str) -> str:
    return name.strip().casefold()
