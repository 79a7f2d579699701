"""The asset that brings every staged record up to date in one CRM, without QBench; for after a change of the mappings."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import dagster as dg

from crm_pipeline.configuration.problems import did_you_mean
from crm_pipeline.crms.base import Crm, CrmKind
from crm_pipeline.errors import ConfigurationError, record_errors
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.orchestration import names
from crm_pipeline.orchestration.metadata import ROW_COUNT, Spent, forecast_table
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.specs import AssetSpecs
from crm_pipeline.orchestration.steps import failing_clearly
from crm_pipeline.orchestration.translating import asset_of
from crm_pipeline.qbench.contracts import record_id
from crm_pipeline.store.normalized_records import staged_ids
from crm_pipeline.store.staging import EVERYTHING
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.planning.selection import Named, Selection
from crm_pipeline.sync.resending import Resend

DRY_RUN = "A dry run: nothing was sent."

RESYNC_CONFIG = {
    "record_type": dg.Field(str, is_required=False, description="Only these records: account, contact or lead. For example `contact`."),
    "ids": dg.Field([int], is_required=False, description="Only these QBench ids; needs record_type. For example `[12, 13]`."),
    "error": dg.Field(
        str,
        is_required=False,
        description="Only records whose latest outcome has this error, as docs/errors.md calls it. For example `InvalidOptionException`.",
    ),
    "force": dg.Field(
        bool,
        default_value=False,
        description="Send every editable field again, over what people edited in the CRM since. For example `true`.",
    ),
    "create_only": dg.Field(
        [str],
        is_required=False,
        description="Send these fields, which only a create sends else, to linked records, over what the CRM has; needs record_type. "
        "For example `[address]`.",
    ),
    "dry_run": dg.Field(
        bool,
        default_value=False,
        description="Send nothing: records are normalized, and what would be sent is told in an event of the asset. For example `true`.",
    ),
}
"""The config of a run by hand; without any, everything that differs or was refused is sent."""


@dataclass(frozen=True)
class _Wanted:
    """What the config asks for."""

    record_types: Sequence[RecordType]
    ids: tuple[int, ...] | None
    error_type: str | None
    resend: Resend | None
    dry_run: bool

    @classmethod
    def of(cls, config: Mapping[str, Any], *, crm: str, taken: Sequence[RecordType]) -> Self:
        """Read a config. Raises ConfigurationError where it cannot be meant so; ``taken``: what the CRM takes of the integration."""
        record_type, ids, error_type = (config.get(name) for name in ("record_type", "ids", "error"))
        create_only = config.get("create_only")
        if record_type not in {None, *taken}:
            raise ConfigurationError(f"config `record_type: {record_type}`: {crm} takes {', '.join(taken)}")
        if record_type is None and (ids is not None or create_only is not None):
            raise ConfigurationError("config `ids` and `create_only` need `record_type`: customers and contacts have ids of their own")
        if ids is not None and any(record_id(number) is None for number in ids):
            raise ConfigurationError("config `ids`: give QBench ids as [12, 13]")
        if error_type is not None and error_type not in record_errors():
            raise ConfigurationError(f"config `error`: there is no {error_type}; {did_you_mean(error_type, list(record_errors()))}")
        if config["force"] and create_only is not None:
            raise ConfigurationError("config: give either `force` or `create_only`")
        return cls(
            record_types=list(taken) if record_type is None else [RecordType(record_type)],
            ids=None if ids is None else tuple(ids),
            error_type=error_type,
            resend=Resend(tuple(create_only)) if create_only is not None else Resend() if config["force"] else None,
            dry_run=config["dry_run"],
        )

    def resend_of(self, record_type: RecordType) -> Resend | None:
        """What goes again of these records although it did not change."""
        return self.resend if record_type in self.record_types else None

    def selections(self, orders: Mapping[RecordType, LoadOrder]) -> dict[RecordType, Selection]:
        """The records of each type, which are normalized anew first, those of all types before one is sent.

        Raises ConfigurationError where a named one is not staged.
        """
        from crm_pipeline.sync.again import normalized_with_error
        from crm_pipeline.sync.extracting.normalizing import normalize_named, normalize_staged

        found: dict[RecordType, Selection] = {}
        for record_type in self.record_types:
            order = orders[record_type]
            found[record_type] = EVERYTHING
            if self.error_type is not None:
                found[record_type] = Named(normalized_with_error(order, store=STORE, error_type=self.error_type, ids=self.ids))
            elif self.ids is not None:
                normalize_named(STORE, order.integration, order.record, ids=self.ids, reading=order.reading)
                found[record_type] = Named(self.ids)
            else:
                normalize_staged(STORE, order.integration, order.record, window=EVERYTHING, reading=order.reading, counts=Counter())
            self._require_staged(order)
        return found

    def _require_staged(self, order: LoadOrder) -> None:
        if self.ids is None:
            return
        with STORE.transaction() as connection:
            known = staged_ids(connection, order.integration, order.record.record_type, ids=self.ids)
        unknown = [str(number) for number in self.ids if number not in known]
        if unknown:
            raise ConfigurationError(
                f"config `ids`: there is no staged {order.record.record_type} {', '.join(unknown)}; nothing was sent. "
                "`crm-pipeline send` reads records from QBench now"
            )


def build_resync(spec: IntegrationSpec, kind: CrmKind, specs: AssetSpecs) -> dg.AssetsDefinition:
    """The asset ``<name>/<crm>/resync``: unpartitioned and in no job, materialized by hand."""
    resource = names.resource_key(spec.name, kind.name)

    @asset_of(
        specs[names.resync_key(spec.name, kind)],
        # It reads nothing of theirs, but stands behind them in the graph.
        deps=[specs.key(names.load_key(spec.name, kind, record_type)) for record_type in spec.records_in(kind.name)],
        resource_defs=specs.clients(resource),
        pool=resource,
        config_schema=RESYNC_CONFIG,
        output_required=False,
    )
    def resync(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        from crm_pipeline.sync.loading.preview import forecasts

        crm = getattr(context.resources, resource)
        spent = Spent(crm)
        counts: Counter[str] = Counter()

        def metadata() -> dict[str, Any]:
            return {ROW_COUNT: counts.total(), **dict(sorted(counts.items())), **spent.metadata()}

        taken = spec.records_in(kind.name)
        with failing_clearly(spec.name, metadata):
            wanted = _Wanted.of(context.op_execution_context.op_config, crm=kind.name, taken=list(taken))
            orders = {
                record_type: replace(
                    spec.order(kind.name, record, run_id=context.run.run_id), refused="again", resend=wanted.resend_of(record_type)
                )
                for record_type, record in taken.items()
            }
            selections = wanted.selections(orders)
            if wanted.dry_run:
                would_be_sent = list(forecasts(orders.__getitem__, selections, store=STORE, crm=crm))
            else:
                _send(orders, selections, crm, counts)
        if wanted.dry_run:
            told = {"would_be_sent": dg.MetadataValue.md(forecast_table(would_be_sent)), **spent.metadata()}
            context.log_event(dg.AssetObservation(context.asset_key, description=DRY_RUN, metadata=told))
        else:
            yield dg.MaterializeResult(metadata=metadata())

    return resync


def _send(orders: Mapping[RecordType, LoadOrder], selections: Mapping[RecordType, Selection], crm: Crm, counts: Counter[str]) -> None:
    """Load the records, and add what became of them to ``counts``, also where it breaks off."""
    from crm_pipeline.sync.loading.load import Load

    for record_type, selection in selections.items():
        job = Load(orders[record_type], store=STORE, crm=crm)
        try:
            job.run(selection)
        finally:
            counts.update({f"{record_type}s_{outcome}": count for outcome, count in job.report.outcomes.items()})
