"""Thins Dagster's event log: of runs that succeeded long ago, all goes that no asset, check, partition or run is shown by.

Dagster tells which hours are green, and which a run has still to make, by the events of assets; a check's verdicts by those of checks;
a run's times by its own events. These stay. What goes are log lines and the events of steps, which only the run's own page shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS, PIPELINE_EVENTS
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as Events
from dagster._core.storage.runs.schema import RunsTable as Runs
from sqlalchemy import delete, or_, select

KEPT = sorted(kind.value for kind in ASSET_EVENTS | ASSET_CHECK_EVENTS | PIPELINE_EVENTS)
EVENTS_AT_ONCE = 20_000


def thin(instance: dg.DagsterInstance, jobs: Sequence[str], *, older_than: timedelta) -> int | None:
    """Remove the events of these jobs' successful runs that ended before; how many. None: they are not in PostgreSQL."""
    from dagster_postgres.event_log import PostgresEventLogStorage
    from dagster_postgres.run_storage import PostgresRunStorage

    storage = instance.event_log_storage
    if not isinstance(storage, PostgresEventLogStorage) or not isinstance(instance.run_storage, PostgresRunStorage):
        return None
    # Dagster's times have no zone, and are UTC.
    before = (datetime.now(UTC) - older_than).replace(tzinfo=None)
    runs = select(Runs.c.run_id).where(
        Runs.c.pipeline_name.in_(jobs), Runs.c.status == dg.DagsterRunStatus.SUCCESS.value, Runs.c.update_timestamp < before
    )
    kind = Events.c.dagster_event_type
    old = select(Events.c.id).where(Events.c.run_id.in_(runs), or_(kind.is_(None), kind.not_in(KEPT))).limit(EVENTS_AT_ONCE)
    removed = 0
    while True:
        with storage.index_connection() as connection:
            gone = connection.execute(delete(Events).where(Events.c.id.in_(old))).rowcount
        removed += gone
        if gone < EVENTS_AT_ONCE:
            return removed
