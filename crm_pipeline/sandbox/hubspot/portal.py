"""One HubSpot account in memory: its settings, its records, and what its users do to them.

Behaviour that HubSpot does not document is settable and marked *assumed*.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from crm_pipeline.sandbox.hubspot.associations import PRIMARY, UNLABELLED, Associations, Label
from crm_pipeline.sandbox.hubspot.limits import RateLimits
from crm_pipeline.sandbox.hubspot.properties import (
    BY_NAME,
    LARGEST_NUMBER_OF_UNIQUE_PROPERTIES,
    OBJECT_TYPES,
    ObjectType,
    Property,
    external_key,
)
from crm_pipeline.sandbox.hubspot.records import Record, RecordStore, timestamp
from crm_pipeline.sandbox.hubspot.values import check
from crm_pipeline.sandbox.obstacles import Obstacle

SCOPES = frozenset(
    {
        *(f"crm.objects.{name}.{right}" for name in ("companies", "contacts") for right in ("read", "write")),
        *(f"crm.schemas.{name}.{right}" for name in ("companies", "contacts") for right in ("read", "write")),
        "crm.objects.owners.read",
    }
)
"""What the token may do unless said otherwise. Sensitive values need ``crm.objects.{name}.sensitive.{read,write}.v2`` besides."""

COMPUTED = frozenset({"hs_object_id", "createdate", "associatedcompanyid", "num_associated_contacts"})
"""Properties that are not kept with a record; the object's modification date is one more."""

PERSONAL_DOMAINS = frozenset({"gmail.com", "googlemail.com", "hotmail.com", "icloud.com", "outlook.com", "yahoo.com"})


