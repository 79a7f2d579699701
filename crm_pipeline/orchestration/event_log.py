"""Thins Dagster's event log: of runs that succeeded long ago, all goes that no asset, check, partition or run is shown by.

Dagster tells which hours are green, and which a run has still to make, by the events of assets; a run's times by its own events. These
stay. What goes are log lines and the events of steps and of checks, which only the run's own page shows. A check's verdicts are told by
a table of their own: the latest of each kind stays, by which the check and its asset are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import dagster as dg
from dagster._core.events import ASSET_EVENTS, PIPELINE_EVENTS
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable as Checks
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as Events
from dagster._core.storage.runs.schema import RunsTable as Runs
from sqlalchemy import Delete, Select, and_, delete, or_, select

from crm_pipeline.orchestration.names import run_jobs

KEPT = sorted(kind.value for kind in ASSET_EVENTS | PIPELINE_EVENTS)
RUNS_AT_ONCE = 200
"""So many runs' events go in one transaction: some ten thousand."""


class Thinned(NamedTuple):
    """How many were removed. ``checks``: verdicts of checks."""

    events: int
    checks: int


def thin(instance: dg.DagsterInstance, integration: str, *, older_than: timedelta) -> Thinned | None:
    """Remove the events of an integration's successful runs that ended before, and what checks found. None: they are not in PostgreSQL.

    How far it got is kept beside Dagster's own cursors, so that no night looks again at what the nights before it left of their runs.
    """
    from dagster_postgres.event_log import PostgresEventLogStorage
    from dagster_postgres.run_storage import PostgresRunStorage

    events, runs = instance.event_log_storage, instance.run_storage
    if not isinstance(events, PostgresEventLogStorage) or not isinstance(runs, PostgresRunStorage):
        return None
    mark = f"crm_pipeline/{integration}/thinned_until"
    until = datetime.now(UTC) - older_than
    since = datetime.fromisoformat(runs.get_cursor_values({mark}).get(mark, datetime.min.replace(tzinfo=UTC).isoformat()))
    of_events = of_checks = 0
    with runs.connect() as connection:
        ended = connection.execute(_ended(integration, since, until)).scalars().all()
    for start in range(0, len(ended), RUNS_AT_ONCE):
        these = ended[start : start + RUNS_AT_ONCE]
        with events.index_connection() as connection:
            of_events += connection.execute(_events(these)).rowcount
            assets = connection.execute(_assets(these)).scalars().all()
            of_checks += connection.execute(_verdicts(these, assets)).rowcount
    runs.set_cursor_values({mark: max(since, until).isoformat()})
    return Thinned(of_events, of_checks)


def _events(runs: Sequence[str]) -> Delete:
    kind = Events.c.dagster_event_type
    return delete(Events).where(Events.c.run_id.in_(runs), or_(kind.is_(None), kind.not_in(KEPT)))


def _assets(runs: Sequence[str]) -> Select[tuple[str]]:
    """The assets that runs made; by them, their checks' verdicts are found by an index."""
    return select(Events.c.asset_key).distinct().where(Events.c.run_id.in_(runs), Events.c.asset_key.is_not(None))


def _verdicts(runs: Sequence[str], assets: Sequence[str]) -> Delete:
    """Those of the assets' checks but the latest that passed and that failed, of each hour where a check has hours.

    Where only its asset has hours, a run leaves a plan of the check for each of its hours beside the verdict: plans go.
    """
    later = Checks.alias()
    of_its_kind = and_(later.c.partition.is_not_distinct_from(Checks.c.partition), later.c.execution_status == Checks.c.execution_status)
    is_planned = Checks.c.execution_status == AssetCheckExecutionRecordStatus.PLANNED.value
    of_the_check = [later.c.asset_key == Checks.c.asset_key, later.c.check_name == Checks.c.check_name, later.c.id > Checks.c.id]
    # Offset: PostgreSQL is to look for one later row of each by the index, and would read all of the table to join it.
    followed = select(1).where(*of_the_check, or_(of_its_kind, is_planned)).offset(0).exists()
    return delete(Checks).where(Checks.c.asset_key.in_(assets), Checks.c.run_id.in_(runs), followed)


def _ended(integration: str, since: datetime, until: datetime) -> Select[tuple[str]]:
    """The runs that succeeded between; Dagster's times have no zone, and are UTC."""
    first, last = (moment.replace(tzinfo=None) for moment in (since, until))
    status, at = Runs.c.status, Runs.c.update_timestamp
    return (
        select(Runs.c.run_id)
        .where(Runs.c.pipeline_name.in_(run_jobs(integration)), status == dg.DagsterRunStatus.SUCCESS.value, at >= first, at < last)
        .order_by(at)
    )
