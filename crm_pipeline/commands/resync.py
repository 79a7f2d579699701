"""``crm-pipeline resync``: sends staged records again on purpose, through the same load as a run (docs/rules.md, 10 and 12)."""

from __future__ import annotations

import uuid

import click

from crm_pipeline.commands.loads import load_by_hand, loaded, require_none_failed, which
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
from crm_pipeline.configuration.problems import did_you_mean
from crm_pipeline.counting import counted
from crm_pipeline.errors import ConfigurationError, record_errors
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.store.bases import unsettle
from crm_pipeline.store.change_outcomes import crm_ids_with_error
from crm_pipeline.store.crm_records import pend
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.ledger import ids_with_error
from crm_pipeline.store.staging import EVERYTHING
from crm_pipeline.sync.extracting.normalizing import normalize_named
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.planning.selection import Named
from crm_pipeline.sync.resending import Resend


@click.command(
    epilog=examples(
        "crm-pipeline resync --integration acme --error InvalidValueException",
        "crm-pipeline resync --integration acme --crm hubspot --record-type account --force --ids 12,13",
        "crm-pipeline resync --integration acme --record-type account --create-only address --all",
    )
)
@integration_option(required=True)
@crm_option(required=False)
@record_type_option(required=False)
@click.option("--error", "error_type", metavar="TYPE", help="The records whose last outcome names this error, as docs/errors.md calls it.")
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
    error_type: str | None,
    ids: tuple[int, ...] | None,
    everything: bool,
    force: bool,
    create_only: str | None,
    source: str | None,
    as_json: bool,
    module: str,
) -> None:
    """Send staged records again, although they did not change in QBench; or take again what a CRM shows."""
    if [error_type is not None, ids is not None, everything].count(True) != 1:
        raise ConfigurationError("give one of --error, --ids and --all")
    if record_type is None and (ids is not None or create_only is not None):
        raise ConfigurationError("--ids and --create-only need --record-type")
    if error_type is not None:
        _require_known(error_type)
    spec = only_integration(module, integration)
    wanted = RecordType(record_type) if record_type else None
    if source is not None:
        if crm is not None or force or create_only is not None:
            raise ConfigurationError("--from says which CRM and what is done: give no --crm, --force or --create-only with it")
        [name] = crm_names(spec, source)
        with opened_store() as store, telling(as_json=as_json) as tell:
            for each in [wanted] if wanted else list(spec.read):
                _take(spec, CrmState(spec.name, name, each), store=store, error_type=error_type, ids=ids, tell=tell)
        return
    if (force and create_only is not None) or (error_type is None and not force and create_only is None):
        raise ConfigurationError("give either --force or --create-only")
    resend = Resend(tuple(name.strip() for name in create_only.split(","))) if create_only else Resend() if force else None
    run_id = f"resync-{uuid.uuid4()}"
    failed = 0
    with opened_store() as store, telling(as_json=as_json) as tell:
        for name in crm_names(spec, crm, taking=wanted):
            for each in [wanted] if wanted else list(spec.records_in(name)):
                order = order_of(spec, name, each, run_id=run_id, resend=resend)
                failed += _send(spec, order, store=store, error_type=error_type, ids=ids, tell=tell)
    require_none_failed(failed)


def _require_known(error_type: str) -> None:
    known = list(record_errors())
    if error_type not in known:
        raise ConfigurationError(f"there is no record error {error_type}; {did_you_mean(error_type, known)}")


def _send(spec: IntegrationSpec, order: LoadOrder, *, store: Store, error_type: str | None, ids: tuple[int, ...] | None, tell: Tell) -> int:
    """Send these records, those with an error as today's mapping makes them. The number that failed."""
    if error_type is not None:
        with store.transaction() as connection:
            ids = tuple(ids_with_error(connection, order.state, error_type))
        if not ids:
            tell(f"{which(order)}: no record has {error_type}", loaded(order, {}))
            return 0
        normalize_named(store, spec.name, order.record, ids=ids, reading=spec.reading)
    return load_by_hand(spec, order, EVERYTHING if ids is None else Named(ids), store=store, tell=tell)


def _take(spec: IntegrationSpec, state: CrmState, *, store: Store, error_type: str | None, ids: tuple[int, ...] | None, tell: Tell) -> None:
    """Have the next run that brings changes home look at these records again; those without an error as if people had edited them."""
    told = {"integration": spec.name, "from": state.crm, "record_type": str(state.record_type)}
    if state.record_type not in spec.returning.get(state.crm, {}):
        tell(nothing_back(spec, state.crm, state.record_type), {**told, "looked_at": 0})
        return
    with store.transaction() as connection:
        crm_ids, objects = (
            (crm_ids_with_error(connection, state, error_type), None) if error_type is not None else unsettle(connection, state, ids=ids)
        )
        pend(connection, state, crm_ids=crm_ids, objects=objects)
    looked_at = counted(len(crm_ids), "record is", "records are", form=",")
    tell(f"{spec.name} ← {state.crm} {state.record_type}s: {looked_at} looked at by the next run", {**told, "looked_at": len(crm_ids)})
