"""Where Salesforce keeps the normalized fields, by its standard objects Account, Contact and Lead."""

from __future__ import annotations

from types import MappingProxyType

from crm_pipeline.crms.preset import OTHER_PHONE_TYPE, AddressCodes, AddressPreset, Preset

OWNER_FIELD = "OwnerId"

# Assumed: the countries for which Salesforce fills the state picklist when it is switched on.
STATE_COUNTRIES = frozenset({"AU", "BR", "CA", "CN", "IE", "IN", "IT", "MX", "US"})


def _address(kind: str, *streets: str, name: str) -> AddressPreset:
    """The address of a kind, whose fields' names begin with ``name``."""
    return AddressPreset(
        types=(kind,),
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
            state_countries=STATE_COUNTRIES,
        ),
    )


ACCOUNT_PRESET = Preset(
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
        _address("billing", "street_1", "street_2", name="Billing"),
        _address("shipping", "street_1", "street_2", name="Shipping"),
    ),
)
_PERSONS_PHONES = MappingProxyType({"WORK": "Phone", "MAIN": "Phone", "FAX": "Fax", "MOBILE": "MobilePhone", OTHER_PHONE_TYPE: "Phone"})
CONTACT_PRESET = Preset(
    fields=MappingProxyType({"email": "Email", "first_name": "FirstName", "last_name": "LastName"}),
    phones=_PERSONS_PHONES,
    addresses=(_address("mailing", "street", name="Mailing"),),
)
LEAD_PRESET = Preset(
    fields=MappingProxyType({"email": "Email", "first_name": "FirstName", "last_name": "LastName", "company": "Company"}),
    phones=_PERSONS_PHONES,
    addresses=(_address("mailing", "street", name=""),),
)
