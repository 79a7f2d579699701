"""The asset that brings every staged record up to date in one CRM, without QBench; for after a change of the mappings."""

from collections import Counter
from dataclasses import replace
from typing import Any

import dagster as dg

from crm_pipeline.crms.base import CrmKind
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration import names
from crm_pipeline.orchestration.metadata import ROW_COUNT, Spent
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.specs import AssetSpecs
from crm_pipeline.orchestration.steps import failing_clearly
from crm_pipeline.orchestration.translating import asset_of
from crm_pipeline.store.staging import EVERYTHING


def build_resync(spec: IntegrationSpec, kind: CrmKind, specs: AssetSpecs) -> dg.AssetsDefinition:
    """The asset ``<name>/<crm>/resync``: unpartitioned and in no job, materialized by hand."""
    resource = names.resource_key(spec.name, kind.name)

    @asset_of(
        specs[names.resync_key(spec.name, kind)],
        # It reads nothing of theirs, but stands behind them in the graph.
        deps=[specs.key(names.load_key(spec.name, kind, record_type)) for record_type in spec.records_in(kind.name)],
        required_resource_keys={resource},
        pool=resource,
    )
    def resync(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        from crm_pipeline.sync.extracting.normalizing import normalize_staged
        from crm_pipeline.sync.loading.load import Load

        crm = getattr(context.resources, resource)
        spent = Spent(crm)
        counts: Counter[str] = Counter()

        def metadata() -> dict[str, Any]:
            return {ROW_COUNT: counts.total(), **dict(sorted(counts.items())), **spent.metadata()}

        with failing_clearly(spec.name, metadata):
            for record in spec.records_in(kind.name).values():
                normalize_staged(STORE, spec.name, record, window=EVERYTHING, reading=spec.reading, counts=Counter())
            for record in spec.records_in(kind.name).values():
                job = Load(replace(spec.order(kind.name, record, run_id=context.run.run_id), refused="again"), store=STORE, crm=crm)
                try:
                    job.run(EVERYTHING)
                finally:
                    counts.update({f"{record.record_type}s_{outcome}": count for outcome, count in job.report.outcomes.items()})
        return dg.MaterializeResult(metadata=metadata())

    return resync
