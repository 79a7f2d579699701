"""What each of SugarCRM's answers must hold (source: the REST v4_1 methods, SuiteCRM developer guide).

Errors come with status 200 too: they are told by their three members (``REFUSAL``).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from crm_pipeline.contracts import ANYTHING, ID, OBJECT, TEXT, Form, May, Members, One, Rows


def _is_named(pair: object) -> bool:
    return isinstance(pair, dict) and {"name", "value"} <= pair.keys() and not any(isinstance(one, dict | list) for one in pair.values())


PAIRS = One(
    "an object of names and values, or an empty list",
    lambda value: value == [] or (isinstance(value, dict) and all(map(_is_named, value.values()))),
)
"""PHP shows an empty table as a list."""

NUMBER = One("a number of entries", lambda value: not isinstance(value, bool) and str(value).isdecimal())

TABLE = One("an object with members", lambda value: isinstance(value, dict) and bool(value))


def _counted(answer: Mapping[str, Any]) -> str | None:
    """An answer that was cut short must not pass for one in which records are missing, nor one with a record twice."""
    told, held = int(answer["result_count"]), len({entry["id"] for entry in answer["entry_list"]})
    return None if told == held else f"result_count is {told}, and entry_list holds {held} records"


REFUSAL = Members({"name": TEXT, "number": ID, "description": May(ANYTHING, absent="the name says enough")})
SESSION = Members({"id": TEXT, "name_value_list": May(OBJECT, absent="who signed in is not known")})
SERVER = Members({"gmt_time": TEXT})
ENTRIES = Members({"result_count": NUMBER, "entry_list": Rows(Members({"id": TEXT, "name_value_list": PAIRS}))}, rule=_counted)
SAVED = Members({"ids": Rows(ANYTHING)})
"""Rows that the user may not save are left out, so that their number tells nothing."""
RELATED = Members({"created": ID, "failed": ID, "deleted": ID})
MODULES = Members(
    {
        "modules": Rows(
            Members(
                {
                    "module_key": TEXT,
                    "acls": May(Rows(Members({"action": TEXT, "access": ANYTHING})), absent="the user may do everything there"),
                }
            )
        )
    }
)
FIELDS = Members({"module_fields": TABLE})
FIELD = Members(
    {
        "name": TEXT,
        "type": TEXT,
        "label": May(ANYTHING, absent="the name is shown"),
        "required": May(ANYTHING, absent="it may be blank"),
        "len": May(ANYTHING, absent="texts of any length are sent"),
        "options": May(PAIRS, absent="it takes no options"),
    }
)

CONTRACTS: Mapping[str, Form] = MappingProxyType(
    {
        "login": SESSION,
        "get_server_info": SERVER,
        "get_available_modules": MODULES,
        "get_module_fields": FIELDS,
        "get_module_fields: a field": FIELD,
        "get_entry_list": ENTRIES,
        "set_entries": SAVED,
        "set_relationships": RELATED,
        "any method, refused": REFUSAL,
    }
)
"""The form of every answer that is used, by the method that is called."""
