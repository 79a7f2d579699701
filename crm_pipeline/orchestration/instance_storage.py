"""Where Dagster keeps its runs and events: the database of the pipeline's own state, or a sentence that says why there is none."""

from __future__ import annotations

import functools
import gc
import os
import select
from collections.abc import Callable, Iterator
from typing import Any, Protocol, Self, cast

import click
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage, PostgresRunStorage, PostgresScheduleStorage
from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError

from crm_pipeline.errors import StoreError

ATTEMPTS = 5
WAIT_SECONDS = 0.2
"""Dagster's own patience with a database that is just starting (dagster_postgres.utils)."""

_WHAT_MIGRATIONS_MADE = (
    "has_table",
    "_has_asset_key_col_on_connection",
    "has_run_stats_index_cols",
    "has_bulk_actions_selector_cols",
    "has_backfill_id_column",
    "has_bulk_action_job_name_column",
    "has_backfill_tags_table",
    "_has_instigators_table",
    "has_secondary_index_table",
    "has_built_index",
)
"""Questions of Dagster's storages whether its migrations made a table, a column or an index yet: asked of PostgreSQL's catalog with each
event, each tick and each look at an asset (dagster._core.storage)."""


class Socket(Protocol):
    """What has a socket, as a connection of psycopg2."""

    def fileno(self) -> int:
        """Its number."""


class NoDatabaseError(click.ClickException):
    """The environment names no database, or one that lets nobody in.

    Dagster's commands show it as one line, where Dagster's own error is a stack trace.
    """


class PostgresStorage(DagsterPostgresStorage):
    """Dagster's PostgreSQL storage, by the name of the variable that holds the database's URL."""

    @classmethod
    def config_type(cls) -> Any:
        """What dagster.yaml says of it."""
        return {"url_variable": str}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        """Open it, with connections that are kept. Raises NoDatabaseError."""
        if not gc.get_freeze_count():
            # Dagster's own modules are there by now, and stay: else the collector walks all of them again while ours are imported. Once:
            # a code server opens an instance for each tick, and what is left of the one before, its connections too, is to be collected.
            gc.freeze()
        from crm_pipeline.store.database import require_server

        variable = config_value["url_variable"]
        url = os.environ.get(variable, "").strip()
        if not url:
            raise NoDatabaseError(
                f"{variable} is not set; name a PostgreSQL database in it, as in postgresql://user:password@host:5432/crm_pipeline, "
                "or use `crm-pipeline dev`, which brings one"
            )
        try:
            # Before Dagster tries: it would tell each of its attempts, and then show where in its code the last one failed.
            require_server(url, attempts=ATTEMPTS, wait_seconds=WAIT_SECONDS)
        except StoreError as error:
            raise NoDatabaseError(str(error)) from None
        storage = cls(inst_data=inst_data, postgres_url=url)
        # Else each event, and each of the ten looks and notes of a tick, opens a connection of its own.
        for kept in (storage.event_log_storage, storage.run_storage, storage.schedule_storage):
            kept.optimize_for_webserver(statement_timeout=0, pool_recycle=60, max_overflow=20)
        engines = list(storage._engines())
        for engine in engines:
            event.listen(engine, "checkout", _require_open)

        def close() -> None:
            for engine in engines:
                engine.dispose()

        # An instance that is over ends its storage of runs only: its connections would stay until the collector comes to it.
        storage.run_storage.dispose = close  # type: ignore[method-assign]
        for asked in (storage.event_log_storage, storage.run_storage, storage.schedule_storage):
            for question in _WHAT_MIGRATIONS_MADE:
                if hasattr(asked, question):
                    setattr(asked, question, _until_yes(getattr(asked, question)))
        return storage

    def _engines(self) -> Iterator[Engine]:
        events, runs, schedules = self.event_log_storage, self.run_storage, self.schedule_storage
        with (
            cast("PostgresEventLogStorage", events).index_connection() as of_events,
            cast("PostgresRunStorage", runs).connect() as of_runs,
            cast("PostgresScheduleStorage", schedules).connect() as of_schedules,
        ):
            yield from (of_events.engine, of_runs.engine, of_schedules.engine)


def _until_yes(ask: Callable[..., bool]) -> Callable[..., bool]:
    """The same question, not asked again once the answer was yes: nothing is taken away from the tables of a running Dagster."""
    made: set[tuple[str, ...]] = set()

    @functools.wraps(ask)
    def asked(*arguments: Any) -> bool:
        # The others are connections.
        names = tuple(argument for argument in arguments if isinstance(argument, str))
        if names not in made and ask(*arguments):
            made.add(names)
        return names in made

    return asked


def _require_open(connection: Socket, _record: object, _proxy: object) -> None:
    """Have another connection opened where the server closed this one meanwhile, as it does when it stops; else a call would fail.

    Nothing is asked of the server: between two calls there is nothing to be read from a connection but its end.
    """
    unread = select.poll()
    unread.register(connection, select.POLLIN)
    if unread.poll(0):
        raise DisconnectionError("PostgreSQL closed this connection")
