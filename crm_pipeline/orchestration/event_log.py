"""Thins Dagster's event log: of runs that succeeded long ago, all goes that no asset, check, partition or run is shown by.

Dagster tells which hours are green, and which a run has still to make, by the events of assets; a run's times by its own events. These
stay. What goes are log lines and the events of steps and of checks, which only the run's own page shows: a check's verdicts are told by
a table of their own.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.events import ASSET_EVENTS, PIPELINE_EVENTS
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as Events
from dagster._core.storage.runs.schema import RunsTable as Runs
from sqlalchemy import Select, delete, or_, select

from crm_pipeline.orchestration.names import run_jobs

KEPT = sorted(kind.value for kind in ASSET_EVENTS | PIPELINE_EVENTS)
RUNS_AT_ONCE = 200
"""So many runs' events go in one transaction: some ten thousand."""


def thin(instance: dg.DagsterInstance, integration: str, *, older_than: timedelta) -> int | None:
    """Remove the events of an integration's successful runs that ended before; how many. None: they are not in PostgreSQL.

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
    kind = Events.c.dagster_event_type
    removed = 0
    with runs.connect() as connection:
        ended = connection.execute(_ended(integration, since, until)).scalars().all()
    for start in range(0, len(ended), RUNS_AT_ONCE):
        of_these = Events.c.run_id.in_(ended[start : start + RUNS_AT_ONCE])
        with events.index_connection() as connection:
            removed += connection.execute(delete(Events).where(of_these, or_(kind.is_(None), kind.not_in(KEPT)))).rowcount
    runs.set_cursor_values({mark: max(since, until).isoformat()})
    return removed


def _ended(integration: str, since: datetime, until: datetime) -> Select[tuple[str]]:
    """The runs that succeeded between; Dagster's times have no zone, and are UTC."""
    first, last = (moment.replace(tzinfo=None) for moment in (since, until))
    status, at = Runs.c.status, Runs.c.update_timestamp
    return (
        select(Runs.c.run_id)
        .where(Runs.c.pipeline_name.in_(run_jobs(integration)), status == dg.DagsterRunStatus.SUCCESS.value, at >= first, at < last)
        .order_by(at)
    )
