"""SugarCRM's description of a module's fields as the declared frame.

It marks neither what may be written nor what is unique, so the lists here say it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import pandas as pd

from crm_pipeline.crms.sugarcrm.queries import EMAIL
from crm_pipeline.schemas import CRM_FIELDS

TYPES: Mapping[str, str] = MappingProxyType(
    {
        "name": "text",
        "varchar": "text",
        "text": "text",
        "phone": "phone",
        "url": "url",
        "enum": "choice",
        "multienum": "multi_choice",
        "bool": "boolean",
        "int": "integer",
        "currency": "number",
        "decimal": "number",
        "double": "number",
        "float": "number",
        "date": "date",
        "datetime": "datetime",
        "datetimecombo": "datetime",
        "relate": "reference",
        "id": "reference",
        "email": "email",
    }
)
"""Field types of get_module_fields and ours; any other is ``other``."""

READ_ONLY = frozenset(
    {"id", "date_entered", "date_modified", "modified_user_id", "modified_by_name", "created_by", "created_by_name", "deleted"}
)
"""What SugarCRM sets itself. Assumed: its description does not say it."""

LONGEST_EMAIL = 255
CHOICES = frozenset({"choice", "multi_choice"})


def crm_fields(described: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The frame (schemas.CRM_FIELDS) of the members of ``module_fields``."""
    return CRM_FIELDS.build(pd.DataFrame([_field(field) for field in described], columns=CRM_FIELDS.names))


def _field(field: Mapping[str, Any]) -> dict[str, object]:
    name = field["name"]
    kind = "email" if name == EMAIL else TYPES.get(field["type"], "other")
    writable = name not in READ_ONLY and field["type"] != "link"
    return {
        "name": name,
        "label": str(field.get("label") or name).rstrip(":"),
        "type": kind,
        "length": LONGEST_EMAIL if name == EMAIL else _length(field.get("len")),
        "creatable": writable,
        "updatable": writable,
        "required": writable and str(field.get("required")) == "1",
        "unique": False,
        # Whatever a record's key is, its id is made of it: the field only shows it to people, and to look-ups.
        "external_key": name.endswith("_c") and kind == "text",
        "restricted": kind in CHOICES,
        "options": _options(field.get("options")) if kind in CHOICES else [],
    }


def _length(told: object) -> int | None:
    """The number of characters, told as a number, a text or a blank one; of a decimal as ``26,6``."""
    text = str(told or "")
    return int(text) if text.isdecimal() and int(text) else None


def _options(told: Any) -> list[tuple[str, str]]:
    pairs = told.values() if isinstance(told, Mapping) else ()
    return [(str(pair["name"]), str(pair.get("value") or pair["name"])) for pair in pairs if pair.get("name")]
