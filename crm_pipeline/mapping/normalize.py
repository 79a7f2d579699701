"""What QBench's records are in the normalized model, and which of them may not sync, from the record alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

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
    deleted_customers: frozenset[int] = frozenset(),
) -> Normalized:
    """The normalized records of a raw frame (schemas.RAW), and why some of them may not sync (docs/rules.md, 38).

    ``default_region``: ISO alpha-2 for phones whose record names no country. ``customers``: the content of each contact's
    customer, in the order of ``raw``, where rules or the mapping name ``customer.<field>``; ConfigurationError if rules do and
    it is missing. ``deleted_customers``: QBench ids that do not count as a contact's customers, unless it has no others.
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
    has_customers = MODELS[MODELS[spec.record_type].source].parent is not None
    customer_ids = _customer_ids(content, deleted_customers) if has_customers else None
    records = pd.Series(content, dtype=object)
    held_back = [
        (InactiveCustomerException, _inactive(content, spec)),
        (InactiveContactException, _inactive_contacts(content, spec, customers)),
        (FilteredOutException, ~_meets_rules(content, spec.only, customers)),
    ]
    error_type, error_fields = _first_error(raw, spec, fields=fields, customer_ids=customer_ids, held_back=held_back)

    columns = {name: column.values for name, column in fields.items()} | addresses.columns
    companions = _companions({**fields, **extras}, spec, index=raw.index) | {
        DEFAULT_PREFIX + name: default for name, default in addresses.defaults.items()
    }
    data = {
        "qbench_id": raw["qbench_id"],
        "version": raw["version"],
        "customer_id": _only_customer(customer_ids, raw.index),
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
    counts.update(error_type.value_counts().to_dict())
    frame = normalized_schema(spec.record_type).build(pd.DataFrame(data, index=raw.index))
    return Normalized(frame=frame, counts={name: int(count) for name, count in counts.items()})


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
        without_phone = phone.values.isna() & (True if phone.create_default is None else phone.create_default.isna())
        fields["phone_number_type"] = _typed(fields["phone_number_type"], without_phone)
    return fields


def _typed(phone_type: FieldColumn, without_phone: pd.Series) -> FieldColumn:
    """Every phone has a type, hence a default holds always; no phone has none."""
    given = phone_type.values if phone_type.create_default is None else phone_type.values.fillna(phone_type.create_default)
    return replace(phone_type, values=given.fillna(DEFAULT_CONTACT_PHONE_TYPE).where(~without_phone, None), create_default=None)


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


def _companions(fields: dict[str, FieldColumn], spec: RecordSpec, *, index: pd.Index) -> dict[str, Any]:
    sources = spec.map.sources() | spec.map.direct
    defaults = {
        DEFAULT_PREFIX + name: _objects(column.create_default) for name, column in fields.items() if column.create_default is not None
    }
    unusable = {name: column.unusable for name, column in fields.items() if name in sources}
    return {**defaults, UNUSABLE: _names_of_marked(pd.DataFrame(unusable, index=index))}


def _names_of_marked(marked: pd.DataFrame) -> list[list[str] | None]:
    """Per row the names of the marked columns, None where there is none."""
    rows = marked[marked.any(axis=1)]
    if rows.empty:
        return [None] * len(marked)
    named = dict(zip(rows.index, (rows.columns[row].tolist() for row in rows.to_numpy()), strict=True))
    return [named.get(position) for position in marked.index]


def _objects(values: pd.Series) -> pd.Series:
    return values.astype(object).where(values.notna(), None)


def _customer_ids(content: list[dict[str, Any]], deleted: frozenset[int]) -> pd.Series:
    """The distinct customer ids of each contact, as tuples."""
    return pd.Series([live_customers(customer_ids_of(record.get("customers")), deleted) for record in content], dtype=object)


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


def _only_customer(customer_ids: pd.Series | None, index: pd.Index) -> pd.Series:
    if customer_ids is None:
        return pd.Series(pd.NA, index=index, dtype="Int64")
    return pd.Series([ids[0] if len(ids) == 1 else pd.NA for ids in customer_ids], index=index, dtype="Int64")


def _meets_rules(content: list[dict[str, Any]], rule: Filter | None, customers: pd.Series | None) -> pd.Series:
    if rule is None:
        return pd.Series(True, index=pd.RangeIndex(len(content)))
    return meets(pd.Series(content, dtype=object), rule, customers=customers)


def _inactive_contacts(content: list[dict[str, Any]], spec: RecordSpec, customers: pd.Series | None) -> pd.Series:
    """Contacts that are inactive, where such are to be deleted."""
    if not (isinstance(spec, ContactSpec) and spec.delete_inactive):
        return pd.Series(False, index=pd.RangeIndex(len(content)))
    return _meets_rules(content, spec.inactive, customers)


def _inactive(content: list[dict[str, Any]], spec: RecordSpec) -> pd.Series:
    """Customers to leave out for their status; one without a status is not known to be inactive."""
    if not (isinstance(spec, AccountSpec) and spec.active_only):
        return pd.Series(False, index=pd.RangeIndex(len(content)))
    status = fold(pd.Series([record.get(STATUS_FIELD) for record in content], dtype=object))
    return status.notna() & status.ne(ACTIVE_STATUS)


def _first_error(
    raw: pd.DataFrame,
    spec: RecordSpec,
    *,
    fields: dict[str, FieldColumn],
    customer_ids: pd.Series | None,
    held_back: list[tuple[type[RecordError], pd.Series]],
) -> tuple[pd.Series, pd.Series]:
    """Error type and the fields or ids it names, per record: the first reason of the list that applies."""
    model = MODELS[spec.record_type]
    identifying = model.identifying
    qbench_field = _qbench_field(spec.map, identifying)
    untold = raw["unreadable"].eq(CUSTOMERS_UNKNOWN).fillna(value=False).astype(bool)
    reasons: list[tuple[type[RecordError], pd.Series, Any]] = [
        (DeletedInQBenchException, raw["deleted"], None),
        (UnreadableRecordException, raw["unreadable"].notna() & ~untold, raw["unreadable"]),
        # Before the rules, which may look at the customer.
        (CustomersUnknownException, untold, raw["unreadable"]),
        *((error, applies, None) for error, applies in held_back),
    ]
    missing = _missing(fields.get(identifying), raw.index)
    if model.by_name[identifying].kind == "email":
        invalid = fields[identifying].missed if identifying in fields else ~missing
        reasons += [(NoEmailForContactException, missing, qbench_field), (InvalidEmailException, invalid, qbench_field)]
    else:
        reasons.append((NoNameForCustomerException, missing, qbench_field))
    if customer_ids is not None:
        several = pd.Series([", ".join(map(str, ids)) if len(ids) > 1 else None for ids in customer_ids], raw.index, dtype="str")
        none = pd.Series([not ids for ids in customer_ids], raw.index, dtype=bool)
        reasons += [(ContactWithMoreThanOneCustomerException, several.notna(), several), (NoCustomerForContactException, none, None)]
    error_type = pd.Series(None, index=raw.index, dtype="str")
    error_fields = pd.Series(None, index=raw.index, dtype="str")
    for error, applies, names in reversed(reasons):
        if not applies.any():
            continue
        error_type = error_type.where(~applies, error.__name__)
        error_fields = error_fields.where(~applies, names if isinstance(names, pd.Series) else pd.Series(names, raw.index, dtype="str"))
    return error_type, error_fields


def _missing(column: FieldColumn | None, index: pd.Index) -> pd.Series:
    if column is None:
        return pd.Series(True, index=index)
    missing = column.values.isna() & ~column.missed
    return missing if column.create_default is None else missing & column.create_default.isna()


def _qbench_field(record_map: AccountMap | ContactMap, name: str) -> str:
    source = record_map.sources().get(name)
    return source.from_ if source is not None and source.from_ is not None else name
