"""Which number does a text write? Where it can be read in two ways, none (docs/rules.md, 39)."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

LARGEST_EXACT_INTEGER = 2**53
"""Beyond it JSON's readers, who take numbers for floats, no longer tell neighbours apart."""
SURELY_EXACT_DIGITS = 15
LONGEST_NUMBER = 100

_DECIMAL = re.compile(r"[+-]?\d+(?:\.\d*)?", re.ASCII)
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?P<mark>[ ,.'])\d{3}(?:(?P=mark)\d{3})*(?:(?!(?P=mark))(?P<point>[.,])\d+)?", re.ASCII)
_PLAIN_MARKS = {"’": "'", "٬": ",", "，": ",", "٫": ".", "．": ".", "−": "-", "－": "-", "＋": "+"}


def number_form(text: str) -> int | float | None:
    """The number that a text writes ("55", "1,200", "1 200.5", "1.200,50"); null where it writes none, or may mean two.

    "1.200" is an example: twelve hundred where thousands are parted by dots, else 1.2. A comma before three digits parts
    thousands, as in QBench's own country. Digits of every script count; what only looks like one (², ½) does not. A number
    that Python's floats, and so JSON's readers, do not hold exactly is none.
    """
    if len(text) <= SURELY_EXACT_DIGITS and text.isdecimal() and text.isascii():
        return int(text)
    plain = _plain(text) if len(text) <= LONGEST_NUMBER else ""
    decimal, grouped = _DECIMAL.fullmatch(plain), _GROUPED.fullmatch(plain)
    if (decimal is None) == (grouped is None):
        return None
    if grouped is not None:
        plain = plain.replace(grouped["mark"], "").replace(grouped["point"] or ".", ".")
    exact = Decimal(plain)
    if exact == exact.to_integral_value():
        return int(exact) if abs(exact) <= LARGEST_EXACT_INTEGER else None
    return float(plain) if Decimal(repr(float(plain))) == exact else None


def integer_form(text: str) -> int | None:
    """The whole number that a text writes ("55", "1,200", "55.0"); null for anything else (number_form)."""
    number = number_form(text)
    return number if isinstance(number, int) else None


def _plain(text: str) -> str:
    """The text in ASCII, as far as it can write a number."""
    if text.isascii():
        return text.strip()
    return "".join(_plain_character(character) for character in text.strip())


def _plain_character(character: str) -> str:
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    return " " if unicodedata.category(character) == "Zs" else _PLAIN_MARKS.get(character, character)
