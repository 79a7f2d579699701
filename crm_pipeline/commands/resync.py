"""``crm-pipeline resync``: sends staged records again on purpose, through the same load as a run (docs/rules.md, 10 and 12)."""

from __future__ import annotations

import uuid

import click

from crm_pipeline.commands.options import (
    connected,
    crm_names,
    crm_option,
    integration_option,
    module_option,
    only_integration,
    opened_store,
    order_of,
    qbench_ids,
    record_type_option,
)
from crm_pipeline.errors import ConfigurationError
from crm_pipeline.model import RecordType
from crm_pipeline.store.staging import EVERYTHING
from crm_pipeline.sync.loading.load import Load
from crm_pipeline.sync.planning.selection import Named
from crm_pipeline.sync.resending import Resend


@click.command()
@integration_option(required=True)
@crm_option(required=False)
@record_type_option(required=False)
@click.option("--force", is_flag=True, help="Send every editable field again, over edits made in the CRM.")
@click.option("--create-only", metavar="FIELDS", help="Send these create-only fields to linked records, as address,phone_number.")
@click.option("--ids", type=qbench_ids, help="Only these QBench ids, as 12,13; needs --record-type.")
@click.option("--all", "everything", is_flag=True, help="All staged records.")
@module_option
def resync(
    *,
    integration: str,
    crm: str | None,
    record_type: str | None,
    force: bool,
    create_only: str | None,
    ids: tuple[int, ...] | None,
    everything: bool,
    module: str,
) -> None:
    """Send staged records again, although they did not change in QBench."""
    if force == (create_only is not None):
        raise ConfigurationError("give either --force or --create-only")
    if everything == (ids is not None):
        raise ConfigurationError("give either --ids or --all")
    if record_type is None and not (force and everything):
        raise ConfigurationError("--ids and --create-only need --record-type")
    spec = only_integration(module, integration)
    resend = Resend(tuple(name.strip() for name in create_only.split(",")) if create_only else ())
    run_id = f"resync-{uuid.uuid4()}"
    for name in crm_names(spec, crm):
        for each in [RecordType(record_type)] if record_type else spec.records:
            order = order_of(spec, name, each, run_id=run_id, resend=resend)
            with opened_store() as store, connected(spec, name) as client:
                load = Load(order, store=store, crm=client)
                nothing = "nothing was done"
                try:
                    load.run(EVERYTHING if ids is None else Named(ids))
                    nothing = "no such records"
                finally:
                    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(load.report.outcomes.items()))
                    click.echo(f"{spec.name} → {name} {each}s: {counts or nothing}")
