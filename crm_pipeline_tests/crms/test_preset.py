"""Where a CRM keeps phone numbers, also one that keeps few or none."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from crm_pipeline.crms.preset import OTHER_PHONE_TYPE, Preset


@pytest.mark.parametrize(
    ("phones", "field"),
    [
        ({}, None),
        ({"FAX": "Fax"}, None),
        ({"FAX": "Fax", OTHER_PHONE_TYPE: "Phone"}, "Phone"),
        ({"MOBILE": "Mobile"}, "Mobile"),
        ({"MOBILE": "", OTHER_PHONE_TYPE: "Phone"}, None),
    ],
)
def test_phone_type_without_a_field_of_its_own_goes_to_the_field_for_others_where_there_is_one(
    phones: Mapping[str, str], field: str | None
) -> None:
    assert Preset(fields={}, phones=phones, addresses=()).phone_field("MOBILE") == field
