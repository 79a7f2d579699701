"""Does HubSpot's answer show what was sent? It may take a write and keep another value, without an error.

So it does with a lifecycle stage that would go back (HubSpot's knowledge base on lifecycle stages).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

_PHONE = re.compile(r"\+?[\d\s()/-]{7,40}(?:x ?\d{1,7})?")
_WEB_PREFIX = re.compile(r"^(?:https?://)?(?:www\.)?")


def kept(sent: Mapping[str, str], shown: Mapping[str, Any]) -> list[str]:
    """The properties, in their order, that an answer shows with another value than was sent; what it does not show is not judged.

    Values that mean the same are the same: in case, white space and Unicode form, numbers, dates and phones in any
    form, choices in any order.
    """
    return [name for name, value in sent.items() if name in shown and shown[name] != value and not _mean_the_same(value, shown[name])]


def _mean_the_same(sent: str, shown: object) -> bool:
    one, other = _folded(sent), _folded("" if shown is None else str(shown))
    if one == other:
        return True
    if not one or not other:
        return False
    return any(form(one) is not None and form(one) == form(other) for form in (_number, _moment, _choices, _phone, _address))


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromtimestamp(int(text) / 1000, UTC) if text.isdigit() else datetime.fromisoformat(text.upper())
    except (ValueError, OverflowError, OSError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _choices(text: str) -> frozenset[str] | None:
    return frozenset(part.strip() for part in text.split(";") if part.strip()) if ";" in text else None


def _phone(text: str) -> str | None:
    return re.sub(r"\D", "", text) if _PHONE.fullmatch(text) else None


def _address(text: str) -> str | None:
    return _WEB_PREFIX.sub("", text).rstrip("/") if "." in text else None
