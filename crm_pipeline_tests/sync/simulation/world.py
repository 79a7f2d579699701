"""A small tenant with its CRMs, in which people edit for some hours, and then nobody: what became of what they wrote?"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Faults
from crm_pipeline.sandbox.hubspot import hubspot_app
from crm_pipeline.sandbox.qbench import qbench_app
from crm_pipeline.sandbox.salesforce import salesforce_app
from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, Sandbox
from crm_pipeline.sandbox.server import serve
from crm_pipeline_tests.sync.merging.judging import Judgement, judge
from crm_pipeline_tests.sync.merging.parties import canonical
from crm_pipeline_tests.sync.merging.rounds import Pipeline
from crm_pipeline_tests.sync.simulation.fleets import CONTACTS, CUSTOMERS, FIRST_PHONE, Fleet, as_phone
from crm_pipeline_tests.sync.simulation.hours import Boundaries, Deployment, Mortal, Watched
from crm_pipeline_tests.sync.simulation.people import Kept, Services
from crm_pipeline_tests.tenants import both_ways, integration

EMPLOYERS = 3
"""Customers that the contacts of a fleet belong to."""


@dataclass(frozen=True, slots=True)
class Hours:
    """How many hours people edit in, how many are quiet behind them, and how many more may need no write any more."""

    busy: int = 6
    quiet: int = 4
    idle: int = 2


@contextmanager
def deployment(url: str, seed: int, *, fleet: Fleet, records: int) -> Iterator[Deployment]:
    """The three services with a fleet of these many records, all in both CRMs, and the pipeline between them."""
    chance = random.Random(seed)
    services, boundaries, faults = Services.with_clocks(chance, fleet), Boundaries(), Faults()
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
        spec = _integration(sandbox, fleet)
        running = Deployment(services, sandbox, spec, spec.records[RecordType.ACCOUNT], fleet, store, boundaries, chance)
        _begin(running, seed, records)
        yield running


def judged(
    url: str,
    seed: int,
    *,
    records: int,
    fleet: Fleet = CUSTOMERS,
    hours: Hours = Hours(),
    edits: int = 2,
    crash: float = 0.3,
    skip: float = 0.3,
) -> list[Judgement]:
    """What became of the edits of each record; ``edits`` before each step."""
    with deployment(url, seed, fleet=fleet, records=records) as running:
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
        told, accounts = running.told(), accounts_of(running.services)
        found = [judge(_pipeline(one, told), idle_writes) for one in running.kept]
        return [replace(what, disagreeing=what.disagreeing + one.astray(accounts)) for one, what in zip(running.kept, found, strict=True)]


def accounts_of(services: Services) -> dict[int, dict[str, str]]:
    """The ids of each customer in both CRMs, by party."""
    by_key = {record["QBench_Id__c"]: record["Id"] for record in services.org.records("Account")}
    companies = {record["properties"]["qbench_id"]: record["id"] for record in services.portal.records("companies")}
    return {record["id"]: {"s": by_key[str(record["id"])], "h": companies[str(record["id"])]} for record in services.tenant.customers()}


def _integration(sandbox: Sandbox, fleet: Fleet) -> IntegrationSpec:
    people = {"map": {"email": "email_address", "first_name": "first_name", "last_name": "last_name"}}
    spec = integration(sandbox, accounts={"map": {"name": "customer_name"}}, contacts=people if fleet is CONTACTS else None)
    return both_ways(spec, **{"accounts" if fleet is CUSTOMERS else "contacts": fleet.mapped()})


def _begin(running: Deployment, seed: int, records: int) -> None:
    """The records are made in QBench, and arrive in both CRMs."""
    tenant, fleet = running.services.tenant, running.fleet
    for number in range(records if fleet is CUSTOMERS else EMPLOYERS):
        tenant.add_customer(customer_name=f"Laboratory {number}")
    running.outward()
    accounts = accounts_of(running.services)
    if fleet is CUSTOMERS:
        running.kept = [
            Kept(seed * 1_000 + number, services=running.services, ids={"q": number, **ids}) for number, ids in accounts.items()
        ]
        return
    employers, types = list(accounts), running.chance.choices(["WORK", "MOBILE"], k=records)
    for number, phone_type in enumerate(types):
        person: dict[str, Any] = {"email_address": f"person{number}@labs.example.org", "first_name": "Ana", "last_name": f"Ruiz {number}"}
        person |= {"phone": as_phone(FIRST_PHONE), "phone_type": phone_type}
        tenant.add_contact(customer_ids=[running.chance.choice(employers)], **person)
    running.record = running.spec.records[RecordType.CONTACT]
    running.outward()
    people = {record["QBench_Id__c"]: record["Id"] for record in running.services.org.records("Contact")}
    contacts = {record["properties"]["qbench_id"]: record["id"] for record in running.services.portal.records("contacts")}
    running.kept = [
        Kept(
            seed * 1_000 + number,
            services=running.services,
            fleet=fleet,
            phone_type=record["phone_type"],
            customers=employers,
            ids={"q": number, "s": people[str(number)], "h": contacts[str(number)]},
        )
        for record in tenant.contacts()
        for number in [record["id"]]
    ]


def _pipeline(one: Kept, told: list[tuple[int, str, str]]) -> Pipeline:
    """The record as the model's judge looks at it."""
    one.look()
    return Pipeline(one, told=[(name, canonical(value)) for number, name, value in told if number == one.ids["q"]])
