"""``crm-pipeline db``: looks after the state database."""

from __future__ import annotations

import click

from crm_pipeline.commands.output import answer, examples, json_option


@click.group()
def db() -> None:
    """Look after the state database that CRM_PIPELINE_DATABASE_URL names."""


@db.command(epilog=examples("crm-pipeline db upgrade"))
@json_option
def upgrade(*, as_json: bool) -> None:
    """Create the tables, or bring them to this version."""
    from crm_pipeline.store.database import Store

    Store().migrate()
    answer("The state database is up to date.", {"up_to_date": True}, as_json=as_json)
