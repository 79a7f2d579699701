"""``crm-pipeline plan --from``: what a CRM's staged changes would write and make in QBench; nothing is written, and QBench is not asked."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table

from crm_pipeline.commands.integrations import chosen
from crm_pipeline.commands.options import connected, crm_names, nothing_back, opened_store, order_of, selected
from crm_pipeline.commands.output import echo_json
from crm_pipeline.counting import counted
from crm_pipeline.errors import ConfigurationError
from crm_pipeline.model import MODELS, RecordType
from crm_pipeline.store.staging import Window
from crm_pipeline.sync.order import fields_back
from crm_pipeline.sync.returning.preview import Homecoming, homecoming

MOST_SHOWN = 20
"""Ids of records that would be made or linked; ``--json`` has all."""


def plan_home(
    module: str,
    integration: str | None,
    source: str,
    *,
    record_type: str | None,
    partition: str | None,
    since: int | None,
    until: int | None,
    as_json: bool,
) -> None:
    """Show what this CRM's staged changes would write into QBench, record by record."""
    found: list[Homecoming] = []
    with opened_store() as store:
        for spec in chosen(module, integration):
            selection = selected(spec, partition=partition, since=since, until=until, ids=None)
            if not isinstance(selection, Window):
                raise ConfigurationError("--from takes --partition, or --since and --until")
            for name in crm_names(spec, source):
                with connected(spec, name, store=store) as crm:
                    for each in [RecordType(record_type)] if record_type else list(spec.read):
                        order = order_of(spec, name, each, run_id="plan")
                        if fields_back(order, crm, order.crm_object):
                            found.append(homecoming(order, selection, store=store, crm=crm, policy=spec.from_crms))
                        else:
                            click.echo(nothing_back(spec, name, each), err=True)
    if as_json:
        echo_json([each.as_json() for each in found])
    else:
        _show(found)


def _show(found: list[Homecoming]) -> None:
    console = Console(highlight=False)
    for each in found:
        records = MODELS[each.record_type].qbench_object
        one = records.removesuffix("s")
        console.print(
            f"\n[bold]{each.integration} ← {each.crm} {each.record_type}s[/]: {each.rows:,} staged, {each.unlinked:,} without a link"
        )
        changes = Table("QBench id", "CRM id", "new values in field", "values lost of", box=None, pad_edge=False)
        for patch in each.patches:
            changes.add_row(str(patch.qbench_id), patch.crm_id, ", ".join(patch.fields), ", ".join(patch.conflicts))
        if each.patches:
            console.print(changes)
        console.print(f"{counted(len(each.patches), one, form=',')} would change, of {each.limit:,} that one run may change or make.")
        if each.creates:
            console.print(f"{counted(len(each.creates), one, form=',')} would be made, of CRM ids {_some(each.creates)}.")
        if each.matches:
            pairs = [f"{crm_id} with {qbench_id}" for crm_id, qbench_id in each.matches.items()]
            console.print(f"{len(each.matches):,} would be linked to {records} that QBench has: {_some(pairs)}.")
        if each.waiting:
            console.print(
                f"{counted(each.waiting, 'without a link waits', 'without a link wait', form=',')} until QBench was read whole once."
            )
        for error, count in each.left.items():
            console.print(f"{counted(count, 'changes', 'change', form=',')} nothing: {error}.")
    console.print("\nNothing was written.")


def _some(told: Sequence[str]) -> str:
    return ", ".join(told[:MOST_SHOWN]) + (", …" if len(told) > MOST_SHOWN else "")
