"""How people make fields: no API of SugarCRM does."""

from __future__ import annotations

from crm_pipeline.crms.provisioning import LONGEST, FieldToMake

SUFFIX = "_c"
"""What Studio puts behind the name of a field that it makes."""


def why_not(field: FieldToMake) -> str | None:
    """Why Studio makes no field of this name."""
    return None if field.name.endswith(SUFFIX) else f"the name of a field that Studio makes ends in {SUFFIX}"


def by_hand(field: FieldToMake) -> str:
    """The clicks in Studio."""
    typed = field.name.removesuffix(SUFFIX)
    return (
        f"Admin, Studio, {field.crm_object.name}, Fields, Add Field: Data Type TextField, Field Name {typed} (Studio adds {SUFFIX}), "
        f"Display Label {field.label}, Max Size {LONGEST}, Save; then Admin, Repair, Quick Repair and Rebuild"
    )
