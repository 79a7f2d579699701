"""The fields of QBench's customers and contacts, as tables that can be read against its OpenAPI document (v2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_pipeline.sandbox.qbench_table import Kind

CUSTOMER_FIELDS: Mapping[str, int | None] = {
    "customer_name": 250,
    "address": 1000,
    "city_name": 100,
    "state_name": 45,
    "zip_postal_code": 45,
    "country_name": 45,
    "phone": None,
    "fax": None,
    "comments": 2000,
    "special_instructions": 5000,
    "status": None,
    "tags": None,
    "parent_customer_id": None,
    "sources": None,
    "group_name": None,
    "payment_term": 45,
}
"""Fields of a customer that a user can write, with their longest length in characters (QBench's OpenAPI document, v2)."""

CONTACT_FIELDS: Mapping[str, int | None] = {
    "first_name": 100,
    "last_name": 100,
    "email_address": 500,
    "phone": 50,
    "mobile": 50,
    "fax": 50,
    "address": 1000,
    "is_doctor": None,
    "tags": None,
}
"""Fields of a contact that a user can write, with their longest length in characters (QBench's OpenAPI document, v2)."""

FIELDS: Mapping[Kind, Mapping[str, int | None]] = {"customers": CUSTOMER_FIELDS, "contacts": CONTACT_FIELDS}
REQUIRED: Mapping[Kind, str] = {"customers": "customer_name", "contacts": "first_name"}
BLANKS: Mapping[Kind, Mapping[str, Any]] = {"customers": {"status": "ACTIVE"}, "contacts": {"is_doctor": False}}
EMPTY_LISTS: Mapping[Kind, tuple[str, ...]] = {"customers": ("tags", "sources"), "contacts": ("tags",)}
JSON_TYPES: Mapping[str, type] = {"is_doctor": bool, "parent_customer_id": int, "tags": list, "sources": list}
"""The JSON types of the documented fields that are no texts."""

ADDITIONAL_FIELDS: Mapping[Kind, tuple[str, ...]] = {
    "customers": ("website", "industry", "employees"),
    "contacts": ("contact_street", "contact_city", "contact_state", "contact_zip", "contact_country"),
}
"""The additional fields of the sandbox's tenant, flat in the record under the tenant's own names."""
