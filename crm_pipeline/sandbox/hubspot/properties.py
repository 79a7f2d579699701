"""What a company and a contact are made of: the object types and their default properties, as HubSpot describes them.

The members are those of ``GET /crm/v3/properties/{objectType}`` (published specification). Labels, groups and field types
of the defaults are those of HubSpot's default property lists; no live portal was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from crm_pipeline.sandbox.hubspot.industries import INDUSTRIES

PropertyType = Literal["string", "number", "enumeration", "bool", "date", "datetime", "phone_number"]
Sensitivity = Literal["non_sensitive", "sensitive", "highly_sensitive"]

FIELD_TYPES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "string": frozenset({"text", "textarea", "file", "html", "phonenumber", "calculation_equation"}),
        "phone_number": frozenset({"phonenumber"}),
        "number": frozenset({"number", "calculation_equation"}),
        "enumeration": frozenset({"booleancheckbox", "checkbox", "radio", "select", "calculation_equation"}),
        "bool": frozenset({"booleancheckbox", "calculation_equation"}),
        "date": frozenset({"date"}),
        "datetime": frozenset({"date"}),
    }
)
"""Which field types go with a property type (properties guide)."""

LARGEST_NUMBER_OF_UNIQUE_PROPERTIES = 10


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of an enumeration."""

    label: str
    value: str
    hidden: bool = False
    display_order: int = -1

    def as_json(self) -> dict[str, Any]:
        """As the properties API writes it."""
        return {"label": self.label, "value": self.value, "hidden": self.hidden, "displayOrder": self.display_order}


@dataclass(frozen=True, slots=True)
class Property:
    """One property of an object. ``read_only`` values are refused in writes; ``external_options`` are not listed here."""

    name: str
    label: str
    type: PropertyType = "string"
    field_type: str = "text"
    group: str = ""
    options: tuple[Option, ...] = ()
    unique: bool = False
    calculated: bool = False
    hidden: bool = False
    archived: bool = False
    hubspot_defined: bool = True
    read_only: bool = False
    external_options: bool = False
    sensitivity: Sensitivity = "non_sensitive"
    description: str = ""
    values: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", frozenset(option.value for option in self.options))

    def as_json(self) -> dict[str, Any]:
        """As the properties API writes it."""
        return {
            "name": self.name,
            "label": self.label,
            "type": self.type,
            "fieldType": self.field_type,
            "description": self.description,
            "groupName": self.group,
            "options": [option.as_json() for option in self.options],
            "displayOrder": -1,
            "calculated": self.calculated,
            "externalOptions": self.external_options,
            "hasUniqueValue": self.unique,
            "hidden": self.hidden,
            "archived": self.archived,
            "hubspotDefined": self.hubspot_defined,
            "formField": not self.read_only,
            "dataSensitivity": self.sensitivity,
            "modificationMetadata": {
                "archivable": not self.hubspot_defined,
                "readOnlyDefinition": self.hubspot_defined,
                "readOnlyOptions": self.hubspot_defined,
                "readOnlyValue": self.read_only or self.calculated,
            },
        }


@dataclass(frozen=True, slots=True)
class ObjectType:
    """One CRM object: its names in paths and messages, and which properties an answer carries unasked."""

    name: str
    singular: str
    type_id: str
    group: str
    modified: str
    default_properties: tuple[str, ...]
    first_id: int
    properties: tuple[Property, ...]
    kept_versions: int
    """How many values of a property its history keeps, the present one among them (knowledge base, *Export property history*)."""
    required_any: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The object's name in messages, ``Contact``."""
        return self.singular.capitalize()

    @property
    def always(self) -> tuple[str, ...]:
        """The properties that every answer carries, whatever was asked for."""
        return ("createdate", "hs_object_id", self.modified)


def _choices(*pairs: tuple[str, str]) -> tuple[Option, ...]:
    return tuple(Option(label, value, display_order=order) for order, (label, value) in enumerate(pairs))


def _property(group: str, name: str, label: str, kind: str = "string/text", **more: Any) -> Property:
    type_, field_type = kind.split("/")
    return Property(name=name, label=label, type=type_, field_type=field_type, group=group, **more)  # type: ignore[arg-type]


def _plain(group: str, *rows: tuple[str, ...]) -> tuple[Property, ...]:
    """Properties without options: name, label, and the kind where it is not text."""
    return tuple(_property(group, *row) for row in rows)


LIFECYCLE_STAGE = "lifecyclestage"
_LIFECYCLE = _choices(
    ("Subscriber", "subscriber"),
    ("Lead", "lead"),
    ("Marketing Qualified Lead", "marketingqualifiedlead"),
    ("Sales Qualified Lead", "salesqualifiedlead"),
    ("Opportunity", "opportunity"),
    ("Customer", "customer"),
    ("Evangelist", "evangelist"),
    ("Other", "other"),
)
_BOOLEAN = _choices(("Yes", "true"), ("No", "false"))


