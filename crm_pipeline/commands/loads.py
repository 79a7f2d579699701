"""Loads that a person starts: of one record type into one CRM, told in a line."""

from __future__ import annotations

from dataclasses import replace

import click

from crm_pipeline.commands.options import connected
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.store.database import Store
from crm_pipeline.sync.loading.load import Load
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.planning.selection import Selection


def load_by_hand(spec: IntegrationSpec, order: LoadOrder, selection: Selection, *, store: Store) -> None:
    """Load these records, those too that the CRM refused for good before, and say what became of them, also where it breaks off.

    Nothing goes to a CRM to which the YAML lets nothing be sent.
    """
    which = f"{spec.name} → {order.crm} {order.record.record_type}s"
    if not order.settings.send:
        click.echo(f"{which}: nothing is sent while `send: false` stands in the YAML")
        return
    with connected(spec, order.crm) as client:
        load = Load(replace(order, refused="again"), store=store, crm=client)
        nothing = "nothing was done"
        try:
            load.run(selection)
            nothing = "no such records"
        finally:
            counts = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(load.report.outcomes.items()))
            click.echo(f"{which}: {counts or nothing}")
