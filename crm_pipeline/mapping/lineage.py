"""Which fields does a field come from? From the CRM's back to the normalized ones, and from these back to QBench's."""

from __future__ import annotations

from collections.abc import Mapping

from crm_pipeline.mapping.presets import preset
from crm_pipeline.mapping.sources import normalized_sources
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.mapping.targets import routes_back, targets
from crm_pipeline.model import MODELS

PHONE_TYPE = "phone_number_type"


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
