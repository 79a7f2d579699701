"""What a field holds: its JSON type, the form it is kept in, the values it refuses, and how the API shows it.

Error codes and texts are the vendor's (reference: per-record errors); a value of another JSON type than the field's is no
error of the record but stops the whole call, because the vendor fails while it parses the body.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any

from crm_pipeline.sandbox.salesforce.errors import CallError, RowError
from crm_pipeline.sandbox.salesforce.fields import ID_TYPES, TEXT_TYPES, FieldSpec, ObjectSpec
from crm_pipeline.sandbox.salesforce.ids import canonical
from crm_pipeline.sandbox.salesforce.table import Row

# The vendor's documented rules for an address: ASCII, no dot at the ends of the local part, labels without outer hyphens.
_EMAIL = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])"
)
_JSON_NAMES: Mapping[type, str] = MappingProxyType(
    {
        str: "VALUE_STRING",
        bool: "VALUE_TRUE",
        int: "VALUE_NUMBER_INT",
        float: "VALUE_NUMBER_FLOAT",
        list: "START_ARRAY",
        dict: "START_OBJECT",
    }
)
ADDRESS_PARTS = ("Street", "City", "State", "PostalCode", "Country", "StateCode", "CountryCode")


def parsed(field: FieldSpec, value: Any) -> Any:
    """The JSON value as Python holds it, in the form the organization keeps; raises CallError JSON_PARSER_ERROR for a wrong type."""
    if value is None:
        return None
    fits = _FITS.get(field.type)
    if fits is None or not fits(value):
        raise _wrong_type(field, value)
    try:
        return normal_form(field, value)
    except ValueError:
        raise _wrong_type(field, value) from None


def normal_form(field: FieldSpec, value: Any) -> Any:
    """The form a value is kept in: texts trimmed, blanks null, emails in lower case, ids in 18 characters, times in UTC seconds.

    Raises ValueError for a text that is no date or time.
    """
    if value is None:
        return None
    if field.type in TEXT_TYPES and isinstance(value, str):
        text = value.strip()
        return (text.lower() if field.type == "email" else text) or None
    if field.type in ID_TYPES:
        return canonical(value) or value or None
    if field.type == "datetime":
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)
    if field.type == "date" and isinstance(value, str):
        return date.fromisoformat(value)
    if field.type == "double":
        return float(value)
    return value


def check(field: FieldSpec, value: Any) -> None:
    """Raise the RowError of a value, in its kept form, that the field refuses; null is not checked here."""
    if field.type in TEXT_TYPES:
        _check_text(field, value)
    elif field.type in ID_TYPES and canonical(value) is None:
        raise RowError("MALFORMED_ID", f"{field.label}: id value of incorrect type: {value}", (field.name,))
    elif field.type in ("int", "double") and field.digits and abs(value) >= 10**field.digits:
        raise RowError(
            "NUMBER_OUTSIDE_VALID_RANGE", f"{field.label}: value outside of valid range on numeric field: {value}", (field.name,)
        )


def rendered(spec: ObjectSpec, row: Row, names: list[str] | None = None) -> dict[str, Any]:
    """The record as the API shows it: the named fields, or all, with null where there is no value."""
    return {name: shown(spec.fields[name], row) for name in names or spec.fields}


def shown(field: FieldSpec, row: Row) -> Any:
    """One field of the record as the API shows it."""
    if field.type == "address":
        return _address(field, row)
    value = field.of(row)
    if isinstance(value, datetime):
        return f"{value.isoformat()[:19]}.000+0000"
    if isinstance(value, date):
        return value.isoformat()
    return value


def _check_text(field: FieldSpec, value: str) -> None:
    if field.length and _utf16_units(value) > field.length:
        message = f"{field.label}: data value too large: {value} (max length={field.length})"
        raise RowError("STRING_TOO_LONG", message, (field.name,))
    if field.type == "email" and not _EMAIL.fullmatch(value):
        raise RowError("INVALID_EMAIL_ADDRESS", f"{field.label}: invalid email address: {value}", (field.name,))
    if field.restricted_picklist and value not in field.picklist:
        message = f"{field.label}: bad value for restricted picklist field: {value}"
        raise RowError("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, (field.name,))


def _address(field: FieldSpec, row: Row) -> dict[str, Any] | None:
    prefix = field.name.removesuffix("Address")
    parts = {part[0].lower() + part[1:]: row.get(f"{prefix}{part}") for part in ADDRESS_PARTS}
    if not any(parts.values()):
        return None
    return {**parts, "geocodeAccuracy": None, "latitude": None, "longitude": None}


def _wrong_type(field: FieldSpec, value: Any) -> CallError:
    expected = {"int": "int", "double": "double", "boolean": "boolean", "datetime": "datetime", "date": "date"}.get(field.type, "string")
    message = (
        f"Cannot deserialize instance of {expected} from {_JSON_NAMES.get(type(value), 'VALUE_NULL')} value {value} "
        "or request may be missing a required field"
    )
    return CallError(400, "JSON_PARSER_ERROR", message)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_whole_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_FITS: Mapping[str, Callable[[Any], bool]] = MappingProxyType(
    {
        **dict.fromkeys(TEXT_TYPES | ID_TYPES | {"datetime", "date"}, _is_text),
        "int": _is_whole_number,
        "double": lambda value: _is_whole_number(value) or isinstance(value, float),
        "boolean": lambda value: isinstance(value, bool),
    }
)


def _utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
