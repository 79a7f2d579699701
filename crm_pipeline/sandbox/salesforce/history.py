"""What field history keeps of a change: one row for each tracked field, in the object's own history object.

Sources: the vendor's object reference (StandardObjectNameHistory; EntityHistory for texts without values) and its help on field history
tracking (at most 20 fields, whole seconds, nothing from before tracking was turned on). Assumed: a create leaves one row, ``created``,
without values; a text is long from 256 characters; references are not tracked here, which the vendor does in two rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from crm_pipeline.sandbox.salesforce.fields import LONGEST_FILTERABLE_TEXT, FieldSpec, ObjectSpec
from crm_pipeline.sandbox.salesforce.table import Row
from crm_pipeline.sandbox.salesforce.values import shown

HISTORY_OF: Mapping[str, str] = {"Account": "AccountHistory", "Contact": "ContactHistory", "Lead": "LeadHistory"}
MOST_TRACKED = 20

_DATA_TYPES: Mapping[str, str] = {
    "string": "Text",
    "textarea": "MultiLineText",
    "email": "Email",
    "phone": "Phone",
    "url": "Url",
    "picklist": "DynamicEnum",
    "int": "Double",
    "double": "Double",
    "boolean": "Boolean",
    "datetime": "DateTime",
    "date": "DateOnly",
}


def trackable(field: FieldSpec) -> bool:
    """Whether history can be kept of a field: no formula, nothing that the system fills."""
    return field.type in _DATA_TYPES and field.formula is None and field.updateable


def changes_between(
    spec: ObjectSpec, old: Row | None, new: Row, *, tracked: tuple[str, ...], names: Mapping[tuple[str, str], str]
) -> Iterator[Row]:
    """The history rows, without ids, of a save; ``old`` is None for a create."""
    common = {
        f"{spec.name}Id": new["Id"],
        "IsDeleted": False,
        "CreatedById": new["LastModifiedById"],
        "CreatedDate": new["LastModifiedDate"],
    }
    if old is None:
        yield {**common, "Field": "created"}
        return
    for name in tracked:
        if old.get(name) == new.get(name):
            continue
        field = spec.fields[name]
        values: dict[str, Any] = {}
        if field.length <= LONGEST_FILTERABLE_TEXT:
            values = {"OldValue": shown(field, old), "NewValue": shown(field, new)}
        row = {**common, "Field": names.get((spec.name, name), name), "DataType": _DATA_TYPES[field.type], **values}
        yield {each: value for each, value in row.items() if value is not None}
