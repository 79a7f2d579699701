"""``crm-pipeline resync``: sends staged records again on purpose, through the same load as a run (docs/rules.md, 10 and 12)."""

from __future__ import annotations

import uuid

import click

from crm_pipeline.commands.loads import load_by_hand
from crm_pipeline.commands.options import (
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
from crm_pipeline.configuration.problems import did_you_mean
from crm_pipeline.errors import ConfigurationError, record_errors
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
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


@click.command()
@integration_option(required=True)
@crm_option(required=False)
@record_type_option(required=False)
@click.option("--error", "error_type", metavar="TYPE", help="The records whose last outcome names this error, as docs/errors.md calls it.")
@click.option("--from", "source", metavar="CRM", help="With --error: what comes back from this CRM, looked at again by the next run.")
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
    error_type: str | None,
    source: str | None,
    force: bool,
    create_only: str | None,
    ids: tuple[int, ...] | None,
    everything: bool,
    module: str,
) -> None:
    """Send staged records again, although they did not change in QBench."""
    spec = only_integration(module, integration)
    record_types = [RecordType(record_type)] if record_type else list(spec.records)
    if error_type is not None:
        if force or create_only is not None or everything or ids is not None:
            raise ConfigurationError("--error says which records and what is done: give no --force, --create-only, --ids or --all with it")
        _require_known(error_type)
        if source is not None:
            _look_again(spec, source, record_types, error_type=error_type, crm=crm)
        else:
            _send_refused(spec, crm_names(spec, crm), record_types, error_type=error_type)
        return
    if source is not None:
        raise ConfigurationError("--from needs --error")
    if force == (create_only is not None):
        raise ConfigurationError("give either --force or --create-only, or --error")
    if everything == (ids is not None):
        raise ConfigurationError("give either --ids or --all")
    if record_type is None and not (force and everything):
        raise ConfigurationError("--ids and --create-only need --record-type")
    resend = Resend(tuple(name.strip() for name in create_only.split(",")) if create_only else ())
    with opened_store() as store:
        for order in _orders(spec, crm_names(spec, crm), record_types, resend=resend):
            load_by_hand(spec, order, EVERYTHING if ids is None else Named(ids), store=store)


def _orders(spec: IntegrationSpec, crms: list[str], record_types: list[RecordType], *, resend: Resend | None = None) -> list[LoadOrder]:
    run_id = f"resync-{uuid.uuid4()}"
    return [order_of(spec, name, each, run_id=run_id, resend=resend) for name in crms for each in record_types]


def _require_known(error_type: str) -> None:
    known = list(record_errors())
    if error_type not in known:
        raise ConfigurationError(f"there is no record error {error_type}; {did_you_mean(error_type, known)}")


def _send_refused(spec: IntegrationSpec, crms: list[str], record_types: list[RecordType], *, error_type: str) -> None:
    """Send the records with this error as today's mapping makes them."""
    with opened_store() as store:
        for order in _orders(spec, crms, record_types):
            with store.transaction() as connection:
                ids = ids_with_error(connection, order.state, error_type)
            if not ids:
                click.echo(f"{spec.name} → {order.crm} {order.record.record_type}s: no record has {error_type}")
                continue
            normalize_named(store, spec.name, order.record, ids=ids, reading=spec.reading)
            load_by_hand(spec, order, Named(tuple(ids)), store=store)


def _look_again(spec: IntegrationSpec, source: str, record_types: list[RecordType], *, error_type: str, crm: str | None) -> None:
    """Have the next run that brings changes home look at the CRM's records with this error."""
    if crm is not None:
        raise ConfigurationError("--crm says where records go, --from where they come from: give one of them")
    [name] = crm_names(spec, source)
    with opened_store() as store:
        for record_type in record_types:
            count = _pended(store, CrmState(spec.name, name, record_type), error_type=error_type)
            what = f"{count:,} are looked at by the next run" if count else f"no record has {error_type}"
            click.echo(f"{spec.name} ← {name} {record_type}s: {what}")


def _pended(store: Store, state: CrmState, *, error_type: str) -> int:
    with store.transaction() as connection:
        return pend(connection, state, crm_ids=crm_ids_with_error(connection, state, error_type))
