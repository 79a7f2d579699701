"""Dagster's runs, events and ticks in PostgreSQL: its connections are kept, and opened anew where the server closed them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from dagster._core.scheduler.instigation import InstigatorType, TickData, TickStatus
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from sqlalchemy import Engine, event

from crm_pipeline_tests.awaiting import await_that
from crm_pipeline_tests.orchestration.test_upkeep import in_postgres

OPEN = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"


@dg.job
def nothing() -> None:
    """Nothing to do."""


@pytest.fixture
def kept(database_in_environment: str) -> Callable[[], list[int]]:
    """The server's processes for connections that are open by now."""

    def now() -> list[int]:
        with psycopg.connect(database_in_environment) as connection:
            return [pid for (pid,) in connection.execute(OPEN) if pid not in before]

    before: list[int] = []
    before += now()
    return now


@pytest.fixture
def instance(kept: Callable[[], list[int]], tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with in_postgres(tmp_path) as opened:
        yield opened


def tick(instance: dg.DagsterInstance) -> None:
    """What Dagster's daemon looks at and notes of a sensor, and of a run that it asks for."""
    begun = instance.create_tick(TickData("origin", "sensor", InstigatorType.SENSOR, TickStatus.STARTED, time.time(), selector_id="sensor"))
    instance.get_ticks("origin", "sensor")
    run = instance.create_run_for_job(nothing)
    instance.report_engine_event("asked for", run)
    instance.get_run_records()
    instance.update_tick(begun.with_status(TickStatus.SUCCESS))


def materialize(instance: dg.DagsterInstance) -> None:
    """An event of an asset with tags, and a look at the asset."""
    instance.report_runless_asset_event(dg.AssetMaterialization("asset", tags={"dagster/data_version": "1"}))
    instance.get_asset_records([dg.AssetKey("asset")])


def test_the_catalog_is_not_asked_again_for_tables_that_are_there(instance: dg.DagsterInstance) -> None:
    tick(instance)
    materialize(instance)
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        tick(instance)
        materialize(instance)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert asked
    assert [statement for statement in asked if "pg_catalog" in statement or "secondary_indexes" in statement] == []


def test_the_catalog_is_asked_again_for_a_table_that_was_not_there(instance: dg.DagsterInstance, database_in_environment: str) -> None:
    events = instance.event_log_storage
    assert isinstance(events, SqlEventLogStorage)
    before = events.has_table("made_later")
    with psycopg.connect(database_in_environment) as connection:
        connection.execute("CREATE TABLE made_later ()")
    assert (before, events.has_table("made_later")) == (False, True)


def test_an_event_of_an_asset_opens_no_connection_of_its_own(instance: dg.DagsterInstance, kept: Callable[[], list[int]]) -> None:
    tick(instance)
    materialize(instance)
    before = kept()
    materialize(instance)
    assert kept() == before


def test_what_is_left_of_an_instance_is_not_kept_from_the_collector(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """A code server opens one for each tick that looks at its instance; with what is left of one its connections are."""
    tick(instance)
    frozen = gc.get_freeze_count()
    with in_postgres(tmp_path) as another:
        tick(another)
    assert gc.get_freeze_count() <= frozen


def test_an_instance_that_is_over_leaves_no_connection(kept: Callable[[], list[int]], tmp_path: Path) -> None:
    """A code server opens one for each tick; the collector comes to what is left of it much later."""
    gc.disable()
    try:
        with in_postgres(tmp_path) as opened:
            tick(opened)
            materialize(opened)
            assert len(kept()) == 3, "one for events, one for runs, one for ticks"
        await_that(lambda: not kept(), "the server has let go of the connections")
    finally:
        gc.enable()


def test_connections_are_kept_over_the_looks_of_a_tick(instance: dg.DagsterInstance, kept: Callable[[], list[int]]) -> None:
    tick(instance)
    after_one = kept()
    for _ in range(2):
        tick(instance)
    assert len(after_one) == 3, "one for events, one for runs, one for ticks"
    assert kept() == after_one


def test_no_look_fails_for_connections_that_the_server_closed(
    instance: dg.DagsterInstance, kept: Callable[[], list[int]], database_in_environment: str
) -> None:
    tick(instance)
    after_one = kept()
    with psycopg.connect(database_in_environment) as connection:
        ended = connection.execute("SELECT pg_terminate_backend(pid, 60000) FROM unnest(%s) AS pid", [after_one]).fetchall()
    tick(instance)
    assert (ended, len(instance.get_run_records())) == ([(True,)] * 3, 2)
