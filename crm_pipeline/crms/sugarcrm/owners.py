"""Who may own records: active users by their id, user name or email."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crm_pipeline.crms.sugarcrm import RECORD_ID
from crm_pipeline.crms.sugarcrm.contracts import ENTRIES
from crm_pipeline.crms.sugarcrm.queries import has_one_of_emails, one_of
from crm_pipeline.crms.sugarcrm.reading import PAGE, answers
from crm_pipeline.crms.sugarcrm.transport import Arguments, Transport
from crm_pipeline.crms.sugarcrm.values import name_values, read
from crm_pipeline.halving import read_in_halves
from crm_pipeline.letters import lowered
from crm_pipeline.schemas import UNREAD

MODULE = "Users"
FIELDS = ["id", "user_name", "email1", "status"]
ACTIVE = "Active"


def find_owners(transport: Transport, users: Sequence[str]) -> list[dict[str, str | None]]:
    """Rows of schemas.OWNERS, in the order of the users. Names and addresses compare without case."""

    def send(part: Sequence[str], /, *, again: bool) -> list[dict[str, str | None]]:
        arguments: Arguments = (MODULE, _named(part), "id", 0, FIELDS, [], PAGE, 0, False)
        answer = transport.ask("get_entry_list", *arguments, label="read", holds=ENTRIES, repeatable=not again, divisible=len(part) > 1)
        entries = (name_values(entry["name_value_list"]) | {"id": entry["id"]} for entry in answer["entry_list"])
        return [{name: read(entry.get(name), "text") for name in FIELDS} for entry in entries]

    told, failed = read_in_halves([users] if users else [], send, is_up=lambda: answers(transport, MODULE))
    found = [user for part in told for user in part]
    return [_owner(user, found, unread=user in failed) for user in users]


def _named(users: Iterable[str]) -> str:
    """The condition that a user is one of these, by id, name or main address."""
    names = [user.strip() for user in users]
    conditions = [one_of("users.user_name", names)]
    if ids := [name for name in names if RECORD_ID.fullmatch(name)]:
        conditions.append(one_of("users.id", ids))
    if emails := [name for name in names if "@" in name]:
        conditions.append(has_one_of_emails(MODULE, emails))
    return f"({' OR '.join(conditions)})"


def _owner(user: str, found: Sequence[dict[str, str | None]], *, unread: bool) -> dict[str, str | None]:
    name = lowered(user.strip())
    meant = [one for one in found if name in {lowered(str(one[field] or "")) for field in ("id", "user_name", "email1")}]
    active = {str(one["id"]) for one in meant if one["status"] == ACTIVE}
    if len(active) == 1:
        return {"user": user, "owner_id": next(iter(active)), "problem": None}
    problem = "ambiguous" if active else UNREAD if unread else "inactive" if meant else "unknown"
    return {"user": user, "owner_id": None, "problem": problem}