def _system(group: str, modified: str) -> tuple[Property, ...]:
    return (
        _property(group, "hs_object_id", "Record ID", "number/number", read_only=True),
        _property(group, "createdate", "Create Date", "datetime/date", read_only=True),
        _property(group, modified, "Last Modified Date", "datetime/date", read_only=True),
        _property(group, "hs_merged_object_ids", "Merged record IDs", "enumeration/checkbox", read_only=True, external_options=True),
        _property(group, "hs_created_by_user_id", "Created by user ID", "number/number", read_only=True, hidden=True),
        _property(group, "hubspot_owner_id", "Owner", "enumeration/select", external_options=True),
        _property(group, LIFECYCLE_STAGE, "Lifecycle Stage", "enumeration/radio", options=_LIFECYCLE),
    )


COMPANIES = ObjectType(
    name="companies",
    singular="company",
    type_id="0-2",
    group="companyinformation",
    modified="hs_lastmodifieddate",
    default_properties=("createdate", "domain", "hs_lastmodifieddate", "hs_object_id", "name"),
    first_id=18_000_000_001,
    kept_versions=20,
    required_any=("name", "domain"),
    properties=(
        *_plain(
            "companyinformation",
            ("name", "Company name"),
            ("domain", "Company Domain Name"),
            ("website", "Website URL"),
            ("description", "Description", "string/textarea"),
            ("phone", "Phone Number", "string/phonenumber"),
            ("address", "Street Address"),
            ("address2", "Street Address 2"),
            ("city", "City"),
            ("state", "State/Region"),
            ("zip", "Postal Code"),
            ("country", "Country/Region"),
            ("numberofemployees", "Number of Employees", "number/number"),
            ("annualrevenue", "Annual Revenue", "number/number"),
            ("founded_year", "Year Founded"),
            ("timezone", "Time Zone"),
            ("linkedin_company_page", "LinkedIn Company Page"),
            ("closedate", "Close Date", "datetime/date"),
        ),
        _property("companyinformation", "industry", "Industry", "enumeration/select", options=_choices(*INDUSTRIES)),
        _property(
            "companyinformation",
            "type",
            "Type",
            "enumeration/select",
            options=_choices(
                ("Prospect", "PROSPECT"), ("Partner", "PARTNER"), ("Reseller", "RESELLER"), ("Vendor", "VENDOR"), ("Other", "OTHER")
            ),
        ),
        _property("companyinformation", "is_public", "Is Public", "bool/booleancheckbox", options=_BOOLEAN),
        _property("companyinformation", "num_associated_contacts", "Number of Associated Contacts", "number/number", calculated=True),
        *_system("companyinformation", "hs_lastmodifieddate"),
    ),
)

CONTACTS = ObjectType(
    name="contacts",
    singular="contact",
    type_id="0-1",
    group="contactinformation",
    modified="lastmodifieddate",
    default_properties=("createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname"),
    first_id=70_000_000_001,
    kept_versions=45,
    properties=(
        *_plain(
            "contactinformation",
            ("firstname", "First Name"),
            ("lastname", "Last Name"),
            ("phone", "Phone Number", "string/phonenumber"),
            ("mobilephone", "Mobile Phone Number", "string/phonenumber"),
            ("fax", "Fax Number"),
            ("jobtitle", "Job Title"),
            ("salutation", "Salutation"),
            ("company", "Company Name"),
            ("website", "Website URL"),
            ("address", "Street Address"),
            ("city", "City"),
            ("state", "State/Region"),
            ("zip", "Postal Code"),
            ("country", "Country/Region"),
            ("industry", "Industry"),
            ("message", "Message", "string/textarea"),
            ("closedate", "Close Date", "datetime/date"),
        ),
        _property("contactinformation", "email", "Email"),
        _property(
            "contactinformation", "hs_additional_emails", "Additional email addresses", "enumeration/checkbox", external_options=True
        ),
        _property(
            "contactinformation",
            "hs_lead_status",
            "Lead Status",
            "enumeration/radio",
            options=_choices(("New", "NEW"), ("Open", "OPEN"), ("In Progress", "IN_PROGRESS"), ("Unqualified", "UNQUALIFIED")),
        ),
        _property("contactinformation", "hs_email_optout", "Unsubscribed from all email", "bool/booleancheckbox", calculated=True),
        # There, and blank on every contact: a search by it finds nothing and says nothing (seen live).
        _property(
            "contactinformation", "hs_lastmodifieddate", "Object last modified date/time", "datetime/date", read_only=True, hidden=True
        ),
        _property("contactinformation", "associatedcompanyid", "Primary Associated Company ID", "number/number", read_only=True),
        *_system("contactinformation", "lastmodifieddate"),
    ),
)

OBJECT_TYPES = (COMPANIES, CONTACTS)
BY_NAME: Mapping[str, ObjectType] = MappingProxyType(
    {alias: object_type for object_type in OBJECT_TYPES for alias in (object_type.name, object_type.singular, object_type.type_id)}
)


def external_key(object_type: ObjectType, name: str = "qbench_id") -> Property:
    """The unique property that holds the QBench id, as the set-up command makes it."""
    return Property(
        name=name,
        label="QBench ID",
        group=object_type.group,
        unique=True,
        hubspot_defined=False,
    )
