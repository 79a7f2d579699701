"""How a value looks in a request to HubSpot, and how a property looks to the rest of the package."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any

import numpy as np

LONGEST_TEXT = 65_536
"""Characters that a text property takes. Assumed: HubSpot's interface says so, its API reference does not."""

TYPES: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("string", "text"): "text",
        ("string", "textarea"): "text",
        ("string", "html"): "text",
        ("string", "phonenumber"): "phone",
        ("string", "file"): "other",
        ("string", "calculation_equation"): "text",
        ("phone_number", "phonenumber"): "phone",
        ("number", "number"): "number",
        ("number", "calculation_equation"): "number",
        ("bool", "booleancheckbox"): "boolean",
        ("date", "date"): "date",
        ("datetime", "date"): "datetime",
        ("enumeration", "select"): "choice",
        ("enumeration", "radio"): "choice",
        ("enumeration", "booleancheckbox"): "choice",
        ("enumeration", "checkbox"): "multi_choice",
    }
)
"""HubSpot's (type, fieldType) to ours (source: HubSpot's properties guide)."""

TYPES_WITHOUT_FIELD_TYPE: Mapping[str, str] = MappingProxyType(
    {
        "string": "text",
        "phone_number": "phone",
        "number": "number",
        "bool": "boolean",
        "date": "date",
        "datetime": "datetime",
        "enumeration": "choice",
    }
)

TYPES_BY_NAME: Mapping[str, str] = MappingProxyType({"email": "email", "numberofemployees": "integer"})
"""Standard properties that take less than their type says: numberofemployees refuses fractions with INVALID_INTEGER."""


def to_wire(value: object) -> str:
    """A value as HubSpot wants it: always text, empty to clear; several options are joined by ';'."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):
        number = float(value)
        return str(int(number)) if number.is_integer() else repr(number)
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple | set | frozenset):
        return ";".join(to_wire(item) for item in value)
    return str(value)


def crm_field(described: Mapping[str, Any]) -> dict[str, object]:
    """A row of schemas.CRM_FIELDS from an entry of the properties API, every member of which may be missing.

    HubSpot's API requires no property on create. ``email`` is unique but no external key: an upsert by it must carry
    every property.
    """
    name = str(described.get("name", ""))
    kind = _type(name, described)
    meta = described.get("modificationMetadata") or {}
    writable = not (meta.get("readOnlyValue") or described.get("calculated"))
    unique = bool(described.get("hasUniqueValue"))
    return {
        "name": name,
        "label": str(described.get("label") or name),
        "type": kind,
        "length": LONGEST_TEXT if kind in {"text", "phone", "email"} else None,
        "creatable": writable,
        "updatable": writable,
        "required": False,
        "unique": unique or kind == "email",
        "external_key": unique and writable and kind == "text",
        "restricted": kind in {"choice", "multi_choice"},
        "options": [(str(option.get("value", "")), str(option.get("label", ""))) for option in described.get("options") or []],
    }


def _type(name: str, described: Mapping[str, Any]) -> str:
    # Owners, teams and the like: their options are records of HubSpot, listed elsewhere.
    if described.get("referencedObjectType") or described.get("externalOptions"):
        return "reference"
    kind = str(described.get("type", ""))
    fallback = TYPES_WITHOUT_FIELD_TYPE.get(kind, "other")
    return TYPES_BY_NAME.get(name) or TYPES.get((kind, str(described.get("fieldType", ""))), fallback)
