"""What a load leaves in Dagster: metadata, check results, and the hours that are done where it failed for others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.crms.base import CrmKind
from crm_pipeline.crms.fewest_calls import fewest_calls
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.mapping.lineage import crm_sources
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.orchestration import checks
from crm_pipeline.orchestration.hour_states import HourStates, hour_states
from crm_pipeline.orchestration.metadata import COLUMN_LINEAGE, ROW_COUNT, Spent, column_lineage, load_metadata
from crm_pipeline.orchestration.opening import RECORDS, errors_metadata, record_link, records_table
from crm_pipeline.orchestration.plot import HOURS, recent_plot
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.running import DUE, ROWS_TAG
from crm_pipeline.orchestration.windows import hourly_partitions, window
from crm_pipeline.store import ledger
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.error_records import sample_ids
from crm_pipeline.store.open_rows import open_rows
from crm_pipeline.store.organizations import stored_organization
from crm_pipeline.store.staging import Window
from crm_pipeline.store.standing import Standing, settled_errors, standings
from crm_pipeline.sync.hours import partition_of
from crm_pipeline.sync.order import objects_of
from crm_pipeline.sync.planning.selection import Due, Named, Selection

if TYPE_CHECKING:
    from crm_pipeline.crms.base import Crm
    from crm_pipeline.sync.loading.load import Load

LOAD_CONFIG = {
    "ids": dg.Field(
        [int],
        is_required=False,
        description="Load these QBench ids alone, of whatever hours, now, as they are normalized; the partition stays as it is. "
        "For example `[12, 13]`.",
    )
}
"""The config of a load by hand."""

DONE = "The run failed for other hours; every record of this one has its outcome."
NAMED = "Records that the run's config names; the partition stays as it is."


def named_ids(context: dg.AssetExecutionContext) -> tuple[int, ...] | None:
    """The records that a run's config names; None: it is about its hours."""
    ids = context.op_execution_context.op_config.get("ids")
    return None if ids is None else tuple(ids)


