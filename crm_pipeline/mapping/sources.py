"""Which fields of QBench does a mapping read, and which do the rules beside it name?"""

from __future__ import annotations

from collections.abc import Mapping

from crm_pipeline.configuration.filter_keys import CUSTOMER_PREFIX
from crm_pipeline.mapping.addresses import parts_of, possible_types
from crm_pipeline.mapping.field_maps import FieldEntry, as_source
from crm_pipeline.mapping.filters import fields_named, names_customer
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.model import MODELS, RecordType

OF_EVERY_RECORD = frozenset({"qbench_id", "version", "customer_id"})
"""Normalized columns that no mapping names."""


def normalized_sources(spec: RecordSpec) -> Mapping[str, tuple[str, ...]]:
    """The QBench fields behind each mapped normalized field, and behind each directly mapped one (``<crm>.<field>``).

    A field that has a constant value comes from none; id and version come from the raw columns of their names (schemas.RAW).
    """
    sources = {name: _fields(source) for name, source in (spec.map.sources() | spec.map.direct).items()}
    for address in spec.map.addresses:
        decides = _fields(getattr(address, "address_type", None))
        for kind in possible_types(address):
            for part, entry in parts_of(address).items():
                name = f"{kind.lower()}_{part}"
                sources[name] = tuple(dict.fromkeys((*sources.get(name, ()), *_fields(entry), *decides)))
    keys = {key.source: (key.field,) for key in spec.sync_on if key.field is not None}
    customer = {"customer_id": ("customers",)} if MODELS[MODELS[spec.record_type].source].parent is not None else {}
    return {"qbench_id": ("qbench_id",), "version": ("version",), **customer, **sources, **keys}


def qbench_fields(spec: RecordSpec) -> tuple[str, ...]:
    """The QBench fields that the mapping reads, each once."""
    return tuple(dict.fromkeys(field for fields in normalized_sources(spec).values() for field in fields))


def named_fields(spec: RecordSpec, record_type: RecordType) -> tuple[str, tuple[str, ...]]:
    """The QBench fields of one record type that the YAML names for this record, each once, and the prefix that they have there.

    Of its own type those of the mapping, the match keys and the rules; of a contact's customer those of the rules, and of a lead's mapping.
    """
    rules = [*spec.gates, *(rule.only for rule in spec.owner)]
    flag = [] if spec.flag is None else [spec.flag.field]
    mapped = [field for name, fields in normalized_sources(spec).items() if name not in OF_EVERY_RECORD for field in fields]
    named = dict.fromkeys([*mapped, *flag, *(field for rule in rules if rule is not None for field in fields_named(rule))])
    if record_type is not MODELS[spec.record_type].source:
        return CUSTOMER_PREFIX, tuple(field.removeprefix(CUSTOMER_PREFIX) for field in named if field.startswith(CUSTOMER_PREFIX))
    return "", tuple(field for field in named if not field.startswith(CUSTOMER_PREFIX))


def names_customers(spec: RecordSpec) -> bool:
    """Whether the mapping, or a rule by which a record is left out or not, looks at a contact's customer."""
    mapped = (field for fields in normalized_sources(spec).values() for field in fields)
    return any(map(names_customer, spec.gates)) or any(field.startswith(CUSTOMER_PREFIX) for field in mapped)


def _fields(entry: FieldEntry | None) -> tuple[str, ...]:
    source = None if entry is None else as_source(entry).from_
    return () if source is None else (source,)
