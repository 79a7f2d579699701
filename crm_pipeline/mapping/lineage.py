"""Which fields does a field come from? From the CRM's back to the normalized ones, and from these back to QBench's."""

from __future__ import annotations

from collections.abc import Mapping

from crm_pipeline.mapping.addresses import parts_of, possible_types
from crm_pipeline.mapping.field_maps import FieldEntry, as_source
from crm_pipeline.mapping.filters import CUSTOMER_PREFIX, fields_named
from crm_pipeline.mapping.presets import preset
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.mapping.targets import routes_back, targets
from crm_pipeline.model import MODELS, RecordType

PHONE_TYPE = "phone_number_type"
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
    customer = {"customer_id": ("customers",)} if MODELS[spec.record_type].parent is not None else {}
    return {"qbench_id": ("qbench_id",), "version": ("version",), **customer, **sources, **keys}


def crm_sources(spec: RecordSpec, *, crm: str) -> Mapping[str, tuple[str, ...]]:
    """The normalized fields behind each CRM field that is written, as the CRM's standard objects have them.

    Where an organization takes codes for countries and states, it has other fields in the place of those two.
    """
    known = normalized_sources(spec)
    parts = {
        crm_field: [f"{kind}_{part}" for kind in address.types for part in names]
        for address in preset(crm, spec.record_type).addresses
        for crm_field, names in address.fields.items()
    }
    found: dict[str, tuple[str, ...]] = {}
    for target in targets(spec, crm=crm, crm_fields=None):
        if not target.direction.goes_out:
            continue
        names = [target.source]
        if target.source == MODELS[spec.record_type].phone:
            names.append(PHONE_TYPE)
        elif target.group is not None:
            names = parts[target.crm_field]
        found[target.crm_field] = tuple(name for name in names if name in known)
    return found


def returned_sources(spec: RecordSpec, *, crm: str) -> Mapping[str, tuple[str, ...]]:
    """The CRM fields behind each QBench field that takes something back from the CRM, as its standard objects have them."""
    phone_type = spec.map.sources().get(PHONE_TYPE)
    found: dict[str, tuple[str, ...]] = {}
    for route in routes_back(spec, crm=crm, crm_fields=None):
        sources = [route.source, phone_type if route.target.source == MODELS[spec.record_type].phone else None]
        for field in [source.from_ for source in sources if source is not None and source.from_ is not None]:
            found[field] = (*found.get(field, ()), route.target.crm_field)
    return found


def qbench_fields(spec: RecordSpec) -> tuple[str, ...]:
    """The QBench fields that the mapping reads, each once."""
    return tuple(dict.fromkeys(field for fields in normalized_sources(spec).values() for field in fields))


def named_fields(spec: RecordSpec, record_type: RecordType) -> tuple[str, tuple[str, ...]]:
    """The QBench fields of one record type that the YAML names for this record, each once, and the prefix that they have there.

    Of its own type those of the mapping, the match keys and the rules; of a contact's customer those of the rules.
    """
    rules = [*spec.gates, *(rule.only for rule in spec.owner)]
    ruled = [field for rule in rules if rule is not None for field in fields_named(rule)]
    if record_type is not spec.record_type:
        of_customer = (field.removeprefix(CUSTOMER_PREFIX) for field in ruled if field.startswith(CUSTOMER_PREFIX))
        return CUSTOMER_PREFIX, tuple(dict.fromkeys(of_customer))
    flag = [] if spec.flag is None else [spec.flag.field]
    own = [field for name, fields in normalized_sources(spec).items() if name not in OF_EVERY_RECORD for field in fields]
    return "", tuple(dict.fromkeys([*own, *flag, *(field for field in ruled if not field.startswith(CUSTOMER_PREFIX))]))


def _fields(entry: FieldEntry | None) -> tuple[str, ...]:
    source = None if entry is None else as_source(entry).from_
    return () if source is None else (source,)
