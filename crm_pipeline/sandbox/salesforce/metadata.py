"""Custom fields and who sees them: the Tooling API's CustomField, permission sets, and what these allow of fields.

Sources: Tooling API reference, CustomField; Object Reference. A field that is made is seen by nobody until a permission set of the user
allows it. *Assumed*: the codes of what is refused, and that of a text's ``Metadata`` no more is needed than its label and length.
"""

from __future__ import annotations

import re
from typing import Any

from crm_pipeline.sandbox.salesforce import rows
from crm_pipeline.sandbox.salesforce.calls import ApiRequest, ApiResponse
from crm_pipeline.sandbox.salesforce.errors import CallError
from crm_pipeline.sandbox.salesforce.fields import FieldSpec, FieldType
from crm_pipeline.sandbox.salesforce.ids import new_id
from crm_pipeline.sandbox.salesforce.org import SalesforceOrg

TYPES: dict[str, tuple[FieldType, bool]] = {"Text": ("string", True), "Checkbox": ("boolean", False), "Date": ("date", False)}
"""Types of the Metadata API that the stand-in makes, and whether they may be unique and an external id."""

LONGEST_TEXT = 255
_FULL_NAME = re.compile(r"(\w+)\.([A-Za-z](?:(?!__)\w){0,39})__c")
_UNIQUE_IN = {
    "PermissionSet": ("Name",),
    "PermissionSetAssignment": ("AssigneeId", "PermissionSetId"),
    "FieldPermissions": ("ParentId", "Field"),
}


def create_field(org: SalesforceOrg, request: ApiRequest) -> ApiResponse:
    """POST tooling/sobjects/CustomField."""
    _check_rights(org)
    body = request.object_body()
    named = _FULL_NAME.fullmatch(str(body.get("FullName")))
    metadata = body.get("Metadata")
    if named is None or not isinstance(metadata, dict):
        raise CallError(400, "FIELD_INTEGRITY_EXCEPTION", "FullName and Metadata are required", fields=("FullName",))
    table = org.table(named[1])
    if table is None:
        raise CallError(400, "INVALID_TYPE", f"entity type {named[1]} cannot have custom fields", fields=())
    name = f"{named[2]}__c"
    if name.lower() in {known.lower() for known in table.spec.fields}:
        told = f"There is already a field named {named[2]} on {named[1]}."
        raise CallError(400, "DUPLICATE_DEVELOPER_NAME", told, fields=("DeveloperName",))
    field = _field(name, metadata)
    org.add_field(table.spec.name, name=field.name, type=field.type, **_properties(field))
    number = sum(field.custom for spec in org.objects() for field in spec.fields.values())
    return ApiResponse(201, {"id": new_id("00N", number), "success": True, "errors": [], "warnings": [], "infos": []})


def create_permission(org: SalesforceOrg, request: ApiRequest, name: str) -> ApiResponse:
    """POST sobjects/PermissionSet, PermissionSetAssignment or FieldPermissions; whoever has the field's permission set sees it then."""
    _check_rights(org)
    body = request.object_body()
    if name == "FieldPermissions":
        _check_field(org, body)
    if any(all(record.get(key) == body.get(key) for key in _UNIQUE_IN[name]) for record in org.records(name)):
        code = "DUPLICATE_DEVELOPER_NAME" if name == "PermissionSet" else "DUPLICATE_VALUE"
        raise CallError(400, code, f"this {name} is there already", fields=_UNIQUE_IN[name])
    answer = rows.create_row(org, request, name)
    _show(org)
    return answer


def _check_rights(org: SalesforceOrg) -> None:
    if not org.customizes:
        raise CallError(403, "INSUFFICIENT_ACCESS", "You do not have the permissions to customize this organization")


def _check_field(org: SalesforceOrg, body: dict[str, Any]) -> None:
    object_name, _, field = str(body.get("Field")).partition(".")
    table = org.table(object_name)
    if table is None or field not in table.spec.fields or body.get("SobjectType") != object_name:
        raise CallError(400, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", f"bad value for restricted picklist field: {object_name}.{field}")


def _field(name: str, metadata: dict[str, Any]) -> FieldSpec:
    made = TYPES.get(str(metadata.get("type")))
    length = metadata.get("length")
    if made is None or not metadata.get("label"):
        raise CallError(400, "FIELD_INTEGRITY_EXCEPTION", "a field needs a label and a type", fields=("Metadata",))
    kind, may_be_key = made
    if kind == "string" and not (isinstance(length, int) and 1 <= length <= LONGEST_TEXT):
        raise CallError(400, "FIELD_INTEGRITY_EXCEPTION", f"a text's length is 1 to {LONGEST_TEXT}", fields=("Length",))
    key = bool(metadata.get("unique")), bool(metadata.get("externalId"))
    if any(key) and not may_be_key:
        raise CallError(400, "FIELD_INTEGRITY_EXCEPTION", "fields of this type can be neither unique nor external ids", fields=("Unique",))
    return FieldSpec(
        name,
        kind,
        label=str(metadata["label"]),
        length=length if isinstance(length, int) else 0,
        unique=key[0],
        external_id=key[1],
        case_sensitive=bool(metadata.get("caseSensitive")),
        visible=False,
    )


def _properties(field: FieldSpec) -> dict[str, Any]:
    names = ("label", "length", "unique", "external_id", "case_sensitive", "visible")
    return {name: getattr(field, name) for name in names}


def _show(org: SalesforceOrg) -> None:
    """Show the user what the permission sets allow that are assigned to it."""
    assigned = {one["PermissionSetId"] for one in org.records("PermissionSetAssignment") if one["AssigneeId"] == org.user_id}
    for one in org.records("FieldPermissions"):
        if one["ParentId"] in assigned and one["PermissionsRead"]:
            object_name, _, field = one["Field"].partition(".")
            org.change_field(object_name, field, visible=True, createable=one["PermissionsEdit"], updateable=one["PermissionsEdit"])
