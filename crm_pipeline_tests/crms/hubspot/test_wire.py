"""How values go to HubSpot, and how its properties are described."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crm_pipeline.crms.hubspot.wire import crm_field, to_wire


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (None, ""),
        ("Łódź", "Łódź"),
        (True, "true"),
        (np.False_, "false"),
        (10, "10"),
        (np.int64(10), "10"),
        (10.0, "10"),
        (10.25, "10.25"),
        (date(2026, 11, 22), "2026-11-22"),
        (datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC), "2026-11-22T01:02:03.000Z"),
        (pd.Timestamp("2026-11-22T01:02:03+01:00"), "2026-11-22T00:02:03.000Z"),
        (["a", "b"], "a;b"),
    ],
)
def test_value_is_sent_as_text(value: object, sent: str) -> None:
    assert to_wire(value) == sent


@pytest.mark.parametrize(
    ("described", "kind"),
    [
        ({"name": "city", "type": "string", "fieldType": "text"}, "text"),
        ({"name": "phone", "type": "string", "fieldType": "phonenumber"}, "phone"),
        ({"name": "email", "type": "string", "fieldType": "text"}, "email"),
        ({"name": "numberofemployees", "type": "number", "fieldType": "number"}, "integer"),
        ({"name": "annualrevenue", "type": "number", "fieldType": "number"}, "number"),
        ({"name": "is_public", "type": "bool", "fieldType": "booleancheckbox"}, "boolean"),
        ({"name": "tags", "type": "enumeration", "fieldType": "checkbox"}, "multi_choice"),
        ({"name": "hubspot_owner_id", "type": "enumeration", "fieldType": "select", "externalOptions": True}, "reference"),
        ({"name": "new", "type": "string", "fieldType": "something_new"}, "text"),
        ({"name": "new", "type": "something_new"}, "other"),
        ({"name": "bare"}, "other"),
    ],
)
def test_property_type_is_ours(described: dict[str, Any], kind: str) -> None:
    assert crm_field(described)["type"] == kind


def test_unique_writable_text_may_be_the_external_key() -> None:
    described = {"name": "qbench_id", "type": "string", "fieldType": "text", "hasUniqueValue": True}
    assert crm_field(described)["external_key"]
    assert not crm_field({**described, "modificationMetadata": {"readOnlyValue": True}})["external_key"]
    assert not crm_field({**described, "name": "email"})["external_key"]


def test_read_only_and_calculated_properties_are_not_writable() -> None:
    for mark in ({"modificationMetadata": {"readOnlyValue": True}}, {"calculated": True}):
        field = crm_field({"name": "x", "type": "string", "fieldType": "text", **mark})
        assert (field["creatable"], field["updatable"]) == (False, False)


def test_enumeration_takes_only_its_options() -> None:
    options = [{"label": "Biotech", "value": "BIOTECHNOLOGY"}]
    field = crm_field({"name": "industry", "type": "enumeration", "fieldType": "select", "options": options})
    assert (field["restricted"], field["options"]) == (True, [("BIOTECHNOLOGY", "Biotech")])