@dataclass(kw_only=True)
class HubSpotPortal:
    """One account's records and settings; safe over threads. Settings may be changed while it is served, all but the
    clocks, the time zone and ``external_keys``.

    Methods named after what a user does (``add``, ``update``, ``archive``, ``merge`` …) act as one in HubSpot's own
    pages: search sees the change at once, as if it were old. ``object_name`` is ``"companies"`` or ``"contacts"``.
    """

    token: str = field(default="pat-na1-00000000-sandbox", repr=False)
    portal_id: int = 44_000_123
    time_zone: str = "America/New_York"
    external_keys: bool = False
    """Both objects have the unique property ``qbench_id``."""
    scopes: frozenset[str] = SCOPES
    burst_calls: int | None = 190
    """Calls per ten seconds; None: no such limit (and no header)."""
    search_calls: int | None = 5
    """Searches per second, all objects together; None: no limit."""
    daily_calls: int | None = 650_000
    index_lag_seconds: float = 3.0
    """How long search does not see what the API wrote; documented as a few seconds."""
    lock_seconds: float = 0.0
    """After a batch write, how long the object answers 423 to the next one; documented cure: 2 seconds between requests."""
    association_inputs: int = 2_000
    """Inputs of an association batch that writes; 2,000 by an integrator's documentation."""
    row_errors: frozenset[str] = frozenset({"create", "update", "upsert"})
    """Batches in which unique trace ids turn a refusal into a row of a 207; documented for create, seen for the others."""
    echo_trace_ids: bool = False
    """Whether good rows carry their ``objectWriteTraceId``; in the schema, not in the documented example."""
    preserve_primary_id: bool = False
    """Merged records keep the primary's id (a beta) instead of getting a new one."""
    batch_read_follows_merges: bool = True
    """Whether batch/read answers for a merged-away id as single reads do; assumed."""
    archived_values: Literal["free", "taken"] = "free"
    """Whether a record in the bin gives its unique values free; assumed."""
    restores_associations: bool = True
    """Whether a record that comes out of the bin has its associations again; assumed."""
    create_companies: bool = False
    """The setting *create and associate companies with contacts*, by email domain."""
    clock: Callable[[], float] = time.time
    """Dates, the index lag and the day of the daily limit, in seconds since 1970."""
    ticks: Callable[[], float] = time.monotonic
    """The windows of the rate limits, in seconds."""
    owners: list[dict[str, Any]] = field(default_factory=list, repr=False)
    obstacles: list[Obstacle] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self.graph = Associations()
        self.limits = RateLimits(clock=self.clock, ticks=self.ticks, time_zone=self.time_zone)
        self.stores = {
            object_type.name: RecordStore(object_type, keeps_archived_values=lambda: self.archived_values == "taken")
            for object_type in OBJECT_TYPES
        }
        self.locked_until: dict[str, float] = {}
        self._blocked_emails: frozenset[str] = frozenset()
        if self.external_keys:
            for object_type in OBJECT_TYPES:
                self.add_property(object_type.name, external_key(object_type))

    # What exists

    def store(self, object_name: str) -> RecordStore:
        """The records of one object, by any of its names. Raises KeyError."""
        return self.stores[BY_NAME[object_name].name]

    def add_property(self, object_name: str, prop: Property) -> None:
        """Give an object one more property. Raises ValueError where it exists or is one unique property too many."""
        with self.lock:
            store = self.store(object_name)
            if prop.name in store.properties:
                raise ValueError(f"{object_name} already have a property {prop.name}")
            if prop.unique and len(store.unique) >= LARGEST_NUMBER_OF_UNIQUE_PROPERTIES:
                raise ValueError(f"{object_name} already have {LARGEST_NUMBER_OF_UNIQUE_PROPERTIES} unique properties")
            store.define(prop)

    def remove_property(self, object_name: str, name: str) -> None:
        """Take a property away. Raises KeyError."""
        with self.lock:
            self.store(object_name).drop(name)

    def add_owner(self, email: str, *, first_name: str = "", last_name: str = "", archived: bool = False) -> str:
        """Add a user who can own records and return the owner's id (which is not the user id)."""
        with self.lock:
            number = 300_000_001 + len(self.owners)
            now = timestamp(self.clock())
            self.owners.append(
                {
                    "id": str(number),
                    "email": email,
                    "type": "PERSON",
                    "firstName": first_name,
                    "lastName": last_name,
                    "userId": None if archived else number - 290_000_000,
                    "userIdIncludingInactive": number - 290_000_000,
                    "createdAt": now,
                    "updatedAt": now,
                    "archived": archived,
                    "teams": [],
                }
            )
            return str(number)

    def add_association_label(self, name: str) -> Label:
        """A label of the users' own between contacts and companies."""
        with self.lock:
            return self.graph.add_label(name)

    def block_email(self, email: str) -> None:
        """Refuse an address for ever, as a GDPR deletion can."""
        with self.lock:
            self._blocked_emails |= {email.lower()}

    def use_day(self, calls: int) -> None:
        """Count calls that other apps made today."""
        with self.lock:
            self.limits.use_day(calls)

    # What users do

    def add(self, object_name: str, properties: Mapping[str, str]) -> str:
        """Add a record and return its id. Raises ValueError for what the API would refuse too."""
        with self.lock:
            store = self.store(object_name)
            record_id = store.new_id()
            self._save(store, Record(record_id, {}, self.clock(), self.clock()), properties)
            return record_id

    def update(self, object_name: str, record_id: str, properties: Mapping[str, str]) -> None:
        """Edit a record; ``""`` clears. Raises KeyError, or ValueError for what the API would refuse too."""
        with self.lock:
            store = self.store(object_name)
            self._save(store, store.live[store.resolve(record_id)], properties)

    def archive(self, object_name: str, record_id: str) -> None:
        """Delete a record: it goes to the bin. Raises KeyError."""
        with self.lock:
            store = self.store(object_name)
            store.archive(store.live[store.resolve(record_id)].id, at=self.clock(), visible=0)

    def restore(self, object_name: str, record_id: str) -> None:
        """Take a record out of the bin. Raises KeyError, or ValueError where a unique value is taken meanwhile."""
        with self.lock:
            store = self.store(object_name)
            store.restore(record_id, at=self.clock(), visible=0)
            if not self.restores_associations:
                self.graph.forget(store.type.name, record_id)

    def purge(self, object_name: str, record_id: str) -> None:
        """Empty the bin of one record, as 90 days do. Raises KeyError."""
        with self.lock:
            del self.store(object_name).bin[record_id]

    def merge(self, object_name: str, primary: str, secondary: str) -> str:
        """Merge two records and return the merged one's id: a new one, unless ``preserve_primary_id``.

        The primary's values win, blanks are filled from the other, whose unique values are lost where both have one; a
        contact keeps the other's email as an additional one. Raises KeyError, or ValueError for one record twice.
        """
        with self.lock:
            store = self.store(object_name)
            first, second = store.live[store.resolve(primary)], store.live[store.resolve(secondary)]
            if first.id == second.id:
                raise ValueError("a record cannot be merged with itself")
            merged_id = first.id if self.preserve_primary_id else store.new_id()
            properties = {**second.properties, **first.properties, "hs_merged_object_ids": _merged_ids(first, second, merged_id)}
            additional = _additional_emails(first, second)
            if additional:
                properties["hs_additional_emails"] = additional
            for loser in (first, second):
                if loser.id != merged_id:
                    store.remove(loser.id, merged_into=merged_id, visible=0)
            store.put(Record(merged_id, properties, min(first.created, second.created), self.clock()), visible=0)
            self.graph.move(store.type.name, primary=first.id, secondary=second.id, merged=merged_id)
            return merged_id

    def associate(self, contact_id: str, company_id: str, *, types: tuple[int, ...] = (UNLABELLED, PRIMARY)) -> None:
        """Associate a contact with a company, by default as its primary one. Raises KeyError."""
        with self.lock:
            contact, company = self.store("contacts").live[contact_id], self.store("companies").live[company_id]
            self.graph.add(contact.id, company.id, types=types)

    # What a test reads

    def records(self, object_name: str, *, archived: bool = False) -> list[dict[str, Any]]:
        """Every record, or every record in the bin: ``id``, ``properties`` (what is set), ``createdAt``, ``updatedAt``, ``archived``."""
        with self.lock:
            store = self.store(object_name)
            return [self.show(store, record) for record in list((store.bin if archived else store.live).values())]

    def record(self, object_name: str, record_id: str) -> dict[str, Any]:
        """One live record, under its id or one that was merged into it. Raises KeyError."""
        with self.lock:
            store = self.store(object_name)
            return self.show(store, store.live[store.resolve(record_id)])

    def associations(self) -> list[tuple[str, str, frozenset[int]]]:
        """Every association of live records: contact id, company id, type ids from the contact's side."""
        with self.lock:
            contacts, companies = self.stores["contacts"].live, self.stores["companies"].live
            return [pair for pair in self.graph.pairs() if pair[0] in contacts and pair[1] in companies]

    # What the API's modules share

    def reader(self, store: RecordStore, name: str) -> Callable[[Record], str | None]:
        """Reads one property of many records."""
        if name in COMPUTED or name == store.type.modified:
            return lambda record: self.value(store, record, name)
        return lambda record: record.properties.get(name)

    def value(self, store: RecordStore, record: Record, name: str) -> str | None:
        """The value of one property of a record, HubSpot's own ones included; None for a blank."""
        if name == "hs_object_id":
            return record.id
        if name == "createdate":
            return timestamp(record.created)
        if name == store.type.modified:
            return timestamp(record.updated)
        if name == "associatedcompanyid" and store.type.name == "contacts":
            company = self.graph.primary(record.id)
            return company if company in self.stores["companies"].live else None
        if name == "num_associated_contacts" and store.type.name == "companies":
            live = self.stores["contacts"].live
            return str(sum(contact in live for contact in self.graph.contacts(record.id)))
        return record.properties.get(name)

    def show(self, store: RecordStore, record: Record, names: list[str] | None = None) -> dict[str, Any]:
        """A record as the API writes it, with these properties (None: everything that is set) and those never left out."""
        wanted = record.properties if names is None else (name for name in names if self._may_read(store, name))
        properties = {name: self.value(store, record, name) for name in sorted({*wanted, *store.type.always})}
        shown: dict[str, Any] = {
            "id": record.id,
            "properties": properties,
            "createdAt": properties["createdate"],
            "updatedAt": properties[store.type.modified],
            "archived": record.archived is not None,
        }
        if record.archived is not None:
            shown["archivedAt"] = timestamp(record.archived)
        return shown

    def _may_read(self, store: RecordStore, name: str) -> bool:
        prop = store.properties.get(name)
        return prop is not None and (
            prop.sensitivity == "non_sensitive" or f"crm.objects.{store.type.name}.{prop.sensitivity}.read.v2" in self.scopes
        )

    def checked(self, object_type: ObjectType, changes: Mapping[str, str]) -> tuple[dict[str, str], list[Any]]:
        """Changes in the form in which they are kept, and what is wrong with them."""
        return check(
            changes,
            self.stores[object_type.name].properties,
            owners=frozenset(owner["id"] for owner in self.owners if not owner["archived"]),
            blocked_emails=self._blocked_emails,
        )

    def write(self, store: RecordStore, record: Record, changes: Mapping[str, str], *, visible: float) -> Record:
        """Store a record with checked changes."""
        properties = {name: value for name, value in {**record.properties, **changes}.items() if value != ""}
        written = Record(record.id, properties, record.created, self.clock())
        is_new = record.id not in store.live
        store.put(written, visible=visible)
        if is_new and self.create_companies and store.type.name == "contacts":
            self._associate_by_domain(written, visible=visible)
        return written

    def _save(self, store: RecordStore, record: Record, properties: Mapping[str, str]) -> None:
        changes, problems = self.checked(store.type, properties)
        if problems:
            raise ValueError(f"refused by the portal: {', '.join(f'{problem.name} {problem.error}' for problem in problems)}")
        for claim in store.claims({**record.properties, **changes}):
            if store.holder(*claim) not in (None, record.id):
                raise ValueError(f"record {store.holder(*claim)} holds this {claim[0]}")
        self.write(store, record, changes, visible=0)

    def _associate_by_domain(self, contact: Record, *, visible: float) -> None:
        domain = contact.properties.get("email", "").partition("@")[2]
        if not domain or domain in PERSONAL_DOMAINS:
            return
        companies = self.stores["companies"]
        company = next((record for record in companies.live.values() if record.properties.get("domain") == domain), None)
        if company is None:
            blank = Record(companies.new_id(), {}, self.clock(), self.clock())
            company = self.write(companies, blank, {"domain": domain, "name": domain}, visible=visible)
        self.graph.add(contact.id, company.id, types=(UNLABELLED, PRIMARY))


def _merged_ids(first: Record, second: Record, merged_id: str) -> str:
    earlier = [identity for record in (first, second) for identity in record.properties.get("hs_merged_object_ids", "").split(";")]
    return ";".join(dict.fromkeys(identity for identity in (*earlier, first.id, second.id) if identity and identity != merged_id))


def _additional_emails(first: Record, second: Record) -> str:
    held = [first.properties.get("hs_additional_emails", "")]
    if first.properties.get("email"):
        held.append(second.properties.get("email", ""))
    held.append(second.properties.get("hs_additional_emails", ""))
    return ";".join(dict.fromkeys(address for part in held for address in part.split(";") if address))
