"""The plan foretells the load: whole made-up tenants, planned and then loaded, at first and after changes."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from crm_pipeline.model import RecordType
from crm_pipeline.qbench.source import QBench
from crm_pipeline.sandbox.hubspot import HubSpotPortal
from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, start_sandbox
from crm_pipeline.sandbox.seed import seed_existing, seed_tenant
from crm_pipeline.store.database import Store
from crm_pipeline.store.manual_links import remove_link
from crm_pipeline.store.staging import EVERYTHING, Window
from crm_pipeline.sync.extracting.extract import Extract
from crm_pipeline.sync.loading.load import Load
from crm_pipeline.sync.loading.preview import Forecast, Preview
from crm_pipeline.sync.planning.planned_accounts import PlannedAccounts
from crm_pipeline_tests.conftest import empty
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, LEAN_ACCOUNT_MAP, LEAN_CONTACT_MAP, Bench

MORE = int(os.environ.get("CRM_PIPELINE_MORE_EXAMPLES", "0"))
"""How many tenants more are tried, of any kind."""

NOW = 1_793_500_000
HOUR = 3_600

REFUSALS = {
    "ExistingRecordException",
    "EmailTakenException",
    "DuplicateRecordException",
    "InvalidValueException",
    "RecordRefusedException",
}
"""What only the CRM can say of a record that is sent."""

DONE = {"create": "created", "update": "updated", "link": "linked"}


@dataclass(frozen=True)
class Kind:
    """A kind of tenant, and how it is loaded."""

    crm: str
    seed: int = 1
    external_keys: bool = True
    sync_on: bool = True
    owners: bool = True
    existing: bool = True
    frame_rows: int = 25

    @property
    def rules(self) -> dict[str, Any]:
        accounts: dict[str, Any] = {"map": LEAN_ACCOUNT_MAP, "only": {"all": [{"field": "status", "is": "ACTIVE"}]}}
        contacts: dict[str, Any] = {"map": LEAN_CONTACT_MAP}
        if self.sync_on:
            accounts["sync_on"] = [{"name": {"salesforce": "Name", "hubspot": "name"}}]
            contacts["sync_on"] = [{"email": {"salesforce": "Email", "hubspot": "email"}}]
        if self.owners:
            rule = {"only": {"field": "country_name", "is": "US"}, "salesforce": "ana@acme.example", "hubspot": "ana@acme.example"}
            accounts["owner"] = [rule, {"salesforce": "gone@acme.example", "hubspot": "gone@acme.example"}]
            contacts["owner"] = [{"same_as_account": True}]
        return {"accounts": accounts, "contacts": contacts}


@dataclass(frozen=True)
class Loaded:
    """How many records a load planned again, and how many ended with each outcome and error."""

    replanned: int
    ends: Counter[tuple[str, str | None]]


class Tenant:
    """A tenant whose records are planned, and then loaded."""

    def __init__(self, bench: Bench, kind: Kind) -> None:
        self.bench = bench
        # A client of its own for each step knows nothing of the searches that the one before made in the same second.
        again = {"attempts": 3, "waits": {"first_seconds": 0.5}}
        self.spec = bench.spec(external_keys=kind.external_keys, settings=again, **kind.rules)
        self._kind = kind
        self._loads = 0

    def read(self, window: Window) -> None:
        """Extract and normalize."""
        with closing(QBench(self.spec.qbench, integration=self.spec.name)) as source:
            for record_type in (ACCOUNT, CONTACT):
                Extract(self.spec.name, record_type, store=self.bench.store, source=source).run(window)
        for record_type in (ACCOUNT, CONTACT):
            self.bench.normalize(self.spec, record_type, window=window)

    def foretold(self, window: Window) -> dict[RecordType, Forecast]:
        with closing(self.bench.connect(self.spec)) as crm:
            accounts = PlannedAccounts(self.bench.order(self.spec, ACCOUNT).state)
            preview = Preview(store=self.bench.store, crm=crm, accounts=accounts, frame_rows=self._kind.frame_rows)
            return {one: preview.forecast(self.bench.order(self.spec, one), window) for one in (ACCOUNT, CONTACT)}

    def loaded(self, window: Window) -> dict[RecordType, Loaded]:
        """What the loads make of the records."""
        self._loads += 1
        run_id = f"load {self._loads}"
        found: dict[RecordType, Loaded] = {}
        for record_type in (ACCOUNT, CONTACT):
            with closing(self.bench.connect(self.spec)) as crm:
                order = self.bench.order(self.spec, record_type, run_id=run_id)
                report = Load(order, store=self.bench.store, crm=crm, frame_rows=self._kind.frame_rows).run(window)
            rows = self.bench.rows(
                "SELECT outcome, error_type, count(*) FROM crm_pipeline.outcome JOIN crm_pipeline.attempt ON attempt.id = outcome.run_id "
                f"WHERE record_type = '{record_type}' AND attempt.run_id = '{run_id}' GROUP BY outcome, error_type"
            )
            found[record_type] = Loaded(report.replanned, Counter({(outcome, error): count for outcome, error, count in rows}))
        return found

    def require_foretold(self, window: Window) -> None:
        """What is planned is what is loaded, but for what only the CRM can refuse."""
        told, done = self.foretold(window), self.loaded(window)
        for record_type in (ACCOUNT, CONTACT):
            forecast, load = told[record_type], done[record_type]
            planned = Counter({(DONE.get(what, what), error): tally.count for (what, error), tally in forecast.planned.items()})
            only_planned, only_loaded = planned - load.ends, load.ends - planned
            assert {error for _, error in only_loaded} <= REFUSALS, (only_planned, only_loaded)
            assert {what for what, _ in only_planned} <= {*DONE.values()}, (only_planned, only_loaded)
            assert only_planned.total() == only_loaded.total()
            assert forecast.replanned == load.replanned

    def change(self, rng: random.Random, at: int) -> None:
        """An hour in which much happens to the tenant, and some links are removed by hand."""
        tenant = self.bench.sandbox.tenant
        customers, contacts = tenant.customers(), tenant.contacts()
        for customer in rng.sample(customers, 6):
            number = customer["id"]
            edits = {"comments": "new"}, {"status": "INACTIVE"}, {"status": "ACTIVE"}, {"customer_name": f"New {number}"}
            tenant.edit_customer(number, at=at, **rng.choice(edits))
        for contact in rng.sample(contacts, 12):
            number, address, of = contact["id"], rng.choice(contacts)["email_address"], rng.choice(customers)["id"]
            edit: dict[str, Any] = rng.choice([{"first_name": "New"}, {"email_address": address}, {"phone": None}, {"customer_ids": [of]}])
            tenant.edit_contact(number, at=at, **edit)
        for customer in rng.sample(customers, 2):
            tenant.delete_customer(customer["id"], at=at)
        for contact in rng.sample(contacts, 4):
            tenant.delete_contact(contact["id"], at=at)
        order = self.bench.order(self.spec, CONTACT)
        linked = [number for (number,) in self.bench.rows("SELECT qbench_id FROM crm_pipeline.link WHERE record_type = 'contact'")]
        with self.bench.store.transaction() as connection:
            for number in rng.sample(sorted(linked), 3):
                remove_link(connection, order.state, qbench_id=number)


@contextmanager
def tenant_of(kind: Kind, store: Store) -> Iterator[Tenant]:
    empty(store)
    tenant = seed_tenant(seed=kind.seed, customers=20, contacts=60, now=NOW)
    org, portal = SalesforceOrg(external_keys=True), HubSpotPortal(external_keys=True, index_lag_seconds=0.0)
    org.add_user(username="ana@acme.example", last_name="Ruiz")
    portal.add_owner("ana@acme.example")
    if kind.existing:
        seed_existing(tenant, org, portal, seed=kind.seed)
    with pytest.MonkeyPatch.context() as environment, start_sandbox(tenant=tenant, org=org, portal=portal) as running:
        for name, value in SANDBOX_CREDENTIALS.items():
            environment.setenv(name, value)
        yield Tenant(Bench(running, store, kind.crm), kind)


def kinds() -> list[Kind]:
    rng = random.Random(MORE)
    yes = [True, False]
    return [
        Kind("salesforce"),
        Kind("hubspot", seed=2, external_keys=False, owners=False),
        Kind("hubspot", seed=3, sync_on=False, frame_rows=5_000),
        *(
            Kind(
                rng.choice(["salesforce", "hubspot"]),
                seed=rng.randrange(1_000),
                external_keys=rng.choice(yes),
                sync_on=rng.choice(yes),
                owners=rng.choice(yes),
                existing=rng.choice(yes),
                frame_rows=rng.choice([7, 25, 5_000]),
            )
            for _ in range(MORE)
        ),
    ]


@pytest.mark.parametrize("kind", kinds(), ids=str)
def test_the_plan_foretells_the_load(store: Store, kind: Kind) -> None:
    with tenant_of(kind, store) as tenant:
        first = Window(since=None, until=NOW)
        tenant.read(first)
        # All that is staged: a plan looks for shared addresses once, a load asks frame by frame.
        tenant.require_foretold(EVERYTHING)
        rng = random.Random(kind.seed)
        for hour in range(1, 4 if MORE else 2):
            tenant.change(rng, at=NOW + hour * HOUR + 60)
            window = Window(since=NOW + hour * HOUR, until=NOW + (hour + 1) * HOUR)
            tenant.read(window)
            tenant.require_foretold(window)
