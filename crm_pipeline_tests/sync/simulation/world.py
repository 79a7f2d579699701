"""A small tenant with its CRMs, in which people edit for some hours, and then nobody: what became of what they wrote?"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import pytest

from crm_pipeline.sandbox.faults import Faults
from crm_pipeline.sandbox.hubspot import hubspot_app
from crm_pipeline.sandbox.qbench import qbench_app
from crm_pipeline.sandbox.salesforce import salesforce_app
from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, Sandbox
from crm_pipeline.sandbox.server import serve
from crm_pipeline_tests.sync.merging.judging import Judgement, judge
from crm_pipeline_tests.sync.merging.parties import canonical
from crm_pipeline_tests.sync.merging.rounds import Pipeline
from crm_pipeline_tests.sync.simulation.hours import Boundaries, Deployment, Mortal, Watched
from crm_pipeline_tests.sync.simulation.people import Customer, Services, mapped
from crm_pipeline_tests.tenants import both_ways, integration


@dataclass(frozen=True, slots=True)
class Hours:
    """How many hours people edit in, how many are quiet behind them, and how many more may need no write any more."""

    busy: int = 6
    quiet: int = 4
    idle: int = 2


@contextmanager
def deployment(url: str, seed: int, *, customers: int) -> Iterator[Deployment]:
    """The three services with these many customers, all in both CRMs, and the pipeline between them."""
    chance = random.Random(seed)
    services, boundaries, faults = Services.with_clocks(chance), Boundaries(), Faults()
    journal = Watched(boundaries, faults)
    apps = {"qbench": qbench_app(services.tenant), "salesforce": salesforce_app(services.org), "hubspot": hubspot_app(services.portal)}
    with (
        pytest.MonkeyPatch.context() as environment,
        serve(apps, journal=journal, faults=faults) as urls,
        closing(Mortal(url, boundaries)) as store,
    ):
        for name, value in SANDBOX_CREDENTIALS.items():
            environment.setenv(name, value)
        sandbox = Sandbox(
            qbench_url=urls["qbench"],
            salesforce_url=urls["salesforce"],
            hubspot_url=urls["hubspot"],
            tenant=services.tenant,
            org=services.org,
            portal=services.portal,
            journal=journal,
            faults=faults,
        )
        spec = both_ways(integration(sandbox, accounts={"map": {"name": "customer_name"}}, contacts=None), accounts=mapped())
        running = Deployment(services, sandbox, spec, store, boundaries, chance)
        for number in range(customers):
            services.tenant.add_customer(customer_name=f"Laboratory {number}")
        running.outward()
        by_key = {record["QBench_Id__c"]: record["Id"] for record in services.org.records("Account")}
        companies = {record["properties"]["qbench_id"]: record["id"] for record in services.portal.records("companies")}
        running.customers = [
            Customer(seed * 1_000 + number, services=services, ids={"q": number, "s": by_key[str(number)], "h": companies[str(number)]})
            for number in (record["id"] for record in services.tenant.customers())
        ]
        yield running


def judged(
    url: str, seed: int, *, customers: int, hours: Hours = Hours(), edits: int = 2, crash: float = 0.3, skip: float = 0.3
) -> list[Judgement]:
    """What became of each customer's edits; ``edits`` before each step."""
    with deployment(url, seed, customers=customers) as running:
        running.edits, running.crash, running.skip = edits, crash, skip
        for _ in range(hours.busy):
            running.hour()
        running.edits, running.crash, running.skip = 0, 0, 0
        for _ in range(hours.quiet):
            running.hour()
        written = len(running.writes())
        for _ in range(hours.idle):
            running.hour()
        idle_writes = len(running.writes()) - written
        told = running.told()
        return [judge(_pipeline(customer, told), idle_writes) for customer in running.customers]


def _pipeline(customer: Customer, told: list[tuple[int, str, str]]) -> Pipeline:
    """The customer as the model's judge looks at it."""
    customer.look()
    return Pipeline(customer, told=[(name, canonical(value)) for number, name, value in told if number == customer.ids["q"]])
