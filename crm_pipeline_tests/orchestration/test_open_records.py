"""A record that a CRM fails on, for a cause of its own that may pass, keeps nobody waiting but its own contacts."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg
import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.sandbox.obstacles import Obstacle
from crm_pipeline.store.alerts import stuck_records
from crm_pipeline_tests.orchestration.conftest import (
    LOADS,
    Verdicts,
    World,
    failures,
    materialized,
    metadata_of,
    numbers,
    outcomes,
    own_world,
    verdicts_of,
    writes,
)
from crm_pipeline_tests.orchestration.test_retries import hours, let_time_pass, tick
from crm_pipeline_tests.tenants import BEFORE_START, FEW_FIELDS, FIRST, IN_SECOND, SECOND, attributes

HELD, SOUND, LATER = 1, 2, 3
TRIES = 2
HOURS_OF_BOTH = [(FIRST, FIRST, set(LOADS[:2])), (FIRST, FIRST, set(LOADS[2:]))]
"""The first hour, as the sensor requests it of each CRM's loads."""

each_crm = pytest.mark.parametrize("crm", ["salesforce", "hubspot"])
Said = dict[tuple[str, str, int], tuple[str, str | None]]
"""Outcome and error type by CRM, record type and QBench id."""


@dataclass(frozen=True)
class Story:
    """Two customers with a contact each, on the first of which both CRMs fail for two loads, a third in the next hour; then it is mended.

    ``said`` after each load of the first hour, after the next hour, and at the end. ``requested`` and ``stuck`` after the loads.
    """

    runs: list[dg.ExecuteInProcessResult]
    said: list[Said]
    checks: Verdicts
    requested: list[list[tuple[str, str, set[str]]]]
    stuck: list[dict[str, int]]
    rows_again: list[tuple[str, int | None]]


def add_customer(world: World, number: int, *, at: int) -> None:
    tenant = world.sandbox.tenant
    tenant.add_customer(id=number, customer_name=f"Lab {number}", at=at)
    person = {"email_address": f"a{number}@example.org", "first_name": "Ana", "last_name": f"Ruiz {number}", "phone": "5125550102"}
    tenant.add_contact(id=number, customer_ids=[number], **person, at=at)


def said_now() -> Said:
    return {key: outcome[:2] for key, outcome in outcomes().items()}


def stuck_now() -> dict[str, int]:
    with STORE.transaction() as connection:
        return stuck_records(connection, "acme", tries=TRIES + 1)


@pytest.fixture(scope="module")
def story(postgres: str) -> Story:
    with own_world(postgres) as world:
        sandbox, dagster = world.sandbox, world.dagster
        spec = IntegrationSpec.model_validate({"name": "acme", **attributes(sandbox), **FEW_FIELDS, "retries": {"attempts": TRIES}})
        add_customer(world, HELD, at=BEFORE_START)
        add_customer(world, SOUND, at=BEFORE_START)
        sandbox.org.obstacles.append(Obstacle("Account", lambda record: record["Name"] == f"Lab {HELD}", "UNKNOWN_EXCEPTION"))
        sandbox.portal.obstacles.append(Obstacle("companies", lambda record: record["name"] == f"Lab {HELD}", "INTERNAL_ERROR"))
        runs = [dagster.run(spec, FIRST)]
        said, stuck = [said_now()], [stuck_now()]
        let_time_pass(86_400)
        requested = [hours(tick(dagster, spec)[0])]
        sandbox.journal.clear()
        runs.append(dagster.run(spec, FIRST, until=FIRST, assets=LOADS))
        rows_again = [(call.service, call.rows) for call in writes(sandbox)]
        said.append(said_now())
        stuck.append(stuck_now())
        requested.append(hours(tick(dagster, spec)[0]))
        add_customer(world, LATER, at=IN_SECOND)
        runs.append(dagster.run(spec, SECOND))
        said.append(said_now())
        sandbox.org.obstacles.clear()
        sandbox.portal.obstacles.clear()
        sandbox.tenant.edit_customer(HELD, comments="mended", at=IN_SECOND + 1)
        runs.append(dagster.run(spec, SECOND))
        said.append(said_now())
        stuck.append(stuck_now())
        return Story(runs, said, verdicts_of(dagster, runs[0]), requested, stuck, rows_again)


def test_every_run_is_green_and_loads_the_contacts(story: Story) -> None:
    assert [failures(run) for run in story.runs] == [{}] * len(story.runs)
    assert set(LOADS) <= materialized(story.runs[0])


@each_crm
def test_contacts_of_other_customers_arrive_in_the_first_run(story: Story, crm: str) -> None:
    assert story.said[0][crm, "account", SOUND] == story.said[0][crm, "contact", SOUND] == ("created", None)


@each_crm
def test_only_the_contacts_of_the_held_customer_wait(story: Story, crm: str) -> None:
    assert story.said[0][crm, "account", HELD] == ("failed", "CrmFailsOnRecordException")
    assert story.said[0][crm, "contact", HELD] == ("deferred", "CustomerNotYetSyncedException")


@pytest.mark.parametrize("load", ["salesforce/accounts", "hubspot/companies"])
def test_the_load_says_how_many_records_are_open(story: Story, load: str) -> None:
    counts = metadata_of(story.runs[0], *load.split("/"))
    assert (counts["failed"], counts["open_records"]) == (1, 1)
    verdict = story.checks[load, "no_open_records"]
    assert (verdict.passed, verdict.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert numbers(verdict) == {"records": 1, "most_attempts": 1, "CrmFailsOnRecordException": 1}
    assert story.checks[load, "no_failed_records"].passed


def test_the_open_record_alone_is_sent_again_when_it_is_due(story: Story) -> None:
    assert sorted(story.requested[0], key=str) == sorted(HOURS_OF_BOTH, key=str)
    assert sorted(story.rows_again) == [("hubspot", 1), ("salesforce", 1)]


@each_crm
def test_what_never_ends_is_given_up_and_its_contacts_say_so(story: Story, crm: str) -> None:
    assert story.said[1][crm, "account", HELD] == ("failed", "CrmFailsOnRecordException")
    assert story.said[1][crm, "contact", HELD] == ("skipped", "CustomerNotSyncedException")
    assert story.requested[1] == []


def test_what_is_given_up_is_an_incident_until_it_arrives(story: Story) -> None:
    assert story.stuck == [{}, {"salesforce": 1, "hubspot": 1}, {}]


@each_crm
def test_later_hours_are_loaded_meanwhile(story: Story, crm: str) -> None:
    assert story.said[2][crm, "account", LATER] == story.said[2][crm, "contact", LATER] == ("created", None)


@each_crm
def test_the_record_and_its_contacts_follow_once_the_crm_takes_it(story: Story, crm: str) -> None:
    assert story.said[3][crm, "account", HELD] == story.said[3][crm, "contact", HELD] == ("created", None)
