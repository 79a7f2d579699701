"""What one mapped field of QBench becomes: the value of every record, by the field's source and kind."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from crm_pipeline.frames import Flags, blank, texts_where
from crm_pipeline.mapping.field_maps import FieldSource
from crm_pipeline.mapping.folding import fold, fold_text
from crm_pipeline.mapping.meaningless import own_host
from crm_pipeline.mapping.values import NO_VALUE_WORDS, Texts, first_of_several, host_form, normal_form, over_uniques, text_form, texts
from crm_pipeline.model import FieldKind

NOT_UNDERSTOOD_COUNTS: dict[FieldKind, str] = {
    "phone": "unparsable_phones",
    "country": "unclear_countries",
    "integer": "unparsable_numbers",
}

_NO_VALUE = pa.array(sorted(NO_VALUE_WORDS), pa.large_string())
"""Made once: every field of every frame asks for it."""


@dataclass(frozen=True, slots=True)
class FieldColumn:
    """One field over all records, every series with the records' index, all flags in their order.

    ``values``: the normal form (str, integers Int64), null where blank. ``given``: QBench itself holds a usable value.
    ``missed``: a value that was not understood, kept as given or left out (``normal_form``). ``unusable``: QBench holds
    something, but nothing of it can be sent. ``create_default``: the value to use where ``values`` is null, for new CRM records
    only; None without one.
    """

    values: pd.Series
    given: Flags
    missed: Flags
    unusable: Flags
    create_default: pd.Series | None = None
    counts: dict[str, int] = field(default_factory=dict)


def with_numbers(column: FieldColumn, content: Sequence[dict[str, Any]], source: FieldSource) -> pd.Series:
    """The values as objects; a number with a fraction is itself, since its text may mean another one (1.125: numbers.number_form)."""
    objects = column.values.astype(object).where(column.values.notna(), None)
    given = [source.constant if source.from_ is None else record.get(source.from_) for record in content]
    if float not in set(map(type, given)):
        return objects
    kept = [
        one if type(one) is float and text_form(one) == text and "." in text else text for one, text in zip(given, objects, strict=True)
    ]
    return pd.Series(kept, index=objects.index, dtype=object)


def read_field(
    content: Sequence[dict[str, Any]],
    source: FieldSource,
    *,
    kind: FieldKind,
    regions: pd.Series | None = None,
    meaningless: Collection[str] = (),
) -> FieldColumn:
    """One field of every record by its source: taken, translated, defaulted, brought to its kind's normal form.

    ``regions``: ISO alpha-2 per record, for phones. ``meaningless``: further hosts that ``as: host`` does not send, folded.
    """
    raw = _raw_texts(content, source, kind)
    translated = _translate(raw.values, source)
    if (no_value := _says_no_value(raw.values, source)) is not None:
        raw, translated = replace(raw, values=texts_where(~no_value, raw.values)), texts_where(~no_value, translated)
    text = translated.fillna(str(_text(source.default))) if source.default is not None and source.default_when == "always" else translated
    formed, missed = normal_form(text, kind, regions=regions)
    values = _hosts(formed, meaningless) if source.as_ == "host" else formed
    create_default = None
    if source.default is not None and source.default_when == "create":
        constant = pd.Series(_text(source.default), index=text.index, dtype="str").where(values.isna(), None)
        default = normal_form(constant, kind, regions=regions)[0]
        create_default = _hosts(default, meaningless) if source.as_ == "host" else default
    counts = {
        "translated": _count((translated.notna() & (translated != raw.values)).to_numpy()) if source.translate else 0,
        "unreadable_values": _count(raw.unreadable),
    }
    if source.as_ == "host":
        counts["hosts_left_out"] = _count(blank(values) & ~blank(formed))
    if kind in NOT_UNDERSTOOD_COUNTS:
        counts[NOT_UNDERSTOOD_COUNTS[kind]] = _count(missed)
    given = ~blank(raw.values) if source.from_ is not None else np.zeros(len(content), dtype=bool)
    # Of what is sent as it is nothing is lost but what has no text.
    unusable = raw.unreadable if values is raw.values else (raw.unreadable | ~blank(text)) & blank(values)
    return FieldColumn(values=values, given=given, missed=missed, unusable=unusable, create_default=create_default, counts=counts)


def _raw_texts(content: Sequence[dict[str, Any]], source: FieldSource, kind: FieldKind) -> Texts:
    index = pd.RangeIndex(len(content))
    if source.from_ is None:
        constant = pd.Series(_text(source.constant), index=index, dtype="str")
        return Texts(values=constant, unreadable=np.zeros(len(index), dtype=bool))
    name = source.from_
    values: Sequence[Any] = [record.get(name) for record in content]
    return texts(first_of_several(values, kind) if source.take == "first" else values, index)


def _hosts(addresses: pd.Series, meaningless: Collection[str]) -> pd.Series:
    """The hosts of web or mail addresses that can be one company's, else null."""
    return over_uniques(addresses, lambda address: host if own_host(host := host_form(address), meaningless) else None)


def _translate(values: pd.Series, source: FieldSource) -> pd.Series:
    if not source.translate:
        return values
    table = {fold_text(given): wanted for given, wanted in source.translate.items()}
    wanted = texts(fold(values).map(table)).values
    # A value translated to blank is meant to be blank.
    return wanted.where(fold(values).isin(table), values)


def _says_no_value(values: pd.Series, source: FieldSource) -> Flags | None:
    """Where QBench holds a program's word for no value which the mapping does not translate; None: nowhere."""
    if source.from_ is None:
        return None
    found = pc.is_in(values.array.__arrow_array__(), value_set=_NO_VALUE)
    if not pc.any(found).as_py():
        return None
    no_value: Flags = found.to_numpy()
    return no_value & ~fold(values).isin(list(map(fold_text, source.translate))).to_numpy() if source.translate else no_value


def _count(flags: Flags) -> int:
    return int(np.count_nonzero(flags))


def _text(value: Any) -> Any:
    return texts([value], pd.RangeIndex(1)).values.iloc[0]
