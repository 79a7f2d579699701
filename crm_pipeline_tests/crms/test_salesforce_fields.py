"""What Salesforce's description of its fields is to the rest of the package."""

from __future__ import annotations

import pytest

from crm_pipeline.crms.salesforce.fields import crm_fields


@pytest.mark.parametrize(
    ("type_", "ours"),
    [("string", "text"), ("currency", "number"), ("multipicklist", "multi_choice"), ("encryptedstring", "other"), ("location", "other")],
)
def test_field_that_shows_no_plain_value_is_none_of_the_known_types(type_: str, ours: str) -> None:
    described = {"name": "X__c", "type": type_, "createable": True, "updateable": True, "nillable": True}
    assert crm_fields([described])["type"].tolist() == [ours]
