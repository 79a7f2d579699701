"""``crm-pipeline send``: named records go to the CRMs now, as QBench has them at this moment; nothing comes back by it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import click

from crm_pipeline.commands.loads import load_by_hand, require_none_missing
from crm_pipeline.commands.options import (
    connected_qbench,
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
from crm_pipeline.commands.output import examples, json_option, telling
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import MODELS, RecordType
from crm_pipeline.sync.extracting.named import NamedRead, read_named
from crm_pipeline.sync.extracting.normalizing import normalize_named
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.planning.selection import Named


@click.command(epilog=examples("crm-pipeline send --integration acme --record-type contact --ids 12,13"))
@integration_option(required=True)
@crm_option(required=False)
@record_type_option(required=True)
@click.option("--ids", type=qbench_ids, required=True, help="QBench ids of the records, as 12,13.")
@json_option
@module_option
def send(*, integration: str, crm: str | None, record_type: str, ids: tuple[int, ...], as_json: bool, module: str) -> None:
    """Read named records from QBench and send them to the CRMs now, without waiting for the hour.

    Only what changed is sent. A contact needs its customer in the CRM: send that first. A contact goes as a lead where the YAML says so.
    """
    spec = only_integration(module, integration)
    run_id = f"send-{uuid.uuid4()}"
    wanted = RecordType(record_type)
    orders = [order for name in crm_names(spec, crm, taking=wanted) for order in _orders(spec, name, wanted, run_id=run_id)]
    with opened_store() as store, telling(as_json=as_json) as tell:
        with connected_qbench(spec, store=store) as source:
            record = spec.read[MODELS[wanted].source]
            found = read_named(spec.name, record, ids=ids, store=store, source=source, values=spec.reading, back=spec.coming_back)
        for made in (made for made in spec.records.values() if MODELS[made.record_type].made_of is record.record_type):
            normalize_named(store, spec.name, made, ids=found.read, reading=spec.reading)
        unsent = sum(load_by_hand(spec, order, Named(found.read), store=store, tell=tell) for order in orders)
    require_none_missing(unsent, _missing(record_type, found))


def _orders(spec: IntegrationSpec, crm: str, record_type: RecordType, *, run_id: str) -> Iterator[LoadOrder]:
    """The orders for named records: of a contact also that for the lead which it may be instead."""
    source = MODELS[record_type].source
    yield order_of(spec, crm, source, run_id=run_id)
    for made in spec.records_in(crm):
        if MODELS[made].made_of is source:
            yield order_of(spec, crm, made, run_id=run_id)


def _missing(record_type: str, found: NamedRead) -> list[str]:
    told = {"QBench does not have": found.gone, "QBench fails to show": found.failed}
    return [f"{what} {record_type} {', '.join(map(str, ids))}" for what, ids in told.items() if ids]
