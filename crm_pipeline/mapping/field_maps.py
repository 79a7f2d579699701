"""What a user writes about mapping fields: the models of the YAML's ``map`` and ``sync_on``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, ConfigDict, Field, model_validator

from crm_pipeline.configuration.filter_keys import Scalar
from crm_pipeline.configuration.model import YamlModel
from crm_pipeline.mapping.direction_keys import WrittenDirection, WrittenRule

Policy = Literal["always", "if_blank", "create_only", "never"]
OnInvalid = Literal["omit", "fail", "truncate"]


class FieldSource(YamlModel):
    """Where a field's value comes from and how it is sent, when there is more to say than a QBench field's name."""

    from_: Annotated[str | None, Field(alias="from", description="QBench field the value is read from.", examples=["industry"])] = None
    constant: Annotated[
        Scalar | None, Field(description="The same value for every record, instead of `from`.", examples=["Laboratory"])
    ] = None
    default: Annotated[Scalar | None, Field(description="Value used where the QBench field is blank.", examples=["Unknown"])] = None
    default_when: Annotated[
        Literal["create", "always"],
        Field(description="Use the default only for new CRM records, or always.", examples=["create"]),
    ] = "create"
    policy: Annotated[
        Policy,
        Field(
            description="always: QBench wins; if_blank: only into an empty CRM field; create_only: with the create; never: not at all.",
            examples=["if_blank"],
        ),
    ] = "always"
    on_invalid: Annotated[OnInvalid, Field(description="What to do with a value the CRM would refuse.", examples=["truncate"])] = "omit"
    clear: Annotated[bool, Field(description="Let a blank in QBench empty the CRM field.", examples=[True])] = False
    take: Annotated[
        Literal["first"] | None,
        Field(description="Of several values in one field, take the first.", examples=["first"]),
    ] = None
    as_: Annotated[
        Literal["host"] | None,
        Field(alias="as", description="Send this form of the value: host of a web address.", examples=["host"]),
    ] = None
    translate: Annotated[
        dict[str, str] | None,
        Field(description="QBench value to the value to send.", examples=[{"Food": "Food & Beverage"}]),
    ] = None
    direction: WrittenDirection = "to_crm"
    rule: WrittenRule = "later"

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if (self.from_ is None) == (self.constant is None):
            raise ValueError("give either `from` (a QBench field) or `constant`")
        return self


FieldEntry = str | FieldSource


def as_source(entry: FieldEntry) -> FieldSource:
    """The long form of an entry; a plain name means ``from`` that QBench field."""
    return FieldSource(from_=entry) if isinstance(entry, str) else entry


class _Address(YamlModel):
    city: Annotated[FieldEntry | None, Field(description="QBench field of the city.", examples=["city_name"])] = None
    state: Annotated[FieldEntry | None, Field(description="QBench field of the state or province.", examples=["state_name"])] = None
    postal_code: Annotated[FieldEntry | None, Field(description="QBench field of the postal code.", examples=["zip_postal_code"])] = None
    country: Annotated[FieldEntry | None, Field(description="QBench field of the country.", examples=["country_name"])] = None
    policy: Annotated[
        Literal["create_only", "if_blank", "never"],
        Field(
            description="An address is sent with the create; if_blank also fills an empty one when a record is linked.",
            examples=["if_blank"],
        ),
    ] = "create_only"
    direction: WrittenDirection = "to_crm"
    rule: WrittenRule = "later"


class AccountAddress(_Address):
    """A customer's address."""

    street_1: Annotated[FieldEntry | None, Field(description="QBench field of the first street line.", examples=["address"])] = None
    street_2: Annotated[FieldEntry | None, Field(description="QBench field of the second street line.", examples=["address_2"])] = None
    address_type: Annotated[
        FieldEntry | None,
        Field(
            description="BILLING (default) or SHIPPING: a QBench field or a constant.",
            examples=[{"constant": "SHIPPING"}],
        ),
    ] = None


def _also_street_1(schema: dict[str, Any]) -> None:
    schema["properties"]["street_1"] = schema["properties"]["street"]


class ContactAddress(_Address):
    """A contact's address; its type is MAILING."""

    model_config = ConfigDict(json_schema_extra=_also_street_1)

    street: Annotated[
        FieldEntry | None,
        Field(
            validation_alias=AliasChoices("street", "street_1"),
            description="QBench field of the street; street_1, the account's key, is understood too.",
            examples=["contact_street"],
        ),
    ] = None


