"""Which address of a record is which: mapped address parts routed into billing, shipping or mailing columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from crm_pipeline.frames import Flags, arrow_texts, no_text, texts_where
from crm_pipeline.mapping.field_maps import AccountAddress, AccountMap, ContactAddress, ContactMap, FieldEntry, as_source
from crm_pipeline.mapping.fields import FieldColumn, read_field
from crm_pipeline.mapping.phones import phone_regions
from crm_pipeline.mapping.values import over_uniques
from crm_pipeline.model import (
    ACCOUNT_ADDRESS_PARTS,
    ACCOUNT_ADDRESS_TYPES,
    CONTACT_ADDRESS_PARTS,
    CONTACT_ADDRESS_TYPE,
    DEFAULT_ACCOUNT_ADDRESS_TYPE,
)

MappedAddress = AccountAddress | ContactAddress


@dataclass(frozen=True, slots=True)
class Addresses:
    """``columns``: ``<type>_<part>`` to str values; ``defaults``: the same names to values for creates only (object).

    ``countries``: the country part of each mapped address over all records, whether or not the record has that address.
    """

    columns: dict[str, pd.Series]
    defaults: dict[str, pd.Series]
    countries: tuple[pd.Series, ...]
    counts: dict[str, int]
    index: pd.Index

    def regions(self, default_region: str | None) -> pd.Series:
        """The region that each record's phone is read with: its country where it is a clear one, else the default (str)."""
        return _regions(self.countries, default_region, index=self.index)


def countries_alone(record_map: AccountMap | ContactMap) -> dict[str, Any]:
    """What of a mapping to change so that nothing of its addresses is read but the countries, by which phones are read."""
    left = [
        address.model_copy(update=dict.fromkeys({*parts_of(address), "address_type"} - {"country"})) for address in record_map.addresses
    ]
    return {"address": left if isinstance(record_map.address, list) else next(iter(left), None)}


def read_regions(content: Sequence[dict[str, Any]], record_map: AccountMap | ContactMap, default_region: str | None) -> pd.Series:
    """The regions alone (``Addresses.regions``), where nothing else of the addresses is wanted."""
    mapped = [parts_of(address).get("country") for address in record_map.addresses]
    countries = [read_field(content, as_source(entry), kind="country").values for entry in mapped if entry is not None]
    return _regions(countries, default_region, index=pd.RangeIndex(len(content)))


def parts_of(address: MappedAddress) -> dict[str, FieldEntry]:
    """The mapped parts of an address by their names."""
    names = ACCOUNT_ADDRESS_PARTS if isinstance(address, AccountAddress) else CONTACT_ADDRESS_PARTS
    entries = {name: getattr(address, name) for name in names}
    return {name: entry for name, entry in entries.items() if entry is not None}


def possible_types(address: MappedAddress) -> tuple[str, ...]:
    """The types that an address can have: one where the type is fixed, every one where a QBench field decides."""
    if isinstance(address, ContactAddress):
        return (CONTACT_ADDRESS_TYPE,)
    if address.address_type is None:
        return (DEFAULT_ACCOUNT_ADDRESS_TYPE,)
    source = as_source(address.address_type)
    if source.constant is None:
        return ACCOUNT_ADDRESS_TYPES
    fixed = str(source.constant).strip().upper()
    return (fixed if fixed in ACCOUNT_ADDRESS_TYPES else DEFAULT_ACCOUNT_ADDRESS_TYPE,)


def read_addresses(content: Sequence[dict[str, Any]], record_map: AccountMap | ContactMap) -> Addresses:
    """Every mapped address of every record, in the columns of its type.

    A record has an address when QBench fills one of its parts: constants and defaults alone make none, unless the address
    has no other parts. Of two addresses of one type the first mapped is taken, whole. A type that is neither BILLING nor
    SHIPPING counts as BILLING.
    """
    index = pd.RangeIndex(len(content))
    columns: dict[str, pd.Series] = {}
    defaults: dict[str, pd.Series] = {}
    taken: dict[str, Flags] = {}
    countries: list[pd.Series] = []
    counts: Counter[str] = Counter()
    for address in record_map.addresses:
        parts = _read_parts(content, address)
        of_types, unknown_types = _types(content, address)
        exists = _exists(address, parts, len(index))
        for address_type, of_type in of_types.items():
            before = taken.get(address_type, np.zeros(len(index), dtype=bool))
            chosen = exists & of_type & ~before
            taken[address_type] = chosen | before
            for part, column in parts.items():
                name = f"{address_type.lower()}_{part}"
                columns[name] = texts_where(chosen, column.values, columns.get(name))
                if column.create_default is not None:
                    defaults[name] = _objects(column.create_default.where(chosen, defaults.get(name)))
        countries += [parts["country"].values] if "country" in parts else []
        counts.update({"unknown_address_types": int(np.count_nonzero(unknown_types & exists))})
        for column in parts.values():
            counts.update(column.counts)
    return Addresses(columns=columns, defaults=defaults, countries=tuple(countries), counts=dict(counts), index=index)


def _regions(of_addresses: Sequence[pd.Series], default_region: str | None, *, index: pd.Index) -> pd.Series:
    known = phone_regions() if of_addresses else frozenset()
    named = [over_uniques(countries, lambda country: country if country in known else None) for countries in of_addresses]
    told = [regions.array.__arrow_array__() for regions in (no_text(index), *named)]
    return arrow_texts(pc.coalesce(*told, pa.scalar(default_region and default_region.upper(), pa.large_string())), index)


def _read_parts(content: Sequence[dict[str, Any]], address: MappedAddress) -> dict[str, FieldColumn]:
    return {
        name: read_field(content, as_source(entry), kind="country" if name == "country" else "text")
        for name, entry in parts_of(address).items()
    }


def _exists(address: MappedAddress, parts: dict[str, FieldColumn], rows: int) -> Flags:
    read = [column.given for name, column in parts.items() if as_source(parts_of(address)[name]).from_ is not None]
    return np.any(read, axis=0) if read else np.full(rows, bool(parts))


def _types(content: Sequence[dict[str, Any]], address: MappedAddress) -> tuple[dict[str, Flags], Flags]:
    """By each type that the address can have, whose is of it, and where a type was given that is none."""
    possible = possible_types(address)
    if not isinstance(address, AccountAddress) or address.address_type is None or len(possible) == 1:
        return {possible[0]: np.ones(len(content), dtype=bool)}, np.zeros(len(content), dtype=bool)
    given = read_field(content, as_source(address.address_type), kind="choice").values
    known = given.isin(ACCOUNT_ADDRESS_TYPES)
    types = given.where(known, DEFAULT_ACCOUNT_ADDRESS_TYPE)
    return {one: types.eq(one).to_numpy() for one in possible}, (given.notna() & ~known).to_numpy()


def _objects(values: pd.Series) -> pd.Series:
    return values.astype(object).where(values.notna(), None)
