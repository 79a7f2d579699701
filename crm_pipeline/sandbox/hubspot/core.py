"""What is behind a portal's pages and its API alike: its records, how they are written, and what of them is shown."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from crm_pipeline.sandbox.hubspot.associations import PRIMARY, UNLABELLED, Associations
from crm_pipeline.sandbox.hubspot.history import Source, app
from crm_pipeline.sandbox.hubspot.limits import RateLimits
from crm_pipeline.sandbox.hubspot.properties import BY_NAME, OBJECT_TYPES, ObjectType
from crm_pipeline.sandbox.hubspot.records import Record, RecordStore, timestamp
from crm_pipeline.sandbox.hubspot.segments import Segments
from crm_pipeline.sandbox.hubspot.settings import PortalSettings
from crm_pipeline.sandbox.hubspot.values import check

COMPUTED = frozenset({"hs_object_id", "createdate", "associatedcompanyid", "num_associated_contacts"})
"""Properties that are not kept with a record; the object's modification date is one more."""

PERSONAL_DOMAINS = frozenset({"gmail.com", "googlemail.com", "hotmail.com", "icloud.com", "outlook.com", "yahoo.com"})


@dataclass(kw_only=True)
class PortalCore(PortalSettings):
    """The records of one account, with their associations and lists. Not safe over threads where it does not say so: callers lock."""

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self.graph = Associations()
        self.limits = RateLimits(clock=self.clock, ticks=self.ticks, time_zone=self.time_zone)
        self.stores = {
            object_type.name: RecordStore(object_type, keeps_archived_values=lambda: self.archived_values == "taken")
            for object_type in OBJECT_TYPES
        }
        self.lists = Segments(self.stores, lock=self.lock, clock=self.clock, lag_seconds=lambda: self.list_lag_seconds)
        self.locked_until: dict[str, float] = {}
        self.blocked_emails: frozenset[str] = frozenset()

    def store(self, object_name: str) -> RecordStore:
        """The records of one object, by any of its names. Raises KeyError."""
        return self.stores[BY_NAME[object_name].name]

    # What is read

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

    def show(self, store: RecordStore, record: Record, names: Iterable[str] | None = None) -> dict[str, Any]:
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

    def show_history(self, store: RecordStore, record: Record, names: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
        """The versions of these properties, the newest first; a property that never had a value is left out (documented)."""
        found = {
            name: store.history.versions(record.id, name, most=store.type.kept_versions) for name in names if self._may_read(store, name)
        }
        return {
            name: [{"value": one.value, "timestamp": timestamp(one.at), **one.source.as_json()} for one in versions]
            for name, versions in found.items()
            if versions
        }

    def _may_read(self, store: RecordStore, name: str) -> bool:
        prop = store.properties.get(name)
        return prop is not None and (
            prop.sensitivity == "non_sensitive" or f"crm.objects.{store.type.name}.{prop.sensitivity}.read.v2" in self.scopes
        )

    # What is written

    def checked(self, object_type: ObjectType, changes: Mapping[str, str]) -> tuple[dict[str, str], list[Any]]:
        """Changes in the form in which they are kept, and what is wrong with them."""
        kept, problems = check(
            changes,
            self.stores[object_type.name].properties,
            owners=frozenset(owner["id"] for owner in self.owners if not owner["archived"]),
            blocked_emails=self.blocked_emails,
        )
        return {name: self.kept_form(name, value) for name, value in kept.items()}, problems

    def write(
        self,
        store: RecordStore,
        record: Record,
        changes: Mapping[str, str],
        *,
        visible: float,
        source: Source | None = None,
        at: float | None = None,
        stamp: float | None = None,
    ) -> Record:
        """Store a record with checked changes that ``source`` made, the API when left out.

        ``at``: their time in the history, now when left out; ``stamp``: the record's, the same when left out. A record's stamp
        never goes back, and a write that changes no value neither moves it nor leaves a version, unless the settings say so.
        """
        at = self.clock() if at is None else at
        is_new = record.id not in store.live
        changed = {name: value for name, value in changes.items() if value != record.properties.get(name, "")}
        if not changed and not is_new and not self.unchanged_writes_move_stamps:
            return record
        properties = {name: value for name, value in {**record.properties, **changed}.items() if value != ""}
        written = Record(record.id, properties, record.created, max(record.updated, at if stamp is None else stamp))
        store.history.note(record.id, properties if is_new else changed, at=at, source=source or app(self.app_id))
        store.put(written, visible=visible)
        if is_new and self.create_companies and store.type.name == "contacts":
            self._associate_by_domain(written, visible=visible)
        return written

    def link(self, contact: str, company: str, *, types: Iterable[int], visible: float) -> None:
        """Associate a pair of live records; again is fine, and changes nothing."""
        before = set(self.graph.companies(contact).get(company, ()))
        self.graph.add(contact, company, types=types)
        if self.graph.companies(contact)[company] != before:
            self._stamp(contact, company, visible=visible)

    def unlink(self, contact: str, company: str, *, types: Iterable[int] | None = None, visible: float) -> None:
        """Remove some types of a pair, or the pair."""
        before = set(self.graph.companies(contact).get(company, ()))
        self.graph.remove(contact, company, types=types)
        if self.graph.companies(contact).get(company, set()) != before:
            self._stamp(contact, company, visible=visible)

    def _stamp(self, contact: str, company: str, *, visible: float) -> None:
        for store, record_id in ((self.stores["contacts"], contact), (self.stores["companies"], company)):
            if self.associations_move_stamps and record_id in store.live:
                store.restamp(record_id, at=self.clock(), visible=visible)

    def _associate_by_domain(self, contact: Record, *, visible: float) -> None:
        domain = contact.properties.get("email", "").partition("@")[2]
        if not domain or domain in PERSONAL_DOMAINS:
            return
        companies = self.stores["companies"]
        company = next((record for record in companies.live.values() if record.properties.get("domain") == domain), None)
        if company is None:
            blank = Record(companies.new_id(), {}, self.clock(), self.clock())
            company = self.write(companies, blank, {"domain": domain, "name": domain}, visible=visible)
        self.link(contact.id, company.id, types=(UNLABELLED, PRIMARY), visible=visible)
