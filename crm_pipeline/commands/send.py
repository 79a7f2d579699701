"""``crm-pipeline send``: named records go to the CRMs now, as QBench has them at this moment; nothing comes back by it."""

from __future__ import annotations

import uuid
from contextlib import closing

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
from crm_pipeline.model import RecordType
from crm_pipeline.qbench.source import QBench
from crm_pipeline.sync.extracting.named import NamedRead, read_named
from crm_pipeline.sync.planning.selection import Named


@click.command()
@integration_option(required=True)
@crm_option(required=False)
@record_type_option(required=True)
@click.option("--ids", type=qbench_ids, required=True, help="QBench ids of the records, as 12,13.")
@module_option
def send(*, integration: str, crm: str | None, record_type: str, ids: tuple[int, ...], module: str) -> None:
    """Read named records from QBench and send them to the CRMs now, without waiting for the hour.

    Only what changed is sent. A contact needs its customer in the CRM: send that first.
    """
    spec = only_integration(module, integration)
    run_id = f"send-{uuid.uuid4()}"
    orders = [order_of(spec, name, RecordType(record_type), run_id=run_id) for name in crm_names(spec, crm)]
    with opened_store() as store:
        with closing(QBench(spec.qbench, integration=spec.name)) as source:
            record = spec.records[RecordType(record_type)]
            found = read_named(spec.name, record, ids=ids, store=store, source=source, values=spec.reading, back=spec.coming_back)
        for order in orders:
            load_by_hand(spec, order, Named(found.read), store=store)
    missing = _missing(record_type, found)
    if missing:
        raise click.ClickException("; ".join(missing))


def _missing(record_type: str, found: NamedRead) -> list[str]:
    told = {"QBench does not have": found.gone, "QBench fails to show": found.failed}
    return [f"{what} {record_type} {', '.join(map(str, ids))}" for what, ids in told.items() if ids]
