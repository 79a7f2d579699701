"""What QBench's records are in the normalized model, and which of them may not sync, from the record alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

import numpy as np
import pandas as pd

from crm_pipeline.configuration.filter_keys import Filter
from crm_pipeline.errors import (
    ContactWithMoreThanOneCustomerException,
    CustomersUnknownException,
    DeletedInQBenchException,
    FilteredOutException,
    InactiveContactException,
    InactiveCustomerException,
    InvalidEmailException,
    NoCustomerForContactException,
    NoEmailForContactException,
    NoNameForCustomerException,
    RecordError,
    UnreadableRecordException,
)
from crm_pipeline.frames import Flags, blank, plain, text_column, texts_where
from crm_pipeline.mapping.addresses import read_addresses
from crm_pipeline.mapping.field_maps import AccountMap, ContactMap, FieldSource
from crm_pipeline.mapping.fields import FieldColumn, read_field, with_numbers
from crm_pipeline.mapping.filters import meets
from crm_pipeline.mapping.folding import fold, fold_text
from crm_pipeline.mapping.leads import led_by_rules, with_customers_fields
from crm_pipeline.mapping.owners import rules_met
from crm_pipeline.mapping.spec import AccountSpec, ContactSpec, RecordSpec
from crm_pipeline.model import DEFAULT_CONTACT_PHONE_TYPE, MODELS, RecordType
from crm_pipeline.schemas import CUSTOMERS_UNKNOWN, RAW, normalized_schema

DEFAULT_PREFIX = "default."
UNUSABLE = "unusable"
STATUS_FIELD = "status"
ACTIVE_STATUS = "active"
"""A customer's status in QBench that means that it is active, folded (the source's reference knows no other)."""


@dataclass(frozen=True, slots=True)
class Normalized:
    """``frame``: schemas.normalized_schema of the record type, one row per raw row in the same order. ``counts``: what was met.

    Behind the declared columns stand object columns, each only where the mapping calls for it:
    ``<crm>.<field>`` the text for a directly mapped CRM field; ``qbench.<field>`` the text of a field that a match key names;
    ``default.<field>`` the value to use where the field is blank, for new CRM records only (see ``with_create_defaults``);
    ``owner_rules`` the owner rules that the record meets (see ``owners``);
    ``lead_in`` the CRMs in which the contact goes as a lead (see ``leads``);
    ``unusable`` the fields of which QBench holds a value that cannot be sent (see ``is_unusable``).

    Counts add up over frames: rows, hosts_left_out, unparsable_phones, unclear_countries, unparsable_numbers, unreadable_values,
    translated, unknown_address_types, and per record error its name.
    """

    frame: pd.DataFrame
    counts: dict[str, int]


def normalize(
    raw: pd.DataFrame,
    *,
    spec: RecordSpec,
    default_region: str | None = None,
    customers: pd.Series | None = None,
    customer_ids: Sequence[tuple[int, ...]] | None = None,
) -> Normalized:
    """The normalized records of a raw frame (schemas.RAW), and why some of them may not sync (docs/rules.md, 38).

    ``default_region``: ISO alpha-2 for phones whose record names no country. ``customers``: the content of each contact's
    customer, in the order of ``raw``, where rules or the mapping name ``customer.<field>``; ConfigurationError if rules do and
    it is missing. ``customer_ids``: each contact's customers that count (``live_customers``); where they are not given, all of them.
    No value of a record raises.
    """
    raw = RAW.check(raw).reset_index(drop=True)
    customers = None if customers is None else customers.reset_index(drop=True)
    content = [record if isinstance(record, dict) else {} for record in raw["content"]]
    content = with_customers_fields(content, spec, customers=customers)
    addresses = read_addresses(content, spec.map)
    fields = _read_fields(content, spec, regions=addresses.regions(default_region))
    extra_sources = _extra_sources(spec)
    hosts = tuple(map(fold_text, spec.meaningless))
    extras = {name: read_field(content, source, kind="text", meaningless=hosts) for name, source in extra_sources.items()}
    if customer_ids is None and MODELS[MODELS[spec.record_type].source].parent is not None:
        customer_ids = [customer_ids_of(record.get("customers")) for record in content]
    records = pd.Series(content, dtype=object)
    held_back: list[tuple[type[RecordError], Flags]] = [
        (InactiveCustomerException, _inactive(content, spec)),
        (InactiveContactException, _inactive_contacts(content, spec, customers)),
        (FilteredOutException, ~_meets_rules(content, spec.only, customers)),
    ]
    error_type, error_fields = _first_error(raw, spec, fields=fields, customer_ids=customer_ids, held_back=held_back)

    columns = {name: column.values for name, column in fields.items()} | addresses.columns
    companions = _companions({**fields, **extras}, spec, rows=len(raw)) | {
        DEFAULT_PREFIX + name: default for name, default in addresses.defaults.items()
    }
    data = {
        "qbench_id": raw["qbench_id"],
        "version": raw["version"],
        **({} if customer_ids is None else {"customer_id": _only_customer(customer_ids)}),
        "error_type": error_type,
        "error_fields": error_fields,
        **columns,
        **{name: with_numbers(column, content, extra_sources[name]) for name, column in extras.items()},
        **companions,
        **rules_met(records, spec, customers=customers),
        **led_by_rules(records, spec, customers=customers),
    }
    counts = Counter({"rows": len(raw), "unreadable_values": 0, "translated": 0, **addresses.counts})
    for column in (*fields.values(), *extras.values()):
        counts.update(column.counts)
    counts.update(error for error in plain(error_type) if error is not None)
    return Normalized(frame=normalized_schema(spec.record_type).build(data), counts=dict(counts))


def with_create_defaults(normalized: pd.DataFrame) -> pd.DataFrame:
    """The normalized frame as a create sees it: blanks are filled with the defaults that are for new CRM records only."""
    defaults = [name for name in normalized.columns if name.startswith(DEFAULT_PREFIX)]
    filled = {}
    for name in defaults:
        target = normalized[name.removeprefix(DEFAULT_PREFIX)]
        filled[target.name] = target.where(target.notna(), normalized[name]).astype(target.dtype)
    return normalized.assign(**filled)


def is_unusable(normalized: pd.DataFrame, field: str) -> pd.Series:
    """Where QBench holds a value of the field of which nothing can be sent (bool): it is named, and no blank to clear."""
    named = normalized.get(UNUSABLE)
    if named is None or named.isna().all():
        return pd.Series(False, index=normalized.index)
    return named.map(lambda names: isinstance(names, list) and field in names).astype(bool)


def _read_fields(content: list[dict[str, Any]], spec: RecordSpec, *, regions: pd.Series) -> dict[str, FieldColumn]:
    model = MODELS[spec.record_type].by_name
    sources = _with_phone_type(spec.map, spec.record_type)
    hosts = tuple(map(fold_text, spec.meaningless))
    fields = {
        name: read_field(content, source, kind=model[name].kind, regions=regions, meaningless=hosts) for name, source in sources.items()
    }
    phone = fields.get(MODELS[spec.record_type].phone)
    if phone is not None:
        fields["phone_number_type"] = _typed(fields["phone_number_type"], _is_blank(phone))
    return fields


def _typed(phone_type: FieldColumn, without_phone: Flags) -> FieldColumn:
    """Every phone has a type, hence a default holds always; no phone has none."""
    given = phone_type.values if phone_type.create_default is None else phone_type.values.fillna(phone_type.create_default)
    return replace(phone_type, values=texts_where(~without_phone, given.fillna(DEFAULT_CONTACT_PHONE_TYPE)), create_default=None)


def _with_phone_type(record_map: AccountMap | ContactMap, record_type: RecordType) -> dict[str, FieldSource]:
    """The mapped fields; a mapped phone has a type, and a type alone is nothing."""
    sources = {name: source for name, source in record_map.sources().items() if name != "phone_number_type"}
    if MODELS[record_type].phone in sources:
        mapped = record_map.sources().get("phone_number_type")
        sources["phone_number_type"] = mapped or FieldSource(constant=DEFAULT_CONTACT_PHONE_TYPE)
    return sources


def _extra_sources(spec: RecordSpec) -> dict[str, FieldSource]:
    """What is read beside the model's fields: for directly mapped CRM fields and for match keys."""
    match_fields = [key for key in spec.sync_on if key.field is not None]
    return spec.map.direct | {key.source: FieldSource(from_=key.field) for key in match_fields}


