"""Where Dagster keeps its runs and events: the database of the pipeline's own state, or a sentence that says that none is named."""

from __future__ import annotations

import os
from typing import Any, Self

import click
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage


class DatabaseVariableError(click.ClickException):
    """The environment names no database. Dagster's commands show it as one line, where Dagster's own error is a stack trace."""


class PostgresStorage(DagsterPostgresStorage):
    """Dagster's PostgreSQL storage, by the name of the variable that holds the database's URL."""

    @classmethod
    def config_type(cls) -> Any:
        """What dagster.yaml says of it."""
        return {"url_variable": str}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        """Open it, its events over a connection that is kept. Raises DatabaseVariableError where the variable is unset or blank."""
        variable = config_value["url_variable"]
        url = os.environ.get(variable, "").strip()
        if not url:
            raise DatabaseVariableError(
                f"{variable} is not set; name a PostgreSQL database in it, as in postgresql://user:password@host:5432/crm_pipeline, "
                "or use `crm-pipeline dev`, which brings one"
            )
        storage = cls(inst_data=inst_data, postgres_url=url)
        # Else each event opens connections of its own, which takes most of the time that a run over many hours needs to begin.
        storage.event_log_storage.optimize_for_webserver(statement_timeout=0, pool_recycle=60, max_overflow=20)
        return storage
