"""What a duplicate rule is, and which records it finds to be the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from crm_pipeline.sandbox.salesforce.errors import RowError
from crm_pipeline.sandbox.salesforce.table import Row, Table

Save = Literal["create", "update"]


@dataclass(frozen=True)
class DuplicateRule:
    """An active duplicate rule: records of ``object_name`` that agree in all ``fields`` are duplicates.

    ``alert`` refuses an API save unless the call's duplicate-rule header says ``allowSave=true``; ``block`` refuses it
    whatever the header says. The rule looks at every save of the kinds in ``on``, as the strictest setting does.
    """

    object_name: str
    fields: tuple[str, ...]
    action: Literal["alert", "block"] = "alert"
    on: frozenset[Save] = frozenset({"create", "update"})
    name: str = "Exact_Duplicate_Rule"
    message: str = "Use one of these records?"


def refuse_duplicates(rules: Iterable[DuplicateRule], table: Table, row: Row, *, save: Save, allow_save: bool) -> None:
    """Raise DUPLICATES_DETECTED if a rule finds the row, about to be saved, among the object's live records."""
    for rule in rules:
        if rule.object_name != table.spec.name or save not in rule.on or (allow_save and rule.action == "alert"):
            continue
        if matches := _matches(rule, table, row):
            raise RowError("DUPLICATES_DETECTED", rule.message, duplicate_result=_result(rule, matches))


def _matches(rule: DuplicateRule, table: Table, row: Row) -> list[str]:
    fields = sorted((table.spec.fields[name] for name in rule.fields), key=lambda field: not field.indexed)
    wanted = [(field, field.fold(row.get(field.name))) for field in fields]
    if any(value is None for _, value in wanted):
        return []
    return [
        other["Id"]
        for other in table.find(*wanted[0])
        if other["Id"] != row["Id"] and all(field.fold(other.get(field.name)) == value for field, value in wanted)
    ]


def _result(rule: DuplicateRule, ids: list[str]) -> dict[str, Any]:
    records = [
        {"additionalInformation": [], "fieldDiffs": [], "matchConfidence": 100.0, "record": _reference(rule.object_name, record_id)}
        for record_id in ids
    ]
    return {
        "allowSave": rule.action == "alert",
        "duplicateRule": rule.name,
        "duplicateRuleEntityType": rule.object_name,
        "errorMessage": rule.message,
        "matchResults": [
            {
                "entityType": rule.object_name,
                "errors": [],
                "matchEngine": "ExactMatchEngine",
                "matchRecords": records,
                "rule": f"{rule.name}_Match",
                "size": len(records),
                "success": True,
            }
        ],
    }


def _reference(object_name: str, record_id: str) -> dict[str, Any]:
    return {"attributes": {"type": object_name, "url": f"/services/data/sobjects/{object_name}/{record_id}"}, "Id": record_id}
