"""Did QBench take what it was sent? What its answer shows, beside what was written; pure.

QBench drops unknown keys with success (observed), and may write values in its own way. A value counts as taken where the two can be
read as the same one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import tzinfo
from decimal import Decimal
from typing import Any

from crm_pipeline.qbench.dates import parse_date

_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,29})(?:\.\d{1,30})?", re.ASCII)
"""A number without noughts before it, which may mean something: a postal code's do."""
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ].*)?", re.ASCII)
_PHONE = re.compile(r"\+?[\d\s()./-]{6,40}", re.ASCII)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_SIGNS = re.compile(r"[\s()./-]", re.ASCII)


def not_taken(sent: Mapping[str, Any], shown: Mapping[str, Any], *, zone: tzinfo) -> list[str]:
    """The fields in which the record shows another value than was sent, in the order in which they were."""
    return [name for name, value in sent.items() if not _is_same(value, shown.get(name), zone=zone)]


def _is_same(sent: Any, shown: Any, *, zone: tzinfo) -> bool:
    if sent == shown or _form(sent) == _form(shown):
        return True
    if not (isinstance(sent, str) and _DATE.fullmatch(sent.strip())):
        return False
    given, found = parse_date(sent, zone=zone), parse_date(shown, zone=zone)
    return given is not None and found is not None and 0 <= given.seconds - found.seconds < found.grain


def _form(value: Any) -> Any:
    """One form of all ways to write a value; None for a blank."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        value = str(value)
    if not isinstance(value, str):
        return value or None
    text = unicodedata.normalize("NFC", value).replace("\r\n", "\n").replace("\r", "\n").strip()
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    if _PHONE.fullmatch(text):
        return _SIGNS.sub("", text)
    if _EMAIL.fullmatch(text) or text.lower() in ("true", "false"):
        return text.lower()
    return text or None
