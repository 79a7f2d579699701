"""How is one value of a CRM written in a QBench field? In the way in which the record has it now, where there are several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

import pandas as pd

from crm_pipeline.mapping.canonical import CanonicalKind, canonical
from crm_pipeline.mapping.countries import country_code
from crm_pipeline.mapping.field_maps import FieldSource
from crm_pipeline.mapping.folding import fold_text
from crm_pipeline.mapping.values import over_uniques, text_form

WORD_PAIRS = (("true", "false"), ("yes", "no"), ("y", "n"), ("1", "0"), ("on", "off"))
"""The words for true and false that belong together (conversions)."""

_PAIR_OF = {word: pair for pair in WORD_PAIRS for word in pair}


@dataclass(frozen=True, slots=True)
class Described:
    """What of a CRM's field (schemas.CRM_FIELDS) says how its values are written; ``options``: value to label."""

    type: str = "text"
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def labels(self) -> Mapping[str, str]:
        """Value to label, of the options whose label says which one is meant."""
        told = [fold_text(label) for label in self.options.values()]
        return {value: label for value, label in self.options.items() if label and told.count(fold_text(label)) == 1}


def in_qbench(
    shown: pd.Series, source: FieldSource, *, kind: CanonicalKind, described: Described, before: Sequence[Any], zone: tzinfo
) -> pd.Series:
    """What a CRM's values are in the QBench field that they are mapped from: JSON values (object), None for a blank.

    ``before``: what QBench holds there now. A number, a truth, an option and a country are written as that is: as a number or a
    text, in its word, by value or label, by code or name. Where it is blank: as a number, true or false, by label, as shown.
    Dates and moments are written by ISO 8601, moments with the offset of ``zone``. Whether QBench and the mapping make the same
    of it again is for the caller to look.
    """
    text = canonical(shown, kind if kind in ("number", "boolean", "date", "datetime", "options") else "text")
    chosen = text if described.type != "choice" else _by_label(text, described, before)
    restored = untranslated(chosen, source, unless=text)
    form = _form(kind, described, zone)
    as_is = restored.ne(chosen).tolist()
    values = [
        None if pd.isna(value) else value if done else form(value, held)
        for value, done, held in zip(restored.tolist(), as_is, before, strict=True)
    ]
    return pd.Series(values, index=shown.index, dtype=object)


def untranslated(values: pd.Series, source: FieldSource, *, unless: pd.Series | None = None) -> pd.Series:
    """The words of QBench that a mapping translates into these (str); what it does not translate stays.

    ``unless``: the same values in another spelling, tried where the first is none of the mapping's.
    """
    if not source.translate:
        return values
    words = {fold_text(wanted): given for given, wanted in source.translate.items() if wanted.strip()}
    found = over_uniques(values, lambda text: words.get(fold_text(text)))
    if unless is not None:
        found = found.fillna(over_uniques(unless, lambda text: words.get(fold_text(text))))
    return found.fillna(values)


def _by_label(values: pd.Series, described: Described, before: Sequence[Any]) -> pd.Series:
    """Options by their labels, as people know them, but by their values in records that hold a value now."""
    options = {fold_text(value): value for value in described.options}
    told = {fold_text(label) for label in described.options.values()}
    held = pd.Series([fold_text(text_form(one) or "") for one in before], index=values.index, dtype="str")
    by_value = held.isin(options) & ~held.isin(told)
    labels = described.labels
    return values.where(by_value, over_uniques(values, lambda text: labels.get(text, text)))


def _form(kind: CanonicalKind, described: Described, zone: tzinfo) -> Callable[[str, Any], Any]:
    """How a text of this kind is written where QBench holds something now."""
    match kind:
        case "number":
            return _number
        case "boolean":
            return _truth
        case "country":
            return _country
        case "datetime":
            return lambda text, _: _moment(text, zone)
        case "options":
            labels = described.labels
            return lambda text, _: "; ".join(labels.get(part, part) for part in text.split(";"))
        case _:
            return lambda text, _: text


def _number(text: str, held: Any) -> Any:
    if isinstance(held, str) and held.strip():
        return text
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def _truth(text: str, held: Any) -> Any:
    if text not in ("true", "false"):
        return text
    is_true = text == "true"
    word = held.strip() if isinstance(held, str) else ""
    if pair := _PAIR_OF.get(word.lower()):
        wanted = pair[0] if is_true else pair[1]
        return wanted.upper() if word.isupper() else wanted.capitalize() if word.istitle() else wanted
    return int(is_true) if isinstance(held, int) and not isinstance(held, bool) else is_true


def _country(text: str, held: Any) -> Any:
    code = held.strip() if isinstance(held, str) else ""
    return country_code(text) or text if len(code) == 2 and country_code(code) == code else text


def _moment(text: str, zone: tzinfo) -> str:
    try:
        return datetime.fromisoformat(text).astimezone(zone).isoformat()
    except (ValueError, OverflowError):
        return text
