"""What form the type of a CRM field wants: text becomes a number, a boolean, a date, an option."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from crm_pipeline.mapping.folding import fold, fold_text
from crm_pipeline.mapping.values import integer_form, over_uniques, texts

TRUE_WORDS = frozenset({"true", "yes", "y", "1", "on"})
FALSE_WORDS = frozenset({"false", "no", "n", "0", "off"})
DATE_FORMATS = ("%m/%d/%Y %I:%M %p", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y")
LONGEST_SCALAR = 100

_DECIMAL = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?", re.ASCII)
_UNIX_TIME = re.compile(r"(\d{9,10})|(\d{10})\d{3}", re.ASCII)
"""Seconds, from 1973 on, or milliseconds: fewer digits are a year, or a day written without dashes."""


@dataclass(frozen=True, slots=True)
class Converted:
    """``values`` in the form the type wants; ``invalid`` True where a value has no such form (bool); ``error`` says what it is then."""

    values: pd.Series
    invalid: pd.Series
    error: str


def convert(values: pd.Series, *, type_: str, options: list[tuple[str, str]], restricted: bool) -> Converted:
    """Values in the form of a CRM field type (the types of schemas.CRM_FIELDS).

    Dtypes: integer Int64; number Int64 where every value is whole, else Float64; boolean boolean; the rest str, dates as
    ``2026-11-01`` and ``2026-11-01T00:00:00Z``. A restricted choice takes only its options, told by value, then by label.
    """
    text = texts(values).values
    if type_ in ("choice", "multi_choice") and options:
        chosen = _options(text, options, several=type_ == "multi_choice")
        invalid = text.notna() & chosen.isna()
        kept = chosen if restricted else chosen.fillna(text)
        return Converted(kept, invalid & restricted, "InvalidOptionException")
    if type_ not in _FORMS:
        return Converted(text, pd.Series(False, index=values.index), "InvalidValueException")
    formed = _FORMS[type_](text)
    return Converted(formed, text.notna() & formed.isna(), "InvalidValueException")


def _options(text: pd.Series, options: list[tuple[str, str]], *, several: bool) -> pd.Series:
    by_text: dict[str, str | None] = {}
    for value, label in options:
        key = fold_text(label)
        by_text[key] = value if by_text.get(key, value) == value else None
    by_text |= {fold_text(value): value for value, _ in options}
    if not several:
        return fold(text).map(by_text).astype("str")

    def each(joined: str) -> str | None:
        found = [by_text.get(fold_text(part)) for part in joined.split(";") if part.strip()]
        return ";".join(dict.fromkeys(part for part in found if part)) if all(found) else None

    return over_uniques(text, each)


def _integers(text: pd.Series) -> pd.Series:
    return over_uniques(text, integer_form, dtype="Int64")


def _numbers(text: pd.Series) -> pd.Series:
    whole = _integers(text)
    return whole if (whole.isna() == text.isna()).all() else over_uniques(text, _number, dtype="Float64")


def _number(text: str) -> float | None:
    found = _DECIMAL.fullmatch(text) if len(text) <= LONGEST_SCALAR else None
    return integer_form(text) if found is None else float(text.replace(",", ""))


def _booleans(text: pd.Series) -> pd.Series:
    words = fold(text)
    return words.isin(TRUE_WORDS).astype("boolean").where(words.isin(TRUE_WORDS | FALSE_WORDS), pd.NA)


def _moment(text: str) -> datetime | None:
    """A date as QBench gives one; one without a zone is UTC."""
    if len(text) > LONGEST_SCALAR:
        return None
    if unix := _UNIX_TIME.fullmatch(text):
        return datetime.fromtimestamp(int(unix[1] or unix[2]), tz=UTC)
    for read in (datetime.fromisoformat, *(_by(form) for form in DATE_FORMATS)):
        try:
            found = read(text)
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    return None


def _by(form: str) -> Callable[[str], datetime]:
    return lambda text: datetime.strptime(text, form).replace(tzinfo=UTC)


def _dates(text: pd.Series) -> pd.Series:
    return over_uniques(text, lambda value: _written(_moment(value), "%Y-%m-%d"))


def _datetimes(text: pd.Series) -> pd.Series:
    return over_uniques(text, lambda value: _written(_moment(value), "%Y-%m-%dT%H:%M:%SZ"))


def _written(moment: datetime | None, form: str) -> str | None:
    # strftime does not pad the years before 1000, which no CRM takes anyway.
    return moment.strftime(form) if moment is not None and moment.year >= 1000 else None


_FORMS: Mapping[str, Callable[[pd.Series], pd.Series]] = {
    "integer": _integers,
    "number": _numbers,
    "boolean": _booleans,
    "date": _dates,
    "datetime": _datetimes,
}
