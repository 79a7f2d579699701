"""How values stand in SugarCRM's calls, and how they are read there: all as texts, each type in its own form.

What is read has codes of HTML for four characters, in custom fields (``_c``) for an ampersand too; what is written must be plain. A blank
text clears, null does not (seen on SuiteCRM 7.14 to 8.10; custom fields on 7.14.8).
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

MOMENT = "%Y-%m-%d %H:%M:%S"
"""The form of moments; they are UTC, whatever the user's zone."""

TRUE, FALSE = "1", "0"

_CODE = re.compile(r"&(?:#0?39|quot|lt|gt);")
"""The only codes but in custom fields: else an ampersand has none, so that ``&amp`` is what somebody wrote."""
_CUSTOM_CODE = re.compile(r"&(?:#0?39|quot|lt|gt|amp);")


def wire(value: object, kind: str) -> str:
    """A cell, or None to clear, as it is sent to a field of a type of schemas.CRM_FIELDS."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, bool):
        return TRUE if value else FALSE
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    given = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return _SENT.get(kind, _as_it_is)(given)


def is_custom(field: str) -> bool:
    """Whether a field is one that the site's people added."""
    return field.endswith("_c")


def custom_forms(value: str) -> tuple[str, ...]:
    """The forms in which a text may lie in a custom field's column."""
    return tuple(dict.fromkeys((value, value.replace("&", "&amp;"))))


def read(value: object, kind: str, *, field: str = "") -> str | None:
    """What is answered of a field, in the form that was sent; None for a blank."""
    codes = _CUSTOM_CODE if is_custom(field) else _CODE
    text = codes.sub(lambda code: html.unescape(code[0]), str(value)) if value is not None else ""
    return _READ.get(kind, _as_it_is)(text) if text else None


def name_values(pairs: Any) -> dict[str, Any]:
    """The names and values of an entry as they came; PHP shows an empty table as a list."""
    return {name: pair["value"] for name, pair in pairs.items()} if pairs else {}


def same(sent: str, held: str | None) -> bool:
    """Whether a value lies there as it was sent; blanks around it are trimmed there, and line ends are the database's."""
    return _plain(sent) == _plain(held or "")


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _as_it_is(text: str) -> str:
    return text


def _sent_moment(text: str) -> str:
    return text.removesuffix("Z").replace("T", " ")


def _read_moment(text: str) -> str:
    return f"{text.replace(' ', 'T')}Z" if " " in text else text


def _sent_options(text: str) -> str:
    return "^,^".join(text.split(";")).join("^^")


def _read_options(text: str) -> str:
    return ";".join(option.strip("^") for option in text.split("^,^"))


def _sent_flag(text: str) -> str:
    return {"true": TRUE, "false": FALSE}.get(text.lower(), text)


def _read_flag(text: str) -> str:
    return {TRUE: "true", FALSE: "false"}.get(text, text)


def _read_number(text: str) -> str:
    """Without the decimals that the column adds."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    return format(number.normalize(), "f") if number.is_finite() else text


_SENT: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {"datetime": _sent_moment, "multi_choice": _sent_options, "boolean": _sent_flag}
)
_READ: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {"datetime": _read_moment, "multi_choice": _read_options, "boolean": _read_flag, "number": _read_number}
)
