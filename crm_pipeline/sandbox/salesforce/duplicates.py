"""What a duplicate rule is, and which records it finds to be the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from crm_pipeline.sandbox.salesforce.errors import RowError
from crm_pipeline.sandbox.salesforce.table import Row, Table

Save = Literal["create", "update"]


@dataclass(frozen=True)
class DuplicateRule:
    """An active duplicate rule: records of ``object_name`` that agree in all ``fields`` are duplicates.

    ``across``: further objects whose records it compares with, by fields of the same names. The standard rules for leads and contacts
    look at both objects; a converted lead is none's duplicate.

    ``alert`` refuses an API save unless the call's duplicate-rule header says ``allowSave=true``; ``block`` refuses it
    whatever the header says. The rule looks at every save of the kinds in ``on``, as the strictest setting does.
    """

    object_name: str
    fields: tuple[str, ...]
    action: Literal["alert", "block"] = "alert"
    on: frozenset[Save] = frozenset({"create", "update"})
    name: str = "Exact_Duplicate_Rule"
    message: str = "Use one of these records?"
    across: tuple[str, ...] = ()


STANDARD_PERSON_RULES = (
    DuplicateRule("Contact", ("Email",), across=("Lead",), name="Standard_Contact_Duplicate_Rule"),
    DuplicateRule("Lead", ("Email",), across=("Contact",), name="Standard_Lead_Duplicate_Rule"),
)
"""What organizations have from the start since 2017, reduced to the email: Allow with an alert, which refuses a save by the API."""


def refuse_duplicates(
    rules: Iterable[DuplicateRule], table_of: Callable[[str], Table | None], row: Row, *, of: str, save: Save, allow_save: bool
) -> None:
    """Raise DUPLICATES_DETECTED if a rule finds the row ``of`` an object, about to be saved, among the live records that it looks at."""
    for rule in rules:
        if rule.object_name != of or save not in rule.on or (allow_save and rule.action == "alert"):
            continue
        tables = [table for table in map(table_of, (of, *rule.across)) if table is not None]
        found = {table.spec.name: ids for table in tables if (ids := _matches(rule, table, row))}
        if found:
            raise RowError("DUPLICATES_DETECTED", rule.message, duplicate_result=_result(rule, found))


def _matches(rule: DuplicateRule, table: Table, row: Row) -> list[str]:
    fields = sorted((table.spec.fields[name] for name in rule.fields), key=lambda field: not field.indexed)
    wanted = [(field, field.fold(row.get(field.name))) for field in fields]
    if any(value is None for _, value in wanted):
        return []
    return [
        other["Id"]
        for other in table.find(*wanted[0])
        if other["Id"] != row["Id"]
        and not other.get("IsConverted")
        and all(field.fold(other.get(field.name)) == value for field, value in wanted)
    ]


def _result(rule: DuplicateRule, found: dict[str, list[str]]) -> dict[str, Any]:
    return {
        "allowSave": rule.action == "alert",
        "duplicateRule": rule.name,
        "duplicateRuleEntityType": rule.object_name,
        "errorMessage": rule.message,
        "matchResults": [
            {
                "entityType": object_name,
                "errors": [],
                "matchEngine": "ExactMatchEngine",
                "matchRecords": [_record(object_name, record_id) for record_id in ids],
                "rule": f"{rule.name}_Match",
                "size": len(ids),
                "success": True,
            }
            for object_name, ids in found.items()
        ],
    }


def _record(object_name: str, record_id: str) -> dict[str, Any]:
    return {"additionalInformation": [], "fieldDiffs": [], "matchConfidence": 100.0, "record": _reference(object_name, record_id)}


def _reference(object_name: str, record_id: str) -> dict[str, Any]:
    return {"attributes": {"type": object_name, "url": f"/services/data/sobjects/{object_name}/{record_id}"}, "Id": record_id}
