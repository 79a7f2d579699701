"""Where a CRM keeps the normalized fields: the form of that table, which can be read beside the vendor's list of fields.

A CRM field that an integration maps directly takes the place of the one named in a preset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

OTHER_PHONE_TYPE = ""


@dataclass(frozen=True, slots=True)
class AddressCodes:
    """CRM fields that take codes in place of names, in organizations where they exist: country first, state second.

    ``replaces``: the two text fields. ``state_countries``: countries whose states the CRM knows by their ISO codes from the start.
    """

    country: str
    state: str
    replaces: tuple[str, str]
    state_countries: frozenset[str]


@dataclass(frozen=True, slots=True)
class AddressPreset:
    """One address of the CRM: which normalized address it takes, and its fields.

    ``types``: prefixes of normalized addresses; the first that a record has is taken. ``fields``: CRM field to the address
    parts it takes, joined by ``separator`` (which also takes the place of line breaks inside them where it is none itself).
    """

    types: tuple[str, ...]
    fields: Mapping[str, tuple[str, ...]]
    separator: str = "\n"
    codes: AddressCodes | None = None


@dataclass(frozen=True, slots=True)
class Preset:
    """The fields of one CRM object. ``phones``: phone type to CRM field; the blank type, where there is one, stands for every other."""

    fields: Mapping[str, str]
    phones: Mapping[str, str]
    addresses: tuple[AddressPreset, ...]

    def phone_field(self, phone_type: str) -> str | None:
        """The CRM field for a phone type; null where the CRM has none for it."""
        return self.phones.get(phone_type, self.phones.get(OTHER_PHONE_TYPE)) or None