def _companions(fields: dict[str, FieldColumn], spec: RecordSpec, *, rows: int) -> dict[str, pd.Series]:
    sources = spec.map.sources() | spec.map.direct
    defaults = {
        DEFAULT_PREFIX + name: _objects(column.create_default) for name, column in fields.items() if column.create_default is not None
    }
    unusable = {name: column.unusable for name, column in fields.items() if name in sources}
    return {**defaults, UNUSABLE: _names_of_marked(unusable, rows)}


def _names_of_marked(marked: Mapping[str, Flags], rows: int) -> pd.Series:
    """Per row the names of the marked columns, None where there is none."""
    names = np.full(rows, None, dtype=object)
    for row in np.flatnonzero(np.any(list(marked.values()), axis=0)).tolist():
        names[row] = [name for name, flags in marked.items() if flags[row]]
    return pd.Series(names)


def _objects(values: pd.Series) -> pd.Series:
    return values.astype(object).where(values.notna(), None)


def live_customers(customer_ids: tuple[int, ...], deleted: frozenset[int]) -> tuple[int, ...]:
    """The customers that count: those not deleted; of deleted ones only, the first, which says why the contact cannot sync."""
    if deleted.isdisjoint(customer_ids):
        return customer_ids
    return tuple(number for number in customer_ids if number not in deleted) or customer_ids[:1]


