"""Which records does the API show, in which order, and with which values?

Sources: SugarCRM developer guide, "get_entry_list", "get_entries", "get_relationships"; SuiteCRM documentation, "API v4.1 Methods". Seen on
SuiteCRM 7.14.6: an order with a table's prefix is ignored without a word. What that leaves is no order; here the ids backwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crm_pipeline.sandbox.sugarcrm.core import SiteCore
from crm_pipeline.sandbox.sugarcrm.database import Row
from crm_pipeline.sandbox.sugarcrm.errors import access_denied
from crm_pipeline.sandbox.sugarcrm.modules import Module
from crm_pipeline.sandbox.sugarcrm.values import shown
from crm_pipeline.sandbox.sugarcrm.where import translated

Entry = dict[str, Any]
NAMES_OF_USERS = {"assigned_user_name": "assigned_user_id", "created_by_name": "created_by", "modified_by_name": "modified_user_id"}
DENIED = "Access to this object is denied since it has been deleted or does not exist"

_ORDER = re.compile(r"\s*([A-Za-z0-9_.]+)(?:\s+(asc|desc))?\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list, and how many there are in all."""

    rows: list[Row]
    total: int


def listed(site: SiteCore, module: Module, *, query: str, order_by: str, offset: int, limit: int, deleted: bool) -> Page:
    """The records that a query finds; ``deleted``: the deleted ones too. Raises ApiError (40) and DatabaseFailure."""
    table, custom = module.table, module.custom_table
    where = f"({translated(query)})" if query.strip() else "1"
    order = _order(module, order_by)
    living = "" if deleted else f" AND {table}.deleted = 0"
    source = f"FROM {table} LEFT JOIN {custom} ON {table}.id = {custom}.id_c WHERE {where}{living}"
    rows = site.database.rows(f"SELECT {table}.*, {custom}.* {source} ORDER BY {order} LIMIT ? OFFSET ?", limit, offset)
    counted = site.database.rows(f"SELECT count(*) AS total {source}")
    return Page(rows, counted[0]["total"])


def _order(module: Module, order_by: str) -> str:
    parts = []
    for part in order_by.split(",") if order_by.strip() else ():
        match = _ORDER.fullmatch(part)
        if match is None:
            raise access_denied()
        name, direction = match[1].lower(), (match[2] or "asc").upper()
        if name == "name" and module.person:
            parts += [f"first_name {direction}", f"last_name {direction}"]
        elif name in module.fields and module.fields[name].kept:
            parts.append(f"{name} {direction}")
    return ", ".join(parts or [f"{module.table}.id DESC"])


class Shower:
    """Shows rows of a module as entries, with the values that are not of their own table looked up for all of them at once."""

    def __init__(self, site: SiteCore, module: Module, rows: Sequence[Row], fields: Iterable[str]) -> None:
        self._module = module
        self._names = list(fields) or list(module.fields)
        ids = [row["id"] for row in rows]
        wanted = set(self._names)
        self._addresses: Mapping[str, str] = site.primary_addresses(ids) if "email1" in wanted else {}
        self._accounts: dict[str, Row] = {}
        if module.name == "Contacts" and wanted & {"account_id", "account_name"}:
            self._accounts = _accounts(site, module, ids)
        self._users = _users(site) if wanted & set(NAMES_OF_USERS) else {}
        self._parents = _names(site, [row["parent_id"] for row in rows if row.get("parent_id")]) if "parent_name" in wanted else {}

    def entry(self, row: Row) -> Entry:
        """One record. Fields that there are not are left out; where none is left, there is an empty list instead of a table."""
        known = [(name, self._module.fields[name].type) for name in self._names if name in self._module.fields]
        values = {name: {"name": name, "value": shown(self._value(row, name), kind=kind)} for name, kind in known}
        return {"id": row["id"], "module_name": self._module.name, "name_value_list": values or []}

    def _value(self, row: Row, name: str) -> Any:
        if self._module.fields[name].kept:
            return row[name]
        if name in NAMES_OF_USERS:
            return self._users.get(row.get(NAMES_OF_USERS[name]) or "")
        if name in ("name", "full_name"):
            salutation = (row.get("salutation"),) if name == "full_name" else ()
            return " ".join(part for part in (*salutation, row["first_name"], row["last_name"]) if part)
        if name in ("account_id", "account_name"):
            account = self._accounts.get(row["id"])
            return account and account["id" if name == "account_id" else "name"]
        return self._parents.get(row.get("parent_id") or "") if name == "parent_name" else self._addresses.get(row["id"])


