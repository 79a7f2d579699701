"""Where SugarCRM keeps the normalized fields, by its modules Accounts, Contacts and Leads."""

from __future__ import annotations

from types import MappingProxyType

from crm_pipeline.crms.preset import OTHER_PHONE_TYPE, AddressPreset, Preset

OWNER_FIELD = "assigned_user_id"


def _address(kind: str, prefix: str, *streets: str) -> AddressPreset:
    return AddressPreset(
        types=(kind,),
        fields=MappingProxyType(
            {
                f"{prefix}_address_street": streets,
                f"{prefix}_address_city": ("city",),
                f"{prefix}_address_state": ("state",),
                f"{prefix}_address_postalcode": ("postal_code",),
                f"{prefix}_address_country": ("country",),
            }
        ),
    )


ACCOUNT_PRESET = Preset(
    fields=MappingProxyType(
        {
            "name": "name",
            "description": "description",
            "industry": "industry",
            "website": "website",
            "number_of_employees": "employees",
        }
    ),
    phones=MappingProxyType({"WORK": "phone_office", "MAIN": "phone_office", "FAX": "phone_fax", OTHER_PHONE_TYPE: "phone_office"}),
    addresses=(
        _address("billing", "billing", "street_1", "street_2"),
        _address("shipping", "shipping", "street_1", "street_2"),
    ),
)
_PERSONS_PHONES = MappingProxyType(
    {"WORK": "phone_work", "MAIN": "phone_work", "FAX": "phone_fax", "MOBILE": "phone_mobile", OTHER_PHONE_TYPE: "phone_work"}
)
CONTACT_PRESET = Preset(
    fields=MappingProxyType({"email": "email1", "first_name": "first_name", "last_name": "last_name"}),
    phones=_PERSONS_PHONES,
    addresses=(_address("mailing", "primary", "street"),),
)
LEAD_PRESET = Preset(
    fields=MappingProxyType({"email": "email1", "first_name": "first_name", "last_name": "last_name", "company": "account_name"}),
    phones=_PERSONS_PHONES,
    addresses=(_address("mailing", "primary", "street"),),
)
