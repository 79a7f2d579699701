"""What the people of a simulation edit, customers or contacts: how each service calls the fields of the model, and shows their values.

A contact's ``filling`` is its phone: a number and a type that are one value, kept where the type says, in a form that is HubSpot's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from crm_pipeline.mapping.directions import Direction, Rule
from crm_pipeline.sandbox.hubspot import HubSpotPortal
from crm_pipeline.sandbox.hubspot.properties import Property
from crm_pipeline.sandbox.qbench import QBenchTenant
from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline_tests.sync.merging.parties import CRMS, LONGEST_IN_S, MAPPING, REFUSED

CRM_NAMES: Mapping[str, str] = MappingProxyType({"s": "salesforce", "h": "hubspot"})
"""What the pipeline calls the model's CRMs."""
TRANSLATING, TRANSLATED = "filling", f"{REFUSED}no"
"""A field, and what QBench does not take of it: the mapping would send it as another word."""
PHONE = TRANSLATING
PHONES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "q": {"WORK": "phone", "MOBILE": "phone"},
        "s": {"WORK": "Phone", "MOBILE": "MobilePhone"},
        "h": {"WORK": "phone", "MOBILE": "mobilephone"},
    }
)
"""Where each party keeps a phone of a type."""
PHONE_FIELDS = {name for fields in PHONES.values() for name in fields.values()}
FIRST_PHONE = "f9998"
"""No contact is made without one."""
TAKEN = "taken"
"""A value that several people give."""


def field_in(party: str, name: str) -> str:
    """What a party calls one of the model's fields, where it is a field of its own."""
    return f"{name.title()}__c" if party == "s" else f"lab_{name}"


def as_phone(value: str) -> str:
    """A value of the model as a phone number; what is behind its first five letters becomes an extension."""
    if not value:
        return ""
    number = 9999 if value == TAKEN else int(value[1:5])
    return f"+1512555{number:04}{' ext. 7' if len(value) > len(TAKEN) else ''}"


def of_phone(number: str | None) -> str:
    """The value that a phone number stands for, however it is written."""
    found = re.search(r"555\D*(\d{4})\D*(7?)$", number or "")
    if found is None:
        return ""
    value = TAKEN if found[1] == "9999" else f"{PHONE[0]}{found[1]}"
    return f"{value}-long-text" if found[2] else value


def kept_by_hubspot(name: str, value: str) -> str:
    """The form in which HubSpot keeps what is written."""
    if value and name.startswith("lab_"):
        return f"{value} "
    if value and name in PHONE_FIELDS:
        number, _, extension = value.removeprefix("+1").partition(" ext. ")
        return f"({number[:3]}) {number[3:6]}-{number[6:]}{f' x{extension}' if extension else ''}"
    return value


@dataclass(frozen=True, slots=True)
class Fleet:
    """The records that people edit. ``objects``: what the CRMs call them. ``has_phones``: ``filling`` is one."""

    kind: Literal["customers", "contacts"]
    objects: Mapping[str, str]
    has_phones: bool

    def fields_of(self, party: str, name: str, values: Mapping[str, Any], *, phone_type: str) -> dict[str, Any]:
        """The party's fields with one value of the model, ``values``: by the model's names."""
        if self.has_phones and name == PHONE:
            return {PHONES[party][phone_type]: as_phone(values[name]) or None}
        return {field_in(party, name): values[name] or None}

    def values_of(self, party: str, record: Mapping[str, Any], *, phone_type: str) -> dict[str, str]:
        """What a party's record shows, by the model's names."""
        shown = {name: record.get(field_in(party, name)) or "" for name in MAPPING}
        if self.has_phones:
            value = of_phone(record.get(PHONES[party][phone_type]))
            shown[PHONE] = value[:LONGEST_IN_S] if party == "s" else value
        return shown

    def told(self, name: str, value: Any) -> tuple[str, str] | None:
        """A value that a conflict kept, by the model's name; None where it is no value of the model."""
        if self.has_phones and name in PHONE_FIELDS:
            return PHONE, of_phone(value)
        field = name.removeprefix("lab_").removesuffix("__c").lower()
        return (field, value or "") if field in MAPPING else None

    def mapped(self) -> dict[str, Any]:
        """The map of these fields."""
        fields = [(name, crm) for name in MAPPING for crm in CRMS if not (self.has_phones and name == PHONE)]
        phone = {"phone": {"from": "phone", "direction": "both"}, "phone_number_type": "phone_type"}
        return (phone if self.has_phones else {}) | {
            f"{CRM_NAMES[crm]}.{field_in(crm, name)}": {
                "from": field_in("q", name),
                **({"translate": {TRANSLATED: "refused"}} if name == TRANSLATING else {}),
                "on_invalid": "truncate",
                "direction": str(MAPPING[name].ways[crm]),
                **({"clear": True} if MAPPING[name].clear else {}),
                **_rule(name, crm),
            }
            for name, crm in fields
        }

    def add_fields(self, tenant: QBenchTenant, org: SalesforceOrg, portal: HubSpotPortal) -> None:
        """The administrators add the fields of the model."""
        group = "contactinformation" if self.kind == "contacts" else "companyinformation"
        for name in MAPPING:
            tenant.add_field(self.kind, field_in("q", name))
            org.add_field(self.objects["s"], name=field_in("s", name), type="string", length=LONGEST_IN_S)
            org.track(self.objects["s"], field_in("s", name))
            portal.add_property(self.objects["h"], Property(field_in("h", name), name, group=group, hubspot_defined=False))
        if self.has_phones:
            tenant.add_field(self.kind, "phone_type")
            org.track(self.objects["s"], *PHONES["s"].values())


CUSTOMERS = Fleet("customers", MappingProxyType({"s": "Account", "h": "companies"}), has_phones=False)
CONTACTS = Fleet("contacts", MappingProxyType({"s": "Contact", "h": "contacts"}), has_phones=True)


def _rule(name: str, crm: str) -> dict[str, Any]:
    if MAPPING[name].ways[crm] is not Direction.BOTH or MAPPING[name].rules[crm] is Rule.LATER:
        return {}
    return {"rule": {"prefer": "qbench" if MAPPING[name].rules[crm] is Rule.PREFER_QBENCH else CRM_NAMES[crm]}}
