"""What a single value is: the text of any JSON value, and the normal form of a text by its field's kind.

Every function here is total: whatever QBench's record holds, it answers and never raises for a value.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandas.api.types import pandas_dtype

from crm_pipeline.frames import Flags, arrow_texts, blank, texts_where
from crm_pipeline.letters import ANY_INVISIBLE, lowered, without_invisible
from crm_pipeline.mapping.countries import country_code, names_no_country
from crm_pipeline.mapping.numbers import LARGEST_EXACT_INTEGER, integer_form
from crm_pipeline.mapping.phones import phone_form
from crm_pipeline.model import FieldKind

MOST_INTEGER_BITS = 10_000
LONGEST_EMAIL = 254

SEPARATORS: dict[FieldKind, re.Pattern[str]] = {
    "email": re.compile(r"[;,|/\s]+"),
    "phone": re.compile(r"\s*(?:[;,|/\n]|\bor\b)\s*"),
}
NO_VALUE_WORDS = frozenset(
    {"nan", "NaN", "NAN", "-nan", "inf", "INF", "+inf", "-inf", "-INF", "Infinity", "+Infinity", "-Infinity", "infinity", "-infinity",
     "+Inf", "-Inf", "INFINITY", "-INFINITY", "+NaN", "-NaN", "#NaN", "1.#QNAN", "1.#INF", "-1.#IND",
     "null", "NULL", "(null)", "None", "nil", "undefined", "NaT", "<NA>"}
)  # fmt: skip
"""How programs write that there is no value, or no number, letter by letter: Nan and Null are people's names."""

DEFAULT_SEPARATOR = re.compile(r"\s*[;\n]\s*")

_PLAIN_LOCAL_PART = re.compile(r"[a-z0-9_+'-]+(?:\.[a-z0-9_+'-]+)*")
_PLAIN_DOMAIN = re.compile(r"(?=.{4,100}\Z)(?:(?!..--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:com|org|net|edu|gov|[a-z]{2})")
"""Domains of which every check says that they can be one: under the oldest endings, and those of countries."""
_WEB_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//|", re.IGNORECASE)

_BLANK, _NO_TEXT, _MARK = (pa.scalar(text, pa.large_string()) for text in ("", None, "\x00"))
_TYPES = {
    "str": (pa.large_string(), pandas_dtype("str")),
    "Int64": (pa.int64(), pandas_dtype("Int64")),
    "Float64": (pa.float64(), pandas_dtype("Float64")),
}
"""Arrow's types by which a column of pandas' is made."""


@dataclass(frozen=True, slots=True)
class Texts:
    """``values``: str, null where there is no text; ``unreadable``: whether a value is there that has no text form."""

    values: pd.Series
    unreadable: Flags


def text_form(value: Any) -> str | None:
    """The text of one JSON value, "" for none; null when it has no text form (an object, a number beyond measure).

    Numbers lose a ".0", booleans are true and false, lists of scalars are joined with "; ".
    """
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return _integer_text(int(value))
    if isinstance(value, float | np.floating):
        return _float_text(float(value))
    if isinstance(value, list | tuple):
        return _list_text(value)
    return None


def texts(values: Sequence[Any] | pd.Series, index: pd.Index | None = None) -> Texts:
    """The text of every value: trimmed, blank is null, without characters that nobody sees and lone surrogates.

    No CRM or database takes NULs and surrogates; the invisible rest comes along with what is pasted (``letters``).
    """
    if isinstance(values, pd.Series):
        if values.dtype == "str":
            return Texts(values=arrow_texts(_clean(values.array.__arrow_array__()), values.index), unreadable=blank(values))
        index, values = values.index, values.tolist()
    read = [value if type(value) is str else text_form(value) for value in values]
    try:
        given = pa.array(read, pa.large_string())
    except UnicodeEncodeError:
        given = pa.array([None if text is None else _without_surrogates(text) for text in read], pa.large_string())
    unreadable = given.is_null().to_numpy(zero_copy_only=False)
    return Texts(values=arrow_texts(_clean(given), index), unreadable=unreadable)


