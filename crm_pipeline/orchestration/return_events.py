"""What a run that brings changes into QBench leaves in Dagster: metadata, check results, and the hours that are done where it failed."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import dagster as dg

from crm_pipeline.crms.base import CrmKind
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.mapping.lineage import returned_sources
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.orchestration import change_checks as checks
from crm_pipeline.orchestration.checks import log_checks
from crm_pipeline.orchestration.load_events import DONE
from crm_pipeline.orchestration.metadata import COLUMN_LINEAGE, Spent, column_lineage, return_metadata, sample_table
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.running import DUE, ROWS_TAG
from crm_pipeline.orchestration.windows import window
from crm_pipeline.store.change_outcomes import open_change_hours, open_changes
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.organizations import stored_organization
from crm_pipeline.store.staging import Window
from crm_pipeline.store.standing import settled_errors, standings
from crm_pipeline.sync.hours import partition_of
from crm_pipeline.sync.returning.policy import ReturnPolicy
from crm_pipeline.sync.returning.selection import Open, Selection

if TYPE_CHECKING:
    from crm_pipeline.crms.base import Crm
    from crm_pipeline.source import Source
    from crm_pipeline.sync.returning.report import ReturnReport

MOST_CHANGED = {
    "most_changed": dg.Field(int, is_required=False, description="For this run: `from_crms.most_changed`, whatever share that is.")
}
"""The config of a run that may change more records than usual."""


class ReturnEvents:
    """The events of one run: ``counts`` at any time, ``finished`` at its end, ``failing`` before it raises."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        spec: IntegrationSpec,
        kind: CrmKind,
        record: RecordSpec,
        *,
        source: Source,
        crm: Crm,
        changes: dg.AssetKey,
    ) -> None:
        self._context = context
        self._spec = spec
        self._kind = kind
        self._record = record
        self._state = CrmState(spec.name, kind.name, record.record_type)
        self._crm = crm
        self._changes = changes
        self._spent = {"qbench": Spent(source), kind.name: Spent(crm)}

    @cached_property
    def window(self) -> Window:
        """The stamps that the run is about."""
        return window(self._context, self._spec.start, overlap_seconds=self._spec.from_crms.look_back_seconds)

    @property
    def selection(self) -> Selection:
        """Which readings the run looks at: those of its hours and what is open besides, in a retry the latter alone."""
        return Open() if self._context.run.tags.get(ROWS_TAG) == DUE else self.window

    @property
    def policy(self) -> ReturnPolicy:
        """How many records the run may change: as the integration says, or its own config."""
        most_changed = self._context.op_execution_context.op_config.get("most_changed")
        if most_changed is None:
            return self._spec.from_crms
        return self._spec.from_crms.model_copy(update={"most_changed": most_changed, "most_changed_share": 1.0})

    def counts(self, report: ReturnReport) -> dict[str, Any]:
        """What the run did, in numbers and ids; asks nobody."""
        calls = {f"{service}_{label}": count for service, spent in self._spent.items() for label, count in spent.calls.items()}
        return {**return_metadata(report, calls), "errors": dg.MetadataValue.md(self._errors(report))}

    def finished(self, report: ReturnReport) -> dg.MaterializeResult[Any]:
        """The result of a run that did all it can; in a range, the last hour alone carries what is large."""
        large = {
            "errors": dg.MetadataValue.md(self._errors(report)),
            COLUMN_LINEAGE: column_lineage(self._changes, returned_sources(self._record, crm=self._kind.name)),
        }
        counts = {name: value for name, value in self.counts(report).items() if name not in large}
        self._context.add_asset_metadata(large, partition_key=self._context.partition_keys[-1])
        return dg.MaterializeResult(metadata=counts, check_results=self._checks(report))

    def failing(self, report: ReturnReport) -> None:
        """Log the checks and, of a range, the hours in which no change is open."""
        log_checks(self._context, self._checks(report))
        hours = self._context.partition_keys
        if len(hours) > 1:
            still_open = self._open_hours(first=hours[0])
            for hour in hours:
                if hour not in still_open:
                    self._context.log_event(dg.AssetMaterialization(self._context.asset_key, partition=hour, description=DONE))

    def _open_hours(self, *, first: str) -> set[str]:
        with STORE.transaction() as connection:
            found = open_change_hours(connection, self._state, window=self.window)
        # The look-back reaches into the hour before, which the run's first one answers for.
        return {max(first, partition_of(hour, self._spec.start)) for hour in found}

    def _checks(self, report: ReturnReport) -> list[dg.AssetCheckResult]:
        with STORE.transaction() as connection:
            standing = standings(
                connection, self._spec.name, direction="from_crm", crm=self._kind.name, record_type=self._record.record_type
            )
            to_be_tried = open_changes(connection, self._state)
        return [
            checks.no_failed_changes(settled_errors(standing)),
            checks.no_open_changes(to_be_tried),
            checks.few_records_changed(report),
            checks.conflicts(report),
            checks.no_ping_pong(to_be_tried),
        ]

    def _errors(self, report: ReturnReport) -> str:
        """Errors by type, with links to the CRM's pages of some records."""
        crm_object = self._kind.usual(self._record.record_type)
        with STORE.transaction() as connection:
            org_id = stored_organization(connection, self._state.integration, self._kind.name)
        ids = [crm_id for samples in report.samples.values() for crm_id in samples]
        pages = {} if org_id is None else {crm_id: self._crm.record_url(crm_object, crm_id, org_id=org_id) for crm_id in ids}
        return sample_table(report.errors, report.samples, of=f"{self._kind.title} ids", pages=pages)
