from __future__ import annotations

from itertools import chain

import pytest

from crm_pipeline.crms import crm_kinds
from crm_pipeline.errors import ConfigurationError
from crm_pipeline.mapping.presets import preset, preset_field
from crm_pipeline.model import CONTACT_ADDRESS_PARTS, MODELS, RecordType


def test_unknown_crm_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"pipedrive.*hubspot, salesforce"):
        preset("pipedrive", RecordType.ACCOUNT)


def test_every_preset_field_is_a_normalized_one() -> None:
    for kind in crm_kinds().values():
        for crm_object in chain.from_iterable(kind.objects.values()):
            table, names = crm_object.preset, set(MODELS[crm_object.record_type].by_name)
            assert set(table.fields) <= names
            for address in table.addresses:
                assert {f"{kind}_{part}" for kind in address.types for parts in address.fields.values() for part in parts} <= names


def test_every_address_part_has_a_crm_field() -> None:
    for kind in crm_kinds().values():
        for address in kind.usual(RecordType.CONTACT).preset.addresses:
            assert {part for parts in address.fields.values() for part in parts} == set(CONTACT_ADDRESS_PARTS)


@pytest.mark.parametrize(
    ("crm", "record_type", "phone_type", "field"),
    [
        ("salesforce", RecordType.ACCOUNT, "FAX", "Fax"),
        ("salesforce", RecordType.ACCOUNT, "MOBILE", "Phone"),
        ("salesforce", RecordType.CONTACT, "MOBILE", "MobilePhone"),
        ("salesforce", RecordType.CONTACT, "CARRIER PIGEON", "Phone"),
        ("hubspot", RecordType.CONTACT, "MAIN", "phone"),
        ("hubspot", RecordType.CONTACT, "MOBILE", "mobilephone"),
        ("hubspot", RecordType.ACCOUNT, "FAX", None),
    ],
)
def test_phone_type_decides_the_crm_field(crm: str, record_type: RecordType, phone_type: str, field: str | None) -> None:
    assert preset(crm, record_type).phone_field(phone_type) == field


def test_preset_names_the_crm_field_of_a_plain_field() -> None:
    assert preset_field("hubspot", RecordType.CONTACT, "email") == "email"
    assert preset_field("hubspot", RecordType.CONTACT, "phone") is None
