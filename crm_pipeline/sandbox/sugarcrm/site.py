"""One site, with what its people do beside the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crm_pipeline.sandbox.sugarcrm.core import EXTERNAL_KEY, SiteCore
from crm_pipeline.sandbox.sugarcrm.database import Row
from crm_pipeline.sandbox.sugarcrm.modules import Field, Module, choices
from crm_pipeline.sandbox.sugarcrm.reading import Shower

KEYED = ("Accounts", "Contacts", "Leads")


@dataclass(kw_only=True, eq=False, repr=False)
class SugarSite(SiteCore):
    """A site with two users: ``user_id``, whom the API acts as, and ``person_id``, who works by hand; safe over threads.

    Methods named after what people do take ``at``, in seconds since 1970, now where it is left out. ``module`` is a module's name.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.person_id = self.add_user("person", last_name="Person", first_name="Pat", email="person@sandbox.example")
        if self.external_keys:
            for name in KEYED:
                self.add_field(name, Field(name=EXTERNAL_KEY, length=255, source="custom"))

    # --- what exists

    def add_field(self, module: str, one: Field) -> None:
        """Add a custom field, as the Studio does. Raises ValueError for a name without ``_c`` or one that is taken."""
        with self.lock:
            if not one.name.endswith("_c") or one.source != "custom" or one.name in self.modules[module].fields:
                raise ValueError(f"{module}: {one.name} cannot be added")
            self.define(module, one)

    def add_choice(self, module: str, name: str, *options: str, length: int = 100) -> None:
        """Add a custom field with options, as the Studio does."""
        self.add_field(module, Field(name=name, type="enum", length=length, options=choices(*options), source="custom"))

    def add_user(
        self, user_name: str, *, last_name: str, first_name: str = "", email: str = "", status: str = "Active", at: float | None = None
    ) -> str:
        """Add a user who can own records; returns the id."""
        values = {"user_name": user_name, "last_name": last_name, "first_name": first_name, "status": status, "email1": email}
        return self.add("Users", values, at=at)

    def end_sessions(self) -> None:
        """End every session, as a restart or a cleaned folder does."""
        with self.lock:
            self.sessions.clear()

    # --- what people do

    def add(self, module: str, values: Mapping[str, Any], *, record_id: str | None = None, at: float | None = None) -> str:
        """Add a record and return its id; ``email1`` and, of contacts, ``account_id`` among its values. Raises DatabaseFailure."""
        with self.lock:
            kind, record_id = self.module(module), record_id or self.new_id()
            self.create(kind, record_id, values, at=at, by=self.person_id)
            self._relate(kind, record_id, values)
            return record_id

    def update(self, module: str, record_id: str, values: Mapping[str, Any], *, at: float | None = None) -> None:
        """Edit a record; ``""`` clears. Raises KeyError for one that is not there or deleted."""
        with self.lock:
            kind = self.module(module)
            self.change(kind, self._live(kind, record_id), values, at=at, by=self.person_id)
            self._relate(kind, record_id, values)

    def delete(self, module: str, record_id: str, *, at: float | None = None) -> None:
        """Delete a record: its row stays, its relations go. Raises KeyError."""
        with self.lock:
            kind = self.module(module)
            self._live(kind, record_id)
            self.mark_deleted(kind, record_id, at=at, by=self.person_id)

    def restore(self, module: str, record_id: str, *, at: float | None = None) -> None:
        """Bring a deleted record back, as an administrator does in the database; its relations stay deleted. Raises KeyError."""
        with self.lock:
            kind = self.module(module)
            row = self.row(kind, record_id, deleted=True)
            if row is None or not row["deleted"]:
                raise KeyError(record_id)
            self.database.update(kind.table, {"deleted": 0, "date_modified": self.stamp(at)}, key="id", value=record_id)

    def prune(self, module: str, record_id: str) -> None:
        """Remove a deleted record for good, as the scheduler that prunes the database does. Raises KeyError."""
        with self.lock:
            kind = self.module(module)
            row = self.row(kind, record_id, deleted=True)
            if row is None or not row["deleted"]:
                raise KeyError(record_id)
            self.erase(kind, record_id)

    def merge(self, module: str, winner: str, *losers: str, values: Mapping[str, Any] | None = None, at: float | None = None) -> None:
        """Merge records: the winner takes ``values`` and the losers' relations; the losers are deleted and point nowhere. KeyError."""
        with self.lock:
            kind = self.module(module)
            for one in (winner, *losers):
                self._live(kind, one)
            for loser in losers:
                for link in kind.links.values():
                    for pair in self.related(link, [loser]):
                        self.relate(kind, link, winner, pair["theirs"])
                self.mark_deleted(kind, loser, at=at, by=self.person_id)
            self.change(kind, self._live(kind, winner), values or {}, at=at, by=self.person_id)

    def convert_lead(
        self, lead_id: str, *, account_id: str | None = None, contact_id: str | None = None, at: float | None = None
    ) -> tuple[str, str]:
        """Convert a lead into a contact and an account, new ones or those named; returns the account's and the contact's id.

        What both modules call the same goes over, custom fields too; a contact that is there keeps its own values. The lead stays and
        can be edited. Raises KeyError, and ValueError for a converted one.
        """
        with self.lock:
            kind = self.module("Leads")
            lead = self._live(kind, lead_id)
            if lead["converted"]:
                raise ValueError(f"{lead_id} is converted")
            address = self.primary_addresses([lead_id]).get(lead_id, "")
            account = account_id or self.add("Accounts", _account_of(lead), at=at)
            if contact_id is None:
                names = self.module("Contacts").fields.keys() - {"id", "account_id"}
                shared = {name: lead[name] for name in names if lead.get(name)}
                contact_id = self.add("Contacts", {**shared, "email1": address, "account_id": account}, at=at)
            else:
                self.update("Contacts", contact_id, {"account_id": account}, at=at)
            ends = {"status": "Converted", "converted": "1", "contact_id": contact_id, "account_id": account}
            self.change(kind, lead, ends, at=at, by=self.person_id)
            return account, contact_id

    # --- what a test reads

    def records(self, module: str, *, deleted: bool = False) -> list[dict[str, str]]:
        """Every live record, or every deleted one, with its fields by name as the API shows them."""
        with self.lock:
            kind = self.module(module)
            rows = self.database.rows(
                f"SELECT * FROM {kind.table} LEFT JOIN {kind.custom_table} ON id = id_c WHERE deleted = ? ORDER BY {kind.table}.rowid",  # noqa: S608
                int(deleted),
            )
            return self._shown(kind, rows)

    def record(self, module: str, record_id: str) -> dict[str, str]:
        """One record, deleted or not, as the API shows it. Raises KeyError."""
        with self.lock:
            kind = self.module(module)
            row = self.row(kind, record_id, deleted=True)
            if row is None:
                raise KeyError(record_id)
            return self._shown(kind, [row])[0]

    def addresses(self, module: str, record_id: str) -> list[tuple[str, bool]]:
        """A record's email addresses, oldest first, and whether each is called primary."""
        with self.lock:
            pairs = self.related(self.module(module).links["email_addresses"], [record_id])
            stored = {pair["theirs"]: self.row(self.module("EmailAddresses"), pair["theirs"]) for pair in pairs}
            return [
                (row["email_address"], str(pair["primary_address"]) == "1") for pair in pairs if (row := stored[pair["theirs"]]) is not None
            ]

    def accounts_of(self, contact_id: str) -> list[str]:
        """The ids of all accounts of a contact."""
        with self.lock:
            return sorted(pair["theirs"] for pair in self.related(self.module("Contacts").links["accounts"], [contact_id]))

    def _shown(self, kind: Module, rows: list[Row]) -> list[dict[str, str]]:
        shower = Shower(self, kind, rows, kind.fields)
        return [{name: pair["value"] for name, pair in shower.entry(row)["name_value_list"].items()} for row in rows]

    def _live(self, kind: Module, record_id: str) -> Row:
        row = self.row(kind, record_id)
        if row is None:
            raise KeyError(record_id)
        return row

    def _relate(self, kind: Module, record_id: str, values: Mapping[str, Any]) -> None:
        if values.get("email1") is not None:
            self.set_address(kind, record_id, values["email1"])
        if kind.name == "Contacts" and "account_id" in values:
            self.move_to_account(record_id, values["account_id"] or None)


def _account_of(lead: Row) -> dict[str, Any]:
    """The values of the account that a lead becomes."""
    values = {"name": lead["account_name"], "website": lead["website"], "phone_office": lead["phone_work"], "phone_fax": lead["phone_fax"]}
    address = {f"billing_address_{part}": lead[f"primary_address_{part}"] for part in ("street", "city", "state", "postalcode", "country")}
    return {name: value for name, value in {**values, **address}.items() if value}