def _clean(given: Any) -> Any:
    """Arrow's texts trimmed and without what nobody sees; most of them are plain, so that no Python loop is worth its time."""
    if given.null_count == len(given):
        return given
    plain = pc.ascii_is_printable(given)
    unplain = given[:0] if pc.all(plain).as_py() else given.filter(pc.invert(plain))
    if len(unplain) and pc.any(pc.match_substring_regex(unplain, ANY_INVISIBLE)).as_py():
        given = pa.array([text and without_invisible(text) for text in given.to_pylist()], pa.large_string())
    trimmed = pc.utf8_trim_whitespace(given)
    return pc.if_else(pc.equal(trimmed, _BLANK), _NO_TEXT, trimmed)


def over_uniques(values: pd.Series, form: Callable[[str], Any], *, dtype: str = "str") -> pd.Series:
    """``form`` of every text (str), computed once per distinct one; null stays null."""
    arrow, pandas = _TYPES[dtype]
    return pd.Series(pandas.__from_arrow__(_formed(values, form, arrow)), index=values.index)


def hold(values: pd.Series, test: Callable[[str], bool]) -> Flags:
    """Whether each text (str) passes a test, made once per distinct one; null does not."""
    verdicts: Flags = pc.fill_null(_formed(values, test, pa.bool_()), fill_value=False).to_numpy(zero_copy_only=False)
    return verdicts


def _formed(values: pd.Series, form: Callable[[str], Any], arrow: pa.DataType) -> pa.Array:
    told_apart = values.array.__arrow_array__().combine_chunks().dictionary_encode()
    return pa.array([form(text) for text in told_apart.dictionary.to_pylist()], arrow).take(told_apart.indices)


def first_of_several(values: Sequence[Any], kind: FieldKind) -> list[Any]:
    """Of a list its first filled item, of a text its first part.

    Parts are told apart by ";" and line breaks; in emails also by commas, slashes, bars and white space, in phones also by
    commas, slashes, bars and "or".
    """
    separator = SEPARATORS.get(kind, DEFAULT_SEPARATOR)
    return [_first(value, separator) for value in values]


def email_form(text: str) -> str:
    """The comparable form of an email address: trimmed and lower-cased, so that no two addresses become one."""
    return lowered(text.strip())


def email_forms(emails: pd.Series) -> pd.Series:
    """The comparable form of each address (str); those of plain letters all at once."""
    given = emails.array.__arrow_array__()
    if not pc.all(pc.ascii_is_printable(given)).as_py():
        return over_uniques(emails, email_form)
    formed = pc.ascii_lower(pc.ascii_trim(given, characters=" "))
    return arrow_texts(formed, emails.index)


def valid_emails(values: pd.Series) -> pd.Series:
    """Whether each text is one valid address by its syntax alone (bool; null is False). No name server is asked.

    Domains are checked once each: addresses whose part before the @ is plain are then known without a check of their own.
    """
    return pd.Series(hold(values, _is_email), index=values.index)


def host_form(text: str) -> str:
    """The host of a web address: lower-cased, without scheme, user, port, path and leading "www."; "" when it names none."""
    rest = text.strip().lower()
    found = _WEB_ADDRESS.match(rest)
    authority = re.split(r"[/?#\s\\]", rest[found.end() if found else 0 :], maxsplit=1)[0].rpartition("@")[2]
    host = re.sub(r":\d*$", "", authority).strip(".:")
    while host.startswith("www.") and "." in host[4:].strip("."):
        host = host[4:].strip(".:")
    return host


