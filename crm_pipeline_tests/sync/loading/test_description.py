"""What a CRM said of its fields is kept for the next loads, and never makes a record go wrong."""

from __future__ import annotations

import threading
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from crm_pipeline.crms.base import Crm
from crm_pipeline.errors import MappingError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.hubspot.properties import Option, Property
from crm_pipeline.sandbox.salesforce.org import ValidationRule
from crm_pipeline.store.staging import Window
from crm_pipeline.sync.loading.preview import Preview
from crm_pipeline.sync.planning.planned_accounts import PlannedAccounts
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, EVERYTHING, LEAN_ACCOUNT_MAP, Bench, Sugar, contact, customer
from crm_pipeline_tests.sync.loading.test_jobs import killed

CHOICES = {"map": {**LEAN_ACCOUNT_MAP, "industry": {"from": "industry", "on_invalid": "omit"}}}
SHORTENED = {"map": {"name": "customer_name", "description": {"from": "comments", "on_invalid": "truncate"}}}


def edited(bench: Bench, spec: IntegrationSpec, version: int, **content: Any) -> None:
    """Load an edit of the one customer."""
    bench.stage(spec, ACCOUNT, customer(1, version, **content))
    bench.load(spec, ACCOUNT)


def described(bench: Bench) -> int:
    """How often the load asked for the fields."""
    return bench.calls.get("describe", 0)


def kept(bench: Bench) -> list[str]:
    """The objects of which descriptions are kept."""
    return [name for (name,) in bench.rows("SELECT object FROM crm_pipeline.description ORDER BY object")]


def older_by(bench: Bench, age: timedelta) -> None:
    """Let time pass for what is kept."""
    with bench.store.transaction() as connection:
        connection.execute(text("UPDATE crm_pipeline.description SET read_at = read_at - CAST(:age AS interval)"), {"age": age})


def offer(bench: Bench, *choices: str) -> None:
    """Let the CRM have these industries, and no other ones."""
    if bench.crm == "salesforce":
        bench.sandbox.org.change_field("Account", "Industry", picklist=choices, restricted_picklist=True)
        return
    portal, options = bench.sandbox.portal, tuple(Option(choice, choice) for choice in choices)
    portal.remove_property("companies", "industry")
    portal.add_property("companies", Property("industry", "Industry", type="enumeration", field_type="select", options=options))


def industries(bench: Bench) -> list[str | None]:
    """The industries of the CRM's accounts."""
    if bench.crm == "salesforce":
        return [record["Industry"] for record in bench.sandbox.org.records("Account")]
    return [record["properties"].get("industry") for record in bench.sandbox.portal.records("companies")]


def test_load_asks_for_the_fields_once_in_a_few_hours(bench: Bench) -> None:
    spec = bench.spec()
    asked = []
    for version, age in ((100, 0), (200, 0), (300, 5), (400, 2), (500, 0)):
        older_by(bench, timedelta(hours=age))
        edited(bench, spec, version, comments=f"Edit {version}")
        asked.append(described(bench))
    assert asked == [1, 0, 0, 1, 0]


def test_hour_with_changes_of_both_objects_costs_one_call_beside_the_writes(bench: Bench) -> None:
    spec = bench.spec()

    def load_both(version: int) -> dict[str, int]:
        bench.stage(spec, ACCOUNT, customer(1, version, comments=f"Edit {version}"), customer(2, version, comments=f"Edit {version}"))
        bench.stage(spec, CONTACT, *(contact(number, version, of=1, last_name=f"Name {version}") for number in (1, 2)))
        client: Crm = bench.connect(spec)
        for record_type in (ACCOUNT, CONTACT):
            bench.load(spec, record_type, connect=lambda _: client)
        return client.calls.snapshot()

    load_both(100)
    assert load_both(200) == {"sign_in": 1, "write": 2}


def test_settings_can_have_the_fields_asked_for_every_time(bench: Bench) -> None:
    spec = bench.spec(settings={"fields_kept_hours": 0})
    for version in (100, 200):
        edited(bench, spec, version, comments=f"Edit {version}")
        assert described(bench) == 1
    assert kept(bench) == []


@pytest.mark.parametrize("of_another", ["org_id", "settings"])
def test_what_another_organization_or_other_settings_were_told_does_not_count(salesforce: Bench, of_another: str) -> None:
    spec = salesforce.spec()
    edited(salesforce, spec, 100)
    salesforce.rows(f"UPDATE crm_pipeline.description SET {of_another} = 'another' RETURNING 1")
    edited(salesforce, spec, 200, comments="Edit")
    assert described(salesforce) == 1


def test_what_is_read_back_is_understood_by_what_the_crm_says_now(bench: Bench) -> None:
    spec = bench.spec(
        accounts={"map": {"name": "customer_name", "description": {"from": "comments", "direction": "both"}}},
        qbench={**bench.spec().qbench.model_dump(mode="json", exclude_unset=True), "writes": True},
    )
    for version in (100, 200):
        edited(bench, spec, version, comments=f"Edit {version}")
        assert described(bench) == 1
    assert kept(bench) == []


