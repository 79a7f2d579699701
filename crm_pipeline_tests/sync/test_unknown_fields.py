"""A QBench field that the YAML names and no staged record has is told, and no other."""

from __future__ import annotations

from typing import Any

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.store.raw_fields import NEWEST
from crm_pipeline.sync.unknown_fields import unknown_fields
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, Bench, contact, customer


def spec_of(bench: Bench, **accounts: Any) -> IntegrationSpec:
    mapped = {"name": "customer_name", "description": {"from": "comentts", "default": "none"}, "address": {"city": "city_name"}}
    return bench.spec(accounts={"map": mapped, **accounts})


def unknown(bench: Bench, spec: IntegrationSpec, *, newest: int | None = None) -> list[str]:
    with bench.store.transaction() as connection:
        return unknown_fields(connection, spec.name, spec.records[ACCOUNT], newest=newest)


def test_a_field_that_no_record_has_is_named_and_one_that_is_blank_is_not(hubspot: Bench) -> None:
    spec = spec_of(hubspot)
    assert unknown(hubspot, spec) == []
    hubspot.stage(spec, ACCOUNT, customer(1, city_name=None), customer(2))
    assert unknown(hubspot, spec) == unknown(hubspot, spec, newest=NEWEST) == ["comentts"]


def test_one_record_that_has_the_field_is_enough_if_it_is_looked_at(hubspot: Bench) -> None:
    spec = spec_of(hubspot)
    hubspot.stage(spec, ACCOUNT, customer(1, comentts="x"), customer(2, version=200, city_name=None))
    assert (unknown(hubspot, spec), unknown(hubspot, spec, newest=1)) == ([], ["comentts"])


def test_fields_of_match_keys_and_rules_are_looked_for_too(hubspot: Bench) -> None:
    rules = {"sync_on": [{"field": "customercode", "in": {"hubspot": "name"}}], "only": {"any": [{"field": "statuss", "is_blank": True}]}}
    spec = spec_of(hubspot, **rules)
    hubspot.stage(spec, ACCOUNT, customer(1, city_name="Austin"))
    assert unknown(hubspot, spec) == ["comentts", "customercode", "statuss"]


def test_a_customers_field_in_a_contacts_rule_is_looked_for_among_customers(hubspot: Bench) -> None:
    mapped = {"email": "email_address", "last_name": "last_name"}
    rule = {"any": [{"field": "customer.groupname", "is_blank": True}, {"field": "customer.group_name", "is_blank": True}]}
    spec = hubspot.spec(contacts={"map": mapped, "only": rule})
    hubspot.stage(spec, ACCOUNT, customer(1, group_name=None))
    hubspot.stage(spec, CONTACT, contact(2, of=1))
    with hubspot.store.transaction() as connection:
        assert unknown_fields(connection, spec.name, spec.records[CONTACT]) == ["customer.groupname"]