def normal_form(values: pd.Series, kind: FieldKind, *, regions: pd.Series | None = None) -> tuple[pd.Series, Flags]:
    """The normal form of texts by kind, and where it was not understood.

    Shapes: str (integer: Int64) of the same index. What is not understood stays as given; a number becomes null, and so
    does what only fills a country's place ("N/A"), or an email longer than any can be, which the database's index of
    addresses could not hold.
    ``regions``: ISO alpha-2 per row, read for phones only.
    """
    if kind in ("text", "url"):
        return values, np.zeros(len(values), dtype=bool)
    if kind == "choice":
        return values.str.upper(), np.zeros(len(values), dtype=bool)
    if kind == "email":
        emails = email_forms(values)
        short = pc.fill_null(pc.less_equal(pc.utf8_length(emails.array.__arrow_array__()), LONGEST_EMAIL), fill_value=True)
        return texts_where(short.to_numpy(), emails), ~(blank(emails) | hold(emails, _is_email))
    understood = _phones(values, regions) if kind == "phone" else _understood(values, kind)
    missed = blank(understood) & ~blank(values)
    if kind == "integer" or not missed.any():
        return understood, missed
    given = texts_where(~hold(values, names_no_country), values) if kind == "country" else values
    return texts_where(~missed, understood, given), missed


def _understood(values: pd.Series, kind: FieldKind) -> pd.Series:
    return over_uniques(values, integer_form, dtype="Int64") if kind == "integer" else over_uniques(values, country_code)


def _phones(values: pd.Series, regions: pd.Series | None) -> pd.Series:
    if regions is None:
        return over_uniques(values, lambda text: phone_form(text, None))

    def form(told: str) -> str | None:
        region, _, text = told.partition(_MARK.as_py())
        return phone_form(text, region or None)

    told = pc.binary_join_element_wise(pc.fill_null(regions.array.__arrow_array__(), ""), values.array.__arrow_array__(), _MARK)
    return over_uniques(arrow_texts(told, values.index), form)


def _is_email(email: str) -> bool:
    if not email.isascii() and any(unicodedata.normalize("NFKC", letter).isascii() for letter in email if not letter.isascii()):
        # It only looks like a plain address (full width letters, the Kelvin sign): mail servers and CRMs may take it for that one.
        return False
    local, _, domain = email.partition("@")
    plain = len(email) <= LONGEST_EMAIL and len(local) <= 64 and domain.isascii() and _PLAIN_LOCAL_PART.fullmatch(local)
    return _is_domain(domain) if plain else len(email) <= LONGEST_EMAIL and _passes(email)


@lru_cache(maxsize=50_000)
def _is_domain(domain: str) -> bool:
    """Whether this can stand behind the @; most addresses share theirs with others, also from frame to frame."""
    return _PLAIN_DOMAIN.fullmatch(domain) is not None or _passes(f"a@{domain}")


def _passes(email: str) -> bool:
    from email_validator import EmailNotValidError, validate_email

    try:
        validate_email(email, check_deliverability=False, strict=True)
    except EmailNotValidError:
        return False
    return True


def _integer_text(value: int) -> str | None:
    return str(value) if value.bit_length() < MOST_INTEGER_BITS else None


def _float_text(value: float) -> str | None:
    if not math.isfinite(value):
        return ""
    whole = value.is_integer() and abs(value) <= LARGEST_EXACT_INTEGER
    return str(int(value)) if whole else np.format_float_positional(value, trim="-")


def _list_text(values: Sequence[Any]) -> str | None:
    if any(isinstance(value, list | tuple) for value in values):
        return None
    items = [text_form(value) for value in values]
    if any(item is None for item in items):
        return None
    return "; ".join(item.strip() for item in items if item and item.strip())


def _first(value: Any, separator: re.Pattern[str]) -> Any:
    if isinstance(value, list):
        value = next((item for item in value if text_form(item)), None)
    if isinstance(value, str):
        return next((part for part in separator.split(value) if part.strip()), "")
    return value


def _without_surrogates(text: str) -> str:
    return text.encode("utf-8", "ignore").decode("utf-8")