class _FieldMap(YamlModel):
    """Normalized field → QBench field; a key ``<crm>.<field>`` names a CRM field outside the normalized model."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, FieldEntry]

    @property
    def direct(self) -> dict[str, FieldSource]:
        """The directly mapped CRM fields, by ``<crm>.<field>``."""
        return {name: as_source(entry) for name, entry in (self.__pydantic_extra__ or {}).items()}

    def sources(self) -> dict[str, FieldSource]:
        """The plainly mapped normalized fields (all but addresses and direct fields) with their sources."""
        entries: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields if name != "address"}
        return {name: as_source(entry) for name, entry in entries.items() if entry is not None}


class AccountMap(_FieldMap):
    """What a customer's fields become."""

    name: Annotated[FieldEntry | None, Field(description="The account's name. Must be mapped.", examples=["customer_name"])] = None
    description: Annotated[FieldEntry | None, Field(description="Free text about the account.", examples=["comments"])] = None
    industry: Annotated[FieldEntry | None, Field(description="Branch of business.", examples=["industry"])] = None
    website: Annotated[FieldEntry | None, Field(description="Web address.", examples=["website"])] = None
    number_of_employees: Annotated[FieldEntry | None, Field(description="Head count.", examples=["employees"])] = None
    phone_number: Annotated[FieldEntry | None, Field(description="Main phone; sent with the create only.", examples=["phone"])] = None
    phone_number_type: Annotated[
        FieldEntry | None,
        Field(description="WORK, MAIN, FAX or MOBILE: a QBench field or a constant.", examples=[{"constant": "WORK"}]),
    ] = None
    address: Annotated[
        AccountAddress | list[AccountAddress] | None,
        Field(
            description="The address, or a list of at most one per type; sent with the create only.",
            examples=[
                {
                    "street_1": "address",
                    "city": "city_name",
                    "state": "state_name",
                    "postal_code": "zip_postal_code",
                    "country": "country_name",
                }
            ],
        ),
    ] = None

    @property
    def addresses(self) -> list[AccountAddress]:
        """The mapped addresses, possibly none."""
        if self.address is None:
            return []
        return self.address if isinstance(self.address, list) else [self.address]


class ContactMap(_FieldMap):
    """What a contact's fields become."""

    email: Annotated[FieldEntry | None, Field(description="Email address. Must be mapped.", examples=["email_address"])] = None
    first_name: Annotated[FieldEntry | None, Field(description="First name.", examples=["first_name"])] = None
    last_name: Annotated[FieldEntry | None, Field(description="Last name.", examples=["last_name"])] = None
    phone: Annotated[FieldEntry | None, Field(description="Phone.", examples=["phone"])] = None
    phone_number_type: Annotated[
        FieldEntry | None, Field(description="WORK (default), MAIN, FAX or MOBILE.", examples=[{"constant": "MOBILE"}])
    ] = None
    address: Annotated[
        ContactAddress | None,
        Field(
            description="The mailing address; sent with the create only.",
            examples=[
                {
                    "street": "contact_street",
                    "city": "contact_city",
                    "state": "contact_state",
                    "postal_code": "contact_zip",
                    "country": "contact_country",
                }
            ],
        ),
    ] = None

    @property
    def addresses(self) -> list[ContactAddress]:
        """The mapped address as a list of none or one."""
        return [] if self.address is None else [self.address]


class LeadMap(ContactMap):
    """What a contact's fields become where it goes as a lead."""

    company: Annotated[
        FieldEntry | None,
        Field(description="The lead's company. Left out, the name of the contact's customer.", examples=["customer.customer_name"]),
    ] = None


class MatchKey(YamlModel):
    """One row of Sync on Fields.

    ``{<normalized field>: {<crm>: <crm field>}}`` or ``{field: <QBench field>, in: {<crm>: <crm field>}}``.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, dict[str, str]]

    field: Annotated[
        str | None,
        Field(
            description="Any QBench field, where no normalized field serves; goes with `in`.",
            examples=["customer_code"],
        ),
    ] = None
    in_: Annotated[
        dict[str, str] | None,
        Field(alias="in", description="The CRM field to compare with, per CRM.", examples=[{"salesforce": "Code__c"}]),
    ] = None

    @model_validator(mode="after")
    def _is_one_row(self) -> Self:
        named = self.__pydantic_extra__ or {}
        if self.field is None and self.in_ is None and len(named) == 1:
            return self
        if self.field is not None and self.in_ is not None and not named:
            return self
        raise ValueError(
            "a row of sync_on is {<normalized field>: {<crm>: <crm field>}} or {field: <QBench field>, in: {<crm>: <crm field>}}"
        )

    @property
    def source(self) -> str:
        """The normalized column compared: a normalized field's name, or ``qbench.<field>``."""
        return f"qbench.{self.field}" if self.field is not None else next(iter(self.__pydantic_extra__ or {}))

    @property
    def targets(self) -> dict[str, str]:
        """The CRM field compared with, per CRM; a CRM that is missing here is not matched by this row."""
        return self.in_ if self.in_ is not None else next(iter((self.__pydantic_extra__ or {}).values()))
