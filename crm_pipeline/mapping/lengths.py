"""How long a text is to a CRM, and how it is cut to fit."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pandas as pd
import pyarrow.compute as pc

_BEYOND_16_BITS = "[\U00010000-\U0010ffff]"
_JOINER = "\u200d"


def crm_lengths(texts: pd.Series) -> pd.Series:
    """How long the CRMs take texts to be (Int64, null for null): in UTF-16 units, of which an emoji has two.

    Assumed of both, whose servers hold texts so; an emoji that counted twice was seen by others.
    """
    characters = texts.str.len()
    return characters + texts.str.count(_BEYOND_16_BITS)


def may_exceed(texts: pd.Series, length: int) -> bool:
    """Whether any of the texts (str) can be longer than this: none has more UTF-16 units than bytes in UTF-8. A quick look."""
    longest = pc.max(pc.binary_length(texts.array.__arrow_array__())).as_py()
    return longest is not None and bool(longest > length)


def crm_length(text: str) -> int:
    """How long the CRMs take one text to be."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def strictest_length(text: str) -> int:
    """How long a text is at most, however it is counted: in bytes, line breaks as two."""
    return len(text.encode("utf-8", "surrogatepass")) + text.count("\n")


def cut(text: str, length: int, *, count: Callable[[str], int] = crm_length) -> str:
    """The longest beginning of a text that is no longer than this, trimmed; a character is not parted from its marks."""
    low, high = 0, min(len(text), length)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count(text[:middle]) <= length else (low, middle - 1)
    while 0 < low < len(text) and _belongs_to_the_one_before(text, low):
        low -= 1
    return text[:low].strip()


def _belongs_to_the_one_before(text: str, position: int) -> bool:
    mark = unicodedata.category(text[position]) in ("Mn", "Me", "Mc", "Cf", "Sk") and not text[position].isascii()
    return mark or text[position - 1] == _JOINER
