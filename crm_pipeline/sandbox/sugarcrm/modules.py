"""What modules has a site, with which fields and links? Tables to read beside a site's own ``get_module_fields``.

Lengths and types are those of the modules' definitions in SuiteCRM 7; ``len`` comes as a number, as text or as nothing, as it does there.
Left out are fields that no one writes over the API (photos, campaigns' counters).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Source = Literal["db", "custom", "non-db"]

INDUSTRIES = (
    *("Apparel", "Banking", "Biotechnology", "Chemicals", "Communications", "Construction", "Consulting", "Education", "Electronics"),
    *("Energy", "Engineering", "Entertainment", "Environmental", "Finance", "Government", "Healthcare", "Hospitality", "Insurance"),
    *("Machinery", "Manufacturing", "Media", "Not For Profit", "Recreation", "Retail", "Shipping", "Technology", "Telecommunications"),
    *("Transportation", "Utilities", "Other"),
)
ACCOUNT_TYPES = (*("Analyst", "Competitor", "Customer", "Integrator", "Investor", "Partner", "Press", "Prospect", "Reseller", "Other"),)
LEAD_SOURCES = (
    *("Cold Call", "Existing Customer", "Self Generated", "Employee", "Partner", "Public Relations", "Direct Mail", "Conference"),
    *("Trade Show", "Web Site", "Word of mouth", "Email", "Campaign", "Other"),
)
LEAD_STATUSES = ("New", "Assigned", "In Process", "Converted", "Recycled", "Dead")
SALUTATIONS = ("Mr.", "Ms.", "Mrs.", "Miss", "Dr.", "Prof.")
YES_OR_NO: Mapping[str, str] = {"": "", "1": "Yes", "2": "No"}
PERIODS: Mapping[str, str] = {
    **{"=": "Equals", "not_equal": "Not On", "greater_than": "After", "less_than": "Before", "last_7_days": "Last 7 Days"},
    **{"this_month": "This Month", "last_year": "Last Year", "between": "Is Between"},
}
"""What dates carry as options: names of filters, none of them a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a module. ``length``: as the metadata says it; ``kept``: whether it is a column of the module's own row."""

    name: str
    type: str = "varchar"
    length: int | str = ""
    required: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    source: Source = "db"
    id_name: str = ""
    module: str = ""
    default: str | None = None

    @property
    def kept(self) -> bool:
        """Whether it is a column, the module's own or a custom one."""
        return self.source != "non-db"

    @property
    def longest(self) -> int | None:
        """The column's characters; None where there is no end to them."""
        return int(self.length) if self.length else None

    @property
    def label(self) -> str:
        """What people read."""
        return f"{self.name.removesuffix('_c').replace('_', ' ').title()}:"


@dataclass(frozen=True, slots=True)
class Link:
    """A relationship of a module with another: the table of pairs, this side's column there, the other side's, and the module there."""

    name: str
    table: str
    ours: str
    theirs: str
    module: str


@dataclass(frozen=True, slots=True)
class Module:
    """A module: its table, its fields by name in the order of its metadata, its links by name."""

    name: str
    table: str
    fields: Mapping[str, Field]
    links: Mapping[str, Link]

    @property
    def custom_table(self) -> str:
        """The table of the custom fields."""
        return f"{self.table}_cstm"

    @property
    def person(self) -> bool:
        """Whether its name is put together of a first and a last one."""
        return "last_name" in self.fields


def choices(*names: str) -> dict[str, str]:
    """Options whose keys are their labels, after a blank one."""
    return {"": "", **{name: name for name in names}}


def _texts(length: int | str, *names: str, kind: str = "varchar") -> list[Field]:
    return [Field(name=name, type=kind, length=length) for name in names]


def _enum(name: str, length: int | str, *values: str) -> Field:
    return Field(name=name, type="enum", length=length, options=choices(*values))


def _bool(name: str) -> Field:
    return Field(name=name, type="bool", options=YES_OR_NO, default="0")


def _address(prefix: str) -> list[Field]:
    return [
        *_texts("150", f"{prefix}_street"),
        *_texts("100", f"{prefix}_city", f"{prefix}_state"),
        *_texts("20", f"{prefix}_postalcode"),
        *_texts("255", f"{prefix}_country"),
    ]


def _named_id(name: str, id_name: str, module: str) -> Field:
    return Field(name=name, type="relate", length="255", source="non-db", id_name=id_name, module=module)


_ID = Field(name="id", type="id", required=True)
_OF_ALL = (
    Field(name="date_entered", type="datetime", options=PERIODS),
    Field(name="date_modified", type="datetime", options=PERIODS),
    Field(name="modified_user_id", type="assigned_user_name", length=36, id_name="modified_user_id", module="Users"),
    _named_id("modified_by_name", "modified_user_id", "Users"),
    Field(name="created_by", type="assigned_user_name", length=36, id_name="created_by", module="Users"),
    _named_id("created_by_name", "created_by", "Users"),
    Field(name="description", type="text"),
    _bool("deleted"),
    Field(name="assigned_user_id", type="relate", length=36, id_name="assigned_user_id", module="Users"),
    _named_id("assigned_user_name", "assigned_user_id", "Users"),
)
_EMAIL = Field(name="email1", source="non-db")

