"""Would Dagster run the integrations by itself? Looks at its settings, its daemon, schedules, sensors and pools; starts nothing.

Dagster makes its tables when its storage is opened, so ours is opened only where it has some.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import dagster as dg
from dagster._core.instance import InstanceRef
from dagster._core.scheduler.instigation import InstigatorStatus
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from crm_pipeline.counting import counted
from crm_pipeline.diagnosis import Finding
from crm_pipeline.errors import StoreError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration import instance_storage, names
from crm_pipeline.orchestration.assets import build_integration
from crm_pipeline.store.database import Store

AREA = "dagster"
HOME_VARIABLE = "DAGSTER_HOME"
SETTINGS = "dagster.yaml"
OURS = "see dagster.yaml of crm-pipeline, and its docs/operations.md"
START = "start `dagster dev`, or the webserver and `dagster-daemon run`, with the same DAGSTER_HOME"
HEARTBEATS = "daemon_heartbeats"


def dagster_findings(specs: Sequence[IntegrationSpec], store: Store) -> Iterator[Finding]:
    """What is found of the instance whose dagster.yaml counts here: that of DAGSTER_HOME, or else of the working directory."""
    named = os.environ.get(HOME_VARIABLE, "").strip()
    home = Path(named or ".").absolute()
    if not (home / SETTINGS).is_file():
        told = f"{home} has no {SETTINGS}, so Dagster was not looked at"
        remedy = f"put one there, {OURS}" if named else f"name the folder of your {SETTINGS} in {HOME_VARIABLE}"
        yield Finding("warning", AREA, "instance", told, remedy)
        return
    try:
        ref = InstanceRef.from_dir(str(home))
        yield Finding("ok", AREA, "instance", f"{home / SETTINGS}")
        yield from _of_settings(ref)
        if not _has_tables(ref, store):
            yield Finding("warning", AREA, "daemon", "Dagster never ran on this database: nothing runs by itself", START)
            return
        with dg.DagsterInstance.from_ref(ref) as instance:
            yield _daemon(instance)
            yield from _pools(instance, specs)
            for spec in specs:
                yield from _automation(instance, spec)
    except StoreError:
        yield Finding("warning", AREA, "daemon", "not looked at, because the database cannot be used", "see to the database first")
    except (dg.DagsterError, SQLAlchemyError, click.ClickException) as error:
        # A storage's own error may show the address that it has of its database.
        remedy = f"check {SETTINGS} with `dagster instance info`"
        yield Finding("problem", AREA, "instance", f"Dagster's instance cannot be opened ({type(error).__name__})", remedy)


def _of_settings(ref: InstanceRef) -> Iterator[Finding]:
    launcher = ref.run_launcher_data.class_name if ref.run_launcher_data is not None else "DefaultRunLauncher"
    if launcher == "DefaultRunLauncher":
        told = "Dagster's own launcher does not notice runs whose host died: they stay started, and their integration waits for them"
        yield Finding("warning", AREA, "launcher", told, f"name WatchfulRunLauncher as run_launcher; {OURS}")
    else:
        yield Finding("ok", AREA, "launcher", launcher)
    if _section(ref.settings, "run_monitoring").get("enabled"):
        yield Finding("ok", AREA, "run monitoring", "on")
    else:
        told = "off: runs whose worker is gone are not failed"
        yield Finding("warning", AREA, "run monitoring", told, f"set run_monitoring.enabled; {OURS}")


def _has_tables(ref: InstanceRef, store: Store) -> bool:
    """Whether Dagster has been on its database; of a database that is not the state's, one that is reached counts."""
    if ref.storage_data is None or ref.storage_data.module_name != instance_storage.__name__:
        return True
    with store.reading() as connection:
        return connection.execute(text("SELECT to_regclass(:name)"), {"name": HEARTBEATS}).scalar_one() is not None


def _daemon(instance: dg.DagsterInstance) -> Finding:
    statuses = instance.get_daemon_statuses()
    beats = [status.last_heartbeat.timestamp for status in statuses.values() if status.last_heartbeat is not None]
    silent = sorted(name for name, status in statuses.items() if not status.healthy)
    if not beats:
        return Finding("warning", AREA, "daemon", "it never ran: nothing runs by itself", START)
    if silent:
        ago = counted(round((time.time() - max(beats)) / 60), "minute", form=",")
        return Finding("problem", AREA, "daemon", f"no sign of life of {', '.join(silent)}; the last of any is {ago} old", START)
    return Finding("ok", AREA, "daemon", f"alive, with {counted(len(statuses), 'part')}")


def _pools(instance: dg.DagsterInstance, specs: Sequence[IntegrationSpec]) -> Iterator[Finding]:
    default = instance.get_concurrency_config().pool_config.default_pool_limit
    limits = {limit.name: limit.limit for limit in instance.event_log_storage.get_pool_limits() if not limit.from_default}
    pools = [names.resource_key(spec.name, service) for spec in specs for service in ("qbench", *spec.crms.configured)]
    for pool in pools:
        limit = limits.get(pool, default)
        if limit == 1:
            yield Finding("ok", AREA, f"pool {pool}", "one step at a time")
        else:
            told = f"{'no limit' if limit is None else limit}: steps that wait for each other all the same are shown as running"
            remedy = f"run `dagster instance concurrency set {pool} 1`, or set concurrency.pools.default_limit to 1"
            yield Finding("warning", AREA, f"pool {pool}", told, remedy)


def _automation(instance: dg.DagsterInstance, spec: IntegrationSpec) -> Iterator[Finding]:
    """Whether schedules and sensors are on: by someone's switch in the UI, or else as they were declared."""
    if not spec.active:
        told = "paused: its schedules and sensors skip"
        yield Finding("warning", AREA, spec.name, told, "set `active: true` once it is to run")
        return
    switched: dict[str, set[InstigatorStatus]] = {}
    for state in instance.all_instigator_state():
        switched.setdefault(state.instigator_name, set()).add(state.status)
    definitions = build_integration(spec)
    declared: list[Any] = [*(definitions.schedules or ()), *(definitions.sensors or ())]
    off = []
    for each in declared:
        states = switched.get(each.name, set())
        by_declaration = not states or InstigatorStatus.DECLARED_IN_CODE in states
        if InstigatorStatus.RUNNING not in states and not (by_declaration and each.default_status.value == "RUNNING"):
            off.append(each.name)
    for name in off:
        yield Finding("warning", AREA, name, "switched off: nobody starts what it starts", "switch it on in Dagster's UI, Automation")
    if not off:
        yield Finding("ok", AREA, spec.name, f"its {counted(len(declared), 'schedule or sensor', 'schedules and sensors')} are on")


def _section(settings: Mapping[str, object], name: str) -> Mapping[str, Any]:
    section = settings.get(name)
    return section if isinstance(section, Mapping) else {}
