"""Where HubSpot keeps the normalized fields, by its standard objects company and contact."""

from __future__ import annotations

from types import MappingProxyType

from crm_pipeline.crms.preset import OTHER_PHONE_TYPE, AddressPreset, Preset

OWNER_FIELD = "hubspot_owner_id"

_PLACE = {"city": ("city",), "state": ("state",), "zip": ("postal_code",), "country": ("country",)}

COMPANY_PRESET = Preset(
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
            fields=MappingProxyType({"address": ("street_1",), "address2": ("street_2",), **_PLACE}),
            separator=", ",
        ),
    ),
)
CONTACT_PRESET = Preset(
    fields=MappingProxyType({"email": "email", "first_name": "firstname", "last_name": "lastname"}),
    phones=MappingProxyType({"WORK": "phone", "MAIN": "phone", "FAX": "", "MOBILE": "mobilephone", OTHER_PHONE_TYPE: "phone"}),
    addresses=(
        AddressPreset(
            types=("mailing",),
            fields=MappingProxyType({"address": ("street",), **_PLACE}),
            separator=", ",
        ),
    ),
)
