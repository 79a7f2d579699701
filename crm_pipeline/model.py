"""The normalized model: what an account and a contact are between QBench and the CRMs, and which fields may change later.

Source of the fields: the article "CRM System Native Integration" and its normalized model (Account, Contact, Address,
PhoneNumber). The tables here are the authority for names everywhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

CountryFormat = Literal["auto", "code", "name"]
"""How countries go out to a CRM: by ISO alpha-2 code, by English name, or by code only where it has fields for codes."""


class RecordType(StrEnum):
    """The normalized record types. A lead is made of a contact of QBench, where a CRM takes that as a lead."""

    ACCOUNT = "account"
    CONTACT = "contact"
    LEAD = "lead"


class Operation(StrEnum):
    """What the plan wants done to one record in one CRM."""

    CREATE = "create"
    UPDATE = "update"
    LINK = "link"
    NONE = "none"


class Verb(StrEnum):
    """How a record is written: known ones by their id, new ones by the external key or, without one, plainly."""

    CREATE = "create"
    UPSERT = "upsert"
    UPDATE = "update"


class Outcome(StrEnum):
    """What became of one record in one CRM in one run."""

    CREATED = "created"
    UPDATED = "updated"
    LINKED = "linked"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    DEFERRED = "deferred"
    FAILED = "failed"


class WaitsOn(StrEnum):
    """What must change before a record that waits is tried again (docs/rules.md, 25).

    Of a customer, an email and a holder it is told for whose: the customer's QBench id, that of the record which has the email, and
    the CRM id of the record in the way, whose link is waited for.
    """

    RECORD = "record"
    CUSTOMER = "customer"
    EMAIL = "email"
    LINK = "link"
    HOLDER = "holder"
    CONFIGURATION = "configuration"
    TIME = "time"


class LinkStatus(StrEnum):
    """What state a link is in."""

    LIVE = "live"
    DELETED = "deleted"
    CONFLICT = "conflict"
    SOURCE_DELETED = "source_deleted"


class LinkOrigin(StrEnum):
    """How a link came to be."""

    CREATED = "created"
    MATCHED = "matched"
    KEY = "key"
    MANUAL = "manual"
    TAKEN_OVER = "taken_over"


FieldKind = Literal["text", "email", "phone", "url", "integer", "country", "choice"]


@dataclass(frozen=True, slots=True)
class Field:
    """One normalized field: its kind decides its normal form; ``group`` names fields that are sent together or not at all."""

    name: str
    kind: FieldKind
    editable: bool
    meaning: str
    group: str | None = None


@dataclass(frozen=True, slots=True)
class RecordModel:
    """What the records of one type are, and where they come from in QBench.

    ``plural``: what several are called, in the YAML and in assets. ``identifying``: the field without which a record does not sync.
    ``phone``: the field of its phone. ``required_to_create``: fields without which it is not created in a CRM. ``parent``: the type of
    the record that it belongs to, None where it belongs to none. ``exclusive``: the field whose value only one record may have.
    ``made_of``: the type of the QBench records that these are made of, None where they are read themselves.
    """

    record_type: RecordType
    plural: str
    qbench_object: str
    fields: tuple[Field, ...]
    identifying: str
    phone: str
    required_to_create: tuple[str, ...]
    parent: RecordType | None = None
    exclusive: str | None = None
    made_of: RecordType | None = None

    @property
    def source(self) -> RecordType:
        """The type of the QBench records behind these: their own, or that of those they are made of."""
        return self.made_of or self.record_type

    @property
    def by_name(self) -> Mapping[str, Field]:
        """The fields by their names."""
        return MappingProxyType({field.name: field for field in self.fields})


ACCOUNT_ADDRESS_PARTS: Mapping[str, str] = MappingProxyType(
    {
        "street_1": "first street line",
        "street_2": "second street line",
        "city": "city",
        "state": "state or province",
        "postal_code": "postal code",
        "country": "ISO 3166 alpha-2 code where clear, else as given",
    }
)
CONTACT_ADDRESS_PARTS: Mapping[str, str] = MappingProxyType(
    {
        "street": "street lines",
        "city": "city",
        "state": "state or province",
        "postal_code": "postal code",
        "country": "ISO 3166 alpha-2 code where clear, else as given",
    }
)
ACCOUNT_ADDRESS_TYPES = ("BILLING", "SHIPPING")
CONTACT_ADDRESS_TYPE = "MAILING"
DEFAULT_ACCOUNT_ADDRESS_TYPE = "BILLING"
DEFAULT_CONTACT_PHONE_TYPE = "WORK"


def _address(prefix: str, parts: Mapping[str, str]) -> tuple[Field, ...]:
    return tuple(
        Field(
            f"{prefix}_{part}",
            "country" if part == "country" else "text",
            False,
            f"{prefix} address: {meaning}",
            f"{prefix}_address",
        )
        for part, meaning in parts.items()
    )


ACCOUNT = RecordModel(
    record_type=RecordType.ACCOUNT,
    plural="accounts",
    qbench_object="customers",
    fields=(
        Field("name", "text", True, "the customer's name"),
        Field("description", "text", True, "free text about the customer"),
        Field("industry", "text", True, "branch of business"),
        Field("website", "url", True, "web address"),
        Field("number_of_employees", "integer", True, "head count"),
        Field("phone_number", "phone", False, "main phone, E.164 where it can be parsed", "phone"),
        Field("phone_number_type", "choice", False, "WORK, MAIN, FAX, MOBILE …; decides the CRM field", "phone"),
        *_address("billing", ACCOUNT_ADDRESS_PARTS),
        *_address("shipping", ACCOUNT_ADDRESS_PARTS),
    ),
    identifying="name",
    phone="phone_number",
    required_to_create=("name",),
)

CONTACT = RecordModel(
    record_type=RecordType.CONTACT,
    plural="contacts",
    qbench_object="contacts",
    fields=(
        Field("email", "email", True, "email address, trimmed and lower-cased"),
        Field("first_name", "text", True, "first name"),
        Field("last_name", "text", True, "last name"),
        Field("phone", "phone", True, "phone, E.164 where it can be parsed", "phone"),
        Field("phone_number_type", "choice", True, "WORK by default; decides the CRM field", "phone"),
        *_address("mailing", CONTACT_ADDRESS_PARTS),
    ),
    identifying="email",
    phone="phone",
    required_to_create=("email", "first_name", "last_name", "phone"),
    parent=RecordType.ACCOUNT,
    exclusive="email",
)

LEAD = RecordModel(
    record_type=RecordType.LEAD,
    plural="leads",
    qbench_object="contacts",
    fields=(
        Field("email", "email", True, "email address, trimmed and lower-cased"),
        Field("first_name", "text", True, "first name"),
        Field("last_name", "text", True, "last name"),
        Field("company", "text", True, "name of the company; the customer's where nothing else is mapped"),
        Field("phone", "phone", True, "phone, E.164 where it can be parsed", "phone"),
        Field("phone_number_type", "choice", True, "WORK by default; decides the CRM field", "phone"),
        *_address("mailing", CONTACT_ADDRESS_PARTS),
    ),
    identifying="email",
    phone="phone",
    required_to_create=("last_name", "company"),
    made_of=RecordType.CONTACT,
)
"""A person whom the sales process has not made a contact yet. It belongs to no account, and names its company instead."""

MODELS: Mapping[RecordType, RecordModel] = MappingProxyType({model.record_type: model for model in (ACCOUNT, CONTACT, LEAD)})
"""Parents stand before those that belong to them, and what others are made of before these."""

READ = tuple(model.record_type for model in MODELS.values() if model.made_of is None)
"""The types of the records that are read from QBench, and written there."""


def made_of(record_type: RecordType) -> tuple[RecordType, ...]:
    """The types of the records that are made of QBench's records of this type."""
    return tuple(model.record_type for model in MODELS.values() if model.made_of is record_type)


def children(record_type: RecordType) -> tuple[RecordType, ...]:
    """The types of the records that belong to one of this type."""
    return tuple(model.record_type for model in MODELS.values() if model.parent is record_type)
