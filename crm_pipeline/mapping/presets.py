"""Where each CRM keeps the normalized fields: one table per CRM and record type, to be read against the vendor's field list.

Source of the field names: the vendors' standard objects (Salesforce Account and Contact, HubSpot company and contact).
A CRM field that an integration maps directly takes the place of the one named here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from crm_pipeline.errors import ConfigurationError
from crm_pipeline.model import RecordType

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
    """The fields of one CRM object. ``phones``: phone type to CRM field; the blank type stands for every other type."""

    fields: Mapping[str, str]
    phones: Mapping[str, str]
    addresses: tuple[AddressPreset, ...]

    def phone_field(self, phone_type: str) -> str | None:
        """The CRM field for a phone type; null where the CRM has none for it."""
        return self.phones.get(phone_type, self.phones[OTHER_PHONE_TYPE]) or None


# Assumed: the countries for which Salesforce fills the state picklist when it is switched on.
SALESFORCE_STATE_COUNTRIES = frozenset({"AU", "BR", "CA", "CN", "IE", "IN", "IT", "MX", "US"})


def _salesforce_address(prefix: str, *streets: str) -> AddressPreset:
    name = prefix.capitalize()
    return AddressPreset(
        types=(prefix,),
        fields=MappingProxyType(
            {
                f"{name}Street": streets,
                f"{name}City": ("city",),
                f"{name}State": ("state",),
                f"{name}PostalCode": ("postal_code",),
                f"{name}Country": ("country",),
            }
        ),
        codes=AddressCodes(
            country=f"{name}CountryCode",
            state=f"{name}StateCode",
            replaces=(f"{name}Country", f"{name}State"),
            state_countries=SALESFORCE_STATE_COUNTRIES,
        ),
    )


_HUBSPOT_PLACE = {"city": ("city",), "state": ("state",), "zip": ("postal_code",), "country": ("country",)}

PRESETS: Mapping[str, Mapping[RecordType, Preset]] = MappingProxyType(
    {
        "salesforce": MappingProxyType(
            {
                RecordType.ACCOUNT: Preset(
                    fields=MappingProxyType(
                        {
                            "name": "Name",
                            "description": "Description",
                            "industry": "Industry",
                            "website": "Website",
                            "number_of_employees": "NumberOfEmployees",
                        }
                    ),
                    phones=MappingProxyType({"WORK": "Phone", "MAIN": "Phone", "FAX": "Fax", OTHER_PHONE_TYPE: "Phone"}),
                    addresses=(
                        _salesforce_address("billing", "street_1", "street_2"),
                        _salesforce_address("shipping", "street_1", "street_2"),
                    ),
                ),
                RecordType.CONTACT: Preset(
                    fields=MappingProxyType({"email": "Email", "first_name": "FirstName", "last_name": "LastName"}),
                    phones=MappingProxyType(
                        {"WORK": "Phone", "MAIN": "Phone", "FAX": "Fax", "MOBILE": "MobilePhone", OTHER_PHONE_TYPE: "Phone"}
                    ),
                    addresses=(_salesforce_address("mailing", "street"),),
                ),
            }
        ),
        "hubspot": MappingProxyType(
            {
                RecordType.ACCOUNT: Preset(
                    fields=MappingProxyType(
                        {
                            "name": "name",
                            "description": "description",
                            "industry": "industry",
                            "website": "website",
                            "number_of_employees": "numberofemployees",
                        }
                    ),
                    # HubSpot has no fax field of its own: a fax number is sent only where the integration maps it directly.
                    phones=MappingProxyType({"WORK": "phone", "MAIN": "phone", "FAX": "", OTHER_PHONE_TYPE: "phone"}),
                    addresses=(
                        AddressPreset(
                            types=("billing", "shipping"),
                            fields=MappingProxyType({"address": ("street_1",), "address2": ("street_2",), **_HUBSPOT_PLACE}),
                            separator=", ",
                        ),
                    ),
                ),
                RecordType.CONTACT: Preset(
                    fields=MappingProxyType({"email": "email", "first_name": "firstname", "last_name": "lastname"}),
                    phones=MappingProxyType(
                        {"WORK": "phone", "MAIN": "phone", "FAX": "", "MOBILE": "mobilephone", OTHER_PHONE_TYPE: "phone"}
                    ),
                    addresses=(
                        AddressPreset(
                            types=("mailing",),
                            fields=MappingProxyType({"address": ("street",), **_HUBSPOT_PLACE}),
                            separator=", ",
                        ),
                    ),
                ),
            }
        ),
    }
)

OWNER_FIELDS: Mapping[str, str] = MappingProxyType({"salesforce": "OwnerId", "hubspot": "hubspot_owner_id"})
"""The field of each CRM's accounts and contacts that says who owns them."""


def preset(crm: str, record_type: RecordType) -> Preset:
    """The table of one CRM and record type. Raises ConfigurationError for a CRM that has none."""
    if crm not in PRESETS:
        known = ", ".join(sorted(PRESETS))
        raise ConfigurationError(f"no field mapping is known for {crm}; there is one for: {known}")
    return PRESETS[crm][record_type]


def preset_field(crm: str, record_type: RecordType, field: str) -> str | None:
    """The CRM field of a plain normalized field (no phone, no address); null where the CRM has none."""
    return preset(crm, record_type).fields.get(field)
