"""What is behind a site's pages and its API alike: its modules, its tables, and how a record, its addresses and its account are written."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from crm_pipeline.sandbox.sugarcrm.database import Database, Row
from crm_pipeline.sandbox.sugarcrm.errors import no_such_module
from crm_pipeline.sandbox.sugarcrm.modules import STANDARD, Field, Link, Module
from crm_pipeline.sandbox.sugarcrm.settings import SiteSettings
from crm_pipeline.sandbox.sugarcrm.values import stored

EXTERNAL_KEY = "qbench_id_c"
STAMPED = frozenset({"id", "date_entered", "date_modified", "created_by", "modified_user_id", "date_created"})
"""What a save sets by itself, whatever was sent."""

_ADDRESS = re.compile(r"""[^\s@<>"]+@[^\s@<>"']+\.[^\s@<>"'.]+""")


@dataclass(frozen=True, slots=True)
class Asked:
    """One call of the API: its method, its module where it names one, and how many records it brings or names by id."""

    method: str
    module: str | None
    rows: int


@dataclass(kw_only=True, eq=False, repr=False)
class SiteCore(SiteSettings):
    """The records of one site. Not safe over threads where it does not say so: callers hold ``lock``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.lock = threading.RLock()
        self.modules = {module.name: module for module in STANDARD}
        self.database = Database(STANDARD)
        self.sessions: dict[str, float] = {}
        self.asked: list[Asked] = []
        self.user_id = self.new_id()
        self.person_id = self.user_id
        self._insert(
            self.module("Users"), self.user_id, {"user_name": self.user_name, "last_name": "Integration", "status": "Active"}, at=None
        )
        self.database.update("users", {"is_admin": 1}, key="id", value=self.user_id)

    def module(self, name: str) -> Module:
        """A module. Raises ApiError."""
        if name not in self.modules:
            raise no_such_module()
        return self.modules[name]

    def define(self, name: str, one: Field) -> None:
        """Give a module one more field, a custom one."""
        module = self.modules[name]
        self.database.add_column(module, one)
        self.modules[name] = Module(module.name, module.table, {**module.fields, one.name: one}, module.links)

    @staticmethod
    def new_id() -> str:
        """An id as the site makes them."""
        return str(uuid.uuid4())

    def stamp(self, at: float | None = None) -> str:
        """A moment, now where none is given, as the database keeps it: UTC, in seconds."""
        return datetime.fromtimestamp(self.clock() if at is None else at, UTC).strftime("%Y-%m-%d %H:%M:%S")

    # --- records

    def row(self, module: Module, record_id: str, *, deleted: bool = False) -> Row | None:
        """A record's columns, the custom ones too; of a deleted one only where ``deleted``."""
        rows = self.database.rows(
            f"SELECT * FROM {module.table} LEFT JOIN {module.custom_table} ON id = id_c WHERE id = ?",  # noqa: S608 - our own tables
            record_id,
        )
        return rows[0] if rows and (deleted or not rows[0]["deleted"]) else None

    def columns(self, module: Module, values: Mapping[str, Any]) -> Row:
        """What of the values has a column, as it is stored there; null and unknown names are ignored."""
        kept = {name: value for name, value in values.items() if value is not None and name in module.fields and module.fields[name].kept}
        return {
            name: stored(module.fields[name], value, charset=self.charset, unclosed=self.unclosed)
            for name, value in kept.items()
            if name not in STAMPED and name != "deleted"
        }

    def create(self, module: Module, record_id: str, values: Mapping[str, Any], *, at: float | None = None, by: str | None = None) -> None:
        """Add a record. Raises DatabaseFailure where the id is taken, also by a deleted one."""
        self._insert(module, record_id[:36], self.columns(module, values), at=at, by=by)

    def change(self, module: Module, row: Row, values: Mapping[str, Any], *, at: float | None = None, by: str | None = None) -> None:
        """Write a record that was read before: every column of it, those of ``values`` with new values."""
        stamps = {"date_modified": self.stamp(at), **({"modified_user_id": by or self.user_id} if "modified_user_id" in row else {})}
        whole = {name: value for name, value in {**row, **self.columns(module, values), **stamps}.items() if name not in ("id", "id_c")}
        own, custom = self._split(module, whole)
        self.database.update(module.table, own, key="id", value=row["id"])
        self.database.update(module.custom_table, custom, key="id_c", value=row["id"])

    def touch(self, module: Module, record_id: str, *, at: float | None = None) -> None:
        """Move ``date_modified`` alone."""
        self.database.update(module.table, {"date_modified": self.stamp(at)}, key="id", value=record_id)

    def mark_deleted(self, module: Module, record_id: str, *, at: float | None = None, by: str | None = None) -> None:
        """Delete softly: the row stays, its relations go with it; the lead that a contact was made of forgets it (seen on 7.14.8)."""
        stamps = {"deleted": 1, "date_modified": self.stamp(at)}
        by_whom = {"modified_user_id": by or self.user_id} if "modified_user_id" in module.fields else {}
        self.database.update(module.table, {**stamps, **by_whom}, key="id", value=record_id)
        if module.name == "Contacts":
            self.database.run("UPDATE leads SET contact_id = NULL WHERE contact_id = ?", record_id)
        for link in module.links.values():
            self.database.run(
                f"UPDATE {link.table} SET deleted = 1, date_modified = ? WHERE {link.ours} = ? AND deleted = 0",  # noqa: S608 - our own tables
                self.stamp(at),
                record_id,
            )

    def erase(self, module: Module, record_id: str) -> None:
        """Remove a row for good."""
        self.database.run(f"DELETE FROM {module.table} WHERE id = ?", record_id)  # noqa: S608 - our own tables
        self.database.run(f"DELETE FROM {module.custom_table} WHERE id_c = ?", record_id)  # noqa: S608 - our own tables

    # --- relations

    def related(self, link: Link, ours: Sequence[str]) -> list[Row]:
        """The pairs of these records: ``ours``, ``theirs`` and the pair's own columns, those with deleted records left out."""
        return self.database.of_each(
            f"SELECT pair.{link.ours} AS ours, pair.{link.theirs} AS theirs, pair.* FROM {link.table} AS pair "  # noqa: S608 - our own tables
            f"JOIN {self.modules[link.module].table} AS other ON other.id = pair.{link.theirs} "
            f"WHERE pair.{link.ours} IN {{ids}} AND pair.deleted = 0 AND other.deleted = 0 ORDER BY pair.rowid",
            ours,
        )

    def relate(self, module: Module, link: Link, ours: str, theirs: str, *, values: Mapping[str, Any] | None = None) -> None:
        """Make a pair, or change the one that there is; nobody looks whether the records exist."""
        of_kind = {"bean_module": module.name} if link.table == "email_addr_bean_rel" else {}
        own = {name: value for name, value in (values or {}).items() if name in ("primary_address", "reply_to_address")} if of_kind else {}
        found = self.database.rows(
            f"SELECT id FROM {link.table} WHERE {link.ours} = ? AND {link.theirs} = ? AND deleted = 0",  # noqa: S608 - our own tables
            ours,
            theirs,
        )
        if found:
            self.database.update(link.table, {**own, "date_modified": self.stamp()}, key="id", value=found[0]["id"])
            return
        created = {"date_created": self.stamp(), "primary_address": "0"} if of_kind else {}
        self.database.insert(
            link.table,
            {
                "id": self.new_id(),
                link.ours: ours,
                link.theirs: theirs,
                "date_modified": self.stamp(),
                "deleted": 0,
                **of_kind,
                **created,
                **own,
            },
        )

    def unrelate(self, link: Link, ours: str, theirs: str | None = None) -> int:
        """Delete a pair, or all pairs of a record; returns how many there were."""
        one = "" if theirs is None else f" AND {link.theirs} = ?"
        statement = f"UPDATE {link.table} SET deleted = 1, date_modified = ? WHERE {link.ours} = ? AND deleted = 0{one}"  # noqa: S608 - our own tables
        return self.database.run(statement, self.stamp(), ours, *(() if theirs is None else (theirs,)))

    def account_of(self, contact_id: str) -> str | None:
        """A contact's account; where it has several, one of them."""
        found = self.related(self.modules["Contacts"].links["accounts"], [contact_id])
        return min(found, key=lambda pair: str(pair["id"]))["theirs"] if found else None

    def move_to_account(self, contact_id: str, account_id: str | None) -> None:
        """Leave the contact's accounts for another one, or for none."""
        link = self.modules["Contacts"].links["accounts"]
        if account_id is None or self.database.rows(
            "SELECT 1 FROM accounts_contacts WHERE contact_id = ? AND deleted = 0 AND account_id != ?", contact_id, account_id
        ):
            self.unrelate(link, contact_id)
        if account_id is not None:
            self.relate(self.modules["Contacts"], link, contact_id, account_id)

    # --- addresses

    def primary_addresses(self, record_ids: Sequence[str]) -> dict[str, str]:
        """The primary address of each record that has one: the oldest of those that are called so, else the oldest."""
        rows = self.database.of_each(
            "SELECT bean_id, email_address FROM email_addr_bean_rel AS pair JOIN email_addresses AS address "
            "ON address.id = pair.email_address_id WHERE bean_id IN {ids} AND pair.deleted = 0 AND address.deleted = 0 "
            "ORDER BY coalesce(primary_address, '0') = '0' DESC, pair.rowid DESC",
            record_ids,
        )
        return {row["bean_id"]: row["email_address"] for row in rows}

    def set_address(self, module: Module, record_id: str, address: str) -> None:
        """Make an address the only one of a record; one that is none, or blank, leaves it without."""
        link = module.links["email_addresses"]
        self.unrelate(link, record_id)
        address = address.strip()
        if _ADDRESS.fullmatch(address) is None:
            return
        known = self.database.rows("SELECT id FROM email_addresses WHERE email_address_caps = ? AND deleted = 0", address.upper())
        address_id = known[0]["id"] if known else self.new_id()
        if not known:
            self.create(self.modules["EmailAddresses"], address_id, {"email_address": address, "email_address_caps": address.upper()})
        self.relate(module, link, record_id, address_id, values={"primary_address": "1"})

    # --- helpers

    def _insert(self, module: Module, record_id: str, columns: Mapping[str, Any], *, at: float | None, by: str | None = None) -> None:
        now, user = self.stamp(at), by or self.user_id
        stamps: dict[str, Any] = {
            "date_entered": now,
            "date_created": now,
            "date_modified": now,
            "created_by": user,
            "modified_user_id": user,
        }
        defaults = {name: one.default for name, one in module.fields.items() if one.default is not None}
        stamps = {name: value for name, value in stamps.items() if name in module.fields}
        own, custom = self._split(module, {**defaults, **columns, **stamps})
        self.database.insert(module.table, {"id": record_id, **own})
        self.database.run(f"DELETE FROM {module.custom_table} WHERE id_c = ?", record_id)  # noqa: S608 - our own tables
        self.database.insert(module.custom_table, {"id_c": record_id, **custom})

    @staticmethod
    def _split(module: Module, row: Mapping[str, Any]) -> tuple[Row, Row]:
        custom = {name: value for name, value in row.items() if name in module.fields and module.fields[name].source == "custom"}
        return {name: value for name, value in row.items() if name not in custom}, custom
