"""What a user writes about record types: the models of the YAML's ``accounts`` and ``contacts``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PrivateAttr, model_validator
from pydantic.json_schema import SkipJsonSchema

from crm_pipeline.configuration.filter_keys import CUSTOMER_PREFIX, Filter
from crm_pipeline.configuration.model import YamlModel
from crm_pipeline.mapping.deletion_keys import Flag, WrittenAlsoLinked, WrittenWhenDeleted
from crm_pipeline.mapping.field_maps import AccountMap, ContactMap, FieldEntry, LeadMap, MatchKey, as_source
from crm_pipeline.mapping.from_crm_keys import CreateInQBench, FromCrm
from crm_pipeline.mapping.owner_keys import ContactOwnerRule, OwnerRule
from crm_pipeline.model import RecordType

OnOtherAccount = Literal["keep", "move", "refuse"]


class _MatchedSpec(YamlModel):
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


class _RecordSpec(_MatchedSpec):
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


class LeadSpec(_MatchedSpec):
    """How contacts become leads, where a CRM takes them as leads (``contacts_as``). Which contacts sync is said of these."""

    record_type: ClassVar[RecordType] = RecordType.LEAD
    only: ClassVar[None] = None
    gates: ClassVar[tuple[Filter, ...]] = ()
    from_crm: ClassVar[None] = None
    creates_in_qbench: ClassVar[None] = None
    flag: ClassVar[None] = None
    when_deleted_in_qbench: ClassVar[Literal["keep"]] = "keep"
    also_linked: ClassVar[bool] = False
    deletes: ClassVar[bool] = False
    owner: Annotated[
        tuple[OwnerRule, ...],
        Field(description="Who owns a new lead, as with accounts.", examples=[[{"salesforce": "ana@acme.example"}]]),
    ] = ()
    map: Annotated[
        LeadMap,
        Field(
            description="Normalized field to QBench field; `customer.<field>` names one of the contact's customer.",
            examples=[{"email": "email_address", "last_name": "last_name"}],
        ),
    ]

    def of_company(self, customers_name: FieldEntry | None) -> LeadSpec:
        """The same with a company: where none is mapped, the customer's name, which comes from this field of QBench."""
        if self.map.company is not None or customers_name is None:
            return self
        name = as_source(customers_name)
        company = name if name.from_ is None else name.model_copy(update={"from_": f"{CUSTOMER_PREFIX}{name.from_}", "direction": "to_crm"})
        return self.model_copy(update={"map": self.map.model_copy(update={"company": company})})


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

    lead: Annotated[
        LeadSpec | SkipJsonSchema[None],
        Field(
            description="How contacts become leads, in the CRMs whose `contacts_as` asks for it.",
            examples=[{"map": {"email": "email_address", "last_name": "last_name"}}],
            exclude_if=lambda lead: lead is None,
        ),
    ] = None
    _as_leads: Mapping[str, Filter | None] = PrivateAttr(default_factory=dict)

    @property
    def as_leads(self) -> Mapping[str, Filter | None]:
        """The CRMs that take contacts as leads, and the rule that these meet; None: all do."""
        return self._as_leads

    def going_as_leads(self, rules: Mapping[str, Filter | None]) -> ContactSpec:
        """The same where these CRMs take contacts as leads."""
        copy = self.model_copy()
        copy._as_leads = rules
        return copy

    @property
    def deletes(self) -> bool:
        """Whether CRM records are ever deleted."""
        return super().deletes or self.delete_inactive

    @property
    def gates(self) -> tuple[Filter, ...]:
        """The rules by which a record is left out, or not."""
        inactive = [self.inactive] if self.inactive is not None and self.delete_inactive else []
        return (*super().gates, *inactive, *(rule for rule in self.as_leads.values() if rule is not None))

    @model_validator(mode="after")
    def _knows_the_inactive(self) -> Self:
        if self.delete_inactive and self.inactive is None:
            raise ValueError("`delete_inactive` needs `inactive`, a rule that says which contacts are: {field: status, is: INACTIVE}")
        return self


RecordSpec = AccountSpec | ContactSpec | LeadSpec
