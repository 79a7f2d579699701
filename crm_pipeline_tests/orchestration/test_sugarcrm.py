"""SugarCRM as the only CRM of an integration, both ways: two hours are loaded, the second fails and is materialized again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.names import from_crms_job_name
from crm_pipeline.sandbox.credentials import SUGARCRM_CREDENTIALS
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.journal import Call
from crm_pipeline.sandbox.sandbox import Sandbox, start_sandbox
from crm_pipeline.sandbox.sugarcrm import SugarSite
from crm_pipeline_tests.orchestration.conftest import World, failures, materialized, metadata_of, outcomes, own_world
from crm_pipeline_tests.tenants import FEW_FIELDS, FIRST, IN_SECOND, SECOND, START, add_laboratories, attributes, both_ways, sugarcrm

PASSWORD = SUGARCRM_CREDENTIALS["SUGARCRM_PASSWORD"]
PATH = "/service/v4_1/rest.php#set_entries"
LOADS = ["sugarcrm/accounts", "sugarcrm/contacts"]
LOOK = {"sugarcrm/account_changes", "qbench/customers_from_sugarcrm"}


def with_sugarcrm(sandbox: Sandbox) -> IntegrationSpec:
    """The integration ``acme`` from QBench to SugarCRM, whose customers' comments go both ways."""
    settings = {**sugarcrm(sandbox), "external_key": "qbench_id_c", "attempts": 1}
    spec = IntegrationSpec.model_validate({"name": "acme", **attributes(sandbox), **FEW_FIELDS, "crms": {"sugarcrm": settings}})
    return both_ways(spec, accounts={"description": {"from": "comments", "direction": "both"}})


@dataclass(frozen=True)
class Story:
    """The runs in their order, what the last one wrote, what stands on both sides in the end, and what Dagster keeps of it all."""

    first: dg.ExecuteInProcessResult
    accepted: dg.ExecuteInProcessResult
    failed: dg.ExecuteInProcessResult
    back: dg.ExecuteInProcessResult
    repaired: dg.ExecuteInProcessResult
    writes: list[Call]
    site: dict[str, list[tuple[str, ...]]]
    comments: list[Any]
    outcomes: dict[tuple[str, str, int], tuple[str, str | None, str | None]]
    events: str
    secrets: list[str]


@pytest.fixture(scope="module")
def story(postgres: str) -> Story:
    site = SugarSite(external_keys=True)
    with pytest.MonkeyPatch.context() as environment, own_world(postgres, start_sandbox(site=site)) as world:
        for name, value in SUGARCRM_CREDENTIALS.items():
            environment.setenv(name, value)
        return played(world, site)


def played(world: World, site: SugarSite) -> Story:
    sandbox, dagster, spec = world.sandbox, world.dagster, with_sugarcrm(world.sandbox)
    tenant = sandbox.tenant
    add_laboratories(tenant, 3, contacts_each=1)
    stands_at(site, START - timedelta(hours=1))
    first = dagster.run(spec, FIRST)
    accepted = dagster.run(spec, FIRST, job_of=from_crms_job_name)
    stands_at(site, START + timedelta(hours=1, minutes=10))
    [account] = [record["id"] for record in site.records("Accounts") if record["name"] == "Laboratory 1"]
    site.update("Accounts", account, {"description": "O'Brien & Sons"})
    tenant.edit_customer(2, customer_name="Renamed", at=IN_SECOND)
    sandbox.faults.add(Fault(service="sugarcrm", status=503, times=None))
    failed = dagster.run(spec, SECOND)
    sandbox.faults.clear()
    back = dagster.run(spec, SECOND, job_of=from_crms_job_name)
    sandbox.journal.clear()
    repaired = dagster.run(spec, SECOND, assets=LOADS)
    shown = {"Accounts": ("name", "description", "qbench_id_c"), "Contacts": ("last_name", "account_name", "qbench_id_c")}
    return Story(
        first,
        accepted,
        failed,
        back,
        repaired,
        [call for call in sandbox.journal.calls("sugarcrm") if call.path == PATH],
        {module: sorted(tuple(record[name] for name in names) for record in site.records(module)) for module, names in shown.items()},
        [customer.get("comments") for customer in tenant.customers()],
        outcomes(),
        dagster.events(),
        [PASSWORD, hashlib.md5(PASSWORD.encode(), usedforsecurity=False).hexdigest(), *site.sessions],
    )


def stands_at(site: SugarSite, moment: datetime) -> None:
    """What the site takes for the time."""
    site.clock = moment.timestamp


def test_hour_is_loaded_with_accounts_before_their_contacts(story: Story) -> None:
    assert story.first.success, failures(story.first)
    assert materialized(story.first) >= {*LOADS, "normalized/accounts", "qbench/contacts"}
    assert metadata_of(story.first, *LOADS[0].split("/"))["created"] == metadata_of(story.first, *LOADS[1].split("/"))["created"] == 3


def test_hour_in_which_sugarcrm_is_down_fails_and_what_is_read_stays(story: Story) -> None:
    assert not story.failed.success
    assert list(failures(story.failed)) == ["sugarcrm/accounts"]
    assert {"qbench/customers", "normalized/accounts"} <= materialized(story.failed)


def test_edit_of_its_people_arrives_in_qbench_before_that_hour_is_made_good(story: Story) -> None:
    assert story.accepted.success, failures(story.accepted)
    assert story.back.success, failures(story.back)
    assert materialized(story.back) >= LOOK
    assert story.comments == ["O'Brien & Sons", None, None]


def test_hour_that_failed_is_made_good_by_materializing_it_again_with_what_is_open(story: Story) -> None:
    assert story.repaired.success, failures(story.repaired)
    assert materialized(story.repaired) == {*LOADS}
    assert [call.path for call in story.writes] == [PATH]
    assert metadata_of(story.repaired, "sugarcrm", "accounts")["updated"] == 1


def test_each_record_is_there_once_with_its_key_and_its_account(story: Story) -> None:
    assert story.site["Accounts"] == [("Laboratory 1", "O&#039;Brien & Sons", "1"), ("Laboratory 3", "", "3"), ("Renamed", "", "2")]
    assert [account for _, account, _ in story.site["Contacts"]] == ["Laboratory 1", "Renamed", "Laboratory 3"]
    assert {error for _, error, _ in story.outcomes.values()} == {None}


def test_neither_password_nor_session_is_in_the_events_of_these_runs(story: Story) -> None:
    assert "STEP_FAILURE" in story.events
    assert len(story.secrets) > 2
    assert [secret for secret in story.secrets if secret in story.events] == []
