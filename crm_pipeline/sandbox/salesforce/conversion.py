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


def account_of(lead: Row) -> dict[str, Any]:
    """The values of the account that a lead becomes."""
    return {target: lead[name] for name, target in TO_ACCOUNT.items() if name in lead}


def contact_of(lead: Row) -> dict[str, Any]:
    """The values of the contact that a lead becomes."""
    return {target: lead[name] for name, target in TO_CONTACT.items() if name in lead}
