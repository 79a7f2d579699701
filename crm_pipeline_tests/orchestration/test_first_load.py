"""Nothing stops what runs: not a first partition that turned red, and not a CRM or contacts that are added later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg
import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline_tests.orchestration.conftest import World, in_crms, metadata_of, own_world
from crm_pipeline_tests.orchestration.test_retries import hours
from crm_pipeline_tests.tenants import BEFORE_START, FEW_FIELDS, FIRST, IN_SECOND, SECOND, START, add_laboratories, attributes

THIRD = "2026-11-01-02:00"
SALESFORCE = {"qbench/customers", "normalized/accounts", "salesforce/accounts"}
Requested = list[tuple[str, str, set[str]]]


def feeding(sandbox: Sandbox, *crms: str, contacts: bool = False) -> IntegrationSpec:
    """The integration ``acme`` into these CRMs, without contacts unless said."""
    keys = attributes(sandbox) | FEW_FIELDS
    keys["crms"] = {crm: {**keys["crms"][crm], "attempts": 1} for crm in crms}
    if not contacts:
        del keys["contacts"]
    return IntegrationSpec.model_validate({"name": "acme", **keys})


def after(closed: int) -> datetime:
    """Five minutes after so many hours have closed."""
    return START + timedelta(hours=closed, minutes=5)


def follow(world: World, spec: IntegrationSpec, *, at: datetime) -> tuple[Requested, str | None]:
    """Run all that the schedule requests at a time; what that was, or why it skipped."""
    requests, skipped = world.dagster.ticked(spec, at=at)
    for request in requests:
        assert world.dagster.launch(spec, request).success
    return hours(requests), skipped


@dataclass(frozen=True)
class Red:
    """What the schedule requests after the green first partition failed when someone materialized it again, and after the third hour."""

    requested: Requested
    afterwards: tuple[Requested, str | None]


@pytest.fixture(scope="module")
def red(postgres: str) -> Red:
    with own_world(postgres) as world:
        sandbox, dagster, spec = world.sandbox, world.dagster, feeding(world.sandbox, "salesforce", "hubspot")
        add_laboratories(sandbox.tenant, 1)
        assert dagster.run(spec, FIRST).success
        sandbox.tenant.edit_customer(1, at=BEFORE_START + 5, customer_name="Edited")
        sandbox.faults.add(Fault(service="salesforce", times=None, status=503))
        assert not dagster.run(spec, FIRST).success
        sandbox.faults.clear()
        return Red(follow(world, spec, at=after(2))[0], follow(world, spec, at=after(2)))


def test_first_partition_that_was_green_once_is_requested_like_any_other_hour(red: Red) -> None:
    assert red.requested == [(FIRST, FIRST, {"salesforce/accounts"}), (SECOND, SECOND, set())]
    assert red.afterwards == ([], "integration acme: every closed hour is done")


@dataclass(frozen=True)
class Added:
    """An integration into Salesforce that has run for two hours, to which HubSpot and then contacts are added.

    ``held``: what the schedule requested, and then said, before someone loaded what was added. ``loaded``: what it requested afterwards.
    """

    held: tuple[Requested, str | None]
    loaded: Requested
    contacts_held: str | None
    contacts_loaded: Requested
    found: dict[str, tuple[list[str], list[str]]]
    reads: object


@pytest.fixture(scope="module")
def added(postgres: str) -> Added:
    with own_world(postgres) as world:
        sandbox, dagster = world.sandbox, world.dagster
        add_laboratories(sandbox.tenant, 1, contacts_each=1)
        add_laboratories(sandbox.tenant, 1, contacts_each=1, first_number=2, at=IN_SECOND)
        alone, both = feeding(sandbox, "salesforce"), feeding(sandbox, "salesforce", "hubspot")
        assert dagster.run(alone, FIRST, until=SECOND).success
        went_on, _ = follow(world, both, at=after(3))
        _, held = follow(world, both, at=after(3))
        sandbox.journal.clear()
        assert dagster.run(both, FIRST, assets=["hubspot/companies"]).success
        loaded, _ = follow(world, both, at=after(3))
        reads = len(sandbox.journal.calls("qbench"))
        everything = feeding(sandbox, "salesforce", "hubspot", contacts=True)
        _, contacts_held = follow(world, everything, at=after(3))
        of_contacts = ["qbench/contacts", "normalized/contacts", "salesforce/contacts", "hubspot/contacts"]
        first: dg.ExecuteInProcessResult = dagster.run(everything, FIRST, assets=of_contacts)
        assert metadata_of(first, "salesforce", "contacts")["created"] == 1
        contacts_loaded, _ = follow(world, everything, at=after(3))
        found = {crm: (sorted(names.values()), sorted(people.values())) for crm, (names, people) in in_crms(sandbox).items()}
        return Added((went_on, held), loaded, contacts_held, contacts_loaded, found, reads)


def test_crm_that_is_added_holds_back_nothing_but_itself(added: Added) -> None:
    assert added.held == (
        [(THIRD, THIRD, SALESFORCE)],
        f"integration acme: first load not done; materialize partition {FIRST} of acme/hubspot/companies",
    )


def test_crm_that_is_added_catches_up_after_its_first_load_without_reading_qbench_again(added: Added) -> None:
    assert added.loaded == [(SECOND, THIRD, {"hubspot/companies"})]
    assert added.reads == 0


def test_contacts_that_are_added_catch_up_after_their_first_load(added: Added) -> None:
    assert str(added.contacts_held).endswith(
        " of acme/qbench/contacts, acme/normalized/contacts, acme/hubspot/contacts, acme/salesforce/contacts"
    )
    assert added.contacts_loaded == [(SECOND, THIRD, {"qbench/contacts", "normalized/contacts", "salesforce/contacts", "hubspot/contacts"})]
    everyone = (["Laboratory 1", "Laboratory 2"], ["Person 1-1", "Person 2-1"])
    assert added.found == {"salesforce": everyone, "hubspot": everyone}