def test_crm_that_takes_any_value_is_asked_every_time(sugar: Sugar) -> None:
    spec = sugar.spec()
    for version in (100, 200):
        edited(sugar, spec, version, comments=f"Edit {version}")
        assert described(sugar) == 1
    assert kept(sugar) == []


def test_what_a_person_asks_for_goes_by_what_the_crm_says_now(bench: Bench) -> None:
    spec = bench.spec()
    edited(bench, spec, 100)
    bench.stage(spec, ACCOUNT, customer(1, 200, comments="Edit"))
    bench.load(spec, ACCOUNT, refused="again")
    assert described(bench) == 1


def test_preview_goes_by_what_the_crm_says_now(bench: Bench) -> None:
    offer(bench, "Water", "Soil")
    spec = bench.spec(accounts=CHOICES)
    edited(bench, spec, 100, industry="Water")
    offer(bench, "Water")
    bench.stage(spec, ACCOUNT, customer(1, 200, industry="Soil", comments="Edit"))
    with closing(bench.connect(spec)) as crm:
        preview = Preview(store=bench.store, crm=crm, accounts=PlannedAccounts(bench.order(spec, ACCOUNT).state))
        assert set(preview.forecast(bench.order(spec, ACCOUNT), EVERYTHING).fields) & {"Industry", "industry"} == set()


def test_choice_that_is_new_is_sent_at_once(bench: Bench) -> None:
    offer(bench, "Water")
    spec = bench.spec(accounts=CHOICES)
    edited(bench, spec, 100, industry="Water")
    offer(bench, "Water", "Soil")
    edited(bench, spec, 200, industry="Soil")
    assert (industries(bench), described(bench)) == (["Soil"], 1)


def test_choice_that_is_gone_is_left_out_and_named_and_not_sent_again(bench: Bench) -> None:
    offer(bench, "Water", "Soil")
    spec = bench.spec(accounts=CHOICES)
    edited(bench, spec, 100, industry="Water")
    offer(bench, "Water")
    edited(bench, spec, 200, industry="Soil", comments="Edit")
    assert (industries(bench), described(bench)) == (["Water"], 1)
    edited(bench, spec, 300, industry="Soil", comments="Another edit")
    assert bench.calls["write"] == 1
    assert [reason for (reason,) in bench.rows("SELECT lower(reason) FROM crm_pipeline.outcome")] == ["omitted: industry"]


def test_field_that_was_made_since_can_be_mapped_at_once(bench: Bench) -> None:
    edited(bench, bench.spec(), 100)
    field = {"salesforce": "Lab_Size__c", "hubspot": "lab_size"}[bench.crm]
    if bench.crm == "salesforce":
        bench.sandbox.org.add_field("Account", name=field, type="string", length=40)
    else:
        bench.sandbox.portal.add_property("companies", Property(field, "Lab size"))
    spec = bench.spec(accounts={"map": {"name": "customer_name", f"{bench.crm}.{field}": "size"}})
    edited(bench, spec, 200, size="Large")
    assert described(bench) == 1
    assert bench.values(ACCOUNT, field) == ["Large"]


def test_field_that_takes_more_than_it_did_gets_it(salesforce: Bench) -> None:
    org, spec = salesforce.sandbox.org, salesforce.spec(accounts=SHORTENED)
    org.change_field("Account", "Description", length=10)
    edited(salesforce, spec, 100, comments="Short")
    org.change_field("Account", "Description", length=100)
    edited(salesforce, spec, 200, comments="Longer than ten letters")
    assert [record["Description"] for record in org.records("Account")] == ["Longer than ten letters"]


def test_field_that_takes_less_than_it_did_gets_what_it_takes(salesforce: Bench) -> None:
    org, spec = salesforce.sandbox.org, salesforce.spec(accounts=SHORTENED)
    edited(salesforce, spec, 100, comments="Short")
    org.change_field("Account", "Description", length=10)
    edited(salesforce, spec, 200, comments="Longer than ten letters")
    assert [record["Description"] for record in org.records("Account")] == ["Longer tha"]
    assert described(salesforce) == 1


