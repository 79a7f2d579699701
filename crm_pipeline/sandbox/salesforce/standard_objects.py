"""The objects of a fresh organization, as tables that can be read against the vendor's object reference.

Lengths are those of a default organization (reference: field mapping). ``QBench_Id__c``, person accounts and the state and
country picklists are not part of it: the organization adds them where it is told to.
"""

from __future__ import annotations

from collections.abc import Mapping

from crm_pipeline.sandbox.salesforce.field_kinds import (
    ID,
    STAMPS,
    address,
    choice,
    flag,
    long_text,
    phone,
    read_only,
    reference,
    required,
    system,
    text,
)
from crm_pipeline.sandbox.salesforce.fields import FieldSpec, ObjectSpec, by_name
from crm_pipeline.sandbox.salesforce.setup_objects import SETUP_OBJECTS

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


def _person_name() -> tuple[FieldSpec, ...]:
    return (
        required("LastName", 80),
        text("FirstName", 40),
        choice("Salutation", SALUTATIONS, 40),
        read_only("Name", "string", 121, nillable=False),
    )


ACCOUNT = ObjectSpec(
    "Account",
    "001",
    label="Account",
    label_plural="Accounts",
    mergeable=True,
    fields=by_name(
        (
            *system("Account"),
            required("Name", 255, "Account Name"),
            choice("Type", ACCOUNT_TYPES),
            reference("ParentId", "Account", label="Parent Account ID", relationship="Parent"),
            *address("Billing"),
            *address("Shipping"),
            phone("Phone", "Account Phone"),
            phone("Fax", "Account Fax"),
            text("AccountNumber", 40),
            FieldSpec("Website", "url", "", 255),
            choice("Industry", INDUSTRIES),
            FieldSpec("AnnualRevenue", "double", "Annual Revenue", digits=18),
            FieldSpec("NumberOfEmployees", "int", "Employees", digits=8),
            text("TickerSymbol", 20),
            long_text("Description", label="Account Description"),
            choice("Rating", RATINGS),
            text("Site", 80, "Account Site"),
            choice("AccountSource", LEAD_SOURCES),
            read_only("LastActivityDate", "date"),
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
            *system("Contact"),
            reference("AccountId", "Account", label="Account ID", relationship="Account"),
            *_person_name(),
            *address("Mailing"),
            *address("Other"),
            phone("Phone", "Business Phone"),
            phone("Fax", "Business Fax"),
            phone("MobilePhone"),
            phone("HomePhone"),
            phone("OtherPhone"),
            phone("AssistantPhone", "Asst. Phone"),
            reference("ReportsToId", "Contact", label="Reports To ID", relationship="ReportsTo"),
            FieldSpec("Email", "email", "", 80, id_lookup=True),
            text("Title", 128),
            text("Department", 80),
            text("AssistantName", 40),
            choice("LeadSource", LEAD_SOURCES),
            FieldSpec("Birthdate", "date"),
            long_text("Description", label="Contact Description"),
            flag("HasOptedOutOfEmail"),
            flag("DoNotCall"),
            read_only("LastActivityDate", "date"),
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
            *system("Lead"),
            *_person_name(),
            required("Company", 255),
            text("Title", 128),
            *address("", "Address"),
            phone("Phone"),
            phone("MobilePhone"),
            phone("Fax"),
            FieldSpec("Email", "email", "", 80, id_lookup=True),
            FieldSpec("Website", "url", "", 255),
            long_text("Description"),
            choice("LeadSource", LEAD_SOURCES),
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
            choice("Industry", INDUSTRIES),
            choice("Rating", RATINGS),
            FieldSpec("AnnualRevenue", "double", "Annual Revenue", digits=18),
            FieldSpec("NumberOfEmployees", "int", "Employees", digits=8),
            read_only("IsConverted", "boolean", nillable=False, defaulted_on_create=True, default=False),
            read_only("ConvertedDate", "date"),
            read_only("ConvertedAccountId", "reference", 18, reference_to=("Account",), relationship_name="ConvertedAccount"),
            read_only("ConvertedContactId", "reference", 18, reference_to=("Contact",), relationship_name="ConvertedContact"),
            read_only("ConvertedOpportunityId", "reference", 18, reference_to=("Opportunity",), relationship_name="ConvertedOpportunity"),
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
            required("Username", 80),
            *_person_name(),
            FieldSpec("Email", "email", "", 128, nillable=False),
            text("Alias", 8),
            flag("IsActive"),
            choice("UserType", ("Standard", "PowerPartner", "CspLitePortal", "AutomatedProcess"), 40),
            *STAMPS,
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
            required("Name", 80),
            text("OrganizationType", 40),
            text("InstanceName", 5),
            flag("IsSandbox"),
            text("Country", 80),
            text("LanguageLocaleKey", 40),
            text("TimeZoneSidKey", 40),
            *STAMPS,
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
            *(field for field in system("Opportunity") if field.name != "MasterRecordId"),
            reference("AccountId", "Account", label="Account ID", relationship="Account"),
            required("Name", 120),
            text("StageName", 255),
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
                read_only("IsDeleted", "boolean", nillable=False, defaulted_on_create=True),
                read_only(f"{of}Id", "reference", 18, nillable=False, reference_to=(of,), relationship_name=of),
                *(field for field in STAMPS if field.name.startswith("Created")),
                read_only("Field", "picklist", 255, nillable=False),
                read_only("DataType", "picklist", 40),
                read_only("OldValue", "anyType", 255),
                read_only("NewValue", "anyType", 255),
            )
        ),
    )


STANDARD_OBJECTS = (
    *(ACCOUNT, CONTACT, LEAD, OPPORTUNITY, USER, ORGANIZATION),
    *SETUP_OBJECTS,
    *(_history(of) for of in ("Account", "Contact", "Lead")),
)

_IS_PERSON_ACCOUNT = read_only("IsPersonAccount", "boolean", nillable=False, defaulted_on_create=True, default=False)
PERSON_ACCOUNT_FIELDS: Mapping[str, tuple[FieldSpec, ...]] = {
    "Account": (
        _IS_PERSON_ACCOUNT,
        FieldSpec("FirstName", "string", "First Name", 40),
        FieldSpec("LastName", "string", "Last Name", 80),
        FieldSpec("PersonEmail", "email", "Email", 80),
    ),
    "Contact": (_IS_PERSON_ACCOUNT,),
    "Lead": (text("Company", 255),),
}
"""By object, the fields that are there, or are otherwise, where there are person accounts: a lead of a person has no company."""
