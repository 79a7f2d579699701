"""Which assets does an integration have, and how does Dagster show them? Keys, groups, kinds, descriptions and columns of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import dagster as dg

from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.base import CrmKind
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.mapping.deletion_keys import Flag
from crm_pipeline.mapping.lineage import crm_sources, returned_sources
from crm_pipeline.mapping.sources import normalized_sources, qbench_fields
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.model import MODELS, RecordType
from crm_pipeline.orchestration import names
from crm_pipeline.orchestration.metadata import COLUMN_SCHEMA, column_schema
from crm_pipeline.orchestration.resources import clients_of
from crm_pipeline.orchestration.translating import AssetProps, Translate, translated, untranslated
from crm_pipeline.schemas import CHANGE_OUTCOMES, CRM_RECORDS, OUTCOMES, RAW, normalized_schema

QBENCH = "qbench"
"""The kind of what is read from QBench. Dagster shows the name of a kind that it has no picture of."""


class AssetSpecs:
    """The specs of an integration's assets, each found by the key that it has without a translation (orchestration.names), and what
    their steps call the services with.
    """

    def __init__(self, spec: IntegrationSpec, translate: Translate = untranslated) -> None:
        self._specs = translated(_assets(spec), translate)
        self._clients = clients_of(spec)

    def __getitem__(self, key: Sequence[str]) -> dg.AssetSpec:
        """The spec as Dagster shows it."""
        return self._specs[dg.AssetKey(key)]

    def key(self, key: Sequence[str]) -> dg.AssetKey:
        """The key that Dagster knows the asset by."""
        return self[key].key

    def clients(self, *resources: str) -> dict[str, dg.ResourceDefinition]:
        """The resources of a step, by these keys, which each asset brings with it.

        Those of a whole code location would be in each of its jobs: definitions, which Dagster's daemon fetches every minute, that grow
        with the square of the integrations.
        """
        return {resource: self._clients[resource] for resource in resources}


def _assets(spec: IntegrationSpec) -> Iterator[AssetProps]:
    kinds = [crm_kinds()[name] for name in spec.crms.configured]
    yield from (_raw(spec, record) for record in spec.read.values())
    yield from (_normalized(spec, record) for record in spec.records.values())
    for kind in kinds:
        yield from (_load(spec, kind, record) for record in spec.records_in(kind.name).values())
    for kind in kinds:
        for record in spec.returning.get(kind.name, {}).values():
            yield _changes(spec, kind, record)
            yield _returned(spec, kind, record)
    for kind in kinds:
        yield _links(spec, kind)
        yield _resync(spec, kind)
    yield _records(spec)
    yield _upkeep(spec)
    yield _deletions(spec)
    yield from (_flags(spec, record, record.flag) for record in spec.records.values() if record.flag is not None)
    yield from (_waiting(spec, record_type) for record_type in spec.records if MODELS[record_type].parent is not None)


def _raw(spec: IntegrationSpec, record: RecordSpec) -> AssetProps:
    return _asset(
        spec,
        names.raw_key(spec.name, record.record_type),
        record_type=record.record_type,
        description=f"The {MODELS[record.record_type].qbench_object} that changed in QBench, staged as QBench gave them. "
        "What all CRMs are fed from: QBench is read once for all of them.",
        kinds={QBENCH, "postgres"},
        columns=column_schema(RAW, fields=dict.fromkeys(qbench_fields(record), "field of QBench, within content")),
    )


def _normalized(spec: IntegrationSpec, record: RecordSpec) -> AssetProps:
    direct = dict.fromkeys((name for name in normalized_sources(record) if "." in name), "value of a field outside the normalized model")
    return _asset(
        spec,
        names.normalized_key(spec.name, record.record_type),
        record_type=record.record_type,
        description=f"The staged {MODELS[record.record_type].qbench_object} in the normalized model, through the integration's mapping. "
        "What may not sync is named here, with the reason, for all CRMs.",
        kinds={"pandas", "postgres"},
        columns=column_schema(normalized_schema(record.record_type), fields=direct),
    )


def _load(spec: IntegrationSpec, kind: CrmKind, record: RecordSpec) -> AssetProps:
    written = crm_sources(record, crm=kind.name)
    return _asset(
        spec,
        names.load_key(spec.name, kind, record.record_type),
        record_type=record.record_type,
        description=f"The normalized {MODELS[record.record_type].plural} in {kind.title}, one outcome per record. "
        "Green: all was done that can be. Red: materialize it again, only what is open is sent.",
        kinds={kind.name},
        columns=column_schema(OUTCOMES, fields=dict.fromkeys(written, f"field of {kind.title} that is written")),
    )


def _changes(spec: IntegrationSpec, kind: CrmKind, record: RecordSpec) -> AssetProps:
    back = dict.fromkeys((name for names_ in returned_sources(record, crm=kind.name).values() for name in names_), "field that comes back")
    return _asset(
        spec,
        names.changes_key(spec.name, kind, record.record_type),
        record_type=record.record_type,
        description=f"The {MODELS[record.record_type].plural} that changed in {kind.title}, by its own stamps, staged as it gave them. "
        f"All that changed in {kind.title} is read together; nothing is written.",
        kinds={kind.name, "postgres"},
        columns=column_schema(CRM_RECORDS, fields=back),
    )


def _returned(spec: IntegrationSpec, kind: CrmKind, record: RecordSpec) -> AssetProps:
    written = returned_sources(record, crm=kind.name)
    return _asset(
        spec,
        names.returned_key(spec.name, kind, record.record_type),
        record_type=record.record_type,
        description=f"What people changed in {kind.title}, in QBench's {MODELS[record.record_type].qbench_object}, one outcome per record. "
        "Green: all was done that can be. Red: materialize it again, only what is open is written.",
        kinds={QBENCH},
        columns=column_schema(CHANGE_OUTCOMES, fields=dict.fromkeys(written, "field of QBench that is written")),
    )


def _links(spec: IntegrationSpec, kind: CrmKind) -> AssetProps:
    return _asset(
        spec,
        names.links_key(spec.name, kind),
        description=f"The links between QBench records and {kind.title}'s, compared with what {kind.title} has: merged, deleted and "
        "restored records, lost external keys, contacts in other accounts.",
        kinds={kind.name, "postgres"},
    )


def _resync(spec: IntegrationSpec, kind: CrmKind) -> AssetProps:
    return _asset(
        spec,
        names.resync_key(spec.name, kind),
        description="Every staged record, normalized by today's mappings and planned against its link; sends only what differs, or "
        f"was refused, to {kind.title}, and reads nothing from QBench. Materialize it after a change of the mappings, or once the cause of "
        "refusals is gone.",
        kinds={kind.name},
    )


def _records(spec: IntegrationSpec) -> AssetProps:
    return _asset(
        spec,
        names.records_key(spec.name),
        description="How all records stand, in every CRM and on the way home: synced, waiting, failed or left out on purpose, and their "
        "errors, each with the change since yesterday. Made every hour; its plots show the course. It reads counts, no records.",
        kinds={"postgres"},
    )


def _upkeep(spec: IntegrationSpec) -> AssetProps:
    return _asset(
        spec,
        names.upkeep_key(spec.name),
        description="What grows with time: histories are kept as long as `upkeep` says, Dagster's event log is thinned where it asks for "
        "that, and the sizes of the tables are told; their plots show the course. Made every day.",
        kinds={"postgres"},
    )


def _deletions(spec: IntegrationSpec) -> AssetProps:
    return _asset(
        spec,
        names.deletions_key(spec.name),
        description="The staged records compared with QBench's whole list of deleted ones: QBench may delete a record, or take that back, "
        "without touching last_updated. The next hourly run takes up what changed.",
        kinds={QBENCH, "postgres"},
    )


def _flags(spec: IntegrationSpec, record: RecordSpec, flag: Flag) -> AssetProps:
    return _asset(
        spec,
        names.flags_key(spec.name, record.record_type),
        description=f"What the field {flag.field} says in QBench of {MODELS[record.record_type].qbench_object} whose record a CRM deleted: "
        "filled while it is, emptied once it is there again. Nothing is ever deleted in QBench.",
        kinds={QBENCH, "postgres"},
    )


def _waiting(spec: IntegrationSpec, record_type: RecordType) -> AssetProps:
    return _asset(
        spec,
        names.waiting_key(spec.name, record_type),
        description="The contacts that are not known to have exactly one customer, read again from QBench, which may change a "
        "contact's customers without touching last_updated. The next hourly run takes up what changed.",
        kinds={QBENCH, "postgres"},
    )


def _asset(
    spec: IntegrationSpec,
    key: Sequence[str],
    *,
    description: str,
    kinds: set[str],
    record_type: RecordType | None = None,
    columns: dg.TableSchema | None = None,
) -> AssetProps:
    """An hourly asset, of one record type; without one an asset of the upkeep."""
    integration, service, name = key[0], key[1], key[-1]
    return AssetProps(
        dg.AssetSpec(
            key,
            description=description,
            group_name=names.upkeep_group(integration) if record_type is None else integration,
            owners=list(spec.owners),
            kinds=kinds,
            metadata={} if columns is None else {COLUMN_SCHEMA: columns},
        ),
        integration=integration,
        service=service,
        object=name,
        record_type=record_type,
        upkeep=record_type is None,
    )
