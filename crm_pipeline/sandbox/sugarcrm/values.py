"""What becomes of a value on its way into the database, and out of it? Nothing is refused; a lot is changed.

| sent | stored |
|---|---|
| more characters than the column has | cut there |
| blanks at the ends | none |
| ``<script>`` | nothing |
| tags that are not closed | closed, or nothing (``unclosed_tags``) |
| ``&amp; &lt; &quot; &#039; &eacute;`` and their like | the signs themselves; ``&amp=1`` stays |
| an ampersand, in a custom field | ``&amp;`` |
| signs beyond the Basic Multilingual Plane, in tables of ``utf8mb3`` | ``????`` |
| an option's label | its key |
| an unknown option | as it is |
| a date that is none | blank |
| a number | what the text begins with as one, 0 for another text (*assumed*) |
| a yes or no | 1 for ``1``, ``true``, ``on`` and ``yes``, else 0 (*assumed*) |
| null | what was there before |

Out of it ``' " < >`` come as ``&#039; &quot; &lt; &gt;``, a bare ``&`` as it is, and numbers of the types currency and decimal with six
decimals, as MySQL keeps them (*assumed*). Sources: seen on SuiteCRM 7.14.6, 7.15.0 and 8.10.1 (entities and custom fields on 7.14.8); MySQL
manual, "Server SQL Modes", for the cut without strict mode; labels as in SuiteCRM's ``new_handle_set_entries``.
"""

from __future__ import annotations

import re
from datetime import datetime
from html import unescape
from html.parser import HTMLParser
from typing import Any, Literal

from crm_pipeline.sandbox.sugarcrm.database import NUMBERS
from crm_pipeline.sandbox.sugarcrm.modules import Field

Charset = Literal["utf8mb3", "utf8mb4"]
Unclosed = Literal["close", "drop"]

SIGNS = {"'": "&#039;", '"': "&quot;", "<": "&lt;", ">": "&gt;"}
LARGEST_TEXT = 65_535
"""Bytes of a column of type TEXT."""
LARGEST_NUMBER = 2**31 - 1
VOID = frozenset({"br", "hr", "img"})
REMOVED = frozenset({"script", "style", "iframe", "object"})
LONGEST_ID = 36
DECIMALS = frozenset({"currency", "decimal"})
TRUE = frozenset({"1", "true", "on", "yes"})

_AMPERSAND = "\ufdd0"
"""What stands for an ampersand while HTML is read, so that it begins no entity."""
_ENTITY = re.compile(r"&#?\w+;")
_TAG = re.compile(r"<[A-Za-z/!]")


def stored(one: Field, value: Any, *, charset: Charset, unclosed: Unclosed) -> Any:
    """A value as the field's column keeps it, None for a blank of a column that is no text."""
    text = _text(value)
    if one.type == "bool":
        return int(text.strip().lower() in TRUE)
    if one.type in NUMBERS:
        return _number(text.strip())
    if one.type.startswith("date"):
        return _date(text.strip(), with_time=one.type != "date")
    text = decoded(text)
    if one.options and text not in one.options:
        text = next((key for key, label in one.options.items() if label == text), text)
    text = cleaned(text, unclosed=unclosed).strip()
    if one.source == "custom":
        text = text.replace("&", "&amp;")
    return cut(one, in_charset(text, charset))


def shown(value: Any, *, kind: str = "varchar") -> str:
    """A value of a field of some type as the API shows it."""
    if kind in DECIMALS and value is not None:
        return f"{value:.6f}"
    return "" if value is None else re.sub("['\"<>]", lambda match: SIGNS[match.group()], str(value))


def decoded(text: str) -> str:
    """A text with the signs themselves for the entities that end as they should."""
    return _ENTITY.sub(lambda match: unescape(match.group()), text)


def in_charset(text: str, charset: Charset) -> str:
    """A text in the table's character set: what it does not know is question marks, one for each byte."""
    return text if charset == "utf8mb4" else "".join("????" if ord(sign) > 0xFFFF else sign for sign in text)


def cut(one: Field, text: str) -> str:
    """A text cut at the column's length."""
    if one.type == "text":
        return text.encode()[:LARGEST_TEXT].decode(errors="ignore")
    return text[: LONGEST_ID if one.type == "id" else one.longest]


def _text(value: Any) -> str:
    """A JSON value as PHP makes text of it."""
    if isinstance(value, bool) or value is None:
        return "1" if value else ""
    if isinstance(value, list):
        return ",".join(f"^{_text(item)}^" for item in value)
    return "Array" if isinstance(value, dict) else str(value)


def _number(text: str) -> int | float | None:
    """What a text begins with, as a number."""
    match = re.match(r"[+-]?\d+(\.\d+)?", text.replace(",", ""))
    if not text:
        return None
    if match is None:
        return 0
    return float(match.group()) if match.group(1) else max(-LARGEST_NUMBER, min(LARGEST_NUMBER, int(match.group())))


def _date(text: str, *, with_time: bool) -> str | None:
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d"):
        try:
            moment = datetime.strptime(text, form)
        except ValueError:
            continue
        return moment.strftime("%Y-%m-%d %H:%M:%S" if with_time else "%Y-%m-%d")
    return None


def cleaned(text: str, *, unclosed: Unclosed) -> str:
    """A text as the cleaner of HTML leaves it; one without a tag stays as it is."""
    if not _TAG.search(text):
        return text
    cleaner = _Cleaner()
    cleaner.feed(text.replace("&", _AMPERSAND))
    cleaner.close()
    return cleaner.result(unclosed=unclosed).replace(_AMPERSAND, "&")


class _Cleaner(HTMLParser):
    """Writes HTML again, with every tag closed and without what might be harmful."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self._parts: list[str] = []
        self._open: list[tuple[str, int]] = []
        self._inside = 0

    def result(self, *, unclosed: Unclosed) -> str:
        """What is left, once all is read."""
        if unclosed == "close":
            return "".join([*self._parts, *(f"</{tag}>" for tag, _ in reversed(self._open))])
        dropped = {position for _, position in self._open}
        return "".join(part for position, part in enumerate(self._parts) if position not in dropped)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in REMOVED:
            self._inside += 1
        elif not self._inside:
            if tag not in VOID:
                self._open.append((tag, len(self._parts)))
            kept = "".join(f' {name}="{value or ""}"' for name, value in attrs if not name.startswith("on"))
            self._parts.append(f"<{tag}{kept}>" if tag not in VOID else f"<{tag}{kept} />")

    def handle_endtag(self, tag: str) -> None:
        if tag in REMOVED:
            self._inside = max(0, self._inside - 1)
        elif not self._inside and any(name == tag for name, _ in self._open):
            while self._open:
                name, _ = self._open.pop()
                self._parts.append(f"</{name}>")
                if name == tag:
                    break

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self._parts.append(data)
