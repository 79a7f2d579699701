"""Who may own records: owners by their id or email.

A record's owner field takes the owner's ``id``; ``userId`` is another number (source: HubSpot's owners guide).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from crm_pipeline.crms.hubspot.answers import InputsDoubtedError
from crm_pipeline.crms.hubspot.contracts import OWNER, OWNERS
from crm_pipeline.crms.hubspot.errors import NOT_FOUND
from crm_pipeline.crms.hubspot.paths import Paths
from crm_pipeline.crms.hubspot.reading import NOBODYS_EMAIL, pages
from crm_pipeline.crms.hubspot.transport import Transport
from crm_pipeline.errors import ServiceError
from crm_pipeline.halving import may_be_of_one, read_in_halves
from crm_pipeline.schemas import UNREAD

PAGE = 500
"""Owners of a list page (source: HubSpot's owners guide)."""

MISSING = frozenset({NOT_FOUND, "404"})
"""Codes of an id that is no owner's."""


def find_owners(transport: Transport, paths: Paths, users: list[str]) -> list[dict[str, str | None]]:
    """Rows of schemas.OWNERS, in the order of the users. Those who left are asked for only where someone is missing.

    Where a page of the list fails for the sake of one owner on it, the users are asked for one by one.
    """
    owners = _Owners(transport, paths)
    active, unread = owners.named(users, archived="false")
    missing = [user for user in users if _folded(user) not in active and user not in unread]
    # One who may have left is no owner, so it does not matter here of whom HubSpot tells nothing.
    gone, _ = owners.named(missing, archived="true") if missing else ({}, set())
    return [_owner(user, active.get(_folded(user), set()), inactive=_folded(user) in gone, unread=user in unread) for user in users]


def _owner(user: str, ids: set[str], *, inactive: bool, unread: bool) -> dict[str, str | None]:
    if len(ids) == 1:
        return {"user": user, "owner_id": next(iter(ids)), "problem": None}
    problem = "ambiguous" if ids else UNREAD if unread else "inactive" if inactive else "unknown"
    return {"user": user, "owner_id": None, "problem": problem}


@dataclass(frozen=True, slots=True)
class _Owners:
    transport: Transport
    paths: Paths

    def named(self, users: Sequence[str], *, archived: str) -> tuple[dict[str, set[str]], set[str]]:
        """Ids of owners by id and by email, those of these users at least, and the users of whom HubSpot fails to tell."""
        try:
            listed = pages(self.transport, self.paths.owners, {"limit": str(PAGE), "archived": archived}, holds=OWNERS)
            return _by_name(chain.from_iterable(listed)), set()
        except ServiceError as error:
            if not may_be_of_one(error):
                raise

        def send(one: Sequence[str], /, *, again: bool) -> Sequence[dict[str, Any]]:  # noqa: ARG001 - none is repeated
            return self._asked(one[0], archived=archived)

        def answers_for_others() -> bool:
            try:
                self._asked(NOBODYS_EMAIL, archived=archived)
            except ServiceError:
                return False
            return True

        answers, failed = read_in_halves([[user] for user in users], send, is_up=answers_for_others)
        return _by_name(chain.from_iterable(answers)), set(failed)

    def _asked(self, user: str, *, archived: str) -> Sequence[dict[str, Any]]:
        """The owners who have this id or email, asked once."""
        name = _folded(user)
        if not name.isdecimal():
            query = {"email": name, "limit": str(PAGE), "archived": archived}
            found: Sequence[dict[str, Any]] = self.transport.get(self.paths.owners, query, label="read", holds=OWNERS, repeatable=False)[
                "results"
            ]
            return found
        try:
            path = f"{self.paths.owners}/{name}"
            return [self.transport.get(path, {"archived": archived}, label="read", holds=OWNER, repeatable=False)]
        except InputsDoubtedError as refusal:
            if refusal.code in MISSING:
                return []
            raise


def _by_name(owners: Iterable[dict[str, Any]]) -> dict[str, set[str]]:
    """The ids of the owners by id and by email."""
    found: dict[str, set[str]] = {}
    for owner in owners:
        for name in filter(None, (owner.get("id"), owner.get("email"))):
            found.setdefault(_folded(str(name)), set()).add(str(owner["id"]))
    return found


def _folded(name: str) -> str:
    return name.strip().casefold()
