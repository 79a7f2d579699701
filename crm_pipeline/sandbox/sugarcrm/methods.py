"""The methods of REST v4_1, with their arguments in the order in which they come: names count for nothing.

Sources: SuiteCRM documentation, "API v4.1 Methods"; SugarCRM developer guide, "Legacy API, Methods".
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crm_pipeline.sandbox.sugarcrm.core import Asked, SiteCore
from crm_pipeline.sandbox.sugarcrm.errors import Crash, access_denied, invalid_login, invalid_session, unknown_method
from crm_pipeline.sandbox.sugarcrm.modules import Field, Link
from crm_pipeline.sandbox.sugarcrm.reading import Shower, links_of, listed, missing, related_rows
from crm_pipeline.sandbox.sugarcrm.saving import Values, save, save_guessing
from crm_pipeline.sandbox.sugarcrm.settings import ACCESS

ACTIONS = ("edit", "delete", "list", "view", "import", "export")
"""What roles allow or not."""

Given = Mapping[str, Any]
"""The arguments of a call by name."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method: the arguments that must come, those that may follow, and what answers it."""

    required: str
    optional: str
    answer: Callable[[SiteCore, Given], Any]

    def given(self, arguments: Sequence[Any]) -> Given:
        """The arguments by name; what is too much is ignored. Raises Crash where one is missing."""
        names = self.required.split()
        if len(arguments) < len(names):
            raise Crash
        return dict(zip([*names, *self.optional.split()], arguments, strict=False))


def call(site: SiteCore, name: str, arguments: Sequence[Any], *, cookie: str | None) -> Any:
    """Carry a method out and return what it answers; ``cookie``: the session that it names. Raises ApiError, DatabaseFailure and Crash."""
    if name not in METHODS:
        raise unknown_method()
    given = METHODS[name].given(arguments)
    module = given.get("module_name")
    site.asked.append(Asked(name, module if isinstance(module, str) else None, rows_of(name, arguments)))
    if "session" in given:
        _check_session(site, given["session"])
    return METHODS[name].answer(site, {**given, "cookie": cookie})


def rows_of(name: str, arguments: Sequence[Any]) -> int:
    """How many records a call names or brings, by its arguments; 0 for a method that there is not."""
    method = METHODS.get(name)
    given = dict(zip(f"{method.required} {method.optional}".split(), arguments, strict=False)) if method else {}
    many = next((given[key] for key in ("name_value_lists", "ids", "module_names") if key in given), None)
    return len(_list(many)) if many is not None else int("module_name" in given and bool({"name_value_list", "id"} & given.keys()))


# --- sessions


def _login(site: SiteCore, given: Given) -> dict[str, Any]:
    """A session for the user; where a cookie of an earlier sign-in came along, one that is not valid on some versions."""
    user_auth = given["user_auth"] if isinstance(given["user_auth"], dict) else {}
    password, sent = _md5(site.password), str(user_auth.get("password") or "")
    if user_auth.get("encryption") == "PLAIN":
        sent = _md5(sent)
    if user_auth.get("user_name") != site.user_name or not hmac.compare_digest(sent.encode(), password.encode()):
        raise invalid_login()
    session = secrets.token_hex(13)
    if not (site.voids_by_cookies and given["cookie"] in site.sessions):
        site.sessions[session] = site.clock()
    user = {"user_id": site.user_id, "user_name": site.user_name, "user_language": "en_us", "user_is_admin": True}
    return {"id": session, "module_name": "Users", "name_value_list": {name: _pair(name, value) for name, value in user.items()}}


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _check_session(site: SiteCore, session: Any) -> None:
    used, now = site.sessions.get(session) if isinstance(session, str) else None, site.clock()
    if used is None or now - used > site.session_seconds:
        raise invalid_session()
    site.sessions[session] = now


def _logout(site: SiteCore, given: Given) -> None:
    site.sessions.pop(given["session"], None)


def _user_id(site: SiteCore, _given: Given) -> str:
    return site.user_id


def _server_info(site: SiteCore, _given: Given) -> dict[str, str]:
    return {"flavor": "CE", "version": site.info_version, "gmt_time": site.stamp()}


# --- metadata


