"""May this value be stored in this property? The checks of one write, and the form in which values are kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from crm_pipeline.sandbox.hubspot.properties import Property
from crm_pipeline.sandbox.hubspot.refusals import Problem, invalid_json

LONGEST_TEXT = 65_536
"""Characters of a text value; assumed."""

WHOLE_NUMBERS = frozenset({"numberofemployees"})
"""Properties of the type number that take no fraction and no exponent."""

_EMAIL = re.compile(r"[^@\s,;<>()\[\]\\\"]+@[^@\s.,;<>()_]+(\.[^@\s.,;<>()_]+)+")
_WHOLE_NUMBER = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


def read_properties(raw: Any) -> dict[str, str]:
    """The ``properties`` of a body: text or null by the specification, where null clears as ``""`` does."""
    if not isinstance(raw, dict):
        raise invalid_json("Cannot deserialize value of type `java.util.Map` from the value of `properties`")
    for name, value in raw.items():
        if value is not None and not isinstance(value, str):
            raise invalid_json(f"Cannot deserialize value of type `java.lang.String` of property {name}")
    return {name: "" if value is None else value for name, value in raw.items()}


def check(
    changes: Mapping[str, str],
    properties: Mapping[str, Property],
    *,
    owners: frozenset[str],
    blocked_emails: frozenset[str],
) -> tuple[dict[str, str], list[Problem]]:
    """The changes in the form in which they are kept, and every problem with them."""
    kept: dict[str, str] = {}
    problems: list[Problem] = []
    for name, value in changes.items():
        prop = properties.get(name)
        problem = _problem(prop, name, value, owners=owners)
        if problem is None and name == "email" and value.lower() in blocked_emails:
            problem = Problem(name, "INVALID_EMAIL", "email has been GDPR blacklisted")
        if problem is not None:
            problems.append(problem)
        kept[name] = value.lower() if name in ("email", "hs_additional_emails") else value
    return kept, problems


def _problem(prop: Property | None, name: str, value: str, *, owners: frozenset[str]) -> Problem | None:
    if prop is None or prop.archived:
        return Problem(name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist')
    if prop.read_only or prop.calculated:
        return Problem(name, "READ_ONLY_VALUE", f'"{name}" is a read only property; its value cannot be set.')
    if value == "":
        return None
    if name == "hubspot_owner_id":
        return None if value in owners else Problem(name, "INVALID_OWNER_ID", f"{value} is not the id of an owner")
    if name == "email" and not _EMAIL.fullmatch(value):
        return Problem(name, "INVALID_EMAIL", f"Email address {value} is invalid")
    return _by_type(prop, value)


def _by_type(prop: Property, value: str) -> Problem | None:
    if prop.type == "number" and not (_WHOLE_NUMBER if prop.name in WHOLE_NUMBERS else _NUMBER).fullmatch(value):
        return Problem(prop.name, "INVALID_INTEGER", f"{value} was not a valid number.")
    if prop.type in ("enumeration", "bool") and not prop.external_options:
        chosen = value.split(";") if prop.field_type == "checkbox" else [value]
        for choice in chosen:
            if choice not in prop.values:
                allowed = ", ".join(option.value for option in prop.options)
                return Problem(prop.name, "INVALID_OPTION", f"{choice} was not one of the allowed options: [{allowed}]")
    if prop.type == "date" and not _is_date(value):
        return Problem(prop.name, "INVALID_DATE", f"{value} was not a valid date.")
    if prop.type == "datetime" and not _is_datetime(value):
        return Problem(prop.name, "INVALID_DATE", f"{value} was not a valid datetime.")
    if prop.type in ("string", "phone_number") and _utf16_units(value) > LONGEST_TEXT:
        return Problem(prop.name, "STRING_TOO_LONG", f"The value of {prop.name} is longer than {LONGEST_TEXT} characters.")
    return None


def _is_date(value: str) -> bool:
    """``YYYY-MM-DD``, or milliseconds at midnight UTC."""
    if value.lstrip("-").isdigit():
        return int(value) % 86_400_000 == 0
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_datetime(value: str) -> bool:
    """ISO 8601, or milliseconds since 1970."""
    if value.lstrip("-").isdigit():
        return True
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
