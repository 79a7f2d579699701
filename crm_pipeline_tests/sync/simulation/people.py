"""People who edit records in QBench and in two CRMs: the parties of merging/parties.py, as services that answer over HTTP.

Salesforce keeps 12 characters of each field and shows some changes late, HubSpot writes in a form of its own and finds
changes late; the three clocks are wrong, and QBench's may be known to the minute only. Each record has the fields of the model, in
QBench and in both CRMs, and is a world of its own.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from crm_pipeline.sandbox.hubspot import HubSpotPortal
from crm_pipeline.sandbox.qbench import QBenchTenant
from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline_tests.sync.merging.parties import CRMS, LATEST, REFUSED, World
from crm_pipeline_tests.sync.simulation.fleets import CUSTOMERS, PHONE, TAKEN, TRANSLATED, TRANSLATING, Fleet, kept_by_hubspot

LATE_SECONDS = 2
"""By how many seconds a change comes to light late, at most."""
MOVES = 0.1
"""How likely somebody who edits a contact gives it to another customer, in QBench."""
PRIMARY = 1


@dataclass(frozen=True)
class Services:
    """The three services that people work in; a chance decides about their clocks."""

    tenant: QBenchTenant
    org: SalesforceOrg
    portal: HubSpotPortal

    @classmethod
    def with_clocks(cls, chance: random.Random, fleet: Fleet) -> Services:
        """Services with the fields of the model, empty; each clock is wrong by up to a minute and a half."""
        tenant = QBenchTenant(limits=None)
        tenant.clock_ahead, tenant.stamp_seconds = chance.randint(-90, 90), chance.choice([1, 60])
        org = SalesforceOrg(external_keys=True, clock_ahead=chance.randint(-90, 90))
        ahead = chance.randint(-90, 90)
        portal = HubSpotPortal(
            external_keys=True,
            index_lag_seconds=0.5,
            edit_lag_seconds=0.5,
            search_calls=None,
            burst_calls=None,
            clock=lambda: time.time() + ahead,
            kept_form=kept_by_hubspot,
        )
        fleet.add_fields(tenant, org, portal)
        return cls(tenant, org, portal)


@dataclass(slots=True, kw_only=True)
class Kept(World):
    """One record of a fleet, and what people do to it. ``ids``: of its record, by party; ``customers``: it may belong to each of them."""

    services: Services
    ids: dict[str, Any]
    fleet: Fleet = CUSTOMERS
    phone_type: str = "WORK"
    customers: Sequence[int] = ()

    def look(self) -> None:
        """Have the parties show what the services hold."""
        tenant, org, portal = self.services.tenant, self.services.org, self.services.portal
        shown = {
            "q": tenant.customer(self.ids["q"]) if self.fleet is CUSTOMERS else tenant.contact(self.ids["q"]),
            "s": org.record(self.fleet.objects["s"], self.ids["s"]),
            "h": portal.record(self.fleet.objects["h"], self.ids["h"])["properties"],
        }
        for party in self.parties:
            party.values.update(self.fleet.values_of(party.name, shown[party.name], phone_type=self.phone_type))

    def somebody_edits(self) -> None:
        """One edit, in one of the services."""
        if self.customers and self.chance.random() < MOVES:
            self.services.tenant.edit_contact(self.ids["q"], customer_ids=[self.chance.choice(self.customers)])
            return
        self.look()
        self._somebody_edits()

    def edit(self, where: str, name: str, value: str, *, late: int = 0, unique: bool = True) -> None:
        """Somebody gives a value somewhere; a late one shows a time that has passed."""
        if value.startswith(REFUSED):
            translated = where in CRMS and name == TRANSLATING and not self.fleet.has_phones
            value, unique = TRANSLATED if translated else TAKEN, False
        if where == "s" and self.fleet.has_phones and name == PHONE:
            # An extension is no letters that could be cut.
            value = value.partition("-")[0]
        World.edit(self, where, name, value, unique=unique)
        written = self.fleet.fields_of(where, name, {name: self.edits[-1].value}, phone_type=self.phone_type)
        if where == "q":
            edits = self.services.tenant.edit_customer if self.fleet is CUSTOMERS else self.services.tenant.edit_contact
            edits(self.ids["q"], **written)
        elif where == "s":
            at = time.time() - LATE_SECONDS * late / LATEST
            self.services.org.update(self.fleet.objects["s"], self.ids["s"], written, at=datetime.fromtimestamp(at, UTC))
        else:
            self.services.portal.update(self.fleet.objects["h"], self.ids["h"], {prop: text or "" for prop, text in written.items()})

    def astray(self, accounts: dict[int, dict[str, str]]) -> list[str]:
        """The CRMs in which a contact belongs to another account than its customer's; ``accounts``: by customer and party."""
        if not self.customers:
            return []
        [customer] = self.services.tenant.contact(self.ids["q"])["customer_ids"]
        pairs = self.services.portal.associations()
        primary = [company for contact, company, types in pairs if contact == self.ids["h"] and PRIMARY in types]
        there = {"s": [self.services.org.record("Contact", self.ids["s"])["AccountId"]], "h": primary}
        return [f"account in {crm}" for crm in CRMS if there[crm] != [accounts[customer][crm]]]
