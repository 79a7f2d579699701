"""What a CRM must be able to do: the protocol that every folder beside this file fulfils."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import blake2b
from typing import Annotated, ClassVar, Protocol

import pandas as pd
from pydantic import AfterValidator, Field

from crm_pipeline.calls import CallCounter, Waits
from crm_pipeline.configuration.model import AllowsHttp
from crm_pipeline.crms.batch import Write, WriteResult
from crm_pipeline.crms.preset import Preset
from crm_pipeline.crms.receiving import Receiving
from crm_pipeline.errors import ConfigurationError
from crm_pipeline.model import MODELS, CountryFormat, RecordType, Verb

ExternalKey = Annotated[
    str | None,
    Field(description="The CRM's unique field that holds the QBench id; leave out where the organization will not have one."),
]
"""The key ``external_key``; each CRM's settings add an example, since its fields are named in its own way."""


def _apart_from_ids(prefix: str) -> str:
    if prefix != prefix.lstrip() or not prefix.isprintable():
        raise ValueError("must not begin with white space, nor hold characters that nobody sees: the CRMs do not keep them")
    # Without a prefix, id 12 makes the key that prefix 1 and id 2 make.
    if prefix[-1:].isdigit():
        raise ValueError("must not end in a digit, or its keys could be those of an integration with another prefix; end it as in uk1-")
    return prefix


class CrmSettings(AllowsHttp):
    """What every CRM's part of the YAML has."""

    needed: ClassVar[tuple[str, ...]] = ()
    """Keys without which nothing works although none of them is required, one of several that exclude each other for instance."""

    external_key: ExternalKey = None
    external_key_prefix: Annotated[
        str,
        AfterValidator(_apart_from_ids),
        Field(
            description="Put before the QBench id in the external key; needed where two integrations share one organization. "
            "Its last character is no digit.",
            examples=["uk-"],
        ),
    ] = ""
    waits: Annotated[Waits, Field(description="The waits between the attempts of one call.", examples=[{"longest_seconds": 600}])] = Waits()
    country_format: Annotated[
        CountryFormat,
        Field(
            description="How countries are written: code (DE), name (Germany), or auto, by code where the organization has fields for "
            "country and state codes, else by name.",
            examples=["name"],
        ),
    ] = "auto"

    send: Annotated[
        bool,
        Field(
            description="false pauses what is sent to this CRM; once it is true again, what would have been sent is sent.",
            examples=[True],
        ),
    ] = True
    receive: Annotated[
        bool | Receiving,
        Field(
            description="false pauses what comes back from this CRM; once it is true again, what changed meanwhile is taken up. "
            "{only_in_list: <list>} limits it to records of a list, where the CRM keeps lists.",
            examples=[True, {"only_in_list": "Lab customers"}],
        ),
    ] = True

    late_seconds: Annotated[
        float,
        Field(
            ge=0,
            description="How long the CRM may still carry out a call whose answer was lost, in seconds; until then its records get no "
            "other values. Where a CRM does not say, 600 seconds are assumed.",
            examples=[600],
        ),
    ] = 600

    fields_kept_hours: Annotated[
        float,
        Field(
            ge=0,
            description="How long loads go by what the CRM said of its fields, in hours, unless something speaks against it: a value that "
            "would not be sent, or a refusal. 0 asks in each load.",
            examples=[1],
        ),
    ] = 6

    def list_back(self, record_type: RecordType) -> str | None:
        """The list that limits what comes back of a record type; null without one."""
        return self.receive.list_of(record_type) if isinstance(self.receive, Receiving) else None

    @property
    def digest(self) -> str:
        """A digest of all settings."""
        return blake2b(self.model_dump_json().encode(), digest_size=6).hexdigest()

    @property
    def permits(self) -> str:
        """What of these settings decides whether the CRM takes a write or refuses it, in a word; another word is worth another try."""
        return ""

    @property
    def decisive(self) -> str:
        """A digest of what of these settings decides what becomes of a record; with another one, those that wait are planned again."""
        said = (self.permits, self.country_format, self.external_key, self.external_key_prefix)
        return blake2b(repr(said).encode(), digest_size=6).hexdigest()


