"""What each of SugarCRM's answers must hold (source: the REST v4_1 methods, SuiteCRM developer guide).

Errors come with status 200 too: they are told by their three members (``REFUSAL``).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from crm_pipeline.contracts import ANYTHING, ID, OBJECT, TEXT, Form, May, Members, One, Rows

PAIRS = One("an object, or an empty list", lambda value: isinstance(value, dict) or value == [])
"""Names and values; PHP shows an empty table as a list."""

TABLE = One("an object with members", lambda value: isinstance(value, dict) and bool(value))

REFUSAL = Members({"name": TEXT, "number": ID, "description": May(ANYTHING, absent="the name says enough")})
SESSION = Members({"id": TEXT, "name_value_list": May(OBJECT, absent="who signed in is not known")})
SERVER = Members({"gmt_time": TEXT})
ENTRIES = Members({"entry_list": Rows(Members({"id": TEXT, "name_value_list": PAIRS}))})
SAVED = Members({"ids": Rows(ANYTHING)})
RELATED = Members({"created": ID, "failed": ID, "deleted": ID})
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
        "get_module_fields": FIELDS,
        "get_module_fields: a field": FIELD,
        "get_entry_list": ENTRIES,
        "set_entries": SAVED,
        "set_relationships": RELATED,
        "any method, refused": REFUSAL,
    }
)
"""The form of every answer that is used, by the method that is called."""
