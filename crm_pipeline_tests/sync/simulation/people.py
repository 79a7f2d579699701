"""People who edit records in QBench and in two CRMs: the parties of merging/parties.py, as services that answer over HTTP.

Salesforce keeps 12 characters of each field and shows some changes late, HubSpot puts a blank behind what is written and finds
changes late; the three clocks are wrong, and QBench's may be known to the minute only. Each customer has the fields of the model, in
QBench and in both CRMs, and is a world of its own.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from crm_pipeline.mapping.directions import Direction, Rule
from crm_pipeline.sandbox.hubspot import HubSpotPortal
from crm_pipeline.sandbox.hubspot.properties import Property
from crm_pipeline.sandbox.qbench import QBenchTenant
from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline_tests.sync.merging.parties import CRMS, LATEST, LONGEST_IN_S, MAPPING, REFUSED, World

CRM_NAMES: Mapping[str, str] = MappingProxyType({"s": "salesforce", "h": "hubspot"})
"""What the pipeline calls the model's CRMs."""
LATE_SECONDS = 2
"""By how many seconds a change comes to light late, at most."""
TRANSLATING, TRANSLATED = "filling", f"{REFUSED}no"
"""A field, and what QBench does not take of it: the mapping would send it as another word."""


def field_in(party: str, name: str) -> str:
    """What a party calls one of the model's fields."""
    return f"{name.title()}__c" if party == "s" else f"lab_{name}"


def mapped() -> dict[str, Any]:
    """The map of these fields, for accounts."""
    return {
        f"{CRM_NAMES[crm]}.{field_in(crm, name)}": {
            "from": field_in("q", name),
            **({"translate": {TRANSLATED: "refused"}} if name == TRANSLATING else {}),
            "on_invalid": "truncate",
            "direction": str(one.ways[crm]),
            **({"clear": True} if one.clear else {}),
            **({"rule": {"prefer": "qbench" if one.rules[crm] is Rule.PREFER_QBENCH else CRM_NAMES[crm]}} if _prefers(name, crm) else {}),
        }
        for name, one in MAPPING.items()
        for crm in CRMS
    }


def _prefers(name: str, crm: str) -> bool:
    return MAPPING[name].ways[crm] is Direction.BOTH and MAPPING[name].rules[crm] is not Rule.LATER


@dataclass(frozen=True)
class Services:
    """The three services that people work in; a chance decides about their clocks."""

    tenant: QBenchTenant
    org: SalesforceOrg
    portal: HubSpotPortal

    @classmethod
    def with_clocks(cls, chance: random.Random) -> Services:
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
            kept_form=lambda name, value: f"{value} " if value and name.startswith("lab_") else value,
        )
        for name in MAPPING:
            tenant.add_field("customers", field_in("q", name))
            org.add_field("Account", name=field_in("s", name), type="string", length=LONGEST_IN_S)
            portal.add_property("companies", Property(field_in("h", name), name, group="companyinformation", hubspot_defined=False))
        return cls(tenant, org, portal)


@dataclass(slots=True, kw_only=True)
class Customer(World):
    """One customer, and what people do to it. ``ids``: of its record, by party."""

    services: Services
    ids: dict[str, Any]

    def look(self) -> None:
        """Have the parties show what the services hold."""
        shown = {
            "q": self.services.tenant.customer(self.ids["q"]),
            "s": self.services.org.record("Account", self.ids["s"]),
            "h": self.services.portal.record("companies", self.ids["h"])["properties"],
        }
        for party in self.parties:
            party.values.update({name: shown[party.name].get(field_in(party.name, name)) or "" for name in MAPPING})

    def somebody_edits(self) -> None:
        """One edit, in one of the services."""
        self.look()
        self._somebody_edits()

    def edit(self, where: str, name: str, value: str, *, late: int = 0, unique: bool = True) -> None:
        """Somebody gives a value somewhere; a late one shows a time that has passed."""
        if value.startswith(REFUSED):
            value, unique = TRANSLATED if where in CRMS and name == TRANSLATING else "taken", False
        World.edit(self, where, name, value, unique=unique)
        written: dict[str, Any] = {field_in(where, name): self.edits[-1].value or None}
        if where == "q":
            self.services.tenant.edit_customer(self.ids["q"], **written)
        elif where == "s":
            at = time.time() - LATE_SECONDS * late / LATEST
            self.services.org.update("Account", self.ids["s"], written, at=datetime.fromtimestamp(at, UTC))
        else:
            self.services.portal.update("companies", self.ids["h"], {prop: text or "" for prop, text in written.items()})