class LoadEvents:
    """The events of one load: ``counts`` at any time, ``finished`` at its end, ``failing`` before it raises."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        spec: IntegrationSpec,
        kind: CrmKind,
        record: RecordSpec,
        *,
        load: Load,
        crm: Crm,
        normalized: dg.AssetKey,
    ) -> None:
        self._context = context
        self._spec = spec
        self._kind = kind
        self._record = record
        self._state = CrmState(spec.name, kind.name, record.record_type)
        self._load = load
        self._crm = crm
        self._normalized = normalized
        self._spent = Spent(crm)

    @cached_property
    def window(self) -> Window:
        """The versions that the run is about."""
        return window(self._context, self._spec.start, overlap_seconds=self._spec.qbench.overlap_seconds)

    @property
    def selection(self) -> Selection:
        """Which records the run loads: all of its hours, in a retry those that are due, or named ones."""
        if (ids := named_ids(self._context)) is not None:
            return Named(ids)
        return Due(self.window) if self._context.run.tags.get(ROWS_TAG) == DUE else self.window

    def counts(self) -> dict[str, Any]:
        """What the load did, in numbers and ids; asks nobody."""
        samples = {error: list(map(str, ids)) for error, ids in self._load.report.samples.items()}
        return {**errors_metadata(self._load.report.errors, (), samples, crm=self._kind.title), **self._numbers()}

    def _numbers(self) -> dict[str, Any]:
        report = self._load.report
        return load_metadata(
            report,
            self._spent.calls,
            floor=fewest_calls(self._crm, self._kind.usual(self._record.record_type), report.sent),
            limits=self._crm.limits(),
        )

    def finished(self) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        """The results of a load that did all it can; in a range, the last hour alone carries what is large.

        Where records were named, the hours are not materialized by them: an observation tells what became of these.
        """
        *earlier, last = self._context.partition_keys
        counts = {ROW_COUNT: sum(each.records for each in self.standing)} | self._numbers()
        # The UI keeps this order: what a person wants to know first stands first.
        told = self._opening() | counts | self._closing()
        if named_ids(self._context) is not None:
            self._context.log_event(dg.AssetObservation(self._context.asset_key, partition=last, description=NAMED, metadata=told))
            yield from self._checks(finished=False)
            return
        for hour in earlier:
            self._context.add_asset_metadata(counts, partition_key=hour)
        self._context.add_asset_metadata(told, partition_key=last)
        yield dg.MaterializeResult(check_results=self._checks(finished=True))

    @cached_property
    def standing(self) -> list[Standing]:
        """How all records stand once the load is over."""
        with STORE.transaction() as connection:
            return standings(connection, self._spec.name, direction="to_crm", crm=self._kind.name, record_type=self._record.record_type)

    def failing(self) -> None:
        """Log the checks and, of a range, the hours in which no record is open."""
        checks.log_checks(self._context, self._checks(finished=False))
        hours = self._context.partition_keys
        if len(hours) > 1 and named_ids(self._context) is None:
            still_open = self._open_hours()
            for hour in hours:
                if hour not in still_open:
                    self._context.log_event(dg.AssetMaterialization(self._context.asset_key, partition=hour, description=DONE))

    def _open_hours(self) -> set[str]:
        with STORE.transaction() as connection:
            found = open_rows(connection, self._state, window=self.window)
        # The overlap reaches into the hour before, which the run's first one answers for.
        first = self._context.partition_keys[0]
        return {max(first, partition_of(hour, self._spec.start)) for hour in found["hour"].tolist()}

    def _opening(self) -> dict[str, Any]:
        """The errors and the standing of all records, beside the run's."""
        report = self._load.report
        with STORE.transaction() as connection:
            samples = self._samples(connection)
        errors = errors_metadata(report.errors, self.standing, samples, crm=self._kind.title)
        return errors | {RECORDS: dg.MetadataValue.md(records_table(self.standing, run=report))}

    def _closing(self) -> dict[str, Any]:
        with STORE.transaction() as connection:
            recent = ledger.recent_outcomes(connection, self._state, hours=HOURS)
        return {
            "recent_outcomes": dg.MetadataValue.md(recent_plot(recent, now=datetime.now(UTC))),
            COLUMN_LINEAGE: column_lineage(self._normalized, crm_sources(self._record, crm=self._kind.name)),
        }

    def _samples(self, connection: Connection) -> dict[str, list[str]]:
        """By error some records, the run's before others, as links to QBench and, where they have a link, to the CRM."""
        found = sample_ids(connection, self._state, self.standing, direction="to_crm", of_the_run=self._load.report.samples)
        links = self._state.links(connection, ids=[qbench_id for ids in found.values() for qbench_id in ids])
        org_id = stored_organization(connection, self._spec.name, self._kind.name)
        pages = {
            row.qbench_id: self._crm.record_url(crm_object, row.crm_id, org_id=org_id)
            for crm_object, rows in objects_of(self._state, links["object"])
            for row in links[rows].itertuples()
            if org_id is not None
        }
        page_in_qbench = partial(self._spec.qbench.record_url, self._record.record_type)
        return {error: [record_link(one, page_in_qbench(one), pages.get(one)) for one in ids] for error, ids in found.items()}

    def _checks(self, *, finished: bool) -> list[dg.AssetCheckResult]:
        with STORE.transaction() as connection:
            to_be_tried = ledger.open_records(connection, self._state)
            overlap = self._spec.qbench.overlap_seconds
            still_open = open_rows(connection, self._state, overlap_seconds=overlap)
            faults = ledger.link_faults(connection, self._state)
        return [
            checks.no_failed_records(settled_errors(self.standing)),
            checks.no_open_records(to_be_tried),
            checks.counts_add_up(self._load.report, finished=finished, open_rows=self._counted(still_open, finished=finished)),
            checks.links_consistent(faults),
        ]

    def _counted(self, still_open: pd.DataFrame, *, finished: bool) -> pd.DataFrame:
        """The open rows (OPEN_ROWS) by partition, and whether that counts as done (checks.OPEN_BY_PARTITION)."""
        keys, later_keys = (still_open[hour].map(lambda hour: partition_of(hour, self._spec.start)) for hour in ("hour", "later_hour"))
        done = self._done({*keys, *later_keys}, finished=finished)
        # A row that was staged late is covered by the overlap of the next hour: until that is done, it is open.
        is_done = keys.isin(done) & later_keys.isin(done)
        by_partition = still_open.assign(partition=keys, done=is_done).groupby("partition", as_index=False)
        return checks.OPEN_BY_PARTITION.build(by_partition.agg({"done": "all", "undecided": "sum", "renewed": "sum", "retryable": "sum"}))

    def _done(self, hours: set[str], *, finished: bool) -> set[str]:
        """Which of these hours count as done: this run's if it finished, of the others those that are materialized."""
        own = set(self._context.partition_keys)
        partitions = hourly_partitions(self._spec.start)
        others = sorted(hour for hour in hours - own if hour <= (partitions.get_last_partition_key() or ""))
        states = hour_states(self._context.instance, self._context.asset_key, others, partitions) if others else HourStates()
        return {*states.materialized, *(hours & own if finished else ())}
