"""What is sent to a CRM stands still for a while, and nothing is skipped once it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dagster as dg
import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline_tests.orchestration.conftest import World, in_crms, materialized, own_world, written_to
from crm_pipeline_tests.orchestration.test_first_load import Requested, after, follow
from crm_pipeline_tests.tenants import FIRST, IN_SECOND, SECOND, add_laboratories, customized

HELD = "nothing is sent to Salesforce while `crms.salesforce.send` is false; its hours stay missing until then"
PAUSED = {"send": False}
SALESFORCE = {"salesforce/accounts"}


@dataclass(frozen=True)
class Paused:
    """Three hours, of which Salesforce is paused in the last two: a customer is edited in the first of them and another in the second.

    ``by_hand``: the second hour materialized as a whole, and what its log said; ``resync``: what that asset failed with.
    ``resumed``: what the schedule requests once it goes on.
    """

    first: tuple[Requested, str | None]
    second: tuple[Requested, str | None]
    by_hand: tuple[bool, set[str]]
    said: str
    meanwhile: set[str]
    names_meanwhile: dict[str, list[str]]
    resync: str
    resumed: tuple[Requested, str | None]
    names: dict[str, list[str]]


def without_contacts(world: World, **services: Any) -> IntegrationSpec:
    """The integration of customers alone."""
    return customized(world.sandbox, **services).model_copy(update={"contacts": None})


def names_of(world: World) -> dict[str, list[str]]:
    return {crm: sorted(accounts.values()) for crm, (accounts, _) in in_crms(world.sandbox).items()}


@pytest.fixture(scope="module")
def paused(postgres: str) -> Paused:
    with own_world(postgres) as world:
        tenant, dagster = world.sandbox.tenant, world.dagster
        flowing, held = without_contacts(world), without_contacts(world, salesforce=PAUSED)
        add_laboratories(tenant, 2)
        assert dagster.run(flowing, FIRST).success
        tenant.edit_customer(1, at=IN_SECOND, customer_name="Edited while paused")
        world.sandbox.journal.clear()
        first = follow(world, held, at=after(2))
        tenant.edit_customer(2, at=IN_SECOND + 3_600, customer_name="Edited later")
        by_hand = dagster.run(held, SECOND)
        second = follow(world, held, at=after(3))
        meanwhile, names_meanwhile = {service for service, _ in written_to(world.sandbox)}, names_of(world)
        resync = (
            dagster.definitions(held)
            .resolve_implicit_global_asset_job_def()
            .execute_in_process(
                asset_selection=[dg.AssetKey(["acme", "salesforce", "resync"])], instance=dagster.instance, raise_on_error=False
            )
        )
        return Paused(
            first,
            second,
            (by_hand.success, materialized(by_hand)),
            dagster.events_of(by_hand.run_id),
            meanwhile,
            names_meanwhile,
            dagster.events_of(resync.run_id),
            follow(world, flowing, at=after(3)),
            names_of(world),
        )


def test_schedule_goes_on_with_everything_but_the_paused_loads(paused: Paused) -> None:
    others = {"qbench/customers", "normalized/accounts", "hubspot/companies"}
    assert [requested for _, _, requested in paused.first[0] + paused.second[0]] == [others, others]


def test_run_by_hand_succeeds_says_that_it_is_paused_and_leaves_the_hour_missing(paused: Paused) -> None:
    success, made = paused.by_hand
    assert success
    assert made.isdisjoint(SALESFORCE)
    assert HELD in paused.said


def test_nothing_is_sent_while_it_is_paused_and_everything_once_it_goes_on(paused: Paused) -> None:
    assert paused.meanwhile == {"hubspot"}
    assert paused.names_meanwhile["salesforce"] == ["Laboratory 1", "Laboratory 2"]
    assert paused.names["salesforce"] == paused.names["hubspot"] == ["Edited later", "Edited while paused"]


def test_all_missed_hours_of_the_paused_loads_are_requested_once_it_goes_on(paused: Paused) -> None:
    assert paused.resumed[0] == [(SECOND, "2026-11-01-02:00", SALESFORCE)]


def test_resync_of_a_paused_crm_says_what_to_do(paused: Paused) -> None:
    assert "`crms.salesforce.send` is false, so nothing is sent; set it to true" in paused.resync


def test_paused_crm_looks_the_same_in_the_graph_and_is_never_stale(postgres: str) -> None:
    with own_world(postgres) as world:
        flowing, held = (world.dagster.definitions(customized(world.sandbox, salesforce=more)) for more in ({}, PAUSED))
    of_each = [{spec.key: spec for spec in definitions.resolve_all_asset_specs()} for definitions in (flowing, held)]
    assert of_each[0].keys() == of_each[1].keys()
    key = dg.AssetKey(["acme", "salesforce", "accounts"])
    before, after_ = (specs[key] for specs in of_each)
    assert (before.deps, before.group_name, before.kinds, before.partitions_def) == (
        after_.deps,
        after_.group_name,
        after_.kinds,
        after_.partitions_def,
    )
    assert before.freshness_policy is not None
    assert after_.freshness_policy is None
