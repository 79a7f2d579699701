"""``crm-pipeline link``: which CRM record belongs to which QBench record, by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from crm_pipeline.commands.integrations import own_module
from crm_pipeline.commands.options import (
    connected,
    crm_names,
    crm_option,
    integration_option,
    module_option,
    one_id,
    only_integration,
    opened_store,
    order_of,
    record_type_option,
)
from crm_pipeline.commands.output import answer, echo_json, examples, json_option
from crm_pipeline.commands.record_told import described
from crm_pipeline.commands.record_told import show as show_record
from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.examining import examined
from crm_pipeline.errors import LinkRefusedError
from crm_pipeline.model import RecordType
from crm_pipeline.store.database import Store
from crm_pipeline.store.finding import by_crm_id
from crm_pipeline.store.manual_links import make_link, move_link, remove_link
from crm_pipeline.store.organizations import check_organization
from crm_pipeline.store.stories import Key, story_of
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.writing_turns import run_of, turn_at

F = TypeVar("F", bound=Callable[..., Any])

_ONE = "--integration acme --crm salesforce --record-type account"


@click.group()
def link() -> None:
    """Look at the links between QBench and CRM records and change them by hand."""


def _of_one_crm(command: F) -> F:
    for option in (
        integration_option(required=True),
        crm_option(required=True),
        record_type_option(required=True),
        json_option,
        module_option,
    ):
        command = option(command)
    return command


qbench_id_option = click.option("--id", "qbench_id", type=one_id, required=True, metavar="ID", help="The record's QBench id.")


@contextmanager
def _desk(module: str, integration: str, crm: str, record_type: str) -> Iterator[tuple[LoadOrder, Store, Crm, str]]:
    """The order that names the links, and the CRM proven to be the links' organization; no load writes meanwhile."""
    spec = only_integration(module, integration)
    [name] = crm_names(spec, crm)
    order = order_of(spec, name, RecordType(record_type), run_id="by hand")
    with opened_store() as store, connected(spec, name, store=store) as client:
        org_id = client.organization()
        with store.transaction() as connection:
            check_organization(connection, spec.name, name, org_id=org_id, key_space=order.key_space)
        with run_of(store, spec.name, name), turn_at(store, name, org_id=org_id, record_type=order.state.record_type):
            yield order, store, client, org_id


@link.command(epilog=examples(f"crm-pipeline link make {_ONE} --id 12 --crm-id 001gK00000AbCdEQAV"))
@_of_one_crm
@qbench_id_option
@click.option("--crm-id", required=True, metavar="ID", help="The id of the record in the CRM, in any of the forms that it has there.")
def make(*, integration: str, crm: str, record_type: str, qbench_id: int, crm_id: str, as_json: bool, module: str) -> None:
    """Link a QBench record to a CRM record that is there, or to the one that this was merged into."""
    with _desk(module, integration, crm, record_type) as (order, store, client, org_id):
        wanted = _typed(order.crm, crm_id)
        # A record that was merged away would be a second one of its winner.
        found = examined(client, order.crm_object, [wanted], key=order.settings.external_key)["leads_to"].dropna().tolist()
        if len(found) != 1:
            raise LinkRefusedError(f"{crm} has no {record_type} {wanted}")
        with store.transaction() as connection:
            make_link(connection, order.state, org_id=org_id, qbench_id=qbench_id, crm_id=found[0])
    done = f"QBench id {qbench_id} is linked to {found[0]}. {_what_next(order, qbench_id, module)}"
    answer(done, {**_which(order), "qbench_id": qbench_id, "crm_id": found[0]}, as_json=as_json)


@link.command(epilog=examples(f"crm-pipeline link move {_ONE} --id 12 --to 13"))
@_of_one_crm
@qbench_id_option
@click.option("--to", type=one_id, required=True, metavar="ID", help="The QBench id that the CRM record belongs to.")
def move(*, integration: str, crm: str, record_type: str, qbench_id: int, to: int, as_json: bool, module: str) -> None:
    """Give a CRM record to another QBench record."""
    with _desk(module, integration, crm, record_type) as (order, store, _, _), store.transaction() as connection:
        move_link(connection, order.state, qbench_id=qbench_id, to=to)
    done = f"The link of QBench id {qbench_id} belongs to {to} now. {_what_next(order, to, module)}"
    answer(done, {**_which(order), "qbench_id": to, "was": qbench_id}, as_json=as_json)


@link.command(epilog=examples(f"crm-pipeline link remove {_ONE} --id 12"))
@_of_one_crm
@qbench_id_option
def remove(*, integration: str, crm: str, record_type: str, qbench_id: int, as_json: bool, module: str) -> None:
    """Forget a link; both records stay as they are."""
    with _desk(module, integration, crm, record_type) as (order, store, _, _), store.transaction() as connection:
        remove_link(connection, order.state, qbench_id=qbench_id)
    done = (
        f"The link of QBench id {qbench_id} is removed. The next load that takes the record looks for its external key and match keys, "
        "and creates it where nothing is found."
    )
    answer(done, {**_which(order), "qbench_id": qbench_id, "removed": True}, as_json=as_json)


@link.command(epilog=examples(f"crm-pipeline link show {_ONE} --id 12"))
@_of_one_crm
@click.option("--id", "qbench_id", type=one_id, metavar="ID", help="The record's QBench id.")
@click.option("--crm-id", metavar="ID", help="The id of the record in the CRM, in any of the forms that it has there.")
def show(*, integration: str, crm: str, record_type: str, qbench_id: int | None, crm_id: str | None, as_json: bool, module: str) -> None:
    """Show a link and what became of its record, as `crm-pipeline explain` does for all CRMs; asks the state only, no service."""
    if (qbench_id is None) == (crm_id is None):
        raise click.UsageError("give either --id or --crm-id")
    spec = only_integration(module, integration)
    [name] = crm_names(spec, crm)
    state = order_of(spec, name, RecordType(record_type), run_id="by hand").state
    with opened_store() as store, store.transaction() as connection:
        if crm_id is not None:
            linked = by_crm_id(connection, spec.name, name, _typed(name, crm_id), record_types=[state.record_type])
            qbench_id = next((found for _, found in linked), None)
        places = [(name, state.record_type)]
        story = None if qbench_id is None else story_of(connection, Key(spec.name, state.source, qbench_id), places=places)
    pair = None if story is None else story.parts[0].pair
    if story is None or pair is None:
        raise LinkRefusedError(f"there is no such {record_type} link in {crm}; `crm-pipeline explain` says what became of the record")
    told = described(story, spec, values=False)
    if as_json:
        echo_json(told)
    else:
        click.echo(f"qbench_id {story.qbench_id} is linked to crm_id {pair.crm_id}")
        show_record(told)


def _which(order: LoadOrder) -> dict[str, str]:
    state = order.state
    return {"integration": state.integration, "crm": state.crm, "record_type": str(state.record_type)}


def _typed(crm: str, crm_id: str) -> str:
    """A CRM id that a person typed, as links keep it."""
    try:
        return crm_kinds()[crm].record_id(crm_id)
    except ValueError as error:
        raise LinkRefusedError(str(error)) from None


def _what_next(order: LoadOrder, qbench_id: int, module: str) -> str:
    state = order.state
    command = f"crm-pipeline resync --integration {state.integration} --crm {state.crm} --record-type {state.record_type}"
    elsewhere = "" if module == own_module() else f" -m {module}"
    return f"The next load that takes the record sends it; `{command} --force --ids {qbench_id}{elsewhere}` does so now."
