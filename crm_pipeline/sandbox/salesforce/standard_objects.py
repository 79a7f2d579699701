"""The objects of a fresh organization, as tables that can be read against the vendor's object reference.

Lengths are those of a default organization (reference: field mapping). ``QBench_Id__c``, person accounts and the state and
country picklists are not part of it: the organization adds them where it is told to.
"""

from __future__ import annotations

from collections.abc import Mapping

from crm_pipeline.sandbox.salesforce.fields import FieldSpec, ObjectSpec, by_name

INDUSTRIES = (
    "Agriculture",
    "Apparel",
    "Banking",
    "Biotechnology",
    "Chemicals",
    "Communications",
    "Construction",
    "Consulting",
    "Education",
    "Electronics",
    "Energy",
    "Engineering",
    "Entertainment",
    "Environmental",
    "Finance",
    "Food & Beverage",
    "Government",
    "Healthcare",
    "Hospitality",
    "Insurance",
    "Machinery",
    "Manufacturing",
    "Media",
    "Not For Profit",
    "Recreation",
    "Retail",
    "Shipping",
    "Technology",
    "Telecommunications",
    "Transportation",
    "Utilities",
    "Other",
)
ACCOUNT_TYPES = (
    "Prospect",
    "Customer - Direct",
    "Customer - Channel",
    "Channel Partner / Reseller",
    "Installation Partner",
    "Technology Partner",
    "Other",
)
LEAD_SOURCES = ("Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other")
LEAD_STATUSES = ("Open - Not Contacted", "Working - Contacted", "Closed - Converted", "Closed - Not Converted")
SALUTATIONS = ("Mr.", "Ms.", "Mrs.", "Dr.", "Prof.", "Mx.")
RATINGS = ("Hot", "Warm", "Cold")


def _text(name: str, length: int, label: str = "") -> FieldSpec:
    return FieldSpec(name, "string", label, length)


def _required(name: str, length: int, label: str = "") -> FieldSpec:
    return FieldSpec(name, "string", label, length, nillable=False)


def _long_text(name: str, length: int = 32_000, label: str = "") -> FieldSpec:
    return FieldSpec(name, "textarea", label, length)


def _phone(name: str, label: str = "") -> FieldSpec:
    return FieldSpec(name, "phone", label, 40)


def _choice(name: str, values: tuple[str, ...], length: int = 255) -> FieldSpec:
    return FieldSpec(name, "picklist", "", length, picklist=values)


def _flag(name: str) -> FieldSpec:
    return FieldSpec(name, "boolean", nillable=False, defaulted_on_create=True, default=False)


def _reference(name: str, *targets: str, label: str, relationship: str) -> FieldSpec:
    return FieldSpec(name, "reference", label, 18, reference_to=targets, relationship_name=relationship)


def _read_only(name: str, type_: str, length: int = 0, **more: object) -> FieldSpec:
    return FieldSpec(name, type_, "", length, createable=False, updateable=False, **more)  # type: ignore[arg-type]


def _address(prefix: str, label: str = "") -> tuple[FieldSpec, ...]:
    words = f"{label or prefix} ".lstrip()
    return (
        FieldSpec(f"{prefix}Street", "textarea", f"{words}Street", 255),
        _text(f"{prefix}City", 40, f"{words}City"),
        _text(f"{prefix}State", 80, f"{words}State/Province"),
        _text(f"{prefix}PostalCode", 20, f"{words}Zip/Postal Code"),
        _text(f"{prefix}Country", 80, f"{words}Country"),
        _read_only(f"{prefix}Address", "address"),
    )


ID = _read_only("Id", "id", 18, nillable=False, defaulted_on_create=True, id_lookup=True)
_STAMPS = (
    _read_only("CreatedDate", "datetime", nillable=False, defaulted_on_create=True),
    _read_only(
        "CreatedById", "reference", 18, nillable=False, defaulted_on_create=True, reference_to=("User",), relationship_name="CreatedBy"
    ),
    _read_only("LastModifiedDate", "datetime", nillable=False, defaulted_on_create=True),
    _read_only(
        "LastModifiedById",
        "reference",
        18,
        nillable=False,
        defaulted_on_create=True,
        reference_to=("User",),
        relationship_name="LastModifiedBy",
    ),
    _read_only("SystemModstamp", "datetime", nillable=False, defaulted_on_create=True),
)


def _system(object_name: str) -> tuple[FieldSpec, ...]:
    return (
        ID,
        _read_only("IsDeleted", "boolean", nillable=False, defaulted_on_create=True),
        _read_only("MasterRecordId", "reference", 18, reference_to=(object_name,), relationship_name="MasterRecord"),
        FieldSpec(
            "OwnerId",
            "reference",
            "Owner ID",
            18,
            nillable=False,
            defaulted_on_create=True,
            reference_to=("User",),
            relationship_name="Owner",
        ),
        *_STAMPS,
    )