_ASSET = re.compile(r"[a-z][a-z0-9_]*")
LINKS, RESYNC = UPKEEP = ("links", "resync")
"""The assets that every CRM has beside those of its objects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrmObject:
    """An object of a CRM that takes records of one type; a record type may have several, leads beside contacts for instance.

    ``name``: its API name. ``asset``: the plural that names the asset of its record type, a word of lower-case letters, digits
    and _. ``preset``: where it keeps the normalized fields.
    Raises ValueError for what cannot name an asset.
    """

    record_type: RecordType
    name: str
    asset: str
    preset: Preset = field(compare=False, repr=False)

    def __post_init__(self) -> None:
        if not _ASSET.fullmatch(self.asset):
            raise ValueError(f"the object {self.name} has the asset {self.asset!r}; give it a word of lower-case letters, digits and _")
        if self.asset in UPKEEP:
            raise ValueError(f"the object {self.name} has the asset {self.asset!r}, which every CRM has already; give it another word")


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What one CRM takes and another does not; whoever plans or loads asks this, never which CRM it is.

    ``batch_size``: the most rows that one ``write`` call takes. ``association_batch_size``: likewise of ``associate``.
    ``calls_in_flight``: the most of them that one load has under way, those included whose answers are not stored yet: ``calls_at_once``
    go at the same time, and meanwhile the answers of as many are stored. Its client is safe over threads where it is more than one.
    ``several_accounts``: a contact may belong to several accounts, one of them its main one; else it has one.
    ``parent_goes_with``: the verbs of the writes that carry a contact's account; the others need an association.
    ``unique_keys``: the CRM keeps a unique field and creates or updates by it; else ``external_key`` cannot be set, and what
    became of a create is told by ``resolve_intents`` alone.
    ``own_ids``: a new record takes its id from whoever creates it, who makes it of its external key, prefix and QBench id, with a
    field for that key or without. A create is then never a second record, however often it is sent; a field for the key is for
    people and look-ups, and need not be unique.
    ``validates``: a value that its field cannot take is refused, with the field's name; else the CRM may take it. What ``Crm.fields``
    describes is checked before it is sent, in every CRM.
    ``keeps_text``: a text comes to lie as it was sent, or what lies there is ``kept`` in the row's result; else the CRM may write it
    another way (case, white space, characters), and finds it by either. Nothing that was sent is compared with what lies there but by
    its folded form (mapping.folding).
    ``blank_booleans``: a field of yes or no can be blank; else it says no where nobody said anything.
    ``keeps_lists``: its client is a ListsCrm; else a list of it is refused in the YAML already.
    Owners, merges, deletions, changes, edits, lists, deleting, its clock, persons: see ``crms.abilities``.
    Raises ValueError for sizes below one.
    """

    batch_size: int
    association_batch_size: int
    calls_in_flight: int = 1
    several_accounts: bool = False
    parent_goes_with: frozenset[Verb] = frozenset(Verb)
    unique_keys: bool = True
    own_ids: bool = False
    validates: bool = True
    keeps_text: bool = True
    blank_booleans: bool = True
    keeps_lists: bool = False

    def __post_init__(self) -> None:
        if min(self.batch_size, self.association_batch_size, self.calls_in_flight) < 1:
            raise ValueError("batch_size, association_batch_size and calls_in_flight are 1 or more: a call takes one row at least")

    @property
    def calls_at_once(self) -> int:
        """How many calls go at the same time."""
        return max(1, self.calls_in_flight // 2)


@dataclass(frozen=True, slots=True)
class CrmKind:
    """One CRM as the rest of the package knows it. Each folder under ``crms`` exports exactly one, as ``KIND``.

    Raises ValueError where its objects do not serve.
    """

    name: str
    title: str
    objects: Mapping[RecordType, tuple[CrmObject, ...]]
    """The objects that take each record type. The first is the usual one: all records are there that nothing says otherwise of.

    Leads are left out of a CRM that has none; one that has them is a ConvertingCrm (crms.abilities).
    """
    owner_field: str | None
    """The field of its accounts and contacts that says who owns them; null: no owner can be given (see OwnersCrm)."""
    capabilities: Capabilities
    settings: type[CrmSettings]
    connect: Callable[[CrmSettings, str], Crm]
    """Makes the client of one integration (its name is the second argument). Does no I/O; the first call signs in."""
    record_id: Callable[[str], str]
    """The id of a record as links keep it, of one that a person typed. Raises ValueError that says what is wrong with it."""
    client_loggers: tuple[str, ...]
    """Loggers of the libraries that the client calls with. Below warnings they write addresses, which can hold records' values."""

    def __post_init__(self) -> None:
        for record_type in RecordType:
            objects = self.objects.get(record_type, ())
            if not objects and MODELS[record_type].made_of is None:
                raise ValueError(f"no object takes {record_type}s; name one in objects[RecordType.{record_type.name}]")
            for one in objects:
                if one.record_type is not record_type:
                    raise ValueError(f"the object {one.name} stands among those of {record_type}s, but takes {one.record_type}s")
            if len({one.name for one in objects}) < len(objects):
                raise ValueError(f"two objects of {record_type}s have one name; links tell objects apart by it")
        assets = [objects[0].asset for objects in self.objects.values()]
        if len(set(assets)) < len(assets):
            raise ValueError(f"the usual objects of two record types have one asset, {assets[0]}; give each a word of its own")

    def usual(self, record_type: RecordType) -> CrmObject:
        """The usual object of a record type."""
        return self.objects[record_type][0]

    def object(self, record_type: RecordType, name: str) -> CrmObject:
        """The object of this name. Raises ConfigurationError for one that it lacks."""
        found = next((one for one in self.objects[record_type] if one.name == name), None)
        if found is None:
            raise ConfigurationError(
                f"{record_type}s are linked to {self.title}'s object {name}, which is not known here; "
                "install the version that made these links"
            )
        return found


@dataclass(frozen=True, slots=True)
class Limits:
    """The CRM's limits on calls, and what is used of them.

    ``daily_used`` of ``daily_total`` calls, by everyone, as its last answer said; null where it said nothing.
    ``calls_per_second``: the fastest pace it allows this integration; null where it limits none.
    """

    daily_used: int | None
    daily_total: int | None
    calls_per_second: float | None


class Crm(Protocol):
    """One organization's records, read and written in the CRM's largest safe batches.

    A method that is told an object speaks of that object's records. Every method may raise a
    ServiceError; none raises for what is wrong with one record: that is a result row.
    """

    calls: CallCounter
    """The HTTP calls made so far; labels: sign_in, describe, read, write, associate."""

    capabilities: Capabilities
    """Those of its kind, as far as the settings leave them."""

    def limits(self) -> Limits:
        """The limits on calls, as far as they are known by now; makes no call."""
        ...

    def organization(self) -> str:
        """The id of the organization that the credentials lead to."""
        ...

    def fields(self, crm_object: CrmObject) -> pd.DataFrame:
        """The object's fields (schemas.CRM_FIELDS); asked of the CRM once."""
        ...

    def has_keyed_records(self, crm_object: CrmObject) -> bool:
        """Whether any record carries the external key (docs/rules.md, 3)."""
        ...

    def has_values(self, crm_object: CrmObject, field: str) -> bool:
        """Whether any record has a value in the field, one that may be asked with ``find``; one call, whatever the CRM holds."""
        ...

    def find(self, crm_object: CrmObject, field: str, values: list[str]) -> pd.DataFrame:
        """Records whose field equals one of the values by the CRM's own comparison (schemas.FOUND).

        For the external key and email: other fields are compared by ``scan`` (docs/rules.md, 6), but for what that could not read.
        """
        ...

    def scan(self, crm_object: CrmObject, field: str) -> Iterator[pd.DataFrame]:
        """Every record with a value in the field, in frames (schemas.FOUND, ``value`` as the CRM holds it).

        One that the CRM fails to show has a row with its error and without a value; some may come twice then.
        """
        ...

    def read(self, crm_object: CrmObject, crm_ids: list[str], fields: list[str]) -> pd.DataFrame:
        """Current values of some fields: columns ``crm_id``, ``parent_crm_id``, the fields, and ``error_type``.

        In any order. A record that is gone has no row; one that the CRM fails to read has a row with nothing but its error.
        """
        ...

    def write(self, crm_object: CrmObject, writes: Sequence[Write]) -> list[WriteResult]:
        """Write one batch and account for every row of it, in any order.

        A create with a key is an upsert by it; a create without one is a plain create, never repeated blindly. A row with
        nothing to send and a parent that this write cannot carry costs no call.
        """
        ...

    def associate(self, rows: pd.DataFrame) -> list[WriteResult]:
        """Associate contacts (schemas.ASSOCIATIONS) with their accounts and account for every row, in any order.

        A contact that leaves an account stays associated with it where the CRM's users gave the two a label of their own: the
        row's note says so (docs/rules.md, 20). Only contacts that leave one cost further calls.
        """
        ...

    def resolve_intents(self, crm_object: CrmObject, intents: pd.DataFrame) -> pd.DataFrame:
        """Which CRM records the creates of these intents (schemas.INTENTS) made: columns ``qbench_id``, ``crm_id``.

        A row per record found: none means it was not created, once the intent is ``settles_after`` old, several that it
        cannot be told, one without an id that the CRM fails to tell.
        An intent whose record cannot be found yet (search index lag) is waited for.
        """
        ...

    late_after: timedelta
    """How long after its answer was given up a call may still be carried out."""

    call_lasts: timedelta
    """How long one ``write`` or ``associate`` tries to get its answers, as far as its settings tell."""

    def settles_after(self, crm_object: CrmObject, *, answered: bool = False) -> timedelta:
        """How old an intent must be so that what it created can be found, if it created something.

        ``answered``: how long its call must be over, where it came back without telling what it made.
        """
        ...

    def is_up(self) -> bool:
        """Whether the CRM answers now, asked once with a cheap call."""
        ...

    def record_url(self, crm_object: CrmObject, crm_id: str, *, org_id: str) -> str:
        """The page of a record of this organization in the CRM's own UI; makes no call."""
        ...

    def close(self) -> None:
        """Give the connections back."""
        ...
