"""A sandbox and a way to run an integration on it through Dagster, and what tests ask of both afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import dagster as dg
import pytest
from dagster._core.storage.tags import RUN_KEY_TAG
from sqlalchemy import text

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.assets import build_integration
from crm_pipeline.orchestration.names import job_name, schedule_name
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.translating import Translate, untranslated
from crm_pipeline.sandbox.hubspot import HubSpotPortal
from crm_pipeline.sandbox.journal import Call
from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, Sandbox, start_sandbox
from crm_pipeline.sandbox.sugarcrm import SugarSite
from crm_pipeline.store.database import URL_VARIABLE
from crm_pipeline_tests.conftest import own_database

LOADS = ("salesforce/accounts", "salesforce/contacts", "hubspot/companies", "hubspot/contacts")
READS = ("qbench/customers", "qbench/contacts", "normalized/accounts", "normalized/contacts")
RESYNCS = ("salesforce/resync", "hubspot/resync")
LINKS = ("salesforce/links", "hubspot/links")
ACCOUNTS = ("qbench/customers", "normalized/accounts", "salesforce/accounts", "hubspot/companies")

NO_WRITE = re.compile(r"/token$|/search$|/batch/read$|/composite/sobjects/\w+$")
"""POST paths that only read: tokens, searches, batch reads and Salesforce's retrieval by ids."""


Verdicts = dict[tuple[str, str], dg.AssetCheckEvaluation]
"""The latest evaluation of each check of a run, by asset (without the integration's name) and check."""


@contextmanager
def running_sandbox(*, external_keys: bool = True, site: SugarSite | None = None) -> Iterator[Sandbox]:
    """The three stand-ins, empty, and that of SugarCRM where one is given; HubSpot's search sees at once what was written."""
    org = SalesforceOrg(external_keys=external_keys)
    portal = HubSpotPortal(external_keys=external_keys, index_lag_seconds=0.0)
    with start_sandbox(org=org, portal=portal, site=site) as running:
        yield running


@dataclass(frozen=True)
class Dagster:
    """Runs integrations on a Dagster instance of the test's own."""

    instance: dg.DagsterInstance
    translate: Translate = untranslated
    _built: list[tuple[IntegrationSpec, dg.Definitions]] = field(default_factory=list)

    def run(
        self,
        spec: IntegrationSpec,
        partition: str,
        *,
        until: str | None = None,
        assets: Sequence[str] | None = None,
        job_of: Callable[[str], str] = job_name,
    ) -> dg.ExecuteInProcessResult:
        """Run a job of the integration for a partition, or for the range from it ``until`` another; all assets or some of them."""
        job = self.definitions(spec).resolve_job_def(job_of(spec.name))
        selection = None if assets is None else [dg.AssetKey([spec.name, *asset.split("/")]) for asset in assets]
        if until is None:
            return job.execute_in_process(partition_key=partition, instance=self.instance, raise_on_error=False, asset_selection=selection)
        tags = {"dagster/asset_partition_range_start": partition, "dagster/asset_partition_range_end": until}
        return job.execute_in_process(tags=tags, instance=self.instance, raise_on_error=False, asset_selection=selection)

    def launch(
        self, spec: IntegrationSpec, request: dg.RunRequest, *, job_of: Callable[[str], str] = job_name
    ) -> dg.ExecuteInProcessResult:
        """Run what a schedule or sensor of a job of the integration requests."""
        job = self.definitions(spec).resolve_job_def(job_of(spec.name))
        key = {} if request.run_key is None else {RUN_KEY_TAG: request.run_key}
        return job.execute_in_process(
            tags={**request.tags, **key}, instance=self.instance, raise_on_error=False, asset_selection=request.asset_selection
        )

    def ticked(
        self, spec: IntegrationSpec, *, at: datetime, schedule_of: Callable[[str], str] = schedule_name
    ) -> tuple[list[dg.RunRequest], str | None]:
        """What a schedule of the integration requests at a time, or why it skips."""
        definitions = self.definitions(spec)
        with Ticking(self.instance, at=at, definitions=definitions) as context:
            evaluated = definitions.resolve_schedule_def(schedule_of(spec.name)).evaluate_tick(context)
        return list(evaluated.run_requests or []), evaluated.skip_message

    def sensed(self, spec: IntegrationSpec, *, sensor_of: Callable[[str], str]) -> list[dg.RunRequest]:
        """What a sensor of the integration requests now."""
        definitions = self.definitions(spec)
        with dg.build_sensor_context(instance=self.instance, definitions=definitions) as context:
            evaluated = definitions.resolve_sensor_def(sensor_of(spec.name)).evaluate_tick(context)
        return list(evaluated.run_requests or [])

    def events(self) -> str:
        """Everything that all runs left in the event log, as it is stored."""
        return "\n".join(self.events_of(run.run_id) for run in self.instance.get_runs())

    def events_of(self, run_id: str) -> str:
        """Everything that a run left in the event log, as it is stored."""
        return "\n".join(dg.serialize_value(entry) for entry in self.instance.all_logs(run_id))

    def definitions(self, spec: IntegrationSpec) -> dg.Definitions:
        """What the integration has in Dagster; built once per spec, as a code location does."""
        for known, definitions in self._built:
            if known == spec:
                return definitions
        definitions = build_integration(spec, self.translate)
        self._built.append((spec, definitions))
        return definitions


