"""``crm-pipeline resync``: sends staged records again that have no error, through the same load as a run (docs/rules.md, 10 and 12)."""

from __future__ import annotations

import uuid

import click

from crm_pipeline.commands.loads import load_by_hand, require_none_missing, tell_looked_at, unknown_records
from crm_pipeline.commands.options import (
    crm_names,
    crm_option,
    integration_option,
    module_option,
    nothing_back,
    only_integration,
    opened_store,
    order_of,
    qbench_ids,
    record_type_option,
)
from crm_pipeline.commands.output import Tell, examples, json_option, telling
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.store.bases import unsettle
from crm_pipeline.store.crm_records import pend
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.staging import EVERYTHING
from crm_pipeline.sync.planning.selection import Named
from crm_pipeline.sync.resending import Resend


@click.command(
    epilog=examples(
        "crm-pipeline resync --integration acme --crm hubspot --record-type account --force --ids 12,13",
        "crm-pipeline resync --integration acme --record-type account --create-only address --all",
    )
)
@integration_option(required=True)
@crm_option(required=False)
@record_type_option(required=False)
@click.option("--ids", type=qbench_ids, help="Only these QBench ids, as 12,13; needs --record-type.")
@click.option("--all", "everything", is_flag=True, help="All staged records.")
@click.option("--force", is_flag=True, help="Send every editable field again, over edits made in the CRM.")
@click.option("--create-only", metavar="FIELDS", help="Send these create-only fields to linked records, as address,phone_number.")
@click.option("--from", "source", metavar="CRM", help="The other way: the next run takes what this CRM shows, in fields that come back.")
@json_option
@module_option
def resync(
    *,
    integration: str,
    crm: str | None,
    record_type: str | None,
    ids: tuple[int, ...] | None,
    everything: bool,
    force: bool,
    create_only: str | None,
    source: str | None,
    as_json: bool,
    module: str,
) -> None:
    """Send staged records again, although they did not change in QBench; or take again what a CRM shows.

    Records with an error are sent again by `crm-pipeline retry`.
    """
    if (ids is None) is not everything:
        raise click.UsageError("give either --ids or --all")
    if record_type is None and (ids is not None or create_only is not None):
        raise click.UsageError("--ids and --create-only need --record-type")
    spec = only_integration(module, integration)
    wanted = RecordType(record_type) if record_type else None
    if source is not None:
        if crm is not None or force or create_only is not None:
            raise click.UsageError("--from says which CRM and what is done: give no --crm, --force or --create-only with it")
        [name] = crm_names(spec, source)
        with opened_store() as store, telling(as_json=as_json) as tell:
            for each in [wanted] if wanted else list(spec.read):
                _take(spec, CrmState(spec.name, name, each), store=store, ids=ids, tell=tell)
            unknown = unknown_records([spec], wanted, ids, store=store)
        require_none_missing(0, unknown)
        return
    if force is (create_only is not None):
        raise click.UsageError("give either --force or --create-only")
    resend = Resend(tuple(name.strip() for name in create_only.split(","))) if create_only else Resend()
    run_id = f"resync-{uuid.uuid4()}"
    missing = 0
    with opened_store() as store, telling(as_json=as_json) as tell:
        for name in crm_names(spec, crm, taking=wanted):
            for each in [wanted] if wanted else list(spec.records_in(name)):
                order = order_of(spec, name, each, run_id=run_id, resend=resend)
                missing += load_by_hand(spec, order, EVERYTHING if ids is None else Named(ids), store=store, tell=tell)
        unknown = unknown_records([spec], wanted, ids, store=store)
    require_none_missing(missing, unknown)


def _take(spec: IntegrationSpec, state: CrmState, *, store: Store, ids: tuple[int, ...] | None, tell: Tell) -> None:
    """Have the next run that brings changes home look at these records again, as if people had edited them."""
    if state.record_type not in spec.returning.get(state.crm, {}):
        tell_looked_at(state, 0, tell=tell, said=nothing_back(spec, state.crm, state.record_type))
        return
    with store.transaction() as connection:
        crm_ids, objects = unsettle(connection, state, ids=ids)
        pend(connection, state, crm_ids=crm_ids, objects=objects)
    tell_looked_at(state, len(crm_ids), tell=tell)
