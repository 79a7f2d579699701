"""May the sync write something of its own into a QBench field: that a CRM deleted the record, or of which one it was made? Pure."""

from __future__ import annotations

from collections.abc import Collection

from crm_pipeline.mapping.addresses import parts_of
from crm_pipeline.mapping.field_maps import as_source
from crm_pipeline.mapping.inverse import fields_back
from crm_pipeline.mapping.spec import RecordSpec


def why_not_its_own(field: str, spec: RecordSpec, *, crms: Collection[str], kept: Collection[str], standard: Collection[str]) -> str | None:
    """Why a QBench field of these records cannot be the sync's own, and what to do; None where it can.

    What it holds would be written over. ``kept``: the fields that QBench keeps itself; ``standard``: those that it has for what
    describes a record.
    """
    if not field.strip():
        return "names no field"
    if field in kept:
        return f"QBench keeps `{field}` itself; name a field of your own"
    if field in fields_back(spec, list(crms)):
        return f"a mapping brings a CRM's value into `{field}`; name a field that nothing else fills"
    if field in standard or field in _described_by(spec):
        return f"`{field}` holds what describes the record, which would be written over; name an additional field that nothing else fills"
    return None


def _described_by(spec: RecordSpec) -> set[str | None]:
    """The QBench fields that normalized fields, addresses and match keys come from."""
    parts = [as_source(part) for address in spec.map.addresses for part in parts_of(address).values()]
    return {source.from_ for source in [*spec.map.sources().values(), *parts]} | {key.field for key in spec.sync_on}
