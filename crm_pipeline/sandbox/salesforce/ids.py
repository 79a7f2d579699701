"""What is a Salesforce record id: 15 case-sensitive characters, or 18 with a check suffix that makes them case-safe.

Source: the vendor's documented ID field type (the suffix holds, per five characters, which of them are upper case).
"""

from __future__ import annotations

import re
import string

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SUFFIX = string.ascii_uppercase + "012345"
_SHAPE = re.compile(r"[0-9A-Za-z]{15}(?:[A-Z0-5]{3})?")
_INSTANCE = "Qb0000"


def new_id(key_prefix: str, number: int) -> str:
    """The 18-character id of an object's n-th record; ids of one object sort in the order of their creation."""
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return _long_form(f"{key_prefix}{_INSTANCE}{digits:0>6}")


def canonical(value: object) -> str | None:
    """The 18-character form of a 15- or 18-character id; None for anything else."""
    if not isinstance(value, str) or not _SHAPE.fullmatch(value):
        return None
    long = _long_form(value[:15])
    return long if len(value) == 15 or value == long else None


def _long_form(short: str) -> str:
    suffix = ""
    for start in (0, 5, 10):
        bits = sum(1 << place for place, letter in enumerate(short[start : start + 5]) if "A" <= letter <= "Z")
        suffix += _SUFFIX[bits]
    return short + suffix
