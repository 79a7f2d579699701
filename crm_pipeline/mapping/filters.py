"""Whether a record meets a rule of the integration's ``only:``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from crm_pipeline.configuration.filter_keys import CUSTOMER_PREFIX, Filter
from crm_pipeline.errors import ConfigurationError
from crm_pipeline.mapping.conversions import convert
from crm_pipeline.mapping.folding import fold


def meets(content: pd.Series, rule: Filter, *, customers: pd.Series | None = None) -> pd.Series:
    """Whether each record meets the rule (bool, same index).

    ``content``: dicts of QBench fields. ``customers``: the dict of each contact's one customer, null where it has none; rules
    that name ``customer.<field>`` need it, else ConfigurationError names the field.
    Values compare as folded text. Of a list each item counts: it is, is in, contains or starts with something when one item
    does. ``is_not`` and ``not_in`` are the opposites, so a blank meets them; no other rule but ``is_blank`` is met by a blank.
    """
    if rule.crm_list is not None:
        # What a CRM knows is asked there, of the records that it has.
        return pd.Series(True, index=content.index)
    if rule.all is not None:
        return _combine([meets(content, part, customers=customers) for part in rule.all], content.index, how="all")
    if rule.any is not None:
        return _combine([meets(content, part, customers=customers) for part in rule.any], content.index, how="any")
    values = _values_of(content, str(rule.field), customers)
    operator = next(name for name in Filter.OPERATORS if getattr(rule, name) is not None)
    return OPERATORS[operator](values, getattr(rule, operator))


def lists_named(rule: Filter | None, crm: str) -> tuple[str, ...]:
    """The lists of a CRM, by name or id, in which its records are to be for a rule to hold."""
    if rule is None:
        return ()
    if rule.crm_list is not None:
        return (rule.crm_list[crm],) if crm in rule.crm_list else ()
    return tuple(dict.fromkeys(name for part in rule.all or () for name in lists_named(part, crm)))


def fields_named(rule: Filter) -> list[str]:
    """The QBench fields that a rule names, ``customer.<field>`` included, in their order and without repetition."""
    parts = rule.all or rule.any or []
    named = [str(rule.field)] if rule.field is not None else [field for part in parts for field in fields_named(part)]
    return list(dict.fromkeys(named))


def names_customer(rule: Filter | None) -> bool:
    """Whether a rule looks at the customer of a contact."""
    return rule is not None and any(name.startswith(CUSTOMER_PREFIX) for name in fields_named(rule))


def _is(values: pd.Series, operand: Any) -> pd.Series:
    return _is_in(values, [operand])


def _is_in(values: pd.Series, operands: list[Any]) -> pd.Series:
    wanted = [text for text in map(_operand, operands) if text]
    return _one_item(values, lambda texts: texts.isin(wanted))


def _contains(values: pd.Series, operand: str) -> pd.Series:
    wanted = _operand(operand)
    in_lists = values.map(lambda value: isinstance(value, list)).astype(bool)
    equal = _one_item(values, lambda texts: texts == wanted)
    within = _one_item(values, lambda texts: texts.str.contains(wanted, regex=False, na=False))
    return equal.where(in_lists, within)


def _starts_with(values: pd.Series, operand: str) -> pd.Series:
    return _one_item(values, lambda texts: texts.str.startswith(_operand(operand), na=False))


def _is_blank(values: pd.Series, operand: bool) -> pd.Series:  # noqa: FBT001 - the operand is what the user's rule says
    texts = fold(values)
    # An object has no text, but it is not blank.
    filled = texts.notna() | values.map(lambda value: isinstance(value, dict) and bool(value)).astype(bool)
    return ~filled if operand else filled


def _greater_than(values: pd.Series, operand: float) -> pd.Series:
    numbers = convert(values, type_="number", options=[], restricted=False).values
    return (numbers > operand).fillna(value=False).astype(bool)


OPERATORS: Mapping[str, Callable[[pd.Series, Any], pd.Series]] = {
    "is_": _is,
    "is_not": lambda values, operand: ~_is(values, operand),
    "in_": _is_in,
    "not_in": lambda values, operands: ~_is_in(values, operands),
    "contains": _contains,
    "starts_with": _starts_with,
    "is_blank": _is_blank,
    "greater_than": _greater_than,
}


def _operand(value: Any) -> str:
    folded = fold(pd.Series([value], dtype=object)).iloc[0]
    return "" if pd.isna(folded) else str(folded)


def _one_item(values: pd.Series, verdict: Callable[[pd.Series], pd.Series]) -> pd.Series:
    """Whether the verdict holds for the value, or for one item of a list."""
    if not any(isinstance(value, list) for value in values):
        return verdict(fold(values)).fillna(value=False).astype(bool)
    numbered = values.reset_index(drop=True)
    # Packed, for pandas would take an object for a list of its names.
    items = numbered.map(lambda value: value if isinstance(value, list) else [value]).explode()
    held = verdict(fold(items)).fillna(value=False).astype(bool)
    return held.groupby(level=0).any().reindex(numbered.index, fill_value=False).set_axis(values.index).astype(bool)


def _values_of(content: pd.Series, field: str, customers: pd.Series | None) -> pd.Series:
    records = content
    if field.startswith(CUSTOMER_PREFIX):
        if customers is None:
            raise ConfigurationError(f"the rule on {field} needs the contact's customer, which is not known here")
        records, field = customers, field.removeprefix(CUSTOMER_PREFIX)
    found = [record.get(field) if isinstance(record, dict) else None for record in records]
    return pd.Series(found, index=content.index, dtype=object)


def _combine(verdicts: list[pd.Series], index: pd.Index, *, how: str) -> pd.Series:
    together = pd.DataFrame(dict(enumerate(verdicts)), index=index)
    return together.all(axis=1) if how == "all" else together.any(axis=1)
