"""An integration that asks for nothing to come back runs call for call as `one_way.txt` beside says.

The file tells of some hours of a small tenant: what is there in Dagster, every call in its order, and what is stored afterwards. A column
or table that it does not name holds nothing for such an integration.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy import Column, Row, select

from crm_pipeline.orchestration.names import links_job_name
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.sandbox.journal import Call
from crm_pipeline.store.field_names import names_of
from crm_pipeline.store.link_digests import numbers_of
from crm_pipeline.store.tables import links, metadata, records
from crm_pipeline_tests.orchestration.conftest import World, own_world
from crm_pipeline_tests.tenants import BEFORE_START, FIRST, IN_SECOND, SECOND, add_laboratories, integration

TOLD = Path(__file__).with_name("one_way.txt")
HEADING = re.compile(r"^## (?P<table>\w+): (?P<columns>.+)$", re.MULTILINE)
THIRD = "2026-11-01-02:00"
VARYING = re.compile(r"/[0-9]+$|/[A-Za-z0-9]{18}$")
"""Ids at the end of a path."""
EVERYWHERE = frozenset(
    {
        *("integration", "id", "org_id", "run_id", "content", "state_digest", "write_digest"),
        *("at", "read_at", "normalized_at", "linked_at", "updated_at", "started_at", "ended_at", "first_seen_at"),
    }
)
"""Columns that say the same in each row, or something else each time."""
NOTHING: tuple[object, ...] = (None, False, 0, {}, [])


def test_integration_that_asks_for_nothing_back_runs_call_for_call_as_before(postgres: str, tmp_path: Path) -> None:
    with own_world(postgres) as world:
        definitions = world.dagster.definitions(integration(world.sandbox))
        found = ["# In Dagster", *_in_dagster(definitions), *_hours(world), "# Stored", *_stored()]
    fresh = tmp_path / TOLD.name
    fresh.write_text("\n".join([*found, ""]))
    assert found == TOLD.read_text().splitlines(), f"if it is meant to run otherwise, copy {fresh} to {TOLD}"


def _in_dagster(definitions: dg.Definitions) -> Iterator[str]:
    repository, graph = definitions.get_repository_def(), definitions.resolve_asset_graph()
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        parents = ", ".join(sorted(parent.to_user_string() for parent in node.parent_keys)) or "nothing"
        pools = ", ".join(sorted(node.pools or ())) or "no pool"
        yield f"asset {key.to_user_string()} ({'hourly' if node.is_partitioned else 'whole'}, {pools}) from {parents}"
    for check in sorted(f"{key.asset_key.to_user_string()} {key.name}" for key in graph.asset_check_keys):
        yield f"check {check}"
    for job in repository.get_all_jobs():
        if not job.name.startswith("__"):
            assets = sorted(key.to_user_string() for key in job.asset_layer.selected_asset_keys)
            yield f"job {job.name}: {', '.join(assets)}"
    for schedule in sorted(repository.schedule_defs, key=lambda each: each.name):
        yield f"schedule {schedule.name}: {schedule.cron_schedule}"
    for sensor in sorted(repository.sensor_defs, key=lambda each: each.name):
        yield f"sensor {sensor.name}"


def _hours(world: World) -> Iterator[str]:
    """Creates, updates, an hour without changes and the nightly job, each with its calls."""
    sandbox, spec = world.sandbox, integration(world.sandbox)
    tenant = sandbox.tenant
    customers = add_laboratories(tenant, 3, contacts_each=1)
    tenant.add_contact(customer_ids=customers[:1], email_address="nobody", first_name="No", last_name="Email", at=BEFORE_START)
    tenant.add_contact(email_address="left@alone.example.org", first_name="Left", last_name="Alone", at=BEFORE_START)
    assert world.dagster.run(spec, FIRST).success
    yield from _called(world, "The first load")
    tenant.edit_customer(customers[0], customer_name="Renamed Laboratory", comments="Closed in May.", phone="512 555 9999", at=IN_SECOND)
    tenant.edit_contact(2, last_name="Married", customer_ids=customers[2:], at=IN_SECOND)
    sandbox.org.update("Account", sandbox.org.records("Account")[1]["Id"], {"Name": "Edited in Salesforce"})
    assert world.dagster.run(spec, SECOND).success
    yield from _called(world, "An hour of edits")
    assert world.dagster.run(spec, THIRD).success
    yield from _called(world, "An hour without changes")
    job = world.dagster.definitions(spec).resolve_job_def(links_job_name(spec.name))
    assert job.execute_in_process(instance=world.dagster.instance).success
    yield from _called(world, "The nightly job")


def _called(world: World, heading: str) -> Iterator[str]:
    yield f"# {heading}"
    for line, same in groupby(map(_line, world.sandbox.journal.calls())):
        count = len(list(same))
        yield line if count == 1 else f"{line} ×{count}"
    world.sandbox.journal.clear()


def _line(call: Call) -> str:
    rows = "" if call.rows is None else f" of {call.rows}"
    return f"{call.service} {call.method} {VARYING.sub('/ID', call.path)}{rows} -> {call.status}"


def _stored() -> Iterator[str]:
    """The rows of the tables, by the columns that the file names; of the others only what is not as in a new row."""
    named = {each["table"]: each["columns"].split(", ") for each in HEADING.finditer(TOLD.read_text())}
    for table in metadata.sorted_tables:
        columns = [table.columns[name] for name in named.get(table.name, ())]
        with STORE.transaction() as connection:
            rows = connection.execute(select(table).order_by(*table.primary_key.columns)).all()
        if columns:
            yield f"## {table.name}: {', '.join(column.name for column in columns)}"
            yield from (" | ".join(_shown(column, row) for column in columns).rstrip() for row in rows)
        elif rows:
            yield f"## {table.name} has rows"
        used = {column.name for column in table.columns for row in rows if column.name not in EVERYWHERE and _is_used(column, row)}
        yield from (f"## {table.name}.{name} is used" for name in sorted(used - {column.name for column in columns}))


def _is_used(column: Column[Any], row: Row[Any]) -> bool:
    return row._mapping[column] not in NOTHING


def _shown(column: Column[Any], row: Row[Any]) -> str:
    value = row._mapping[column]
    if column is links.link.c.digest_bytes:
        value = numbers_of(value.hex())
    if column in {links.link.c.digest_bytes, records.normalized_record.c.fields}:
        with STORE.transaction() as connection:
            pairs = zip(names_of(connection, value[:1])[value[0]], value[1:], strict=True)
        value = {name: each for name, each in pairs if each is not None}
    if isinstance(value, Mapping):
        whole = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
        return f"{' '.join(sorted(value))} {whole[:8]}"
    return "-" if value is None else str(value)
