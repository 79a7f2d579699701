"""When do two systems show the same value? In a form that is insensitive to how vendors write it, and to nothing else.

Match keys are folded (``mapping.folding``); here a corrected capital letter is a change.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Literal

import pandas as pd
import pyarrow.compute as pc

from crm_pipeline.mapping.conversions import convert
from crm_pipeline.mapping.countries import country_code
from crm_pipeline.mapping.numbers import LONGEST_NUMBER
from crm_pipeline.mapping.targets import Target
from crm_pipeline.mapping.values import email_form, normal_form, over_uniques, texts
from crm_pipeline.model import MODELS, FieldKind, RecordType

CanonicalKind = Literal["text", "email", "phone", "country", "number", "boolean", "date", "datetime", "options"]

OF_NORMALIZED: Mapping[FieldKind, CanonicalKind] = {"email": "email", "phone": "phone", "country": "country", "integer": "number"}
OF_CRM: Mapping[str, CanonicalKind] = {
    "email": "email",
    "phone": "phone",
    "number": "number",
    "integer": "number",
    "boolean": "boolean",
    "date": "date",
    "datetime": "datetime",
    "multi_choice": "options",
}
"""By the types of schemas.CRM_FIELDS; every other one is text."""

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?", re.ASCII)
"""A number as programs write it: what CRMs show of a number field, and what is sent to one."""


def canonical_kind(target: Target, type_: str | None, *, record_type: RecordType) -> CanonicalKind:
    """The kind of a mapped CRM field: of the normalized field that it holds, where that has a form of its own, else of its type.

    ``type_``: that of schemas.CRM_FIELDS; None where it is not known.
    """
    field = MODELS[record_type].by_name.get(target.source)
    of_normalized = None if field is None else OF_NORMALIZED.get(field.kind)
    return of_normalized or OF_CRM.get(type_ or "", "text")


def canonical_kinds(targets: Sequence[Target], crm_fields: pd.DataFrame | None, *, record_type: RecordType) -> dict[str, CanonicalKind]:
    """The kind of each mapped CRM field, by name; ``crm_fields``: schemas.CRM_FIELDS, None where they are not known."""
    types = {} if crm_fields is None else dict(zip(crm_fields["name"], crm_fields["type"], strict=True))
    return {target.crm_field: canonical_kind(target, types.get(target.crm_field), record_type=record_type) for target in targets}


def canonical(values: pd.Series, kind: CanonicalKind, *, regions: pd.Series | None = None) -> pd.Series:
    """The canonical form of values as a CRM shows them, or as they are sent there: str of the same index, null where blank.

    Every text is in Unicode's composed form (NFC), with one kind of line ends and without blanks around it. Emails are in
    lower case, phones in E.164, countries by their alpha-2 codes, numbers without superfluous noughts, booleans true and false,
    dates ``2026-11-01``, moments in UTC to the second, of several options each once and in one order. What its kind cannot read
    stays as it is written. Doing it twice changes nothing. ``regions``: ISO alpha-2 per row, of phones without a country.
    """
    plain = texts(values).values
    if not pc.all(pc.ascii_is_printable(plain.array.__arrow_array__())).as_py():
        plain = over_uniques(plain, _text)
    if kind == "text":
        return plain
    if kind == "phone":
        return normal_form(plain, "phone", regions=regions)[0]
    formed = _FORMS[kind](plain).fillna(plain)
    return formed.where(formed != "", None)


def _text(text: str) -> str:
    if text.isascii() and "\r" not in text:
        return text
    return unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")


def _number(text: str) -> str | None:
    if len(text) > LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return None
    written = f"{Decimal(text):f}"
    number = written.rstrip("0").rstrip(".") if "." in written else written
    return "0" if Decimal(number) == 0 else number


def _options(text: str) -> str:
    return ";".join(sorted({part.strip() for part in text.split(";")} - {""}))


def _truth(values: pd.Series) -> pd.Series:
    return convert(values, type_="boolean", options=[], restricted=False).values.map({True: "true", False: "false"}).astype("str")


def _converted(type_: str) -> Callable[[pd.Series], pd.Series]:
    return lambda values: convert(values, type_=type_, options=[], restricted=False).values


_FORMS: Mapping[CanonicalKind, Callable[[pd.Series], pd.Series]] = {
    "email": lambda values: over_uniques(values, lambda text: _text(email_form(text))),
    "country": lambda values: over_uniques(values, country_code),
    "number": lambda values: over_uniques(values, _number),
    "boolean": _truth,
    "date": _converted("date"),
    "datetime": _converted("datetime"),
    "options": lambda values: over_uniques(values, _options),
}
