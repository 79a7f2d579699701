"""When do two values mean the same? What match keys, filters and options are all compared by (docs/rules.md, 6)."""

from __future__ import annotations

import unicodedata

import pandas as pd

from crm_pipeline.letters import without_ignorable
from crm_pipeline.mapping.countries import country_code
from crm_pipeline.mapping.numbers import integer_form
from crm_pipeline.mapping.phones import phone_form
from crm_pipeline.mapping.values import email_forms, over_uniques, texts
from crm_pipeline.model import FieldKind

_TYPEWRITTEN = {
    "'": "`´‘’‚‛‹›ʹʻʼʽˈ′‵׳ꞌ＇❛❜",
    '"': "“”„‟«»″‶〝〞〟״＂❝❞",
    "-": "‐‑‒–—―−⁃﹘﹣－⸺⸻־˗᠆",
}
_PLAIN = str.maketrans({letter: plain for plain, letters in _TYPEWRITTEN.items() for letter in letters})
"""Quotes, apostrophes, dashes and hyphens as a keyboard has them: word processors put others in their place."""


def fold(values: pd.Series, kind: FieldKind = "text", *, default_region: str | None = None) -> pd.Series:
    """The comparable form of values of any type: str with the same index, null where there is nothing to compare.

    Text is folded by NFKC, case, white space (outer gone, inner to one space), quotes and dashes; characters that nobody
    sees do not count. Emails are only trimmed and lower-cased, as the CRMs compare them (docs/rules.md, 22); phones take E.164,
    countries their alpha-2 code, numbers their digits, each where the value can be read so, else the folded text.
    ``default_region`` reads phones that carry no country. Folding twice changes nothing.
    """
    text = texts(values).values
    return email_forms(text) if kind == "email" else over_uniques(text, lambda one: _fold_one(one, kind, default_region) or None)


def fold_text(text: str) -> str:
    """One text folded by NFKC, case, white space, quotes and dashes."""
    if text.isascii() and text.isprintable() and "`" not in text:
        return " ".join(text.lower().split())
    while (folded := _fold_once(text)) != text:
        text = folded
    return text


def _fold_once(text: str) -> str:
    # NFKC can undo what case folding did (and the other way round), hence the caller's loop to a fixed point. It takes some
    # quotes apart, so these come first.
    plain = without_ignorable(text).translate(_PLAIN)
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", plain).casefold()).split())


def _fold_one(text: str, kind: FieldKind, region: str | None) -> str:
    folded = fold_text(text)
    if kind == "phone":
        return phone_form(folded, region) or folded
    if kind == "country":
        return (country_code(folded) or folded).lower()
    if kind == "integer":
        number = integer_form(folded)
        return folded if number is None else str(number)
    return folded


def same_key(held: pd.Series, own: pd.Series) -> pd.Series:
    """Where two external key values are one (bool; null equals nothing): the CRMs' unique fields do not tell case apart."""
    equal = held.eq(own).fillna(value=False).astype(bool)
    # Most are one letter by letter: only the others are worth folding.
    same = equal & texts(held).values.notna()
    if not equal.all():
        others = ~equal
        same[others] = fold(held[others]).eq(fold(own[others])).fillna(value=False).astype(bool)
    return same
