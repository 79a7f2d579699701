"""``crm-pipeline conflicts``: which values were written over though the other side did not know them (docs/rules.md, 50)?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click

from crm_pipeline.commands.integrations import chosen
from crm_pipeline.commands.options import (
    connected,
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
from crm_pipeline.commands.output import answer, echo_json, examples, json_option
from crm_pipeline.counting import counted
from crm_pipeline.errors import RestoreRefusedError
from crm_pipeline.store.conflicts import KEPT_DAYS, Alike, Conflict, Sought, conflict_of, conflicts_counted, conflicts_told
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.organizations import check_organization
from crm_pipeline.sync.extracting.reading_lock import reading
from crm_pipeline.sync.merging.fields import Side
from crm_pipeline.sync.returning.putting_back import PuttingBack, loser_of
from crm_pipeline.sync.writing_turns import run_of, turn_at

MOST = 50
"""Conflicts that are listed where nobody asks for another number."""


@click.group(
    invoke_without_command=True,
    epilog=examples("crm-pipeline conflicts --integration acme --last 20", "crm-pipeline conflicts --integration acme --ids 12 --values"),
)
@integration_option(required=False)
@crm_option(required=False)
@record_type_option(required=False)
@click.option("--ids", type=qbench_ids, help="Only these QBench ids, as 12,13.")
@click.option("--last", "most", type=click.IntRange(1), default=MOST, show_default=True, help="How many to list, the newest first.")
@click.option("--values", is_flag=True, help="Show both values, which are shown nowhere else.")
@json_option
@module_option
@click.pass_context
def conflicts(
    ctx: click.Context,
    *,
    integration: str | None,
    crm: str | None,
    record_type: str | None,
    ids: tuple[int, ...] | None,
    most: int,
    values: bool,
    as_json: bool,
    module: str,
) -> None:
    """List the conflicts of the last 30 days: record, field, both times, whose value stands and what decided it.

    Asks the state only, no service.
    """
    if ctx.invoked_subcommand is not None:
        return
    specs = chosen(module, integration)
    for spec in specs:
        crm_names(spec, crm)
    sought = Sought([spec.name for spec in specs], crm, record_type, ids)
    with opened_store() as store, store.transaction() as connection:
        told = conflicts_told(connection, sought, most=most)
        alike = conflicts_counted(connection, sought)
    if as_json:
        echo_json([_as_json(each, values=values) for each in told])
        return
    for each in told:
        click.echo("\n".join(_described(each, values=values)))
    _count(alike, listed=len(told))


@conflicts.command(epilog=examples("crm-pipeline conflicts restore 4711"))
@click.argument("conflict_id", metavar="ID", type=int)
@json_option
@module_option
def restore(*, conflict_id: int, as_json: bool, module: str) -> None:
    """Put the loser's value back where it stood, unless somebody edited the field since; the next runs take it to the other side."""
    with opened_store() as store:
        with store.transaction() as connection:
            conflict = conflict_of(connection, conflict_id)
        if conflict is None:
            raise RestoreRefusedError(f"there is no conflict {conflict_id}, or none any more: they are kept for {KEPT_DAYS} days")
        spec = only_integration(module, conflict.state.integration)
        [name] = crm_names(spec, conflict.state.crm)
        order = order_of(spec, name, conflict.state.record_type, run_id="by hand")
        with connected(spec, name, store=store) as crm, connected_qbench(spec, store=store) as source:
            job = PuttingBack(order, store=store, crm=crm, source=source, back=spec.coming_back)
            with _alone(job, conflict):
                written = job.run(conflict)
    loser = "QBench" if loser_of(conflict) is Side.QBENCH else name
    done = f"is in {loser} again; the next runs take it to the other side" if written else f"stands in {loser} already; nothing was written"
    answer(
        f"The other value of {conflict.field} of QBench id {conflict.qbench_id} {done}.",
        {**_as_json(conflict, values=False), "restored_in": loser, "written": written},
        as_json=as_json,
    )


@contextmanager
def _alone(job: PuttingBack, conflict: Conflict) -> Iterator[None]:
    """Nobody else writes into the loser meanwhile."""
    state, store = conflict.state, job.store
    if loser_of(conflict) is Side.QBENCH:
        with reading(job.source, integration=state.integration, store=store):
            yield
        return
    org_id = job.crm.organization()
    with store.transaction() as connection:
        check_organization(connection, state.integration, state.crm, org_id=org_id, key_space=job.order.key_space)
    with run_of(store, state.integration, state.crm), turn_at(store, state.crm, org_id=org_id, record_type=state.record_type):
        yield


def _count(alike: list[Alike], *, listed: int) -> None:
    every = sum(each.conflicts for each in alike)
    if not every:
        click.echo("There are no conflicts.")
        return
    click.echo(f"{counted(every, 'conflict', form=',')}, of which {counted(listed, 'is', 'are', form=',')} listed:")
    for each in alike:
        click.echo(f"{each.conflicts:>9,}  {_records(each.state)}s, {each.field}: {_decision(each)}")


def _described(conflict: Conflict, *, values: bool) -> list[str]:
    restored = "" if conflict.restored_at is None else f"; the other one was put back {_moment(conflict.restored_at)}"
    record = f"{_records(conflict.state)} {conflict.qbench_id} ({conflict.crm_id})"
    lines = [
        f"{conflict.id}  {record}, {conflict.field}: {_decision(conflict)}{restored}",
        f"    QBench's since {_moment(conflict.qbench_since)}, the CRM's since {_moment(conflict.crm_since)}; "
        f"told {_moment(conflict.at)} by run {conflict.run_id}",
    ]
    if values:
        lines += [f"    QBench's: {_value(conflict.qbench_value)}", f"    the CRM's: {_value(conflict.crm_value)}"]
    return lines


def _as_json(conflict: Conflict, *, values: bool) -> dict[str, Any]:
    state = conflict.state
    return {
        "id": conflict.id,
        "integration": state.integration,
        "crm": state.crm,
        "record_type": str(state.record_type),
        "qbench_id": conflict.qbench_id,
        "crm_id": conflict.crm_id,
        "field": conflict.field,
        "winner": conflict.winner,
        "evidence": conflict.evidence,
        "run_id": conflict.run_id,
        "qbench_since": conflict.qbench_since,
        "crm_since": conflict.crm_since,
        "at": conflict.at,
        "restored_at": conflict.restored_at,
        **({"qbench_value": dict(conflict.qbench_value), "crm_value": dict(conflict.crm_value)} if values else {}),
    }


def _records(state: CrmState) -> str:
    return f"{state.integration} → {state.crm} {state.record_type}"


def _decision(conflict: Conflict | Alike) -> str:
    return f"{'QBench' if conflict.winner == 'qbench' else 'the CRM'}'s value stands, by {conflict.evidence}"


def _moment(time: datetime | None) -> str:
    return "an unknown time" if time is None else time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