@contextmanager
def running_dagster() -> Iterator[Dagster]:
    """A Dagster instance; its runs keep their state in the database that the environment names."""
    STORE.close()
    with dg.DagsterInstance.ephemeral() as instance:
        yield Dagster(instance)
    STORE.close()


class Ticking(dg.ScheduleEvaluationContext):
    """A schedule's tick on an instance in memory; Dagster's own context opens one of SQLite files anew, which costs most of a tick."""

    def __init__(self, instance: dg.DagsterInstance, *, at: datetime, definitions: dg.Definitions) -> None:
        super().__init__(instance_ref=None, scheduled_execution_time=at, repository_def=definitions.get_repository_def())
        self._in_memory = instance

    @property
    def instance(self) -> dg.DagsterInstance:
        return self._in_memory


@dataclass(frozen=True)
class World:
    """A sandbox and a Dagster that several tests look at."""

    sandbox: Sandbox
    dagster: Dagster


@pytest.fixture(scope="module")
def state_database(postgres: str) -> Iterator[str]:
    """URL of one state database for all tests of a module, named where a deployment names it."""
    with own_database(postgres) as url, pytest.MonkeyPatch.context() as environment:
        environment.setenv(URL_VARIABLE, url)
        STORE.close()
        yield url
        STORE.close()


@contextmanager
def _credentials_in_environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        for variable, value in SANDBOX_CREDENTIALS.items():
            environment.setenv(variable, value)
        yield


@contextmanager
def own_world(postgres: str, sandbox: AbstractContextManager[Sandbox] | None = None) -> Iterator[World]:
    """A world for a story that is over when a fixture returns what came of it; the sandbox is an empty one unless given."""
    with (
        own_database(postgres) as url,
        pytest.MonkeyPatch.context() as environment,
        _credentials_in_environment(),
        sandbox or running_sandbox() as running,
    ):
        environment.setenv(URL_VARIABLE, url)
        with running_dagster() as dagster:
            yield World(running, dagster)


@pytest.fixture(scope="module")
def world(state_database: str) -> Iterator[World]:
    """One sandbox with one database for all tests of a module that only read what its fixtures did."""
    with _credentials_in_environment(), running_sandbox() as sandbox, running_dagster() as dagster:
        yield World(sandbox, dagster)


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """The sandbox's credentials, in the environment."""
    for name, value in SANDBOX_CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return SANDBOX_CREDENTIALS


@pytest.fixture
def sandbox(credentials: Mapping[str, str]) -> Iterator[Sandbox]:
    """The three stand-ins, empty, with external keys in both CRMs and the credentials in the environment."""
    with running_sandbox() as running:
        yield running


@pytest.fixture
def keyless_sandbox(credentials: Mapping[str, str]) -> Iterator[Sandbox]:
    """The three stand-ins, empty; the CRMs have no field for the external key."""
    with running_sandbox(external_keys=False) as running:
        yield running


@pytest.fixture
def dagster(database_in_environment: str) -> Iterator[Dagster]:
    """A Dagster instance, and the state database that its runs use."""
    with running_dagster() as running:
        yield running


def metadata_of(result: dg.ExecuteInProcessResult, *key: str) -> dict[str, object]:
    """The metadata of one asset's materialization in a run."""
    for event in result.get_asset_materialization_events():
        if event.asset_key == dg.AssetKey(["acme", *key]):
            return {name: value.value for name, value in event.materialization.metadata.items()}
    raise AssertionError(f"{'/'.join(key)} was not materialized")


