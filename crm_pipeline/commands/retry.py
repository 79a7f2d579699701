"""``crm-pipeline retry``: records with an error are tried again now, in both directions, and nothing else (docs/rules.md, 40)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import click

from crm_pipeline.commands.integrations import chosen
from crm_pipeline.commands.loads import load_by_hand, loaded, require_none_missing, tell_looked_at, unknown_records, which
from crm_pipeline.commands.options import (
    crm_names,
    crm_option,
    error_type_option,
    integration_option,
    module_option,
    opened_store,
    order_of,
    qbench_ids,
    record_type_option,
)
from crm_pipeline.commands.output import Tell, examples, json_option, telling
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.store.crm_records import pend
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.error_records import crm_ids_with_error
from crm_pipeline.sync.again import normalized_with_error
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.planning.selection import Named


@click.command(
    epilog=examples(
        "crm-pipeline retry --integration acme --crm hubspot --type InvalidOptionException",
        "crm-pipeline retry --integration acme --record-type contact --ids 12,13",
    )
)
@integration_option(required=False)
@crm_option(required=False)
@record_type_option(required=False)
@error_type_option
@click.option("--ids", type=qbench_ids, help="Of these QBench ids, as 12,13, those that have an error; needs --record-type.")
@click.option("--all", "everything", is_flag=True, help="All that failed or wait; what is left out on purpose stays so.")
@json_option
@module_option
def retry(
    *,
    integration: str | None,
    crm: str | None,
    record_type: str | None,
    error_type: str | None,
    ids: tuple[int, ...] | None,
    everything: bool,
    as_json: bool,
    module: str,
) -> None:
    """Try records with an error again now, as today's mapping makes them, and nothing else.

    To the CRMs they are sent at once; changes of a CRM's are looked at by the next run that brings them home.
    """
    if [error_type is not None, ids is not None, everything].count(True) != 1:
        raise click.UsageError("give one of --type, --ids and --all")
    if ids is not None and record_type is None:
        raise click.UsageError("--ids needs --record-type: customers and contacts have ids of their own")
    wanted = RecordType(record_type) if record_type else None
    run_id = f"retry-{uuid.uuid4()}"
    missing = 0
    with opened_store() as store, telling(as_json=as_json) as tell:
        specs = chosen(module, integration)
        for spec in specs:
            for name in crm_names(spec, crm, taking=wanted):
                for each in [wanted] if wanted else list(spec.records_in(name)):
                    order = order_of(spec, name, each, run_id=run_id)
                    missing += _again(spec, order, store=store, error_type=error_type, ids=ids, tell=tell)
                for each in spec.returning.get(name, {}):
                    if wanted in {None, each}:
                        _home(CrmState(spec.name, name, each), store=store, error_type=error_type, ids=ids, tell=tell)
        unknown = unknown_records(specs, wanted, ids, store=store)
    require_none_missing(missing, unknown)


def _again(spec: IntegrationSpec, order: LoadOrder, *, store: Store, error_type: str | None, ids: Sequence[int] | None, tell: Tell) -> int:
    """Send the records with this error, or those of these ids that have one. The number that failed again."""
    found = normalized_with_error(order, store=store, error_type=error_type, ids=ids)
    if not found:
        tell(f"{which(order)}: {_none(error_type)}", loaded(order, {}))
        return 0
    return load_by_hand(spec, order, Named(found), store=store, tell=tell)


def _home(state: CrmState, *, store: Store, error_type: str | None, ids: Sequence[int] | None, tell: Tell) -> None:
    """Have the next run that brings changes home look at those with this error, or of these records, again."""
    with store.transaction() as connection:
        crm_ids = crm_ids_with_error(connection, state, error_type=error_type, ids=ids)
        pend(connection, state, crm_ids=crm_ids)
    nothing = f"{state.integration} ← {state.crm} {state.record_type}s: {_none(error_type)}"
    tell_looked_at(state, len(crm_ids), tell=tell, said=None if crm_ids else nothing)


def _none(error_type: str | None) -> str:
    return f"no record has {error_type}" if error_type else "none of these records has an error"
