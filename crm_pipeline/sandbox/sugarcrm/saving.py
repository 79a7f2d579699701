"""What does the API make of a row that it is to save? Nothing is validated, and records are found and made by guess.

``set_entries`` does more than ``set_entry``: it gives contacts an account by name or id, and takes a contact without an id for one that has
the same email and last name. Sources: SugarCRM developer guide, "set_entries"; SuiteCRM's ``new_handle_set_entries``,
``add_create_account`` and ``check_for_duplicate_contacts``; all of it was seen on SuiteCRM 7.14.6, 7.15.0 and 8.10.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_pipeline.sandbox.obstacles import in_the_way
from crm_pipeline.sandbox.sugarcrm.core import SiteCore
from crm_pipeline.sandbox.sugarcrm.database import Row
from crm_pipeline.sandbox.sugarcrm.errors import DatabaseFailure
from crm_pipeline.sandbox.sugarcrm.modules import Module
from crm_pipeline.sandbox.sugarcrm.settings import ACCESS

Values = dict[str, Any]


def save_guessing(site: SiteCore, module: Module, values: Values) -> str | None:
    """Save one row of ``set_entries``; the id that is answered, None for a row that the user may not save. Raises DatabaseFailure."""
    if module.name == "Contacts":
        values = _with_account(site, values)
        if values.get("id") is None and (twin := _twin(site, values)) is not None:
            site.touch(module, twin)
            site.unrelate(module.links["email_addresses"], twin)
            return twin
    return save(site, module, values)


def save(site: SiteCore, module: Module, values: Values) -> str | None:
    """Save one row as it is. The answer is the id that came with it, whether it was written or not; None without the right to save it."""
    if (module.name, "edit") in site.denied:
        return None
    own_id = str(values.get("id") or "")
    row = site.row(module, own_id) if own_id else None
    obstacle = in_the_way(site.obstacles, module.name, {**(row or {}), **values})
    if obstacle is not None:
        if obstacle.code == ACCESS:
            return None
        raise DatabaseFailure
    is_new = not own_id or _truth(values.get("new_with_id"))
    if row is None and not is_new:
        return own_id
    record_id = own_id or site.new_id()
    if site.on_save is not None:
        site.on_save(module.name, record_id)
    before = None if is_new else row
    if before is None:
        site.create(module, record_id, _capitalized(site, module, values))
    else:
        site.change(module, before, _capitalized(site, module, values))
    _save_relations(site, module, record_id[:36], values, is_new=is_new)
    if _truth(values.get("deleted")):
        site.mark_deleted(module, record_id)
    return record_id


def _save_relations(site: SiteCore, module: Module, record_id: str, values: Values, *, is_new: bool) -> None:
    if "email_addresses" in module.links and values.get("email1") is not None and (is_new or site.changes_email1):
        site.set_address(module, record_id, str(values["email1"]))
    if module.name == "Contacts" and values.get("account_id") is not None:
        account_id = str(values["account_id"])
        live = site.row(site.modules["Accounts"], account_id) is not None
        site.move_to_account(record_id, account_id if live else None)


def _with_account(site: SiteCore, values: Values) -> Values:
    """The row with the account that its contact is given: found by id, or by name where no id says which, or made.

    A deleted account that is found is erased, and a new one made; so is one for an id that there is not. Where the name is blank, also that
    of the account which the contact has, it leaves this one first.
    """
    contact = site.row(site.modules["Contacts"], str(values["id"])) if values.get("id") else None
    before = site.account_of(contact["id"]) if contact else None
    held = site.row(site.modules["Accounts"], before) if before else None
    account_id = _sent(values, "account_id", before or "")
    name = _sent(values, "account_name", held["name"] or "" if held else "")
    if not account_id and not name:
        return values
    if not name and contact and before:
        site.move_to_account(contact["id"], None)
        return values if account_id != before else {key: value for key, value in values.items() if key != "account_id"}
    found = _found(site, account_id, name, but=before or "")
    if found is not None and found["deleted"]:
        site.erase(site.modules["Accounts"], found["id"])
        found = None
    if found is not None:
        return {**values, "account_id": found["id"]} if found["id"] != before or values.get("account_id") is not None else values
    made = site.new_id()
    site.create(site.modules["Accounts"], made, {"name": name, "assigned_user_id": site.user_id})
    return {**values, "account_id": made}


def _found(site: SiteCore, account_id: str, name: str, *, but: str) -> Row | None:
    """An account, deleted or not, by its id or else its name; of several with that name another one than ``but``."""
    if account_id:
        return site.row(site.modules["Accounts"], account_id, deleted=True)
    rows = site.database.rows("SELECT * FROM accounts WHERE name = ? ORDER BY id = ?, id LIMIT 1", name, but)
    return rows[0] if rows else None


def _twin(site: SiteCore, values: Values) -> str | None:
    """The contact that one without an id is taken for: the same email, in the same case, and the same last name."""
    address, last_name = (str(values.get(name) or "").strip() for name in ("email1", "last_name"))
    account = str(values.get("account_name") or "")
    if not address or not last_name:
        return None
    same = site.database.rows(
        "SELECT contacts.id, contacts.last_name FROM contacts JOIN email_addr_bean_rel AS pair ON pair.bean_id = contacts.id "
        "JOIN email_addresses AS address ON address.id = pair.email_address_id WHERE address.email_address_caps = ? "
        "AND address.deleted = 0 AND pair.deleted = 0 AND contacts.deleted = 0 ORDER BY contacts.id",
        address.upper(),
    )
    primary = site.primary_addresses([row["id"] for row in same])
    for row in same:
        if (
            row["last_name"] == last_name
            and primary.get(row["id"]) == address
            and (not account or _account_name(site, row["id"]) == account)
        ):
            return str(row["id"])
    return None


def _account_name(site: SiteCore, contact_id: str) -> str:
    account_id = site.account_of(contact_id)
    account = site.row(site.modules["Accounts"], account_id) if account_id else None
    return str(account["name"] or "") if account else ""


def _capitalized(site: SiteCore, module: Module, values: Values) -> Mapping[str, Any]:
    if not site.capitalizes or module.name != "EmailAddresses" or not values.get("email_address"):
        return values
    return {**values, "email_address_caps": str(values["email_address"]).upper()}


def _sent(values: Values, name: str, otherwise: str) -> str:
    value = values.get(name)
    return otherwise if value is None else str(value).strip()


def _truth(value: object) -> bool:
    """A value as PHP takes it for true."""
    return value not in (None, False, 0, "", "0", [])