def test_field_that_has_become_another_type_gets_its_values_in_their_new_form(salesforce: Bench) -> None:
    org = salesforce.sandbox.org
    spec = salesforce.spec(accounts={"map": {"name": "customer_name", "salesforce.Site": "site"}})
    edited(salesforce, spec, 100, site="1")
    org.change_field("Account", "Site", type="double", digits=18)
    salesforce.stage(spec, ACCOUNT, *(customer(number, 200, site=str(number + 6)) for number in (1, 2, 3)))
    report = salesforce.load(spec, ACCOUNT, frame_rows=1)
    assert sorted(record["Site"] for record in org.records("Account")) == [7, 8, 9]
    assert (dict(report.outcomes), described(salesforce)) == ({"updated": 1, "created": 2}, 1)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_what_was_refused_before_a_load_was_killed_is_planned_again_by_the_next_whatever_its_hour(
    salesforce: Bench, database_url: str
) -> None:
    org = salesforce.sandbox.org
    spec = salesforce.spec(accounts={"map": {"name": "customer_name", "salesforce.Site": "site"}})
    edited(salesforce, spec, 100, site="1")
    org.change_field("Account", "Site", type="double", digits=18)
    salesforce.stage(spec, ACCOUNT, *(customer(number, 200, site=str(number)) for number in (1, 2)))
    lands = threading.Event()
    second = Fault(service="salesforce", path="composite/sobjects", kind="delay", skip=1, until=lands)
    salesforce.sandbox.faults.add(second)
    killed(salesforce, spec, database_url, when=lambda: second not in salesforce.sandbox.faults.open())
    assert salesforce.outcomes()[2] == ("failed", "InvalidValueException")
    salesforce.load(spec, ACCOUNT, window=Window(since=3_600, until=7_200))
    lands.set()
    assert salesforce.outcomes()[2] == ("created", None)
    assert org.records("Account")[1]["Site"] == 2


def test_field_that_a_record_must_fill_since_is_named_for_those_that_do_not(salesforce: Bench) -> None:
    org = salesforce.sandbox.org
    spec = salesforce.spec(accounts={"map": {"name": "customer_name", "salesforce.Site": "site"}})
    edited(salesforce, spec, 100, site="Main")
    org.change_field("Account", "Site", nillable=False)
    salesforce.stage(spec, ACCOUNT, customer(2, 200), customer(3, 200, site="North"))
    salesforce.load(spec, ACCOUNT)
    assert described(salesforce) == 1
    assert salesforce.outcomes() == {1: ("unchanged", None), 2: ("failed", "RequiredFieldException"), 3: ("created", None)}


def test_record_that_is_refused_for_another_reason_is_sent_once_more_and_counted_once(salesforce: Bench) -> None:
    org, spec = salesforce.sandbox.org, salesforce.spec()
    salesforce.stage(spec, ACCOUNT, customer(1), customer(2))
    salesforce.load(spec, ACCOUNT)
    org.change_field("Account", "Site", length=10)
    org.add_validation_rule(ValidationRule("Account", lambda row: row.get("Description") == "bad", "No."))
    salesforce.stage(spec, ACCOUNT, customer(1, 200, comments="bad"), customer(2, 200, comments="good"))
    report = salesforce.load(spec, ACCOUNT)
    assert (described(salesforce), salesforce.calls["write"]) == (1, 2)
    assert salesforce.outcomes() == {1: ("failed", "InvalidValueException"), 2: ("updated", None)}
    assert dict(report.outcomes) == {"failed": 1, "updated": 1}


def test_call_that_is_refused_whole_is_planned_by_what_the_crm_says_now(salesforce: Bench) -> None:
    spec = salesforce.spec()
    edited(salesforce, spec, 100)
    salesforce.sandbox.org.change_field("Account", "Site", length=10)
    body = [{"errorCode": "INVALID_FIELD", "message": "QBench_Id__c does not match an External ID", "fields": ["QBench_Id__c"]}]
    salesforce.sandbox.faults.add(Fault(path="Account/QBench_Id__c$", kind="status", status=400, body=body))
    salesforce.stage(spec, ACCOUNT, customer(2, 200))
    salesforce.load(spec, ACCOUNT)
    assert described(salesforce) == 1
    assert salesforce.outcomes() == {1: ("unchanged", None), 2: ("created", None)}


def test_field_that_is_gone_stops_the_load_as_ever(bench: Bench) -> None:
    field = {"salesforce": "Site", "hubspot": "domain"}[bench.crm]
    spec = bench.spec(accounts={"map": {"name": "customer_name", f"{bench.crm}.{field}": "site"}})
    edited(bench, spec, 100, site="main.example.org")
    if bench.crm == "salesforce":
        bench.sandbox.org.hide_field("Account", field)
    else:
        bench.sandbox.portal.remove_property("companies", field)
    with pytest.raises(MappingError, match=field):
        edited(bench, spec, 200, site="north.example.org")
    assert described(bench) == 1


def test_key_that_is_gone_stops_the_load_as_ever(bench: Bench) -> None:
    key = {"salesforce": "QBench_Id__c", "hubspot": "qbench_id"}[bench.crm]
    spec = bench.spec()
    edited(bench, spec, 100)
    if bench.crm == "salesforce":
        bench.sandbox.org.hide_field("Account", key)
    else:
        bench.sandbox.portal.remove_property("companies", key)
    bench.stage(spec, ACCOUNT, customer(2, 200))
    with pytest.raises(MappingError, match=key):
        bench.load(spec, ACCOUNT)
    assert described(bench) == 1