def customer_ids_of(customers: Any) -> tuple[int, ...]:
    """The distinct ids in a contact's ``customers`` as QBench gave it; whatever has none is left out."""
    if not isinstance(customers, list):
        return ()
    ids = [number for customer in customers if isinstance(customer, dict) and _is_id(number := customer.get("id"))]
    return tuple(dict.fromkeys(ids))


def _is_id(value: Any) -> TypeGuard[int]:
    return type(value) is int and value.bit_length() < 64


def _only_customer(customer_ids: Sequence[tuple[int, ...]]) -> pd.Series:
    return pd.Series([ids[0] if len(ids) == 1 else None for ids in customer_ids], dtype=object)


def _meets_rules(content: list[dict[str, Any]], rule: Filter | None, customers: pd.Series | None) -> Flags:
    if rule is None:
        return np.ones(len(content), dtype=bool)
    met: Flags = meets(pd.Series(content, dtype=object), rule, customers=customers).to_numpy()
    return met


def _inactive_contacts(content: list[dict[str, Any]], spec: RecordSpec, customers: pd.Series | None) -> Flags:
    """Contacts that are inactive, where such are to be deleted."""
    if not (isinstance(spec, ContactSpec) and spec.delete_inactive):
        return np.zeros(len(content), dtype=bool)
    return _meets_rules(content, spec.inactive, customers)


def _inactive(content: list[dict[str, Any]], spec: RecordSpec) -> Flags:
    """Customers to leave out for their status; one without a status is not known to be inactive."""
    if not (isinstance(spec, AccountSpec) and spec.active_only):
        return np.zeros(len(content), dtype=bool)
    status = fold(pd.Series([record.get(STATUS_FIELD) for record in content], dtype=object))
    inactive: Flags = (status.notna() & status.ne(ACTIVE_STATUS)).to_numpy()
    return inactive


def _first_error(
    raw: pd.DataFrame,
    spec: RecordSpec,
    *,
    fields: dict[str, FieldColumn],
    customer_ids: Sequence[tuple[int, ...]] | None,
    held_back: list[tuple[type[RecordError], Flags]],
) -> tuple[pd.Series, pd.Series]:
    """Error type and the fields or ids it names, per record: the first reason of the list that applies."""
    model = MODELS[spec.record_type]
    identifying = model.identifying
    qbench_field = _qbench_field(spec.map, identifying)
    unreadable = raw["unreadable"].to_numpy(dtype=object)
    untold: Flags = unreadable == CUSTOMERS_UNKNOWN
    reasons: list[tuple[type[RecordError], Flags, Any]] = [
        (DeletedInQBenchException, raw["deleted"].to_numpy(), None),
        (UnreadableRecordException, ~(untold | blank(raw["unreadable"])), unreadable),
        # Before the rules, which may look at the customer.
        (CustomersUnknownException, untold, unreadable),
        *((error, applies, None) for error, applies in held_back),
    ]
    missing = _missing(fields.get(identifying), len(raw))
    if model.by_name[identifying].kind == "email":
        invalid = fields[identifying].missed if identifying in fields else ~missing
        reasons += [(NoEmailForContactException, missing, qbench_field), (InvalidEmailException, invalid, qbench_field)]
    else:
        reasons.append((NoNameForCustomerException, missing, qbench_field))
    if customer_ids is not None:
        several = np.array([", ".join(map(str, ids)) if len(ids) > 1 else "" for ids in customer_ids], dtype=object)
        none = np.array([not ids for ids in customer_ids], dtype=bool)
        reasons += [(ContactWithMoreThanOneCustomerException, several != "", several), (NoCustomerForContactException, none, None)]
    error_type, error_fields = (np.full(len(raw), None, dtype=object) for _ in range(2))
    for error, applies, names in reversed(reasons):
        error_type[applies] = error.__name__
        error_fields[applies] = names[applies] if isinstance(names, np.ndarray) else names
    return text_column(error_type), text_column(error_fields)


def _missing(column: FieldColumn | None, rows: int) -> Flags:
    return np.ones(rows, dtype=bool) if column is None else _is_blank(column) & ~column.missed


def _is_blank(column: FieldColumn) -> Flags:
    """Where neither QBench nor a default has a value."""
    return blank(column.values) if column.create_default is None else blank(column.values) & blank(column.create_default)


def _qbench_field(record_map: AccountMap | ContactMap, name: str) -> str:
    source = record_map.sources().get(name)
    return source.from_ if source is not None and source.from_ is not None else name
