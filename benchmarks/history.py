"""Fills Dagster's tables and our history with what many hours of many integrations leave: by SQL, from the rows of real runs and ticks.

A copy differs from its original in id, integration, run, hour and time. The times inside the bodies of events stay those of the
originals: pages are sorted and searched by the columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

HOURS_AT_ONCE = 24 * 7
EVENTS, TAGS, HISTORY = "public.event_logs", "public.asset_event_tags", "crm_pipeline.outcome_history"
OF_RUNS = ("public.runs", "public.run_tags", EVENTS, TAGS, "public.asset_check_executions", HISTORY)
"""What an hourly run leaves, parents first."""

_EVENT_IDS = {(EVENTS, "id"), (TAGS, "event_id")}
_EVENT_ID_NAMES = {"evaluation_event_storage_id", "materialization_event_storage_id"}
_SECONDS = {"start_time", "end_time"}

_COLUMNS = """
SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
"""
# The name of the benchmarks' module begins with the integration's, and QBench's ends with it.
_FUNCTIONS = r"""
CREATE FUNCTION pg_temp.named(told text, name text, number bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE number WHEN 0 THEN told ELSE regexp_replace(told, '\m' || name || '(?!marks)', name || number, 'g') END
$$;
CREATE FUNCTION pg_temp.moved(told text, run_id text, other_run_id text, partition text, other_partition text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$ SELECT replace(replace(told, run_id, other_run_id), partition, other_partition) $$
"""
_ORIGINALS = """
CREATE TEMPORARY TABLE original AS
SELECT told.*, runs.run_id, (SELECT min(id) FROM public.event_logs WHERE event_logs.run_id = runs.run_id) AS first_event
FROM (VALUES (true, {changed_hour}, {changed_partition}), (false, {idle_hour}, {idle_partition})) AS told (is_changed, hour, partition)
JOIN public.run_tags AS tag ON tag.key = 'dagster/partition' AND tag.value = told.partition
JOIN public.runs USING (run_id)
"""
_HOURS = """
CREATE TEMPORARY TABLE copied_hour AS
SELECT each.hour, number, is_changed, each.hour - original.hour AS hours, original.run_id AS original_run,
  original.partition AS original_partition, original.first_event, CAST(CAST(md5(number || '-' || each.hour) AS uuid) AS text) AS other_run,
  to_char({start} + each.hour * interval '1 hour', 'YYYY-MM-DD-HH24:MI') AS other_partition,
  {events} + (each.hour * {integrations} + number) * {stride} AS other_first
FROM generate_series(0, {idle_hour}) AS each (hour) CROSS JOIN generate_series(0, {integrations} - 1) AS number
JOIN original ON is_changed = (each.hour % {changed_one_in} = 1)
WHERE each.hour > 0 OR number > 0
"""
_ASSETS = """
INSERT INTO public.asset_keys (asset_key, last_materialization, last_run_id, last_materialization_timestamp, create_timestamp)
SELECT pg_temp.named(asset_key, {name}, number), pg_temp.named(last_materialization, {name}, number), last_run_id,
  last_materialization_timestamp, create_timestamp
FROM public.asset_keys, generate_series(1, {integrations} - 1) AS number WHERE starts_with(asset_key, '["' || {name} || '"')
ON CONFLICT DO NOTHING;
UPDATE public.asset_keys SET cached_status_data = NULL, last_run_id = made.run_id,
  last_materialization = regexp_replace(replace(last_materialization, (SELECT run_id FROM original WHERE NOT is_changed), made.run_id),
    '"storage_id": \\d+}}$', '"storage_id": ' || made.id || '}}')
FROM (SELECT told.asset_key, latest.* FROM public.asset_keys AS told CROSS JOIN LATERAL (
  SELECT id, run_id FROM public.event_logs
  WHERE event_logs.asset_key = told.asset_key AND dagster_event_type = 'ASSET_MATERIALIZATION' ORDER BY id DESC LIMIT 1) AS latest) AS made
WHERE made.asset_key = asset_keys.asset_key
"""
_TICKS = """
INSERT INTO public.job_ticks (job_origin_id, selector_id, status, type, timestamp, tick_body, create_timestamp, update_timestamp)
SELECT job_origin_id, selector_id, status, type, timestamp - ago, tick_body, create_timestamp - ago, update_timestamp - ago
FROM (SELECT DISTINCT ON (selector_id) * FROM public.job_ticks WHERE tick_body LIKE %(named)s AND status IN ('SKIPPED', 'SUCCESS')
  ORDER BY selector_id, id DESC) AS tick, generate_series(%(ticks)s, 1, -1) AS nth, LATERAL (SELECT nth * %(every)s AS ago)
"""


@dataclass(frozen=True, slots=True)
class Hours:
    """The hours to fill: all up to the newest, ``idle``, whose run is what an hour leaves without changes, the one before of one with them.

    ``start``: of the first hour, without a zone. ``changed_one_in``: every so many hours records changed. Each of
    ``integrations`` gets all of them: the first the name itself, the others with their number behind it.
    """

    name: str
    start: datetime
    idle: int
    integrations: int
    changed_one_in: int

    def partition(self, hour: int) -> str:
        """The hour's partition key."""
        return f"{self.start + timedelta(hours=hour):%Y-%m-%d-%H:%M}"


def fill_hours(url: str, hours: Hours) -> None:
    """Put a run of each hour and integration in the place of the two real ones."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_FUNCTIONS)
        connection.execute(
            SQL(_ORIGINALS).format(
                changed_hour=Literal(hours.idle - 1),
                changed_partition=Literal(hours.partition(hours.idle - 1)),
                idle_hour=Literal(hours.idle),
                idle_partition=Literal(hours.partition(hours.idle)),
            )
        )
        for table in OF_RUNS:
            connection.execute(_originals_of(connection, table, hours))
        for table in reversed(OF_RUNS):
            connection.execute(_gone(table))
        connection.execute(_hours(connection, hours))
        inserts = [_copies(connection, table) for table in OF_RUNS]
        for first in range(0, hours.idle + 1, HOURS_AT_ONCE):
            for insert in inserts:
                connection.execute(insert, {"first": first, "last": first + HOURS_AT_ONCE - 1})
        connection.execute("VACUUM ANALYZE")
        names = {"name": Literal(hours.name), "integrations": Literal(hours.integrations)}
        connection.execute("SELECT setval(pg_get_serial_sequence('public.event_logs', 'id'), (SELECT max(id) FROM public.event_logs))")
        for statement in _ASSETS.split(";\n"):
            connection.execute(SQL(statement).format(**names))


def fill_ticks(url: str, kept: Mapping[str, tuple[int, timedelta]]) -> None:
    """Put so many ticks before the latest of each schedule and sensor, by its name: how many, and how far apart."""
    with psycopg.connect(url, autocommit=True) as connection:
        for name, (ticks, every) in kept.items():
            connection.execute(_TICKS, {"named": f'%"{name}"%', "ticks": ticks, "every": every})
        connection.execute("VACUUM ANALYZE public.job_ticks")


def _originals_of(connection: psycopg.Connection, table: str, hours: Hours) -> Composed:
    """A table of the rows of both runs, for each integration."""
    columns = [
        SQL("pg_temp.named(told.{0}, {1}, number) AS {0}" if _is_text(kind) else "told.{0}").format(Identifier(name), Literal(hours.name))
        for name, kind in connection.execute(_COLUMNS, [table]).fetchall()
    ]
    return SQL(
        "CREATE TEMPORARY TABLE {own} AS SELECT original.is_changed, number, {columns} FROM {told}, generate_series(0, {last}) AS number"
    ).format(own=_own(table), columns=SQL(", ").join(columns), told=_told(table), last=Literal(hours.integrations - 1))


def _told(table: str) -> Composable:
    """The rows of both runs, as ``told``, beside ``original``."""
    if table == TAGS:
        return SQL(
            "public.asset_event_tags AS told JOIN public.event_logs AS event ON event.id = told.event_id "
            "JOIN original ON original.run_id = event.run_id"
        )
    if table == HISTORY:
        # What the hour with changes replaced: outcomes of the first load, which left none itself.
        return SQL("crm_pipeline.outcome_history AS told JOIN original ON original.is_changed")
    return SQL("{} AS told JOIN original USING (run_id)").format(Identifier(*table.split(".")))


def _gone(table: str) -> Composed:
    return SQL("DELETE FROM {} WHERE id IN (SELECT id FROM {})").format(Identifier(*table.split(".")), _own(table))


def _hours(connection: psycopg.Connection, hours: Hours) -> Composed:
    found = connection.execute("SELECT max(id), max(id - first_event) + 1 FROM original_event_logs JOIN original USING (is_changed)")
    [events, stride] = found.fetchone() or (1, 1)
    told = {
        "start": hours.start,
        "events": events,
        "integrations": hours.integrations,
        "stride": stride,
        "idle_hour": hours.idle,
        "changed_one_in": hours.changed_one_in,
    }
    return SQL(_HOURS).format(**{name: Literal(value) for name, value in told.items()})


def _copies(connection: psycopg.Connection, table: str) -> Composed:
    """The rows of the hours from ``first`` to ``last``, oldest first."""
    columns = {
        name: _copied(table, name, kind)
        for name, kind in connection.execute(_COLUMNS, [table]).fetchall()
        if name != "id" or (table, name) in _EVENT_IDS
    }
    return SQL(
        "INSERT INTO {table} ({names}) SELECT {values} FROM copied_hour JOIN {own} AS told USING (is_changed, number)"
        " WHERE hour BETWEEN %(first)s AND %(last)s ORDER BY hour, number, told.id"
    ).format(
        table=Identifier(*table.split(".")),
        names=SQL(", ").join(map(Identifier, columns)),
        values=SQL(", ").join(columns.values()),
        own=_own(table),
    )


def _copied(table: str, column: str, kind: str) -> Composable:
    told = SQL("told.{}").format(Identifier(column))
    if (table, column) in _EVENT_IDS or column in _EVENT_ID_NAMES:
        return SQL("{} - first_event + other_first").format(told)
    if column == "run_id":
        return SQL("other_run")
    if column in _SECONDS:
        return SQL("{} + hours * 3600").format(told)
    if kind.startswith("timestamp"):
        return SQL("{} + hours * interval '1 hour'").format(told)
    if _is_text(kind) and column != "snapshot_id":
        return SQL("pg_temp.moved({}, original_run, other_run, original_partition, other_partition)").format(told)
    return told


def _own(table: str) -> Identifier:
    return Identifier(f"original_{table.partition('.')[2]}")


def _is_text(kind: str) -> bool:
    return kind in {"text", "character varying"}
