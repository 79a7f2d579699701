"""Where Dagster keeps its runs and events: the database of the pipeline's own state, or a sentence that says why there is none."""

from __future__ import annotations

import os
from typing import Any, Self

import click
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

from crm_pipeline.errors import StoreError
from crm_pipeline.store.database import require_server

ATTEMPTS = 5
WAIT_SECONDS = 0.2
"""Dagster's own patience with a database that is just starting (dagster_postgres.utils)."""


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
        return storage
