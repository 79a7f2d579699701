"""One HubSpot account in memory: its settings, its records, and what its users do to them.

Behaviour that HubSpot does not document is settable and marked *assumed*.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crm_pipeline.sandbox.hubspot.associations import PRIMARY, UNLABELLED, Label
from crm_pipeline.sandbox.hubspot.core import PortalCore
from crm_pipeline.sandbox.hubspot.history import CALCULATED, IMPORT, MERGE, Source, person
from crm_pipeline.sandbox.hubspot.properties import LARGEST_NUMBER_OF_UNIQUE_PROPERTIES, OBJECT_TYPES, Property, external_key
from crm_pipeline.sandbox.hubspot.records import Record, RecordStore, addresses, timestamp

SOMEBODY = person(10_000_001)
"""Who edits where a test does not say."""


@dataclass(kw_only=True)
class HubSpotPortal(PortalCore):
    """One account's records, settings and lists (``lists``); safe over threads.

    Methods named after what a user does (``add``, ``update``, ``archive``, ``merge`` …) act as one in HubSpot's own
    pages. ``object_name`` is ``"companies"`` or ``"contacts"``; times are in seconds since 1970, now when left out.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.external_keys:
            for object_type in OBJECT_TYPES:
                self.add_property(object_type.name, external_key(object_type))

    # What exists

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
            self.blocked_emails |= {email.lower()}

    def use_day(self, calls: int) -> None:
        """Count calls that other apps made today."""
        with self.lock:
            self.limits.use_day(calls)

    # What users do

    def add(self, object_name: str, properties: Mapping[str, str], *, at: float | None = None, by: Source = SOMEBODY) -> str:
        """Add a record and return its id. Raises ValueError for what the API would refuse too."""
        with self.lock:
            store, at = self.store(object_name), self._time(at)
            record_id = store.new_id()
            self._save(store, Record(record_id, {}, at, at), properties, at=at, stamp=at, by=by)
            return record_id

    def update(
        self,
        object_name: str,
        record_id: str,
        properties: Mapping[str, str],
        *,
        at: float | None = None,
        by: Source = SOMEBODY,
        seen_after: float | None = None,
    ) -> None:
        """Edit a record; ``""`` clears.

        ``at`` may lie in the past: then it shows now what was stamped before, as a late commit does. ``seen_after``: for how
        long search does not see it, ``edit_lag_seconds`` when left out; reads see it at once.

        Raises KeyError, or ValueError for what the API would refuse too, and for a time before that of the value it replaces.
        """
        with self.lock:
            store, at = self.store(object_name), self._time(at)
            record = store.live[store.resolve(record_id)]
            held = (store.history.latest(record.id, name) for name in properties)
            if any(version is not None and version.at > at for version in held):
                raise ValueError("this time lies before that of a value to be replaced")
            self._save(store, record, properties, at=at, stamp=at + self.stamp_lag_seconds, by=by, seen_after=seen_after)

    def load_file(self, object_name: str, rows: Sequence[Mapping[str, str]], *, at: float | None = None) -> list[str]:
        """Import a file and return its records' ids: rows with ``hs_object_id`` change records, the others are new ones.

        All of them get one stamp. Raises KeyError, or ValueError at the first row that the API would refuse too.
        """
        with self.lock:
            store, at = self.store(object_name), self._time(at)
            ids = []
            for row in rows:
                properties = {name: value for name, value in row.items() if name != "hs_object_id"}
                known = row.get("hs_object_id")
                record = Record(store.new_id(), {}, at, at) if known is None else store.live[store.resolve(known)]
                self._save(store, record, properties, at=at, stamp=at, by=IMPORT)
                ids.append(record.id)
            return ids

    def touch(self, object_name: str, record_ids: Iterable[str] | None = None, *, at: float | None = None) -> None:
        """Move the stamps of these records, or of all, and nothing else, as HubSpot's own jobs do. Raises KeyError."""
        with self.lock:
            store, at = self.store(object_name), self._time(at)
            for record_id in list(store.live) if record_ids is None else record_ids:
                store.restamp(store.live[record_id].id, at=at, visible=self._seen(None))

    def recalculate(self, object_name: str, record_id: str, values: Mapping[str, str], *, at: float | None = None) -> None:
        """Give calculated properties other values, which moves no stamp. Raises KeyError, or ValueError for other properties."""
        with self.lock:
            store, at = self.store(object_name), self._time(at)
            if not all(store.properties[name].calculated for name in values):
                raise ValueError("these are not all calculated properties")
            record = store.live[record_id]
            self.write(store, record, values, visible=self._seen(None), source=CALCULATED, at=at, stamp=record.updated)

    def archive(self, object_name: str, record_id: str, *, at: float | None = None) -> None:
        """Delete a record: it goes to the bin for 90 days. Raises KeyError."""
        with self.lock:
            store = self.store(object_name)
            store.archive(store.live[store.resolve(record_id)].id, at=self._time(at), visible=self._seen(None))

    def restore(self, object_name: str, record_id: str) -> None:
        """Take a record out of the bin. Raises KeyError, or ValueError where a unique value is taken meanwhile."""
        with self.lock:
            store = self.store(object_name)
            store.empty_bin(self.clock())
            store.restore(record_id, at=self.clock(), visible=self._seen(None))
            if not self.restores_associations:
                self.graph.forget(store.type.name, record_id)

    def purge(self, object_name: str, record_id: str) -> None:
        """Empty the bin of one record, as 90 days do. Raises KeyError."""
        with self.lock:
            self.store(object_name).erase(self.store(object_name).bin[record_id].id, visible=0)

    def delete_for_privacy(self, object_name: str, record_id: str, *, visible: float = 0) -> None:
        """Delete a record, live or in the bin, without a copy, and refuse its email addresses for ever. Raises KeyError.

        By reading it is told from an emptied bin by nothing.
        """
        with self.lock:
            store = self.store(object_name)
            found = store.live.get(store.resolve(record_id)) or store.bin[record_id]
            self.blocked_emails |= {address.lower() for address in addresses(found.properties)}
            self.graph.forget(store.type.name, found.id)
            store.erase(found.id, visible=visible)

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
                    store.remove(loser.id, merged_into=merged_id, visible=self._seen(None))
            before = first.properties if merged_id == first.id else {}
            changed = {name: value for name, value in properties.items() if before.get(name) != value}
            store.history.note(merged_id, changed, at=self.clock(), source=MERGE)
            store.put(Record(merged_id, properties, min(first.created, second.created), self.clock()), visible=self._seen(None))
            self.graph.move(store.type.name, primary=first.id, secondary=second.id, merged=merged_id)
            return merged_id

    def associate(self, contact_id: str, company_id: str, *, types: tuple[int, ...] = (UNLABELLED, PRIMARY)) -> None:
        """Associate a contact with a company, by default as its primary one. Raises KeyError."""
        with self.lock:
            contact, company = self.store("contacts").live[contact_id], self.store("companies").live[company_id]
            self.link(contact.id, company.id, types=types, visible=self._seen(None))

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

    def _save(
        self,
        store: RecordStore,
        record: Record,
        properties: Mapping[str, str],
        *,
        at: float,
        stamp: float,
        by: Source,
        seen_after: float | None = None,
    ) -> None:
        changes, problems = self.checked(store.type, properties)
        if problems:
            raise ValueError(f"refused by the portal: {', '.join(f'{problem.name} {problem.error}' for problem in problems)}")
        for claim in store.claims({**record.properties, **changes}):
            if store.holder(*claim) not in (None, record.id):
                raise ValueError(f"record {store.holder(*claim)} holds this {claim[0]}")
        self.write(store, record, changes, visible=self._seen(seen_after), source=by, at=at, stamp=stamp)

    def _time(self, at: float | None) -> float:
        return self.clock() if at is None else at

    def _seen(self, after: float | None) -> float:
        """From when on search sees what a user does now; at once also where it has not seen yet what the API wrote before."""
        lag = self.edit_lag_seconds if after is None else after
        return self.clock() + lag if lag else 0.0


def _merged_ids(first: Record, second: Record, merged_id: str) -> str:
    earlier = [identity for record in (first, second) for identity in record.properties.get("hs_merged_object_ids", "").split(";")]
    return ";".join(dict.fromkeys(identity for identity in (*earlier, first.id, second.id) if identity and identity != merged_id))


def _additional_emails(first: Record, second: Record) -> str:
    held = [first.properties.get("hs_additional_emails", "")]
    if first.properties.get("email"):
        held.append(second.properties.get("email", ""))
    held.append(second.properties.get("hs_additional_emails", ""))
    return ";".join(dict.fromkeys(address for part in held for address in part.split(";") if address))