def _available_modules(site: SiteCore, _given: Given) -> dict[str, Any]:
    """The modules of the user, with what roles say of each action; the form of ``acls`` is assumed."""
    return {
        "modules": [
            {"module_key": name, "module_label": name, "favorite_enabled": True, "acls": [_acl(site, name, action) for action in ACTIONS]}
            for name in site.modules
            if (name, ACCESS) not in site.denied
        ]
    }


def _acl(site: SiteCore, module: str, action: str) -> dict[str, Any]:
    return {"action": action, "access": (module, action) not in site.denied}


def _module_fields(site: SiteCore, given: Given) -> dict[str, Any]:
    module, wanted = site.module(given["module_name"]), set(map(str, _list(given.get("fields"))))
    return {
        "module_name": module.name,
        "table_name": module.table,
        "module_fields": {name: _described(one) for name, one in module.fields.items() if not wanted or name in wanted} or [],
        "link_fields": {name: _link(link) for name, link in module.links.items() if not wanted or name in wanted} or [],
    }


def _described(one: Field) -> dict[str, Any]:
    described: dict[str, Any] = {"name": one.name, "type": one.type, "group": "", "id_name": one.id_name, "label": one.label}
    described |= {"required": int(one.required), "options": {key: _pair(key, label) for key, label in one.options.items()} or []}
    described |= {"related_module": one.module if one.id_name else "", "calculated": False, "len": one.length}
    return described if one.default is None else {**described, "default_value": one.default}


def _link(link: Link) -> dict[str, str]:
    kind = {"type": "link", "group": "", "id_name": "", "bean_name": ""}
    return {"name": link.name, **kind, "relationship": link.table, "module": link.module}


# --- reading


def _entry(site: SiteCore, given: Given) -> dict[str, Any]:
    return _entries(site, {**given, "ids": [given["id"]]})


def _entries(site: SiteCore, given: Given) -> dict[str, Any]:
    """Records by id; what is deleted or was never there is a warning."""
    module = site.module(given["module_name"])
    rows = {str(record_id): site.row(module, str(record_id)) for record_id in _list(given["ids"])}
    found = [row for row in rows.values() if row is not None]
    shower = Shower(site, module, found, _list(given["select_fields"]))
    entries = [missing(module, record_id) if row is None else shower.entry(row) for record_id, row in rows.items()]
    return {"entry_list": entries, "relationship_list": links_of(site, module, found, _list(given["link_name_to_fields_array"]))}


def _entry_list(site: SiteCore, given: Given) -> dict[str, Any]:
    """The records that a WHERE clause finds; ``deleted`` 1, -1 or 2: the deleted ones among them."""
    module, start, limit = site.module(given["module_name"]), max(0, _int(given["offset"])), _int(given["max_results"])
    page = listed(
        site,
        module,
        query=str(given["query"] or ""),
        order_by=str(given["order_by"] or ""),
        offset=start,
        limit=limit if limit > 0 else site.page_rows,
        deleted=_int(given.get("deleted")) != 0,
    )
    shower = Shower(site, module, page.rows, _list(given["select_fields"]))
    return {
        "result_count": len(page.rows),
        "total_count": str(page.total),
        "next_offset": start + len(page.rows),
        "entry_list": [shower.entry(row) for row in page.rows],
        "relationship_list": links_of(site, module, page.rows, _list(given["link_name_to_fields_array"])),
    }


def _entries_count(site: SiteCore, given: Given) -> dict[str, int]:
    module, query = site.module(given["module_name"]), str(given["query"] or "")
    return {"result_count": listed(site, module, query=query, order_by="", offset=0, limit=0, deleted=_int(given["deleted"]) != 0).total}


def _relationships(site: SiteCore, given: Given) -> dict[str, Any]:
    """The live records at one link of a record."""
    module, record_id, name = site.module(given["module_name"]), str(given["module_id"]), given["link_field_name"]
    if name not in module.links or site.row(module, record_id) is None:
        return {"entry_list": [], "relationship_list": []}
    rows = related_rows(site, module, record_id, name, query=str(given["related_module_query"] or ""))
    rows = rows[max(0, _int(given.get("offset"))) :][: _int(given.get("limit")) or None]
    there = site.modules[module.links[name].module]
    shower = Shower(site, there, rows, _list(given["related_fields"]))
    links = links_of(site, there, rows, _list(given["related_module_link_name_to_fields_array"]))
    return {"entry_list": [shower.entry(row) for row in rows], "relationship_list": links}


