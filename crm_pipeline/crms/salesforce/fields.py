"""Salesforce's description of an object as the declared frame of fields."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pandas as pd

from crm_pipeline.schemas import CRM_FIELDS

TYPES: Mapping[str, str] = MappingProxyType(
    {
        "string": "text",
        "textarea": "text",
        "combobox": "text",
        "int": "integer",
        "long": "integer",
        "double": "number",
        "currency": "number",
        "percent": "number",
        "boolean": "boolean",
        "date": "date",
        "datetime": "datetime",
        "picklist": "choice",
        "multipicklist": "multi_choice",
        "email": "email",
        "phone": "phone",
        "url": "url",
        "reference": "reference",
    }
)
"""Field types of describe ("Field Types", Object Reference) and ours; any other is ``other``.

An ``encryptedstring`` is among the others: whoever may not see encrypted data is shown asterisks in its place.
"""


def crm_fields(described: list[Mapping[str, Any]]) -> pd.DataFrame:
    """The frame (schemas.CRM_FIELDS) of describe's ``fields``."""
    return CRM_FIELDS.build(pd.DataFrame([_field(field) for field in described], columns=CRM_FIELDS.names))


def _field(field: Mapping[str, Any]) -> dict[str, object]:
    creatable = field["createable"]
    return {
        "name": field["name"],
        "label": field.get("label") or field["name"],
        "type": TYPES.get(field["type"], "other"),
        "length": field.get("length") or None,
        "creatable": creatable,
        "updatable": field["updateable"],
        "required": creatable and not field["nillable"] and not field.get("defaultedOnCreate", False),
        "unique": bool(field.get("unique")),
        "external_key": bool(field.get("externalId") and field.get("unique")),
        "restricted": bool(field.get("restrictedPicklist")),
        "options": [
            (option["value"], option.get("label") or option["value"]) for option in field.get("picklistValues") or () if option["active"]
        ],
    }
