"""``crm-pipeline explain``: what became of one record in each CRM, why, and what it waits for."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click
from sqlalchemy import Connection

from crm_pipeline.commands.integrations import chosen
from crm_pipeline.commands.options import crm_names, crm_option, integration_option, module_option, opened_store, record_type_option
from crm_pipeline.commands.output import echo_json, examples, json_option
from crm_pipeline.commands.plan import forecasts
from crm_pipeline.commands.record_told import conditions, described, heading, record_of, show
from crm_pipeline.crms import crm_kinds
from crm_pipeline.errors import ConfigurationError, ServiceError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import MODELS, RecordType
from crm_pipeline.qbench.contracts import record_id
from crm_pipeline.store.database import Store
from crm_pipeline.store.finding import MOST_FOUND, by_crm_id, by_qbench_id, by_words, newest_read
from crm_pipeline.store.standing import Condition
from crm_pipeline.store.stories import Key, Story, story_of, story_of_unlinked
from crm_pipeline.sync.explaining import moment
from crm_pipeline.sync.planning.selection import Named

OPEN = 3
"""The exit code where the record waits or failed."""


@click.command(epilog=examples("crm-pipeline explain ana@eco-labs.example", "crm-pipeline explain 1204 --record-type contact --live"))
@click.argument("record", metavar="RECORD")
@integration_option(required=False)
@crm_option(required=False)
@record_type_option(required=False)
@click.option("--live", is_flag=True, help="Ask the CRMs what a load would send of it now; else only the state is read, no service.")
@click.option("--values", is_flag=True, help="Show its name, and with --live the values that would be sent; else names of fields only.")
@json_option
@module_option
def explain(
    *, record: str, integration: str | None, crm: str | None, record_type: str | None, live: bool, values: bool, as_json: bool, module: str
) -> None:
    """Say of one RECORD what became of it in each CRM and why: by its QBench id, email address, name, or id in a CRM.

    Ends with 0 where it is as it should be in every CRM, or left out on purpose; with 3 where it waits or failed; with 1
    where no record was read that is meant, or several are, which are listed then.
    """
    if not record.strip():
        raise click.BadParameter("name a record: an id, an email address or a name", param_hint="RECORD")
    specs = {spec.name: spec for spec in chosen(module, integration)}
    wanted = None if record_type is None else RecordType(record_type)
    with opened_store() as store:
        with store.transaction() as connection:
            stories = list(_stories(connection, list(specs.values()), record.strip(), crm=crm, wanted=wanted))
            if not stories:
                raise click.ClickException(_unknown(connection, list(specs.values()), record, wanted=wanted))
        if len(stories) > 1:
            _list(stories, specs, values=values, as_json=as_json)
            raise click.ClickException("several records are meant; name one by id, and --record-type or --integration where ids are shared")
        [story] = stories
        told = described(story, specs[story.integration], values=values)
        if live:
            _add_forecasts(told, story, specs[story.integration], store=store, values=values)
    if as_json:
        echo_json(told)
    else:
        show(told)
    if not conditions(told) <= {Condition.SYNCED, Condition.LEFT_OUT}:
        sys.exit(OPEN)


def places(spec: IntegrationSpec, source: RecordType, *, crm: str | None) -> list[tuple[str, RecordType]]:
    """The CRMs that take QBench's records of a type, and the record types that they take them as.

    All of them, whichever is asked for: whether a contact is to be a lead there, what became of it as a contact tells.
    """
    return [(name, taken) for name in crm_names(spec, crm) for taken in spec.records_in(name) if MODELS[taken].source is source]


def _stories(
    connection: Connection, specs: Sequence[IntegrationSpec], record: str, *, crm: str | None, wanted: RecordType | None
) -> Iterator[Story]:
    """The stories of the records that may be meant."""
    for spec in specs:
        crm_names(spec, crm)
    sources = [each for each in RecordType if wanted is None or each is MODELS[wanted].source]
    names = [spec.name for spec in specs]
    qbench_id = record_id(record)
    keys = [] if qbench_id is None else by_qbench_id(connection, names, qbench_id, record_types=sources)
    unlinked = []
    for spec in specs:
        found, alone = _of_crm_id(connection, spec, record, crm=crm, wanted=wanted)
        keys += [key for key in found if key not in keys]
        unlinked += alone
    if not keys and not unlinked:
        keys = by_words(connection, names, record, record_types=sources)
    for key in keys:
        spec = next(each for each in specs if each.name == key.integration)
        yield story_of(connection, key, places=places(spec, key.record_type, crm=crm))
    yield from unlinked


def _of_crm_id(
    connection: Connection, spec: IntegrationSpec, record: str, *, crm: str | None, wanted: RecordType | None
) -> tuple[list[Key], list[Story]]:
    """The records that are linked to a CRM's record of this id; where none is, what is known of the CRM's record alone."""
    keys, alone = [], []
    for name in crm_names(spec, crm):
        try:
            crm_id = crm_kinds()[name].record_id(record)
        except ValueError:
            continue
        taken = [each for each in spec.records_in(name) if wanted is None or each in {wanted, MODELS[wanted].source}]
        linked = by_crm_id(connection, spec.name, name, crm_id, record_types=taken)
        keys += [Key(spec.name, MODELS[each].source, qbench_id) for each, qbench_id in linked]
        for each in taken:
            story = None if linked else story_of_unlinked(connection, spec.name, name, each, crm_id=crm_id)
            alone += [] if story is None else [story]
    return keys, alone


def _unknown(connection: Connection, specs: Sequence[IntegrationSpec], record: str, *, wanted: RecordType | None) -> str:
    told = [f"{record} is not known"]
    for spec in specs:
        sources = [each for each in spec.read if wanted is None or each is MODELS[wanted].source]
        newest = {MODELS[each].qbench_object: newest_read(connection, spec.name, each) for each in sources}
        reaches = ", ".join("no " + name if at is None else f"{name} to {moment(at)}" for name, at in newest.items())
        singular = " or ".join(name.removesuffix("s") for name in newest)
        told.append(f"{spec.name}: QBench has no such {singular} in what was read, and no such CRM id is linked; were read: {reaches}")
    return "\n".join(told)


def _list(stories: Sequence[Story], specs: dict[str, IntegrationSpec], *, values: bool, as_json: bool) -> None:
    found = [record_of(story, specs[story.integration], values=values) for story in stories[:MOST_FOUND]]
    if as_json:
        echo_json({"records": found, "more": len(stories) > MOST_FOUND})
        return
    for each in found:
        deleted = ", deleted" if each["deleted"] else ""
        click.echo(f"{each['integration']}: {heading(each)}{deleted}  {each['page']}")
    if len(stories) > MOST_FOUND:
        click.echo(f"and more than these {MOST_FOUND}: say more of the name")


def _add_forecasts(told: dict[str, Any], story: Story, spec: IntegrationSpec, *, store: Store, values: bool) -> None:
    """Add to each CRM what a load would do with the record now."""
    if story.qbench_id is None:
        return
    for part in told["crms"]:
        record_type = RecordType(part["record_type"])
        part["would_send"] = _would_send(spec, part["crm"], record_type, story.qbench_id, store=store, values=values)


def _would_send(spec: IntegrationSpec, crm: str, record_type: RecordType, qbench_id: int, *, store: Store, values: bool) -> dict[str, Any]:
    nothing: dict[str, Any] = {"operation": None, "reason": None, "fields": [], "error": None}
    try:
        [forecast] = forecasts(spec, crm, Named((qbench_id,)), store=store, wanted=[record_type], keeps_values=True)
    except (ConfigurationError, ServiceError) as error:
        return {**nothing, "error": str(error)}
    operation, reason = next(iter(forecast.planned), (None, None))
    sent = forecast.values.get(qbench_id, {})
    return {**nothing, "operation": operation, "reason": reason, "fields": list(sent), **({"values": sent} if values else {})}
