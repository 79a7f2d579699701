"""What a run that brings changes into QBench leaves in Dagster: metadata, check results, and the hours that are done where it failed."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import dagster as dg
from sqlalchemy import Connection

from crm_pipeline.crms.base import CrmKind
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.mapping.lineage import returned_sources
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.orchestration import change_checks as checks
from crm_pipeline.orchestration.checks import log_checks
from crm_pipeline.orchestration.load_events import DONE
from crm_pipeline.orchestration.metadata import COLUMN_LINEAGE, ROW_COUNT, Spent, column_lineage, return_metadata
from crm_pipeline.orchestration.opening import RECORDS, errors_metadata, record_link, records_table
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.running import DUE, ROWS_TAG
from crm_pipeline.orchestration.windows import window
from crm_pipeline.store.change_outcomes import open_change_hours, open_changes
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.error_records import sample_ids
from crm_pipeline.store.organizations import stored_organization
from crm_pipeline.store.staging import Window
from crm_pipeline.store.standing import Standing, settled_errors, standings
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
        return {**errors_metadata(report.errors, (), report.samples, crm=self._kind.title), **self._numbers(report)}

    def _numbers(self, report: ReturnReport) -> dict[str, Any]:
        calls = {f"{service}_{label}": count for service, spent in self._spent.items() for label, count in spent.calls.items()}
        return return_metadata(report, calls)

    def finished(self, report: ReturnReport) -> dg.MaterializeResult[Any]:
        """The result of a run that did all it can; in a range, the last hour alone carries what is large."""
        *earlier, last = self._context.partition_keys
        counts = {ROW_COUNT: sum(each.records for each in self.standing)} | self._numbers(report)
        for hour in earlier:
            self._context.add_asset_metadata(counts, partition_key=hour)
        lineage = {COLUMN_LINEAGE: column_lineage(self._changes, returned_sources(self._record, crm=self._kind.name))}
        self._context.add_asset_metadata(self._opening(report) | counts | lineage, partition_key=last)
        return dg.MaterializeResult(check_results=self._checks(report))

    @cached_property
    def standing(self) -> list[Standing]:
        """How all changes stand once the run is over."""
        with STORE.transaction() as connection:
            return standings(connection, self._spec.name, direction="from_crm", crm=self._kind.name, record_type=self._record.record_type)

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
            to_be_tried = open_changes(connection, self._state)
        return [
            checks.no_failed_changes(settled_errors(self.standing)),
            checks.no_open_changes(to_be_tried),
            checks.few_records_changed(report),
            checks.conflicts(report),
            checks.no_ping_pong(to_be_tried),
        ]

    def _opening(self, report: ReturnReport) -> dict[str, Any]:
        """The errors and the standing of all changes, beside the run's."""
        with STORE.transaction() as connection:
            samples = self._samples(connection, report)
        errors = errors_metadata(report.errors, self.standing, samples, crm=self._kind.title)
        return errors | {RECORDS: dg.MetadataValue.md(records_table(self.standing, run=report))}

    def _samples(self, connection: Connection, report: ReturnReport) -> dict[str, list[str]]:
        """By error some records, the run's before others, as links to the CRM and, where they have a link, to QBench."""
        found = sample_ids(connection, self._state, self.standing, direction="from_crm", of_the_run=report.samples)
        links = self._state.links_of(connection, crm_ids=[crm_id for ids in found.values() for crm_id in ids])
        qbench_ids = dict(zip(links["crm_id"], links["qbench_id"], strict=True))
        org_id = stored_organization(connection, self._state.integration, self._kind.name)
        crm_object = self._kind.usual(self._record.record_type)

        def linked(crm_id: str) -> str:
            in_crm = None if org_id is None else self._crm.record_url(crm_object, crm_id, org_id=org_id)
            if (qbench_id := qbench_ids.get(crm_id)) is None:
                return record_link(crm_id, in_crm, None)
            return record_link(qbench_id, self._spec.qbench.record_url(self._record.record_type, qbench_id), in_crm)

        return {error: [linked(crm_id) for crm_id in ids] for error, ids in found.items()}
