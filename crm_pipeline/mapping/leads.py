"""Which contacts go as leads, and of whose fields a lead is made. Pure."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_pipeline.configuration.filter_keys import CUSTOMER_PREFIX
from crm_pipeline.mapping.filters import meets
from crm_pipeline.mapping.sources import normalized_sources
from crm_pipeline.mapping.spec import ContactSpec, RecordSpec

LEAD_IN = "lead_in"
"""The column of a normalized frame that names the CRMs in which a contact goes as a lead; only where any takes some."""


def led_by_rules(content: pd.Series, spec: RecordSpec, *, customers: pd.Series | None) -> dict[str, pd.Series]:
    """The column ``LEAD_IN``: the CRMs in which each contact goes as a lead, each between commas; null where none does.

    ``content``, ``customers``: as in filters.meets.
    """
    if not (isinstance(spec, ContactSpec) and spec.as_leads):
        return {}
    named = pd.Series("", index=content.index, dtype="str")
    for crm, rule in spec.as_leads.items():
        met = pd.Series(True, index=content.index) if rule is None else meets(content, rule, customers=customers)
        named = named.mask(met, named + f"{crm},")
    return {LEAD_IN: ("," + named).astype(object).where(named != "", None)}


def goes_as_lead(normalized: pd.DataFrame, crm: str) -> pd.Series:
    """Which normalized contacts go as leads in this CRM, by the rules alone (bool)."""
    if LEAD_IN not in normalized:
        return pd.Series(False, index=normalized.index)
    return normalized[LEAD_IN].astype("str").str.contains(f",{crm},", regex=False).fillna(value=False).astype(bool)


def with_customers_fields(content: list[dict[str, Any]], spec: RecordSpec, *, customers: pd.Series | None) -> list[dict[str, Any]]:
    """The records with what the mapping takes from each one's customer, under the names that the mapping has for it."""
    mapped = {field for fields in normalized_sources(spec).values() for field in fields if field.startswith(CUSTOMER_PREFIX)}
    if not mapped or customers is None:
        return content
    fields = {field: field.removeprefix(CUSTOMER_PREFIX) for field in mapped}
    return [
        record | {name: customer.get(field) for name, field in fields.items()} for record, customer in zip(content, customers, strict=True)
    ]