_ACCOUNT = (
    _ID,
    Field(name="name", type="name", length=150, required=True),
    *_OF_ALL,
    _enum("account_type", 50, *ACCOUNT_TYPES),
    _enum("industry", 50, *INDUSTRIES),
    *_texts(100, "annual_revenue"),
    *_texts(100, "phone_fax", kind="phone"),
    *_address("billing_address"),
    *_texts(100, "rating"),
    *_texts(100, "phone_office", "phone_alternate", kind="phone"),
    Field(name="website", type="url", length=255),
    *_texts(100, "ownership"),
    *_texts(10, "employees", "ticker_symbol"),
    *_address("shipping_address"),
    _EMAIL,
    Field(name="parent_id", type="id"),
    *_texts(10, "sic_code"),
    _named_id("parent_name", "parent_id", "Accounts"),
)

_PERSON = (
    _ID,
    Field(name="name", type="name", length=255, source="non-db"),
    *_OF_ALL,
    _enum("salutation", "255", *SALUTATIONS),
    *_texts("100", "first_name"),
    Field(name="last_name", length="100", required=True),
    Field(name="full_name", type="fullname", length="510", source="non-db"),
    *_texts("100", "title"),
    *_texts("255", "department"),
    _bool("do_not_call"),
    *_texts("100", *(f"phone_{kind}" for kind in ("home", "mobile", "work", "other", "fax")), kind="phone"),
    _EMAIL,
    *_address("primary_address"),
    *_address("alt_address"),
    *_texts("75", "assistant"),
    *_texts("100", "assistant_phone", kind="phone"),
)

_CONTACT = (
    *_PERSON,
    _enum("lead_source", 255, *LEAD_SOURCES),
    _named_id("account_name", "account_id", "Accounts"),
    Field(name="account_id", type="relate", source="non-db", id_name="account_id", module="Accounts"),
    Field(name="birthdate", type="date", options=PERIODS),
)

_LEAD = (
    *_PERSON,
    _bool("converted"),
    *_texts("100", "refered_by"),
    _enum("lead_source", "100", *LEAD_SOURCES),
    Field(name="lead_source_description", type="text"),
    _enum("status", "100", *LEAD_STATUSES),
    Field(name="status_description", type="text"),
    *_texts("255", "account_name"),
    Field(name="account_description", type="text"),
    Field(name="contact_id", type="id"),
    Field(name="account_id", type="id"),
    Field(name="opportunity_id", type="id"),
    *_texts("255", "opportunity_name"),
    *_texts("50", "opportunity_amount"),
    Field(name="birthdate", type="date", options=PERIODS),
    Field(name="website", type="url", length=255),
)

_USER = (
    _ID,
    Field(name="user_name", type="user_name", length="60", required=True),
    *_texts("255", "first_name"),
    Field(name="last_name", length="255", required=True),
    Field(name="full_name", type="name", length="510", source="non-db"),
    Field(name="name", source="non-db"),
    _bool("is_admin"),
    Field(name="date_entered", type="datetime", options=PERIODS),
    Field(name="date_modified", type="datetime", options=PERIODS),
    *_texts("50", "title", "department"),
    *_texts("50", "phone_work", kind="phone"),
    Field(name="status", type="enum", length=100, options={"Active": "Active", "Inactive": "Inactive"}),
    _bool("deleted"),
    _EMAIL,
)

_EMAIL_ADDRESS = (
    _ID,
    *_texts(255, "email_address", "email_address_caps"),
    _bool("invalid_email"),
    _bool("opt_out"),
    Field(name="date_created", type="datetime", options=PERIODS),
    Field(name="date_modified", type="datetime", options=PERIODS),
    _bool("deleted"),
)

_OF_CONTACTS = Link("contacts", "accounts_contacts", "account_id", "contact_id", "Contacts")
_OF_ACCOUNTS = Link("accounts", "accounts_contacts", "contact_id", "account_id", "Accounts")
_ADDRESSES = Link("email_addresses", "email_addr_bean_rel", "bean_id", "email_address_id", "EmailAddresses")


def _module(name: str, table: str, fields: tuple[Field, ...], *links: Link) -> Module:
    return Module(name, table, {one.name: one for one in fields}, {link.name: link for link in links})


STANDARD: tuple[Module, ...] = (
    _module("Accounts", "accounts", _ACCOUNT, _OF_CONTACTS, _ADDRESSES),
    _module("Contacts", "contacts", _CONTACT, _OF_ACCOUNTS, _ADDRESSES),
    _module("Leads", "leads", _LEAD, _ADDRESSES),
    _module("Users", "users", _USER, _ADDRESSES),
    _module("EmailAddresses", "email_addresses", _EMAIL_ADDRESS),
)
"""The modules that a new site has."""

PAIRS: Mapping[str, tuple[str, ...]] = {
    "accounts_contacts": ("contact_id", "account_id"),
    "email_addr_bean_rel": ("email_address_id", "bean_id", "bean_module", "primary_address", "reply_to_address", "date_created"),
}
"""The tables of pairs with their own columns; each has ``id``, ``date_modified`` and ``deleted`` besides."""
