"""Which of a lead's values go where when a person converts it? The vendor's standard mapping, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_pipeline.sandbox.salesforce.table import Row

_ADDRESS = ("Street", "City", "State", "PostalCode", "Country")
TO_ACCOUNT: Mapping[str, str] = {
    "Company": "Name",
    "Website": "Website",
    "Industry": "Industry",
    "NumberOfEmployees": "NumberOfEmployees",
    "AnnualRevenue": "AnnualRevenue",
    "Phone": "Phone",
    "Fax": "Fax",
    **{part: f"Billing{part}" for part in _ADDRESS},
}
TO_CONTACT: Mapping[str, str] = {
    **{name: name for name in ("Salutation", "FirstName", "LastName", "Title", "Email", "Phone", "MobilePhone", "Fax", "LeadSource")},
    "Description": "Description",
    **{part: f"Mailing{part}" for part in _ADDRESS},
}
TO_PERSON: Mapping[str, str] = {"FirstName": "FirstName", "LastName": "LastName", "Email": "PersonEmail"}


def account_of(lead: Row) -> dict[str, Any]:
    """The values of the account that a lead becomes; without a company it is the person ("Considerations for using person accounts")."""
    values = {target: lead[name] for name, target in TO_ACCOUNT.items() if name in lead}
    if "Company" in lead:
        return values
    return {**values, **{target: lead[name] for name, target in TO_PERSON.items() if name in lead}, "IsPersonAccount": True}


def contact_of(lead: Row) -> dict[str, Any]:
    """The values of the contact that a lead becomes."""
    return {target: lead[name] for name, target in TO_CONTACT.items() if name in lead}
