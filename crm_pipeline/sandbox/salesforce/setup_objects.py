"""The objects in which an organization keeps its rules and permissions, as far as they are asked for (Object Reference)."""

from __future__ import annotations

from crm_pipeline.sandbox.salesforce.field_kinds import ID, STAMPS, flag, read_only, required, text
from crm_pipeline.sandbox.salesforce.fields import FieldSpec, ObjectSpec, by_name

DUPLICATE_RULE = ObjectSpec(
    "DuplicateRule",
    "0Bm",
    label="Duplicate Rule",
    label_plural="Duplicate Rules",
    writeable=False,
    fields=by_name(
        (
            ID,
            read_only("DeveloperName", "string", 80, nillable=False),
            read_only("MasterLabel", "string", 80, nillable=False),
            read_only("SobjectType", "picklist", 40, nillable=False),
            read_only("IsActive", "boolean", nillable=False, defaulted_on_create=True),
            *STAMPS,
        )
    ),
)
"""What queries show of a duplicate rule: not what it does about a duplicate."""

PERMISSION_SET = ObjectSpec(
    "PermissionSet",
    "0PS",
    label="Permission Set",
    label_plural="Permission Sets",
    fields=by_name((ID, required("Name", 80), required("Label", 80), text("Description", 255), flag("PermissionsViewAllData"), *STAMPS)),
)
PERMISSION_SET_ASSIGNMENT = ObjectSpec(
    "PermissionSetAssignment",
    "0Pa",
    label="Permission Set Assignment",
    label_plural="Permission Set Assignments",
    fields=by_name(
        (
            ID,
            FieldSpec("AssigneeId", "reference", "", 18, nillable=False, reference_to=("User",), relationship_name="Assignee"),
            FieldSpec("PermissionSetId", "reference", "", 18, nillable=False, reference_to=("PermissionSet",)),
            read_only("SystemModstamp", "datetime", nillable=False, defaulted_on_create=True),
        )
    ),
)
FIELD_PERMISSIONS = ObjectSpec(
    "FieldPermissions",
    "01k",
    label="Field Permissions",
    label_plural="Field Permissions",
    fields=by_name(
        (
            ID,
            FieldSpec("ParentId", "reference", "", 18, nillable=False, reference_to=("PermissionSet",), relationship_name="Parent"),
            required("SobjectType", 40),
            required("Field", 255),
            flag("PermissionsRead"),
            flag("PermissionsEdit"),
            read_only("SystemModstamp", "datetime", nillable=False, defaulted_on_create=True),
        )
    ),
)
"""What of a field the users of a permission set may do (Object Reference)."""

OBJECT_PERMISSIONS = ObjectSpec(
    "ObjectPermissions",
    "110",
    label="Object Permissions",
    label_plural="Object Permissions",
    fields=by_name(
        (
            ID,
            FieldSpec("ParentId", "reference", "", 18, nillable=False, reference_to=("PermissionSet",), relationship_name="Parent"),
            required("SobjectType", 40),
            flag("PermissionsViewAllRecords"),
            read_only("SystemModstamp", "datetime", nillable=False, defaulted_on_create=True),
        )
    ),
)
"""What of an object the users of a permission set may do; of the rights the one that describe does not show."""

SETUP_OBJECTS = (DUPLICATE_RULE, PERMISSION_SET, PERMISSION_SET_ASSIGNMENT, FIELD_PERMISSIONS, OBJECT_PERMISSIONS)