def _person_name() -> tuple[FieldSpec, ...]:
    return (
        _required("LastName", 80),
        _text("FirstName", 40),
        _choice("Salutation", SALUTATIONS, 40),
        _read_only("Name", "string", 121, nillable=False),
    )


ACCOUNT = ObjectSpec(
    "Account",
    "001",
    label="Account",
    label_plural="Accounts",
    mergeable=True,
    fields=by_name(
        (
            *_system("Account"),
            _required("Name", 255, "Account Name"),
            _choice("Type", ACCOUNT_TYPES),
            _reference("ParentId", "Account", label="Parent Account ID", relationship="Parent"),
            *_address("Billing"),
            *_address("Shipping"),
            _phone("Phone", "Account Phone"),
            _phone("Fax", "Account Fax"),
            _text("AccountNumber", 40),
            FieldSpec("Website", "url", "", 255),
            _choice("Industry", INDUSTRIES),
            FieldSpec("AnnualRevenue", "double", "Annual Revenue", digits=18),
            FieldSpec("NumberOfEmployees", "int", "Employees", digits=8),
            _text("TickerSymbol", 20),
            _long_text("Description", label="Account Description"),
            _choice("Rating", RATINGS),
            _text("Site", 80, "Account Site"),
            _choice("AccountSource", LEAD_SOURCES),
            _read_only("LastActivityDate", "date"),
        )
    ),
)

CONTACT = ObjectSpec(
    "Contact",
    "003",
    label="Contact",
    label_plural="Contacts",
    mergeable=True,
    name_from=("FirstName", "LastName"),
    fields=by_name(
        (
            *_system("Contact"),
            _reference("AccountId", "Account", label="Account ID", relationship="Account"),
            *_person_name(),
            *_address("Mailing"),
            *_address("Other"),
            _phone("Phone", "Business Phone"),
            _phone("Fax", "Business Fax"),
            _phone("MobilePhone"),
            _phone("HomePhone"),
            _phone("OtherPhone"),
            _phone("AssistantPhone", "Asst. Phone"),
            _reference("ReportsToId", "Contact", label="Reports To ID", relationship="ReportsTo"),
            FieldSpec("Email", "email", "", 80, id_lookup=True),
            _text("Title", 128),
            _text("Department", 80),
            _text("AssistantName", 40),
            _choice("LeadSource", LEAD_SOURCES),
            FieldSpec("Birthdate", "date"),
            _long_text("Description", label="Contact Description"),
            _flag("HasOptedOutOfEmail"),
            _flag("DoNotCall"),
            _read_only("LastActivityDate", "date"),
        )
    ),
)

LEAD = ObjectSpec(
    "Lead",
    "00Q",
    label="Lead",
    label_plural="Leads",
    mergeable=True,
    name_from=("FirstName", "LastName"),
    fields=by_name(
        (
            *_system("Lead"),
            *_person_name(),
            _required("Company", 255),
            _text("Title", 128),
            *_address("", "Address"),
            _phone("Phone"),
            _phone("MobilePhone"),
            _phone("Fax"),
            FieldSpec("Email", "email", "", 80, id_lookup=True),
            FieldSpec("Website", "url", "", 255),
            _long_text("Description"),
            _choice("LeadSource", LEAD_SOURCES),
            FieldSpec(
                "Status",
                "picklist",
                "",
                255,
                nillable=False,
                defaulted_on_create=True,
                default=LEAD_STATUSES[0],
                picklist=LEAD_STATUSES,
            ),
            _choice("Industry", INDUSTRIES),
            _choice("Rating", RATINGS),
            FieldSpec("AnnualRevenue", "double", "Annual Revenue", digits=18),
            FieldSpec("NumberOfEmployees", "int", "Employees", digits=8),
            _read_only("IsConverted", "boolean", nillable=False, defaulted_on_create=True, default=False),
            _read_only("ConvertedDate", "date"),
            _read_only("ConvertedAccountId", "reference", 18, reference_to=("Account",), relationship_name="ConvertedAccount"),
            _read_only("ConvertedContactId", "reference", 18, reference_to=("Contact",), relationship_name="ConvertedContact"),
            _read_only("ConvertedOpportunityId", "reference", 18, reference_to=("Opportunity",), relationship_name="ConvertedOpportunity"),
        )
    ),
)

USER = ObjectSpec(
    "User",
    "005",
    label="User",
    label_plural="Users",
    writeable=False,
    name_from=("FirstName", "LastName"),
    fields=by_name(
        (
            ID,
            _required("Username", 80),
            *_person_name(),
            FieldSpec("Email", "email", "", 128, nillable=False),
            _text("Alias", 8),
            _flag("IsActive"),
            _choice("UserType", ("Standard", "PowerPartner", "CspLitePortal", "AutomatedProcess"), 40),
            *_STAMPS,
        )
    ),
)

