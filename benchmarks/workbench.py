"""Where a benchmark works: the sandbox in this process, an embedded PostgreSQL, and Dagster runs in processes of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dagster as dg
import yaml

import crm_pipeline.sandbox
from benchmarks.variables import EMPTY_VARIABLE, SPEC_VARIABLE
from crm_pipeline.local.guardian import guardian
from crm_pipeline.sandbox.hubspot import HubSpotPortal
from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, Sandbox, start_sandbox
from crm_pipeline.sandbox.seed import seed_tenant
from crm_pipeline.sandbox.server import reached_directly
from crm_pipeline.store.database import AUTO_MIGRATE_VARIABLE, URL_VARIABLE, Store
from crm_pipeline.store.embedded import embedded_postgres

INTEGRATION = "bench"
HOUR = timedelta(hours=1)
SEED = 7
NO_LIMIT = 1_000_000
REPOSITORY = Path(__file__).parents[1]
SANDBOX = Path(crm_pipeline.sandbox.__file__).parent
PROFILE_VARIABLE = "BENCHMARK_PROFILE"
"""Names a file that each worker's profile (cProfile) is written to, for finding out where the time goes."""


class BenchmarkError(Exception):
    """A run did not succeed, so there is nothing to measure."""


@dataclass(frozen=True, slots=True)
class Worker:
    """What a finished run cost: wall-clock seconds, CPU seconds, and the most memory its process held, in MB (10^6 bytes)."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Workbench:
    """A sandbox whose two CRMs are empty, and a Dagster instance; ``start`` is the hour of the first partition."""

    sandbox: Sandbox
    home: Path
    environment: Mapping[str, str]
    start: datetime

    def run(
        self,
        hour: int,
        *,
        until: int | None = None,
        job: str = f"{INTEGRATION}__sync",
        empty: str | None = None,
        settings: Mapping[str, str] | None = None,
        config: Mapping[str, Any] = MappingProxyType({}),
    ) -> Worker:
        """Run the job on one partition (0 is the first), or on all ``until`` another, in a process of its own.

        ``job``: the hourly one, or another one over the same hours. ``empty``: run assets that do nothing instead (``assets``, or
        ``checks`` for their checks too). ``settings``: more of its environment. ``config``: the run's. Raises BenchmarkError when it fails.
        """
        profile = os.environ.get(PROFILE_VARIABLE)
        command = [sys.executable, *(("-m", "cProfile", "-o", str(Path(profile).absolute())) if profile else ())]
        command += ["-m", "dagster", "job", "execute", "-m", "benchmarks.definitions", "-j", job]
        run_config = self.home / "run.yaml"
        run_config.write_text(yaml.safe_dump(dict(config)))
        first = self._partition(hour)
        tags = {"dagster/partition": first}
        if until is not None:
            tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": self._partition(until)}
        command += ["--tags", json.dumps(tags), "--config", str(run_config)]
        return self.measured(command, settings={**(settings or {}), **({EMPTY_VARIABLE: empty} if empty else {})})

    def measured(self, command: Sequence[str], *, settings: Mapping[str, str]) -> Worker:
        """Run a command in the bench's environment and ``settings`` beside it. Raises BenchmarkError when it fails."""
        log, cost = self.home / "worker.log", self.home / "worker.json"
        with log.open("wb") as output, guardian() as guard:
            # Not where a deployment's `.env` may lie, which Dagster reads over the environment.
            process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.worker", str(cost), *command],
                cwd=self.home,
                env={**self.environment, **settings},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            guard.end_group(process.pid)
            process.wait()
        if process.returncode:
            raise BenchmarkError(f"the run failed; the end of its log:\n{log.read_text(errors='replace')[-4000:]}")
        return Worker(**json.loads(cost.read_text()))

    def materializations(self) -> dict[str, dict[str, Any]]:
        """Metadata of each asset's latest materialization, by the asset's name without the integration's."""
        found = {}
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            for key in instance.all_asset_keys():
                event = instance.get_latest_materialization_event(key)
                if event is not None and event.asset_materialization is not None:
                    metadata = event.asset_materialization.metadata
                    found["/".join(key.path[1:])] = {name: value.value for name, value in metadata.items()}
        return found

    def materialized_hours(self) -> dict[str, int]:
        """How many partitions of each asset are green, by the asset's name without the integration's."""
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            return {"/".join(key.path[1:]): len(instance.get_materialized_partitions(key)) for key in instance.all_asset_keys()}

    def _partition(self, hour: int) -> str:
        return (self.start + hour * HOUR).strftime("%Y-%m-%d-%H:%M")


