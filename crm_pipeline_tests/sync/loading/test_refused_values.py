"""A value that the CRM refuses though its description allowed it follows its mapping, as one that was foreseen would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sandbox.salesforce import SalesforceOrg
from crm_pipeline.sandbox.salesforce.org import ValidationRule
from crm_pipeline.store.database import Store
from crm_pipeline_tests.sync.conftest import ACCOUNT, Bench, customer, signed_in_sandbox

TESTING = "\U0001f9ea"


def spec_of(bench: Bench, **mapped: Any) -> IntegrationSpec:
    return bench.spec(accounts={"map": {"name": "customer_name", **mapped}})


def load_after(bench: Bench, spec: IntegrationSpec, change: Callable[[], None]) -> None:
    """Load with a client that read the fields before they changed in the CRM."""
    crm = bench.connect(spec)
    crm.fields(bench.object(ACCOUNT))
    change()
    bench.load(spec, ACCOUNT, connect=lambda _: crm)


def reasons(bench: Bench) -> dict[int, tuple[str, str | None]]:
    return {row[0]: row[1:] for row in bench.rows("SELECT qbench_id, outcome, reason FROM crm_pipeline.outcome")}


def shorten_description(bench: Bench) -> None:
    bench.sandbox.org.change_field("Account", "Description", length=20)


def retire_industries(bench: Bench) -> None:
    if bench.crm == "salesforce":
        bench.sandbox.org.change_field("Account", "Industry", restricted_picklist=True, picklist=("Energy",))
    else:
        store = bench.sandbox.portal.store("companies")
        known = store.properties["industry"]
        store.define(replace(known, options=known.options[:1]))


def test_an_option_that_the_crm_took_back_is_left_out_and_named(bench: Bench) -> None:
    spec = spec_of(bench, industry="industry")
    bench.stage(spec, ACCOUNT, customer(1, industry="Biotechnology"), customer(2))
    load_after(bench, spec, lambda: retire_industries(bench))
    assert bench.names() == ["Lab 1", "Lab 2"]
    field = "Industry" if bench.crm == "salesforce" else "industry"
    assert reasons(bench) == {1: ("created", f"omitted: {field}"), 2: ("created", None)}


def test_a_refused_option_fails_the_record_where_the_mapping_says_so(bench: Bench) -> None:
    spec = spec_of(bench, industry={"from": "industry", "on_invalid": "fail"})
    bench.stage(spec, ACCOUNT, customer(1, industry="Biotechnology"), customer(2))
    load_after(bench, spec, lambda: retire_industries(bench))
    assert bench.outcomes() == {1: ("failed", "InvalidOptionException"), 2: ("created", None)}


@pytest.mark.parametrize(("on_invalid", "kept"), [("omit", None), ("truncate", "Water and soil tests")])
def test_a_text_that_turns_out_too_long_follows_its_mapping(salesforce: Bench, on_invalid: str, kept: str | None) -> None:
    spec = spec_of(salesforce, description={"from": "comments", "on_invalid": on_invalid})
    salesforce.sandbox.org.change_field("Account", "Description", length=30)
    salesforce.stage(spec, ACCOUNT, customer(1, comments="Water and soil tests and more of all"))

    def told_of_bytes() -> None:
        salesforce.sandbox.org.change_field("Account", "Description", length=20)

    load_after(salesforce, spec, told_of_bytes)
    assert salesforce.outcomes() == {1: ("created", None)}
    assert salesforce.sandbox.org.records("Account")[0]["Description"] in (None, kept)


def test_a_text_is_cut_by_the_strictest_way_of_counting_where_the_crm_takes_no_other(salesforce: Bench) -> None:
    spec = spec_of(salesforce, description={"from": "comments", "on_invalid": "truncate"})
    salesforce.sandbox.org.change_field("Account", "Description", length=30)
    salesforce.stage(spec, ACCOUNT, customer(1, comments=TESTING * 15))
    load_after(salesforce, spec, lambda: shorten_description(salesforce))
    assert salesforce.sandbox.org.records("Account")[0]["Description"] == TESTING * 7
    assert reasons(salesforce) == {1: ("created", "truncated: Description")}


def test_a_name_that_turns_out_too_long_fails(salesforce: Bench) -> None:
    spec = spec_of(salesforce)
    salesforce.stage(spec, ACCOUNT, customer(1, customer_name="A long name of a laboratory"), customer(2))
    load_after(salesforce, spec, lambda: salesforce.sandbox.org.change_field("Account", "Name", length=10))
    assert salesforce.outcomes() == {1: ("failed", "ValueTooLongException"), 2: ("created", None)}


def test_a_validation_rule_is_not_passed_by_leaving_its_field_out(salesforce: Bench) -> None:
    rule = ValidationRule("Account", lambda record: bool(record.get("Description")), field="Description")
    salesforce.sandbox.org.add_validation_rule(rule)
    spec = spec_of(salesforce, description="comments")
    salesforce.stage(spec, ACCOUNT, customer(1, comments="Water"))
    salesforce.load(spec, ACCOUNT)
    assert salesforce.outcomes() == {1: ("failed", "InvalidValueException")}


def test_a_refused_value_costs_one_more_call_and_an_unchanged_record_none(salesforce: Bench) -> None:
    spec = spec_of(salesforce, industry="industry")
    salesforce.stage(spec, ACCOUNT, *(customer(number, industry="Biotechnology") for number in range(1, 30)))
    load_after(salesforce, spec, lambda: retire_industries(salesforce))
    assert salesforce.calls["write"] == 2
    salesforce.load(spec, ACCOUNT)
    assert salesforce.calls.get("write", 0) == 0


@pytest.mark.parametrize(
    ("place", "kept"), [({"country": "Korea"}, (None, None, None)), ({"state": "Nowhere"}, ("Austin", "United States", None))]
)
def test_a_place_that_only_the_answer_shows_to_be_unlisted_leaves_out_what_hangs_on_it(
    store: Store, place: dict[str, Any], kept: tuple[str | None, ...]
) -> None:
    org = SalesforceOrg(external_keys=True, state_country_picklists=True)
    for field in ("BillingCountryCode", "BillingStateCode", "ShippingCountryCode", "ShippingStateCode"):
        org.hide_field("Account", field)
    with signed_in_sandbox(org) as sandbox:
        bench = Bench(sandbox, store, "salesforce")
        spec = spec_of(bench, address={"city": "city", "state": "state", "country": "country"})
        bench.stage(spec, ACCOUNT, customer(1, **({"city": "Austin", "country": "US"} | place)))
        bench.load(spec, ACCOUNT)
        assert bench.outcomes() == {1: ("created", None)}
        (record,) = sandbox.org.records("Account")
        assert tuple(record[f"Billing{part}"] for part in ("City", "Country", "State")) == kept


def test_the_tenants_time_zone_counts_for_mapped_dates(salesforce: Bench) -> None:
    salesforce.sandbox.org.add_field("Account", name="Visited__c", type="datetime")
    spec = spec_of(salesforce, **{"salesforce.Visited__c": "visited"})
    spec = spec.model_copy(update={"qbench": spec.qbench.model_copy(update={"time_zone": "America/Chicago"})})
    salesforce.stage(spec, ACCOUNT, customer(1, visited="07/01/2026 08:00 AM"))
    salesforce.load(spec, ACCOUNT)
    assert str(salesforce.sandbox.org.records("Account")[0]["Visited__c"]).startswith("2026-07-01T13:00:00")
