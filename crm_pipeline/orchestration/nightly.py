"""What is read from QBench each night, because no hourly run would see it: deletions, and contacts without exactly one customer.

One unpartitioned asset each, outside the hourly job; the job that checks links makes them (orchestration.links).
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import dagster as dg

from crm_pipeline.counting import counted
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.mapping.deletion_keys import Flag
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.model import MODELS, RecordType
from crm_pipeline.orchestration import names
from crm_pipeline.orchestration.metadata import MOST_IDS, ROW_COUNT, Spent, gaps_listed, ids_listed
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.specs import AssetSpecs
from crm_pipeline.orchestration.steps import failing_clearly
from crm_pipeline.orchestration.translating import asset_of
from crm_pipeline.source import Source, WritableSource

if TYPE_CHECKING:
    from crm_pipeline.sync.extracting.deletions import Deletions
    from crm_pipeline.sync.extracting.waiting_contacts import WaitingContacts
    from crm_pipeline.sync.returning.flagging import Flagging


class Reading(Protocol):
    """What reads QBench again."""

    def run(self) -> None:
        """Stage what changed."""
        ...


R = TypeVar("R", bound=Reading)


def nightly_assets(spec: IntegrationSpec, specs: AssetSpecs) -> list[dg.AssetsDefinition]:
    """The assets of an integration that read QBench again. Does no I/O."""
    waiting = [_waiting_contacts(spec, record_type, specs) for record_type in spec.records if MODELS[record_type].parent is not None]
    return [_deletions(spec, specs), *waiting]


def flag_assets(spec: IntegrationSpec, specs: AssetSpecs) -> list[dg.AssetsDefinition]:
    """The assets that say in QBench which records a CRM deleted. Does no I/O."""
    return [_flags(spec, record, record.flag, specs) for record in spec.records.values() if record.flag is not None]


def _flags(spec: IntegrationSpec, record: RecordSpec, flag: Flag, specs: AssetSpecs) -> dg.AssetsDefinition:
    def begin(source: WritableSource, run_id: str) -> "Flagging":
        from crm_pipeline.sync.returning.flagging import Flagging

        order = spec.order(next(iter(spec.crms.configured)), record, run_id=run_id)
        return Flagging(order, flag, policy=spec.links, store=STORE, source=source, back=spec.coming_back)

    def counts(job: "Flagging") -> dict[str, Any]:
        told = {"set": job.set, "cleared": job.cleared, "refused": job.refused, "too_many": job.too_many}
        return {ROW_COUNT: len(job.set) + len(job.cleared), **{name: len(ids) for name, ids in told.items()}}

    def warnings(job: "Flagging") -> list[str]:
        deleted = counted(len(job.too_many), "record was", "records were")
        many = f"{deleted} deleted in a CRM, more than `links.most_gone` allows: QBench is not told"
        refused = f"QBench did not take `{flag.field}` of {ids_listed(job.refused)}"
        return [text for text, ids in ((many, job.too_many), (refused, job.refused)) if ids]

    return _asset(
        spec,
        specs,
        key=names.flags_key(spec.name, record.record_type),
        of=[record.record_type],
        begin=begin,
        counts=counts,
        warnings=warnings,
    )


def _waiting_contacts(spec: IntegrationSpec, record_type: RecordType, specs: AssetSpecs) -> dg.AssetsDefinition:
    def begin(source: Source, _run_id: str) -> "WaitingContacts":
        from crm_pipeline.sync.extracting.waiting_contacts import WaitingContacts

        return WaitingContacts(spec.name, record_type, store=STORE, source=source, back=spec.coming_back)

    def warnings(job: "WaitingContacts") -> list[str]:
        return [f"contacts {ids_listed(job.failed)} cannot be read; they are tried again next time"] if job.failed else []

    return _asset(
        spec,
        specs,
        key=names.waiting_key(spec.name, record_type),
        of=[record_type],
        begin=begin,
        counts=lambda job: {ROW_COUNT: job.read, "changed": job.changed, **_failed(job.failed)},
        warnings=warnings,
    )


def _deletions(spec: IntegrationSpec, specs: AssetSpecs) -> dg.AssetsDefinition:
    def begin(source: Source, _run_id: str) -> "Deletions":
        from crm_pipeline.sync.extracting.deletions import Deletions

        return Deletions(spec.name, *spec.read, store=STORE, source=source, back=spec.coming_back)

    def counts(job: "Deletions") -> dict[str, Any]:
        gaps = gaps_listed(deletions=job.gaps)
        lacking = {"not_listed": len(gaps), "not_listed_where": "; ".join(gaps[:MOST_IDS])} if gaps else {}
        failed = _failed([qbench_id for ids in job.failed.values() for qbench_id in ids])
        return {ROW_COUNT: job.listed, "deleted": job.deleted, "restored": job.restored, **failed, **lacking}

    def warnings(job: "Deletions") -> list[str]:
        left = counted(len(job.gaps), "deleted record; it is", "deleted records; they are")
        gaps = [f"QBench fails to list {left} looked for again next time"] if job.gaps else []
        return gaps + [
            f"{record_type}s {ids_listed(ids)} cannot be read; whether they are back is asked again next time"
            for record_type, ids in job.failed.items()
            if ids
        ]

    return _asset(
        spec,
        specs,
        key=names.deletions_key(spec.name),
        of=list(spec.records),
        begin=begin,
        counts=counts,
        warnings=warnings,
    )


def _asset(
    spec: IntegrationSpec,
    specs: AssetSpecs,
    *,
    key: Sequence[str],
    of: Sequence[RecordType],
    begin: Callable[[Any, str], R],
    counts: Callable[[R], dict[str, Any]],
    warnings: Callable[[R], list[str]],
) -> dg.AssetsDefinition:
    """The asset that runs what ``begin`` makes of the source, ``of`` these records; tells its counts, and warns in the log."""
    resource = names.resource_key(spec.name, "qbench")

    @asset_of(
        specs[key],
        deps=[specs.key(names.normalized_key(spec.name, record_type)) for record_type in of],
        resource_defs=specs.clients(resource),
        pool=resource,
        retry_policy=dg.RetryPolicy(max_retries=1),
    )
    def nightly(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        source = getattr(context.resources, resource)
        spent, job = Spent(source), begin(source, context.run.run_id)

        def metadata() -> dict[str, Any]:
            return {**counts(job), **spent.metadata()}

        with failing_clearly(spec.name, metadata):
            job.run()
        for warning in warnings(job):
            context.log.warning(f"integration {spec.name}: {warning}")
        return dg.MaterializeResult(metadata=metadata())

    return nightly


def _failed(ids: Sequence[int]) -> dict[str, Any]:
    """Records whose own reads fail, as metadata: how many, and which; nothing where none does."""
    return {"failed": len(ids), "failed_ids": ids_listed(ids)} if ids else {}
