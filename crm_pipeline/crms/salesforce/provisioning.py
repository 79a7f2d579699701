"""Makes custom fields by the Tooling API, and shows them to the run-as user by a permission set of the pipeline's own.

Sources: Tooling API reference, CustomField; Object Reference, FieldPermissions, PermissionSet, PermissionSetAssignment. A field that
the Tooling API makes is seen by nobody until a permission says so. Assumed, because no organization was asked: the members of
``Metadata`` that a text needs, the code for a field that is there, and that a permission set without a licence may be assigned to an
integration user.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from simple_salesforce.api import Salesforce

from crm_pipeline.crms.provisioning import LONGEST, FieldToMake
from crm_pipeline.crms.salesforce.contracts import MADE
from crm_pipeline.crms.salesforce.errors import RowsRefusedError
from crm_pipeline.crms.salesforce.queries import compare, select
from crm_pipeline.crms.salesforce.transport import SalesforceTransport

PERMISSION_SET = "CRM_Pipeline_Fields"
LONGEST_KEY = 64
IS_THERE = frozenset({"DUPLICATE_DEVELOPER_NAME", "DUPLICATE_VALUE"})
"""Codes of what is there already."""

_NAME = re.compile(r"(?!\w*__\w*__c)[A-Za-z][A-Za-z0-9_]{0,38}[A-Za-z0-9]__c|[A-Za-z]__c")


def why_not(field: FieldToMake) -> str | None:
    """Why no custom field of this name is made."""
    return (
        None if _NAME.fullmatch(field.name) else "the name of a custom field ends in __c, and has letters, digits and single _ before that"
    )


def by_hand(field: FieldToMake) -> str:
    """The clicks in Setup."""
    unique = ', tick Unique (treat "ABC" and "abc" as duplicates) and External ID' if field.is_key else ""
    return (
        f"Setup, Object Manager, {field.crm_object.name}, Fields & Relationships, New: Text, Field Label {field.label}, "
        f"Length {_length(field)}, Field Name {field.name.removesuffix('__c')}{unique}; then a permission set of the integration's user: "
        f"Object Settings, {field.crm_object.name}, Read and Edit on it"
    )


def make(transport: SalesforceTransport, field: FieldToMake) -> list[str]:
    """Make the field where it is not there, then let the run-as user see and edit it. Each step is left out where it is done."""
    done = [] if _post(transport, "tooling/sobjects/CustomField", _field(field)) else ["it was there, and nobody had shown it to the user"]
    path = {name: f"sobjects/{name}" for name in ("PermissionSet", "PermissionSetAssignment", "FieldPermissions")}
    _post(transport, path["PermissionSet"], {"Name": PERMISSION_SET, "Label": "CRM pipeline: fields"})
    permission_set = _id_of(transport, "PermissionSet", Name=PERMISSION_SET)
    full_name = f"{field.crm_object.name}.{field.name}"
    granted = {"ParentId": permission_set, "SobjectType": field.crm_object.name, "Field": full_name}
    _post(transport, path["FieldPermissions"], {**granted, "PermissionsRead": True, "PermissionsEdit": True})
    _post(transport, path["PermissionSetAssignment"], {"AssigneeId": transport.user_id(), "PermissionSetId": permission_set})
    return [*done, f"shown to the integration's user by the permission set {PERMISSION_SET}"]


def _field(field: FieldToMake) -> Mapping[str, Any]:
    key = {"unique": True, "externalId": True, "caseSensitive": False} if field.is_key else {"unique": False, "externalId": False}
    metadata = {"label": field.label, "type": "Text", "length": _length(field), "required": False, **key}
    return {"FullName": f"{field.crm_object.name}.{field.name}", "Metadata": metadata}


def _length(field: FieldToMake) -> int:
    return LONGEST_KEY if field.is_key else LONGEST


def _post(transport: SalesforceTransport, path: str, body: Mapping[str, Any]) -> bool:
    """Make one thing; False where it is there already. Raises a ServiceError."""
    try:
        transport.call(partial(Salesforce.restful, path=path, method="POST", json=body), label="write", holds=MADE, repeatable=False)
    except RowsRefusedError as error:
        if error.problem.code not in IS_THERE:
            raise
        return False
    return True


def _id_of(transport: SalesforceTransport, sobject: str, **values: str) -> str:
    statement = select(sobject, ["Id"], where=[compare(name, "=", value) for name, value in values.items()], limit=1)
    for page in transport.query(statement):
        for record in page:
            return str(record["Id"])
    raise transport.unexpected(f"does not show the {sobject} that it has")