def verdicts_of(dagster: Dagster, result: dg.ExecuteInProcessResult) -> Verdicts:
    """The check evaluations that a run stored, by asset (without the integration's name) and check; the last of each."""
    entries = dagster.instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    evaluations = [entry.get_dagster_event().asset_check_evaluation_data for entry in entries]
    return {("/".join(found.asset_key.path[1:]), found.check_name): found for found in evaluations}


def numbers(verdict: dg.AssetCheckEvaluation) -> dict[str, object]:
    """What a check counted, by name."""
    return {name: value.value for name, value in verdict.metadata.items()}


def materialized(result: dg.ExecuteInProcessResult) -> set[str]:
    """The assets that a run materialized, without the integration's name."""
    keys = [event.asset_key for event in result.get_asset_materialization_events()]
    return {"/".join(key.path[1:]) for key in keys if key is not None}


def failures(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """What the failed steps of a run say, by asset without the integration's name. Fails where a step has only a stack trace."""
    said: dict[str, str] = {}
    for event in result.all_events:
        if event.is_step_failure:
            failure = event.step_failure_data.user_failure_data
            assert failure is not None, f"{event.step_key} failed without words of ours: {event.step_failure_data.error}"
            said["/".join(str(event.step_key).split("__")[1:])] = failure.description or ""
    return said


def outcomes() -> dict[tuple[str, str, int], tuple[str, str | None, str | None]]:
    """The latest outcome, error type and reason by CRM, record type and QBench id."""
    statement = text("SELECT crm, record_type, qbench_id, outcome, error_type, reason FROM crm_pipeline.outcome")
    with STORE.transaction() as connection:
        rows = connection.execute(statement)
        return {(row.crm, row.record_type, row.qbench_id): (row.outcome, row.error_type, row.reason) for row in rows}


def writes(sandbox: Sandbox, service: str | None = None) -> list[Call]:
    """The calls in the journal that write to a CRM."""
    crms = [call for call in sandbox.journal.calls(service) if call.service != "qbench"]
    return [call for call in crms if call.method != "GET" and not (call.method == "POST" and NO_WRITE.search(call.path))]


def written_to(sandbox: Sandbox) -> list[tuple[str, str]]:
    """Service and path of each write, in order, to be counted."""
    return [(call.service, call.path) for call in writes(sandbox)]


@dataclass(frozen=True)
class CrmRecords:
    """What a CRM's users had made before the first sync, by the number of the laboratory that it means."""

    accounts: dict[int, str]
    contacts: dict[int, str]


def made_by_hand(sandbox: Sandbox, *laboratories: int, crms: Collection[str] = ("salesforce", "hubspot")) -> dict[str, CrmRecords]:
    """Laboratories (tenants.add_laboratories) with their first person in these CRMs, typed another way, and one that QBench lacks."""
    made = {crm: CrmRecords({}, {}) for crm in crms}
    for number in (*laboratories, 99):
        name, email = f"LABORATORY  {number}", f"Person1@Laboratory{number}.example.org"
        if "salesforce" in made:
            account = sandbox.org.add("Account", {"Name": name, "Phone": "by hand"})
            person = sandbox.org.add("Contact", {"LastName": "By Hand", "Email": email, "AccountId": account})
            made["salesforce"].accounts[number], made["salesforce"].contacts[number] = account, person
        if "hubspot" in made:
            company = sandbox.portal.add("companies", {"name": name, "phone": "by hand"})
            human = sandbox.portal.add("contacts", {"email": email.lower(), "lastname": "By Hand"})
            sandbox.portal.associate(human, company)
            made["hubspot"].accounts[number], made["hubspot"].contacts[number] = company, human
    return made


def in_crms(sandbox: Sandbox) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    """By CRM: the names of accounts and the last names of contacts, by CRM id."""
    org, portal = sandbox.org, sandbox.portal
    return {
        "salesforce": (
            {record["Id"]: record["Name"] for record in org.records("Account")},
            {record["Id"]: record["LastName"] for record in org.records("Contact")},
        ),
        "hubspot": (
            {record["id"]: record["properties"]["name"] for record in portal.records("companies")},
            {record["id"]: record["properties"]["lastname"] for record in portal.records("contacts")},
        ),
    }
