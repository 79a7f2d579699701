"""Checks of links in Dagster: their job, their schedules, and what a materialization tells."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.assets import build_integration
from crm_pipeline.orchestration.names import links_job_name
from crm_pipeline.orchestration.running import SCOPE_TAG
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline_tests.orchestration.conftest import LINKS, LOADS, READS, Ticking, World, materialized, metadata_of
from crm_pipeline_tests.orchestration.test_schedule import EXAMPLE
from crm_pipeline_tests.tenants import FIRST, SECOND, START, add_laboratories, customized

WITH_CONTACTS = {**EXAMPLE, "contacts": {"map": {"email": "email_address"}}}


@dataclass(frozen=True)
class Scheduled:
    """An integration into HubSpot, with contacts, on an instance that others share."""

    instance: dg.DagsterInstance
    spec: IntegrationSpec

    def key(self, asset: str) -> str:
        return f"{self.spec.name}/{asset}"

    def tick(self, scope: str) -> dg.RunRequest | dg.SkipReason:
        """What the schedule of these checks does at its next tick."""
        definitions = build_integration(self.spec)
        with Ticking(self.instance, at=START + timedelta(hours=3), definitions=definitions) as context:
            data = definitions.resolve_schedule_def(f"{self.spec.name}__links_{scope}").evaluate_tick(context)
        if data.skip_message:
            return dg.SkipReason(data.skip_message)
        [request] = data.run_requests or []
        return request

    def requested(self, scope: str) -> list[str]:
        """The assets that this tick requests to be made, at this scope."""
        request = self.tick(scope)
        assert isinstance(request, dg.RunRequest)
        assert request.tags[SCOPE_TAG] == scope
        return [key.to_user_string() for key in request.asset_selection or ()]


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance for all tests of the module; each has an integration of its own name."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def scheduled(instance: dg.DagsterInstance, **changes: Any) -> Scheduled:
    """A new integration; what is given replaces keys of the example."""
    name = f"acme_{uuid.uuid4().hex[:8]}"
    return Scheduled(instance, IntegrationSpec.model_validate({**WITH_CONTACTS, "name": name, **changes}))


def test_recent_checks_look_at_the_links_only(instance: dg.DagsterInstance) -> None:
    acme = scheduled(instance)
    assert acme.requested("recent") == [acme.key("hubspot/links"), acme.key("records")]


def test_full_checks_look_for_deletions_and_read_the_contacts_without_one_customer_too(instance: dg.DagsterInstance) -> None:
    acme = scheduled(instance)
    assert acme.requested("full") == [
        acme.key(asset) for asset in ("hubspot/links", "records", "qbench/deletions", "qbench/waiting_contacts")
    ]


def test_checks_say_in_qbench_what_a_crm_deleted_where_that_is_asked_for(instance: dg.DagsterInstance) -> None:
    flag = {"when_deleted": {"flag": {"field": "crm_status", "value": "deleted"}}}
    qbench, accounts = {**EXAMPLE["qbench"], "writes": True}, {**EXAMPLE["accounts"], "from_crm": flag}
    acme = scheduled(instance, qbench=qbench, accounts=accounts)
    said = acme.key("qbench/customers_deleted_in_crms")
    assert acme.requested("recent") == [acme.key("hubspot/links"), said, acme.key("records")]
    assert said in acme.requested("full")


def test_integration_without_contacts_reads_none_again(instance: dg.DagsterInstance) -> None:
    acme = scheduled(instance, contacts=None)
    assert acme.requested("full") == [acme.key(asset) for asset in ("hubspot/links", "records", "qbench/deletions")]


@pytest.mark.parametrize("scope", ["recent", "full"])
def test_paused_integration_checks_no_links(instance: dg.DagsterInstance, scope: str) -> None:
    acme = scheduled(instance, active=False)
    assert acme.tick(scope) == dg.SkipReason(f"integration {acme.spec.name} is paused: active is false")


def test_check_that_is_still_running_is_not_requested_again(instance: dg.DagsterInstance) -> None:
    acme = scheduled(instance)
    key = dg.AssetKey([acme.spec.name, "hubspot", "links"])
    create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED, asset_selection=frozenset([key]))
    said = acme.tick("recent")
    assert isinstance(said, dg.SkipReason)
    assert "queued or running" in str(said.skip_message)


def test_hourly_run_is_no_obstacle_to_a_check(instance: dg.DagsterInstance) -> None:
    acme = scheduled(instance)
    create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED, job_name=f"{acme.spec.name}__sync")
    assert isinstance(acme.tick("recent"), dg.RunRequest)


def test_checks_tick_in_utc_by_the_yamls_cron_and_are_on_while_the_integration_is_active() -> None:
    spec = IntegrationSpec.model_validate({**WITH_CONTACTS, "links": {"recent": "50 * * * *", "full": "0 2 * * *"}})
    definitions = build_integration(spec)
    found = [definitions.resolve_schedule_def(f"acme__links_{scope}") for scope in ("recent", "full")]
    assert [schedule.cron_schedule for schedule in found] == ["50 * * * *", "0 2 * * *"]
    assert {(schedule.execution_timezone, schedule.default_status) for schedule in found} == {("UTC", dg.DefaultScheduleStatus.RUNNING)}


def test_definitions_with_unpartitioned_checks_of_hourly_loads_can_be_loaded() -> None:
    definitions = build_integration(IntegrationSpec.model_validate(WITH_CONTACTS))
    dg.Definitions.validate_loadable(definitions)
    spec = next(spec for spec in definitions.resolve_all_asset_specs() if spec.key.path[-1] == "links")
    assert spec.partitions_def is None
    assert {dep.asset_key.to_user_string() for dep in spec.deps} == {"acme/hubspot/companies", "acme/hubspot/contacts"}


# --- materializations


@dataclass(frozen=True)
class Checked:
    """A full check after six of seven accounts were deleted in Salesforce and two companies merged in HubSpot.

    A customer was deleted in QBench without a new date, and QBench fails on the contact ``broken``, which has no customer.
    """

    broken: int
    full: dg.ExecuteInProcessResult
    later: dg.ExecuteInProcessResult


def run_links(world: World, spec: IntegrationSpec, scope: str | None) -> dg.ExecuteInProcessResult:
    job = world.dagster.definitions(spec).resolve_job_def(links_job_name(spec.name))
    tags = {SCOPE_TAG: scope} if scope else {}
    return job.execute_in_process(instance=world.dagster.instance, tags=tags, raise_on_error=False)


@pytest.fixture(scope="module")
def checked(world: World) -> Checked:
    sandbox = world.sandbox
    customers = add_laboratories(sandbox.tenant, 7)
    person = sandbox.tenant.add_contact(
        customer_ids=customers[:2], email_address="a@b.example.org", first_name="A", last_name="B", phone="512 555 0102", at=1_000
    )
    nameless = sandbox.tenant.add_customer(at=1_000)
    broken = sandbox.tenant.add_contact(email_address="c@d.example.org", first_name="C", last_name="D", at=1_000)
    spec = customized(sandbox)
    assert world.dagster.run(spec, FIRST, assets=(*READS, *LOADS[:1], *LOADS[2:])).success
    for record in sandbox.org.records("Account")[:6]:
        sandbox.org.delete("Account", record["Id"])
    sandbox.portal.merge("companies", *(record["id"] for record in sandbox.portal.records("companies")[:2]))
    sandbox.tenant.edit_contact(person, customer_ids=customers[6:], at=1_000)
    sandbox.tenant.deletions_touch = False
    sandbox.tenant.delete_customer(nameless)
    sandbox.faults.add(Fault(path=f"/contacts/{broken}$", status=500, times=None))
    full = run_links(world, spec, None)
    return Checked(broken, full, world.dagster.run(spec, SECOND, assets=("normalized/contacts", "hubspot/contacts")))


def test_check_started_by_hand_is_a_full_one_of_every_crm(checked: Checked) -> None:
    assert checked.full.success
    assert materialized(checked.full) == {*LINKS, "records", "qbench/deletions", "qbench/waiting_contacts"}
    assert metadata_of(checked.full, "salesforce", "links")["scope"] == "full"


def test_check_shows_counts_per_finding_ids_and_calls(checked: Checked) -> None:
    metadata = metadata_of(checked.full, "hubspot", "links")
    assert (metadata["dagster/row_count"], metadata["conflict"], metadata["relinked"], metadata["deleted"]) == (7, 1, 1, 0)
    assert str(metadata["findings"]).startswith("| record | finding | links | QBench ids (some) |")
    assert "| account | relinked | 1 | 1 |" in str(metadata["findings"])
    assert (metadata["calls_read"], metadata["calls"]) == (1, 2)


def test_too_many_gone_fails_the_check_that_an_alert_can_watch(checked: Checked) -> None:
    found = {"/".join(each.asset_key.path[1:]): each for each in checked.full.get_asset_check_evaluations()}
    assert {name: each.passed for name, each in found.items()} == {"salesforce/links": False, "hubspot/links": True}
    assert found["salesforce/links"].check_name == "few_records_gone"
    assert found["salesforce/links"].severity == dg.AssetCheckSeverity.ERROR
    assert metadata_of(checked.full, "salesforce", "links")["too_many"] == 6


def test_contact_whose_customers_changed_silently_is_read_again_and_synced_by_the_next_hourly_run(checked: Checked) -> None:
    metadata = metadata_of(checked.full, "qbench", "waiting_contacts")
    assert (metadata["dagster/row_count"], metadata["changed"]) == (1, 1)
    assert metadata_of(checked.later, "normalized", "contacts")["again"] == 1
    assert metadata_of(checked.later, "hubspot", "contacts")["created"] == 1


def test_contact_that_qbench_fails_on_is_named_and_keeps_no_other_back(checked: Checked) -> None:
    metadata = metadata_of(checked.full, "qbench", "waiting_contacts")
    assert (metadata["failed"], metadata["failed_ids"]) == (1, str(checked.broken))


def test_deletions_are_counted(checked: Checked) -> None:
    metadata = metadata_of(checked.full, "qbench", "deletions")
    assert (metadata["dagster/row_count"], metadata["deleted"], metadata["restored"]) == (1, 1, 0)
    assert "failed" not in metadata


def test_what_qbench_is_told_of_deletions_is_counted(world: World, checked: Checked) -> None:
    """Six accounts of seven are more than the policy allows."""
    flag = {"when_deleted": {"flag": {"field": "crm_status", "value": "deleted"}}}
    written = customized(world.sandbox)
    spec = written.model_copy(
        update={
            "qbench": written.qbench.model_copy(update={"writes": True}),
            "accounts": type(written.accounts).model_validate({"map": {"name": "customer_name"}, "from_crm": flag}),
        }
    )
    metadata = metadata_of(run_links(world, spec, "recent"), "qbench", "customers_deleted_in_crms")
    assert {name: metadata[name] for name in ("dagster/row_count", "set", "cleared", "refused", "too_many")} == {
        "dagster/row_count": 0,
        "set": 0,
        "cleared": 0,
        "refused": 0,
        "too_many": 6,
    }
