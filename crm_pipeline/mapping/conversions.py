"""What form the type of a CRM field wants: text becomes a number, a boolean, a date, an option."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from functools import partial

import numpy as np
import pandas as pd

from crm_pipeline.frames import Flags, blank
from crm_pipeline.mapping.folding import fold, fold_text
from crm_pipeline.mapping.numbers import integer_form, number_form
from crm_pipeline.mapping.values import over_uniques, texts

TRUE_WORDS = frozenset({"true", "yes", "y", "1", "on"})
FALSE_WORDS = frozenset({"false", "no", "n", "0", "off"})
DATE_FORMATS = ("%m/%d/%Y %I:%M %p", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y")
LONGEST_SCALAR = 100

_UNIX_TIME = re.compile(r"(?:(\d{9,10})|(\d{10})\d{3})(?:\.\d+)?", re.ASCII)
"""Seconds, from 1973 on, or milliseconds: fewer digits are a year, or a day written without dashes."""

_US_TIME = re.compile(r"(\d{1,2}/\d{1,2}/\d{4}),?\s+(\d{1,2}:\d{2}(?::\d{2})?)\s*([AaPp][Mm])", re.ASCII)
_BEFORE_ZONE = re.compile(r"(?<=:\d\d)\s+(?=(?:Z|[+-]\d{2}(?::?\d{2})?)$)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Converted:
    """``values`` in the form the type wants; ``invalid``: where a value has no such form; ``error`` says what it is then."""

    values: pd.Series
    invalid: Flags
    error: str


def convert(values: pd.Series, *, type_: str, options: list[tuple[str, str]], restricted: bool, zone: tzinfo = UTC) -> Converted:
    """Values in the form of a CRM field type (the types of schemas.CRM_FIELDS).

    Dtypes: integer Int64; number Int64 where every value is whole, else Float64; boolean boolean; the rest str, dates as
    ``2026-11-01`` and ``2026-11-01T00:00:00Z``. A restricted choice takes only its options, told by value, then by label.
    Numbers among ``values`` are what they are; of texts see numbers.number_form. ``zone``: the time zone of moments without one,
    and the one whose day a Unix time lies in.
    """
    text = texts(values).values
    if type_ in ("choice", "multi_choice") and options:
        by_text = _by_text(options)
        choose = _each_of_several if type_ == "multi_choice" else _one_of
        chosen = over_uniques(text, lambda given: choose(given, by_text, others=not restricted))
        return Converted(chosen, ~blank(text) & blank(chosen), "InvalidOptionException")
    if type_ != "number" and type_ not in _FORMS:
        return Converted(text, np.zeros(len(text), dtype=bool), "InvalidValueException")
    formed = _numbers(text, given=values) if type_ == "number" else _FORMS[type_](text, zone)
    return Converted(formed, ~blank(text) & blank(formed), "InvalidValueException")


def _by_text(options: list[tuple[str, str]]) -> Mapping[str, str | None]:
    """The options by their values and labels, folded; null for a label that several have."""
    by_text: dict[str, str | None] = {}
    for value, label in options:
        key = fold_text(label)
        by_text[key] = value if by_text.get(key, value) == value else None
    return by_text | {fold_text(value): value for value, _ in options}


def _one_of(given: str, by_text: Mapping[str, str | None], *, others: bool) -> str | None:
    """The option that a text means; where there may be ``others``, a text that means none is one itself."""
    return by_text.get(fold_text(given)) or (given if others else None)


def _each_of_several(joined: str, by_text: Mapping[str, str | None], *, others: bool) -> str | None:
    parts = [part.strip() for part in joined.split(";") if part.strip()]
    found = [_one_of(part, by_text, others=others) for part in parts]
    return ";".join(dict.fromkeys(option for option in found if option)) if found and all(found) else None


def _integers(text: pd.Series) -> pd.Series:
    return over_uniques(text, integer_form, dtype="Int64")


def _numbers(text: pd.Series, *, given: pd.Series) -> pd.Series:
    whole = _integers(text)
    if (whole.isna() == text.isna()).all():
        return whole
    numbers = over_uniques(text, number_form, dtype="Float64")
    if given.dtype != object:
        return numbers
    return numbers.mask(given.map(type).eq(float), pd.to_numeric(given, errors="coerce").astype("Float64"))


def _booleans(text: pd.Series) -> pd.Series:
    words = fold(text)
    return words.isin(TRUE_WORDS).astype("boolean").where(words.isin(TRUE_WORDS | FALSE_WORDS), pd.NA)


def _moment(text: str, zone: tzinfo) -> datetime | None:
    """A date as QBench gives one, in the zone that it names, else in this one; the month comes first (11/01/2026)."""
    if len(text) > LONGEST_SCALAR:
        return None
    if unix := _UNIX_TIME.fullmatch(text):
        return datetime.fromtimestamp(int(unix[1] or unix[2]), tz=zone)
    text = " ".join(us.groups()) if (us := _US_TIME.fullmatch(text)) else _BEFORE_ZONE.sub("", text.upper())
    for read in (datetime.fromisoformat, *(_by(form) for form in DATE_FORMATS)):
        try:
            found = read(text)
        except ValueError:
            continue
        return found.replace(tzinfo=zone) if found.tzinfo is None else found
    return None


def _by(form: str) -> Callable[[str], datetime]:
    return lambda text: datetime.strptime(text, form)


def _day(text: str, zone: tzinfo) -> str | None:
    """The day that a text shows, whatever moment it is elsewhere."""
    moment = _moment(text, zone)
    return None if moment is None else _written(moment.date(), "%Y-%m-%d")


def _utc(text: str, zone: tzinfo) -> str | None:
    """The moment in UTC; null for a time that comes twice, or never, for the clocks are set then."""
    # A Unix time is one moment, whatever the clocks show then.
    moment = _moment(text, UTC if _UNIX_TIME.fullmatch(text) else zone)
    if moment is None or (moment.tzinfo is zone and _is_unclear(moment)):
        return None
    try:
        return _written(moment.astimezone(UTC), "%Y-%m-%dT%H:%M:%SZ")
    except OverflowError:
        return None


def _is_unclear(moment: datetime) -> bool:
    return moment.replace(fold=0).utcoffset() != moment.replace(fold=1).utcoffset()


def _written(moment: date, form: str) -> str | None:
    # strftime does not pad the years before 1000, which no CRM takes anyway.
    return moment.strftime(form) if moment.year >= 1000 else None


_FORMS: Mapping[str, Callable[[pd.Series, tzinfo], pd.Series]] = {
    "integer": lambda text, _: _integers(text),
    "boolean": lambda text, _: _booleans(text),
    "date": lambda text, zone: over_uniques(text, partial(_day, zone=zone)),
    "datetime": lambda text, zone: over_uniques(text, partial(_utc, zone=zone)),
}
