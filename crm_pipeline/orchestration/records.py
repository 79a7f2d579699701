"""The asset that tells how all records of an integration stand, in every CRM and on the way home; it asks the counts alone."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from crm_pipeline.crms.base import CrmKind
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration import names
from crm_pipeline.orchestration.metadata import ROW_COUNT
from crm_pipeline.orchestration.opening import all_errors_metadata, health_metadata
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.specs import AssetSpecs
from crm_pipeline.orchestration.steps import failing_clearly
from crm_pipeline.orchestration.translating import asset_of
from crm_pipeline.store.standing import Standing, by_condition, by_records, fold, standings


def build_records(spec: IntegrationSpec, kinds: Sequence[CrmKind], specs: AssetSpecs) -> dg.AssetsDefinition:
    """The asset ``<name>/records``: unpartitioned, made by each check of links (orchestration.links). Does no I/O."""
    loads = [specs.key(names.load_key(spec.name, kind, record_type)) for kind in kinds for record_type in spec.records_in(kind.name)]
    returned = [
        specs.key(names.returned_key(spec.name, kind, record_type)) for kind in kinds for record_type in spec.returning.get(kind.name, {})
    ]

    @asset_of(specs[names.records_key(spec.name)], deps=[*loads, *returned])
    def records() -> dg.MaterializeResult[Any]:
        with failing_clearly(spec.name, dict), STORE.transaction() as connection:
            fold(connection)
            found = standings(connection, spec.name)
        return dg.MaterializeResult(metadata=records_metadata(found))

    return records


def records_metadata(found: Sequence[Standing]) -> dict[str, Any]:
    """How all records stand: a table, their errors, and each count as a number, whose course Dagster plots."""
    return {
        ROW_COUNT: sum(each.records for each in found if each.direction == "to_crm"),
        **health_metadata(found),
        **all_errors_metadata(found),
        **{
            f"{title} {condition}": total.records
            for title, members in by_records(found).items()
            for condition, total in by_condition(members).items()
        },
    }
