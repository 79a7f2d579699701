"""What a user writes about mapping, linking and filtering: the models of the YAML's ``accounts`` and ``contacts``."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AliasChoices, ConfigDict, Field, model_validator

from crm_pipeline.configuration.model import YamlModel
from crm_pipeline.mapping.deletion_keys import Flag, WrittenAlsoLinked, WrittenWhenDeleted
from crm_pipeline.mapping.direction_keys import WrittenDirection, WrittenRule
from crm_pipeline.mapping.filter_keys import Filter, Scalar
from crm_pipeline.mapping.from_crm_keys import CreateInQBench, FromCrm
from crm_pipeline.mapping.owner_keys import ContactOwnerRule, OwnerRule
from crm_pipeline.model import RecordType

Policy = Literal["always", "if_blank", "create_only", "never"]
OnInvalid = Literal["omit", "fail", "truncate"]
OnOtherAccount = Literal["keep", "move", "refuse"]


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


class _RecordSpec(YamlModel):
    sync_on: Annotated[
        tuple[MatchKey, ...],
        Field(
            description="Sync on Fields: match keys in their order; left out, nothing is matched.",
            examples=[[{"name": {"salesforce": "Name"}}]],
        ),
    ] = ()
    meaningless: Annotated[
        tuple[str, ...],
        Field(
            description="Further values that name nobody: placeholders that people type, and web hosts that many share. As match keys "
            "they find nothing (shared hosts are compared with their path), and `as: host` does not send them.",
            examples=[["walk-in customer", "clubexpress.com"]],
        ),
    ] = ()
    only: Annotated[
        Filter | None,
        Field(
            description="Only records that meet this rule are synced.",
            examples=[{"all": [{"field": "status", "is": "ACTIVE"}]}],
        ),
    ] = None
    when_deleted_in_qbench: WrittenWhenDeleted = "keep"
    also_linked: WrittenAlsoLinked = False
    from_crm: Annotated[
        FromCrm | None,
        Field(
            description="What comes from the CRMs beside the fields of linked records.",
            examples=[{"create": {"only": {"field": "salesforce.Type", "is": "Customer"}}}],
            exclude_if=lambda from_crm: from_crm is None,
        ),
    ] = None

    @property
    def creates_in_qbench(self) -> CreateInQBench | None:
        """Which CRM records are made in QBench; None where none are."""
        return None if self.from_crm is None else self.from_crm.create

    @property
    def flag(self) -> Flag | None:
        """The QBench field that says whether a CRM deleted the record; None where none does."""
        when_deleted = None if self.from_crm is None else self.from_crm.when_deleted
        return None if when_deleted is None else when_deleted.flag

    @property
    def deletes(self) -> bool:
        """Whether CRM records are ever deleted."""
        return self.when_deleted_in_qbench == "delete"

    @property
    def gates(self) -> tuple[Filter, ...]:
        """The rules by which a record is left out, or not."""
        return () if self.only is None else (self.only,)


_MAP = "Normalized field to QBench field, or to a table that says more, {from: <field>, direction: both} for instance."


class AccountSpec(_RecordSpec):
    """How customers become accounts."""

    record_type: ClassVar[RecordType] = RecordType.ACCOUNT
    owner: Annotated[
        tuple[OwnerRule, ...],
        Field(
            description="Who owns a new account: the first rule that it meets and that names the CRM. Never changed later. "
            "Salesforce takes a user's id or username, HubSpot an owner's id or email (scope crm.objects.owners.read).",
            examples=[
                [
                    {
                        "only": {"field": "country_name", "is": "US"},
                        "salesforce": "ana@acme.example",
                        "hubspot": "ana@acme.example",
                        "sugarcrm": "ana",
                    }
                ]
            ],
        ),
    ] = ()
    map: Annotated[AccountMap, Field(description=_MAP, examples=[{"name": "customer_name"}])]
    active_only: Annotated[
        bool,
        Field(description="Leave out customers whose status in QBench is another than ACTIVE, and their contacts.", examples=[True]),
    ] = False


class ContactSpec(_RecordSpec):
    """How contacts become contacts."""

    record_type: ClassVar[RecordType] = RecordType.CONTACT
    owner: Annotated[
        tuple[ContactOwnerRule, ...],
        Field(description="Who owns a new contact, as with accounts.", examples=[[{"same_as_account": True}]]),
    ] = ()
    map: Annotated[ContactMap, Field(description=_MAP, examples=[{"email": "email_address"}])]
    on_other_account: Annotated[
        OnOtherAccount,
        Field(
            description="A contact that sync_on finds belongs to another account in the CRM. keep: it stays there, and "
            "ours is added where contacts may have several; move: it moves to ours; refuse: it is not linked.",
            examples=["keep"],
        ),
    ] = "keep"
    inactive: Annotated[
        Filter | None,
        Field(
            description="Which contacts are inactive, for `delete_inactive`.",
            examples=[{"field": "status", "is": "INACTIVE"}],
        ),
    ] = None
    delete_inactive: Annotated[
        bool,
        Field(
            description="Delete the CRM records of inactive contacts whose customer is active, as `when_deleted_in_qbench: delete` would; "
            "contacts of a customer that is not stay as they are. An active one again syncs as if it never had.",
            examples=[True],
        ),
    ] = False

    @property
    def deletes(self) -> bool:
        """Whether CRM records are ever deleted."""
        return super().deletes or self.delete_inactive

    @property
    def gates(self) -> tuple[Filter, ...]:
        """The rules by which a record is left out, or not."""
        return super().gates if self.inactive is None or not self.delete_inactive else (*super().gates, self.inactive)

    @model_validator(mode="after")
    def _knows_the_inactive(self) -> Self:
        if self.delete_inactive and self.inactive is None:
            raise ValueError("`delete_inactive` needs `inactive`, a rule that says which contacts are: {field: status, is: INACTIVE}")
        return self


RecordSpec = AccountSpec | ContactSpec
