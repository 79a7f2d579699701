"""What is a Salesforce record id? 15 characters whose case counts, or 18, of which the last three tell the case of the others.

Source: "What's the difference between 15-digit and 18-digit record ids" (Salesforce Help).
"""

from __future__ import annotations

import re
from typing import NamedTuple

_RECORD_ID = re.compile(r"[0-9A-Za-z]{15}(?:[0-9A-Za-z]{3})?")
_ORGANIZATION_ID = re.compile(r"00D[0-9A-Za-z]{12}(?:[0-9A-Za-z]{3})?")
_SUFFIXES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def long_id(record_id: str) -> str:
    """The 18-character form of a record id; whatever has not 15 characters stays as it is."""
    if len(record_id) != 15:
        return record_id
    fives = (record_id[start : start + 5] for start in (0, 5, 10))
    numbers = (sum(character.isupper() << place for place, character in enumerate(five)) for five in fives)
    return record_id + "".join(_SUFFIXES[number] for number in numbers)


def record_id(typed: str) -> str:
    """The 18-character form of an id that a person gave, with 15 characters or 18. Raises ValueError that says what is wrong."""
    given = typed.strip()
    if not _RECORD_ID.fullmatch(given):
        raise ValueError(f"{given!r} is no Salesforce record id; give its 15 or 18 letters and digits alone")
    if given != (long := long_id(given[:15])) and len(given) == 18:
        raise ValueError(f"{given} is no Salesforce record id: its last three characters do not fit the others, whose case counts")
    return long


class Identity(NamedTuple):
    """Whose token it is: the ids of the organization, with 18 characters, and of the user; null where its answer does not say."""

    organization: str | None = None
    user: str | None = None


def identity_of(url: str | None) -> Identity:
    """The identity that an address names: https://login.salesforce.com/id/<organization>/<user> ("Identity URLs", Salesforce Help)."""
    *_, organization, user = ["", "", *(url or "").split("/")]
    return Identity(long_id(organization) if _ORGANIZATION_ID.fullmatch(organization) else None, user or None)
