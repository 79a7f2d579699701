"""Alembic's way in: runs the migrations on the connection that the store hands over."""

from alembic import context

from crm_pipeline.store.tables import SCHEMA, metadata


def _only_ours(name: str | None, kind: str, _parents: object) -> bool:
    # Dagster keeps its tables, and an alembic_version of its own, in the same database.
    return name == SCHEMA if kind == "schema" else True


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_schemas=True,
    include_name=_only_ours,
    version_table_schema=SCHEMA,
)

with context.begin_transaction():
    context.run_migrations()
