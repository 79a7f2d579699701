"""Makes properties (source: HubSpot's properties guide, "Create a property")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from crm_pipeline.crms.hubspot import COMPANIES, CONTACTS
from crm_pipeline.crms.hubspot.contracts import PROPERTIES, PROPERTY_MADE
from crm_pipeline.crms.hubspot.paths import Paths
from crm_pipeline.crms.hubspot.transport import Transport
from crm_pipeline.crms.provisioning import FieldToMake
from crm_pipeline.errors import ConfigurationError

GROUPS: Mapping[str, str] = MappingProxyType({COMPANIES.name: "companyinformation", CONTACTS.name: "contactinformation"})
"""The group that each object has from the start."""

PAGES: Mapping[str, str] = MappingProxyType({COMPANIES.name: "Company properties", CONTACTS.name: "Contact properties"})

_NAME = re.compile(r"(?!hs_)[a-z][a-z0-9_]{0,99}")
"""Names of properties; those with HubSpot's own prefix are left to it."""


def why_not(field: FieldToMake) -> str | None:
    """Why no property of this name is made."""
    if _NAME.fullmatch(field.name):
        return None
    return "a property's name has lower-case letters, digits and _ only, a letter first, and does not begin with hs_"


def by_hand(field: FieldToMake) -> str:
    """The clicks in HubSpot."""
    unique = ", Rules: tick Require unique values for this property" if field.is_key else ""
    return (
        f"Settings, Properties, {PAGES[field.crm_object.name]}, Create property: label {field.label}, internal name {field.name}, "
        f"field type Single-line text{unique}"
    )


def make(transport: Transport, paths: Paths, field: FieldToMake) -> list[str]:
    """Make a property, unique where it is the key: that cannot be changed later, and an object has ten of them at most.

    Needs the scope crm.schemas.<object>.write. A property that was archived is not made again under its name: that would bring it
    back as it was.
    """
    path = paths.properties_of(field.crm_object.name)
    archived = transport.get(path, {"archived": "true"}, label="describe", holds=PROPERTIES)["results"]
    if any(one["name"] == field.name for one in archived):
        raise ConfigurationError(
            f"an archived property has the name {field.name}; restore it in Settings, Properties, Archived properties, or name another"
        )
    body = {
        "name": field.name,
        "label": field.label,
        "groupName": GROUPS[field.crm_object.name],
        "type": "string",
        "fieldType": "text",
        "hasUniqueValue": field.is_key,
        "description": "Filled by crm-pipeline from QBench.",
    }
    transport.post(path, body, label="write", holds=PROPERTY_MADE, repeatable=False)
    return []