@contextmanager
def workbench(
    *,
    customers: int,
    contacts: int,
    crm_limits: bool,
    qbench_limits: bool = False,
    hours: int = 2,
    also: Callable[[dict[str, Any]], dict[str, Any]] = lambda attributes: attributes,
) -> Iterator[Workbench]:
    """A clean tenant of this size, two empty CRMs with external keys, so many closed hours, and all that a worker needs.

    ``qbench_limits`` and ``crm_limits`` say who keeps a limit of calls. ``also``: what the integration's attributes are to be
    instead of the demo's. Everything ends with the block.
    """
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - hours * HOUR
    tenant = seed_tenant(seed=SEED, customers=customers, contacts=contacts, now=int((start + HOUR).timestamp()), dirty=False)
    if not qbench_limits:
        tenant.limits = None
    org, portal = SalesforceOrg(external_keys=True), HubSpotPortal(external_keys=True)
    if not crm_limits:
        portal.burst_calls = portal.search_calls = None
    with (
        start_sandbox(tenant=tenant, org=org, portal=portal) as sandbox,
        embedded_postgres() as database_url,
        tempfile.TemporaryDirectory(prefix="crm-pipeline-benchmark-") as home,
    ):
        shutil.copy(SANDBOX / "dagster.yaml", home)
        spec = {"name": INTEGRATION, **also(attributes(sandbox, start=start, crm_limits=crm_limits, qbench_limits=qbench_limits))}
        # This process reads the instance too, which finds its database by the environment.
        os.environ[URL_VARIABLE] = database_url
        # What a deployment pays once is no part of a run: the tables, ours and Dagster's.
        Store(database_url).migrate()
        with dg.DagsterInstance.from_config(home):
            pass
        yield Workbench(
            sandbox=sandbox,
            home=Path(home),
            environment={
                **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
                **reached_directly(os.environ),
                **SANDBOX_CREDENTIALS,
                "DAGSTER_HOME": home,
                "PYTHONPATH": os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH")))),
                AUTO_MIGRATE_VARIABLE: "1",
                SPEC_VARIABLE: json.dumps(spec),
            },
            start=start,
        )


def attributes(sandbox: Sandbox, *, start: datetime, crm_limits: bool, qbench_limits: bool = False) -> dict[str, Any]:
    """The demo's integration, between this sandbox's services, with the limits raised that are not to be kept."""
    written = yaml.safe_load((SANDBOX / "defs" / "demo" / "defs.yaml").read_text())["attributes"]
    qbench, crms = written["qbench"], written["crms"]
    hubspot = {**crms["hubspot"], "url": sandbox.hubspot_url}
    if not crm_limits:
        hubspot["limits"] = {"calls": NO_LIMIT, "searches_per_second": NO_LIMIT}
    return {
        **written,
        "start": start.isoformat(),
        "qbench": {**qbench, "url": sandbox.qbench_url, **({} if qbench_limits else {"limits": {"calls": NO_LIMIT}})},
        "crms": {"salesforce": {**crms["salesforce"], "url": sandbox.salesforce_url}, "hubspot": hubspot},
    }


def one_way(attributes: dict[str, Any]) -> dict[str, Any]:
    """The same integration with nothing that comes back from the CRMs."""

    def to_crms(record: dict[str, Any]) -> dict[str, Any]:
        mapped = {
            name: {**field, "direction": "to_crm"} if isinstance(field, dict) and "from" in field else field
            for name, field in record["map"].items()
        }
        return {**record, "map": mapped}

    qbench = {key: value for key, value in attributes["qbench"].items() if key != "writes"}
    return {**attributes, "qbench": qbench, **{name: to_crms(attributes[name]) for name in ("accounts", "contacts")}}


def only_writing(attributes: dict[str, Any]) -> dict[str, Any]:
    """The same integration as one that looks at no record before it writes: nothing comes back, and nothing goes into blanks only."""

    def at_once(record: dict[str, Any]) -> dict[str, Any]:
        mapped = {
            name: {**field, "policy": "always"} if isinstance(field, dict) and field.get("policy") == "if_blank" else field
            for name, field in record["map"].items()
        }
        return {**record, "map": mapped}

    written = one_way(attributes)
    return {**written, **{name: at_once(written[name]) for name in ("accounts", "contacts")}}


def only(attributes: dict[str, Any], *, crm: str, settings: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """The same integration with one CRM; ``settings``: more of that."""
    others = [name for name in attributes["crms"] if name != crm]

    def of_one(record: dict[str, Any]) -> dict[str, Any]:
        mapped = {name: field for name, field in record["map"].items() if name.partition(".")[0] not in others}
        keys = [{source: {crm: targets[crm]} for source, targets in key.items()} for key in record["sync_on"]]
        return {**record, "map": mapped, "sync_on": keys}

    records = {name: of_one(attributes[name]) for name in ("accounts", "contacts")}
    return {**attributes, **records, "crms": {crm: {**attributes["crms"][crm], **settings}}}