ORGANIZATION = ObjectSpec(
    "Organization",
    "00D",
    label="Organization",
    label_plural="Organizations",
    writeable=False,
    fields=by_name(
        (
            ID,
            _required("Name", 80),
            _text("OrganizationType", 40),
            _text("InstanceName", 5),
            _flag("IsSandbox"),
            _text("Country", 80),
            _text("LanguageLocaleKey", 40),
            _text("TimeZoneSidKey", 40),
            *_STAMPS,
        )
    ),
)

OPPORTUNITY = ObjectSpec(
    "Opportunity",
    "006",
    label="Opportunity",
    label_plural="Opportunities",
    fields=by_name(
        (
            *(field for field in _system("Opportunity") if field.name != "MasterRecordId"),
            _reference("AccountId", "Account", label="Account ID", relationship="Account"),
            _required("Name", 120),
            _text("StageName", 255),
            FieldSpec("CloseDate", "date"),
            FieldSpec("Amount", "double", digits=18),
        )
    ),
)
"""As little of it as shows what goes with an account."""


def _history(of: str) -> ObjectSpec:
    """The object that keeps the field history of another; the vendor gives all of them one key prefix."""
    return ObjectSpec(
        f"{of}History",
        "017",
        label=f"{of} History",
        label_plural=f"{of} History",
        writeable=False,
        fields=by_name(
            (
                ID,
                _read_only("IsDeleted", "boolean", nillable=False, defaulted_on_create=True),
                _read_only(f"{of}Id", "reference", 18, nillable=False, reference_to=(of,), relationship_name=of),
                *(field for field in _STAMPS if field.name.startswith("Created")),
                _read_only("Field", "picklist", 255, nillable=False),
                _read_only("DataType", "picklist", 40),
                _read_only("OldValue", "anyType", 255),
                _read_only("NewValue", "anyType", 255),
            )
        ),
    )


DUPLICATE_RULE = ObjectSpec(
    "DuplicateRule",
    "0Bm",
    label="Duplicate Rule",
    label_plural="Duplicate Rules",
    writeable=False,
    fields=by_name(
        (
            ID,
            _read_only("DeveloperName", "string", 80, nillable=False),
            _read_only("MasterLabel", "string", 80, nillable=False),
            _read_only("SobjectType", "picklist", 40, nillable=False),
            _read_only("IsActive", "boolean", nillable=False, defaulted_on_create=True),
            *_STAMPS,
        )
    ),
)
"""What queries show of a duplicate rule: not what it does about a duplicate."""

PERMISSION_SET = ObjectSpec(
    "PermissionSet",
    "0PS",
    label="Permission Set",
    label_plural="Permission Sets",
    fields=by_name(
        (ID, _required("Name", 80), _required("Label", 80), _text("Description", 255), _flag("PermissionsViewAllData"), *_STAMPS)
    ),
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
            _read_only("SystemModstamp", "datetime", nillable=False, defaulted_on_create=True),
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
            _required("SobjectType", 40),
            _required("Field", 255),
            _flag("PermissionsRead"),
            _flag("PermissionsEdit"),
            _read_only("SystemModstamp", "datetime", nillable=False, defaulted_on_create=True),
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
            _required("SobjectType", 40),
            _flag("PermissionsViewAllRecords"),
            _read_only("SystemModstamp", "datetime", nillable=False, defaulted_on_create=True),
        )
    ),
)
"""What of an object the users of a permission set may do; of the rights the one that describe does not show."""

STANDARD_OBJECTS = (
    *(ACCOUNT, CONTACT, LEAD, OPPORTUNITY, USER, ORGANIZATION, DUPLICATE_RULE),
    *(PERMISSION_SET, PERMISSION_SET_ASSIGNMENT, FIELD_PERMISSIONS, OBJECT_PERMISSIONS),
    *(_history(of) for of in ("Account", "Contact", "Lead")),
)

_IS_PERSON_ACCOUNT = _read_only("IsPersonAccount", "boolean", nillable=False, defaulted_on_create=True, default=False)
PERSON_ACCOUNT_FIELDS: Mapping[str, tuple[FieldSpec, ...]] = {
    "Account": (
        _IS_PERSON_ACCOUNT,
        FieldSpec("FirstName", "string", "First Name", 40),
        FieldSpec("LastName", "string", "Last Name", 80),
        FieldSpec("PersonEmail", "email", "Email", 80),
    ),
    "Contact": (_IS_PERSON_ACCOUNT,),
    "Lead": (_text("Company", 255),),
}
"""By object, the fields that are there, or are otherwise, where there are person accounts: a lead of a person has no company."""