def missing(module: Module, record_id: str) -> Entry:
    """What ``get_entries`` says of a record that is deleted or was never there."""
    values = [{"name": "warning", "value": DENIED}, {"name": "deleted", "value": "1"}]
    return {"id": record_id, "module_name": module.name, "name_value_list": values}


def links_of(site: SiteCore, module: Module, rows: Sequence[Row], wanted: Sequence[Any]) -> list[Entry]:
    """Per row the records at its links, as ``link_name_to_fields_array`` asks for them; nothing where it asks for none.

    A link without records is left out, one that there is not has none.
    """
    asked = [(str(one["name"]), list(one.get("value") or [])) for one in wanted if isinstance(one, dict) and "name" in one]
    return [
        {"link_list": [found for name, fields in asked if (found := _linked(site, module, row["id"], name, fields))]}
        for row in rows
        if asked
    ]


def _linked(site: SiteCore, module: Module, record_id: str, name: str, fields: Sequence[str]) -> Entry | None:
    if name not in module.links:
        return {"name": name, "records": []}
    there, records = site.modules[module.links[name].module], []
    for row in related_rows(site, module, record_id, name):
        of_record = Shower(site, there, [row], fields).entry(row)["name_value_list"]
        of_pair = {key: {"name": key, "value": shown(row["pair"][key])} for key in fields if key in row["pair"] and key not in there.fields}
        records.append({"link_value": {**dict(of_record), **of_pair}})
    return {"name": name, "records": records} if records else None


def related_rows(site: SiteCore, module: Module, record_id: str, name: str, *, query: str = "") -> list[Row]:
    """The live records at one link of a record, each with its ``pair``. Raises ApiError (40) and DatabaseFailure."""
    link = module.links[name]
    pairs = {pair["theirs"]: pair for pair in site.related(link, [record_id])}
    there, ids = site.modules[link.module], ", ".join(f"'{one}'" for one in pairs)
    if not pairs:
        return []
    where = f"{there.table}.id IN ({ids})" + (f" AND ({query})" if query.strip() else "")
    rows = listed(site, there, query=where, order_by="", offset=0, limit=len(pairs), deleted=False).rows
    return [{**row, "pair": pairs[row["id"]]} for row in rows]


def _accounts(site: SiteCore, module: Module, contact_ids: Sequence[str]) -> dict[str, Row]:
    """Each contact's account; of several the one whose pair has the lowest id, which is no order."""
    pairs = sorted(site.related(module.links["accounts"], contact_ids), key=lambda pair: str(pair["id"]), reverse=True)
    account = {pair["ours"]: pair["theirs"] for pair in pairs}
    names = _names(site, sorted(set(account.values())))
    return {contact: {"id": account_id, "name": names.get(account_id)} for contact, account_id in account.items()}


def _names(site: SiteCore, account_ids: Sequence[str]) -> dict[str, str]:
    rows = site.database.of_each("SELECT id, name FROM accounts WHERE id IN {ids} AND deleted = 0", account_ids)
    return {row["id"]: row["name"] for row in rows}


def _users(site: SiteCore) -> dict[str, str]:
    rows = site.database.rows("SELECT id, first_name, last_name FROM users WHERE deleted = 0")
    return {row["id"]: " ".join(part for part in (row["first_name"], row["last_name"]) if part) for row in rows}
