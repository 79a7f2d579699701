"""Which QBench fields the sync may write something of its own into, and what may be written there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline_tests.tenants import NOTHING

MAP = {
    "name": {"from": "customer_name", "direction": "both"},
    "industry": "branch",
    "address": {"city": "town"},
    "hubspot.crm_state": "crm_status",
}


def refusal(
    *,
    flag: Mapping[str, Any] | None = None,
    marker: str | None = None,
    create: Mapping[str, Any] | None = None,
    mapped: Mapping[str, Any] = NOTHING,
    **contacts: Any,
) -> str:
    """What is said of an integration that writes this into QBench; nothing where it may."""
    env = {"env": "SECRET"}
    from_crm: dict[str, Any] = {} if flag is None else {"when_deleted": {"flag": flag}}
    from_crm |= {} if create is None else {"create": create}
    attributes = {
        "name": "acme",
        "start": "2026-11-01T00:00Z",
        "qbench": {"url": "https://acme.qbench.net", "client_id": env, "client_secret": env, "writes": True, "marker_field": marker},
        "crms": {"salesforce": {"domain": "acme.my", "client_id": env, "client_secret": env}, "hubspot": {"token": env}},
        "accounts": {
            "map": {**MAP, **mapped},
            "sync_on": [{"field": "customer_code", "in": {"salesforce": "Code__c"}}],
            "from_crm": from_crm,
        },
        "contacts": {"map": {"email": "email_address"}, **contacts},
    }
    try:
        IntegrationSpec.model_validate(attributes)
    except ValidationError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("field", ["crm_status", "status", "Gelöscht?"])
def test_field_that_nothing_else_fills_may_say_that_a_crm_deleted_the_record(field: str) -> None:
    assert refusal(flag={"field": field, "value": "deleted"}) == ""


@pytest.mark.parametrize("field", ["zip_postal_code", "branch", "town", "customer_code"])
def test_flag_that_would_write_over_what_describes_the_record_is_refused(field: str) -> None:
    said = refusal(flag={"field": field, "value": "deleted"})
    assert f"when_deleted.flag.field: `{field}` holds what describes the record" in said


@pytest.mark.parametrize(("field", "why"), [(" ", "names no field"), ("crm_key", "`crm_key` is `qbench.marker_field` already")])
def test_flag_without_a_field_of_its_own_is_refused(field: str, why: str) -> None:
    assert why in refusal(flag={"field": field, "value": "deleted"}, marker="crm_key")


@pytest.mark.parametrize("value", ["", "  ", False])
def test_flag_that_says_nothing_is_refused(value: object) -> None:
    assert "flag.value" in refusal(flag={"field": "crm_status", "value": value})


@pytest.mark.parametrize("value", ["deleted", True, 1, 0])
def test_flag_says_a_word_a_number_or_true(value: object) -> None:
    assert refusal(flag={"field": "crm_status", "value": value}) == ""


@pytest.mark.parametrize("marker", ["customer_name", "id", "branch", "comments"])
def test_mark_of_the_crm_record_has_a_field_of_its_own(marker: str) -> None:
    assert "qbench.marker_field: " in refusal(marker=marker, create={})
    assert refusal(marker="crm_key", create={}) == ""


def test_rule_about_a_crm_of_which_no_record_is_made_is_refused() -> None:
    name = {"from": "customer_name", "direction": {"salesforce": "both"}}
    said = refusal(create={"only": {"field": "hubspot.type", "is": "x"}}, mapped={"name": name})
    assert "`hubspot.type` is no field of a CRM of which records are made; write `<crm>.<field>` with one of: salesforce" in said


def test_list_of_a_crm_does_not_say_who_is_inactive() -> None:
    """Every contact would be, and go to the bin."""
    said = refusal(flag={"field": "crm_status", "value": "x"}, inactive={"crm_list": {"hubspot": "Left"}}, delete_inactive=True)
    assert "contacts.inactive.crm_list: stands in the `only` of accounts or contacts" in said


def test_list_without_a_name_is_refused() -> None:
    said = refusal(flag={"field": "crm_status", "value": "x"}, only={"crm_list": {"hubspot": " "}})
    assert "crm_list.hubspot" in said
    assert "names no list; give its name or its id" in said
