"""What the site says of its fields is all that stands between a value and a record that is cut or wrong: it refuses nothing itself."""

from __future__ import annotations

import pytest

from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.sugarcrm import ACCOUNTS, CONTACTS
from crm_pipeline.crms.sugarcrm.fields import crm_fields


def test_lengths_options_and_required_fields_are_told_so_that_values_can_be_checked_before_they_are_sent(crm: Crm) -> None:
    fields = crm.fields(ACCOUNTS).set_index("name")
    assert fields.loc[["name", "billing_address_city", "employees"], "length"].tolist() == [150, 100, 10]
    assert fields.loc["industry", "restricted"]
    assert ("Banking", "Banking") in fields.loc["industry", "options"]
    assert fields.index[fields["required"]].tolist() == ["name"]
    assert crm.fields(CONTACTS).set_index("name").loc["email1", ["type", "length"]].tolist() == ["email", 255]


def test_fields_that_the_site_sets_itself_are_not_written(crm: Crm) -> None:
    fields = crm.fields(ACCOUNTS).set_index("name")
    assert not fields.loc[["id", "date_entered", "date_modified", "modified_user_id", "created_by", "deleted"], "updatable"].any()


@pytest.mark.parametrize(("told", "length"), [(150, 150), ("150", 150), ("", None), (None, None), ("26,6", None), (0, None)])
def test_length_comes_as_a_number_or_a_text_or_not_at_all(told: object, length: int | None) -> None:
    [shown] = crm_fields([{"name": "x", "type": "varchar", "len": told}])["length"].astype("object").where(lambda one: one.notna(), None)
    assert shown == length