# --- writing


def _set_entry(site: SiteCore, given: Given) -> dict[str, Any]:
    """Save one record as it is sent; the answer repeats it, whatever was stored."""
    module, values = site.module(given["module_name"]), _values(given["name_value_list"])
    record_id = save(site, module, values)
    if record_id is None:
        raise access_denied()
    return {"id": record_id, "entry_list": {name: _pair(name, value) for name, value in values.items()}}


def _set_entries(site: SiteCore, given: Given) -> dict[str, Any]:
    """Save records one after another. What was saved before one fails stays; who may not be saved is left out of ``ids``."""
    module = site.module(given["module_name"])
    answered = (save_guessing(site, module, _values(row)) for row in _list(given["name_value_lists"]))
    return {"ids": [record_id for record_id in answered if record_id is not None]}


def _set_relationship(site: SiteCore, given: Given) -> dict[str, int]:
    return _related(site, [given])


def _set_relationships(site: SiteCore, given: Given) -> dict[str, int]:
    plural = {"module_name": "module_names", "module_id": "module_ids", "link_field_name": "link_field_names", "related_ids": "related_ids"}
    plural |= {"name_value_list": "name_value_lists", "delete": "delete_array"}
    count = len(_list(given["module_names"]))
    return _related(site, [{one: _at(given.get(many), position) for one, many in plural.items()} for position in range(count)])


def _related(site: SiteCore, asked: Sequence[Given]) -> dict[str, int]:
    """Relate records, or unrelate them. Nobody looks whether they exist: what does not is counted like any other."""
    counted = {"created": 0, "failed": 0, "deleted": 0}
    for one in asked:
        module, record_id = site.module(str(one["module_name"])), str(one["module_id"])
        link, deletes = module.links.get(str(one["link_field_name"])), _int(one.get("delete")) == 1
        if link is None:
            counted["failed"] += 1
            continue
        for other in _list(one["related_ids"]):
            if deletes:
                site.unrelate(link, record_id, str(other))
            else:
                site.relate(module, link, record_id, str(other), values=_values(one.get("name_value_list")))
        counted["deleted" if deletes else "created"] += 1
    return counted


METHODS: Mapping[str, Method] = {
    "login": Method("user_auth", "application_name name_value_list", _login),
    "logout": Method("session", "", _logout),
    "get_user_id": Method("session", "", _user_id),
    "get_server_info": Method("", "", _server_info),
    "get_available_modules": Method("session", "filter", _available_modules),
    "get_module_fields": Method("session module_name", "fields", _module_fields),
    "get_entry": Method("session module_name id select_fields link_name_to_fields_array", "track_view", _entry),
    "get_entries": Method("session module_name ids select_fields link_name_to_fields_array", "track_view", _entries),
    "get_entry_list": Method(
        "session module_name query order_by offset select_fields link_name_to_fields_array max_results", "deleted favorites", _entry_list
    ),
    "get_entries_count": Method("session module_name query deleted", "", _entries_count),
    "get_relationships": Method(
        "session module_name module_id link_field_name related_module_query related_fields "
        "related_module_link_name_to_fields_array deleted",
        "order_by offset limit",
        _relationships,
    ),
    "set_entry": Method("session module_name name_value_list", "track_view", _set_entry),
    "set_entries": Method("session module_name name_value_lists", "", _set_entries),
    "set_relationship": Method("session module_name module_id link_field_name related_ids", "name_value_list delete", _set_relationship),
    "set_relationships": Method(
        "session module_names module_ids link_field_names related_ids", "name_value_lists delete_array", _set_relationships
    ),
}


# --- arguments


def _values(name_value_list: Any) -> Values:
    """A row: a list of names with values, or a table of values or of names with values."""
    pairs = name_value_list.items() if isinstance(name_value_list, dict) else enumerate(_list(name_value_list))
    named = (
        (str(item["name"]), item.get("value")) if isinstance(item, dict) and "name" in item else (str(key), item) for key, item in pairs
    )
    return dict(named)


def _at(values: Any, position: int) -> Any:
    found = _list(values)
    return found[position] if position < len(found) else None


def _list(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _int(value: Any) -> int:
    try:
        return int(value or 0)
    except (TypeError, ValueError):
        return 0


def _pair(name: str, value: Any) -> dict[str, Any]:
    return {"name": name, "value": value}
