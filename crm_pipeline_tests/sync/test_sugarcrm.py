"""SugarCRM in loads and on the way back: ids of our own in the place of a unique field, values that it keeps otherwise."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from crm_pipeline.errors import ConfigurationError, ServiceError
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.store.staging import EVERYTHING
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, LEAN_ACCOUNT_MAP, LEAN_CONTACT_MAP, Sugar, contact, customer
from crm_pipeline_tests.sync.returning.home import Home
from crm_pipeline_tests.tenants import both_ways


def test_records_arrive_with_their_accounts_and_again_nothing_is_written(sugar: Sugar) -> None:
    spec = sugar.spec()
    there = sugar.site.add("Accounts", {"name": "LAB 2"})
    for version in (100, 200):
        sugar.stage(spec, ACCOUNT, *(customer(number, version, comments="O'B <3") for number in (1, 2)))
        sugar.stage(spec, CONTACT, contact(11, version, of=1), contact(12, version, of=2))
        for record_type in (ACCOUNT, CONTACT):
            sugar.load(spec, record_type)
            assert ("write" in sugar.calls) is (version == 100)
    assert sugar.shown("Accounts", "name", "description") == [("Lab 1", "O'B <3"), ("Lab 2", "O'B <3")]
    assert sugar.site.record("Accounts", there)["name"] == "Lab 2"
    accounts = {record["name"]: record["id"] for record in sugar.site.records("Accounts")}
    of = {record["last_name"]: sugar.site.accounts_of(record["id"]) for record in sugar.site.records("Contacts")}
    assert of == {"Ruiz 11": [accounts["Lab 1"]], "Ruiz 12": [there]}


def test_load_that_breaks_off_after_its_create_is_followed_by_one_that_knows_the_record(sugar: Sugar) -> None:
    spec = sugar.spec()
    sugar.stage(spec, ACCOUNT, customer(1))
    sugar.sandbox.faults.add(Fault(path="#set_entries$", kind="drop_after"))
    sugar.sandbox.faults.add(Fault(path="#get_server_info$", kind="drop_before"))
    with suppress(ServiceError):
        sugar.load(spec, ACCOUNT)
    sugar.load(spec, ACCOUNT, at_once=True)
    assert sugar.shown("Accounts", "name") == [("Lab 1",)]
    assert sugar.rows("SELECT count(*) FROM crm_pipeline.link") == [(1,)]


def test_records_are_not_made_again_after_a_lost_database(sugar: Sugar) -> None:
    """Also where nothing is looked for: their ids are theirs."""
    spec = sugar.spec(accounts={"map": LEAN_ACCOUNT_MAP})
    sugar.stage(spec, ACCOUNT, customer(1))
    sugar.load(spec, ACCOUNT)
    with sugar.store.transaction() as connection:
        connection.exec_driver_sql("TRUNCATE crm_pipeline.link, crm_pipeline.outcome, crm_pipeline.intent")
    sugar.load(spec, ACCOUNT)
    assert sugar.shown("Accounts", "name") == [("Lab 1",)]
    assert sugar.rows("SELECT error_type, reason FROM crm_pipeline.outcome") == [(None, None)]


def test_two_integrations_on_one_site_need_a_prefix(sugar: Sugar) -> None:
    """Without, one would write over the records of the other: a QBench of its own has the same ids."""
    for name, prefix in (("acme", ""), ("other", "other-")):
        spec = sugar.spec(name=name, settings={"external_key_prefix": prefix})
        sugar.stage(spec, ACCOUNT, customer(1, customer_name=f"Lab of {name}"))
        sugar.load(spec, ACCOUNT)
    assert sugar.shown("Accounts", "name") == [("Lab of acme",), ("Lab of other",)]
    third = sugar.spec(name="third")
    sugar.stage(third, ACCOUNT, customer(1, customer_name="Lab of third"))
    with pytest.raises(ConfigurationError, match="external_key_prefix"):
        sugar.load(third, ACCOUNT)


def test_account_that_was_merged_away_is_found_by_its_name_where_it_would_be_made_again(sugar: Sugar) -> None:
    spec = sugar.spec()
    sugar.stage(spec, ACCOUNT, customer(1))
    sugar.load(spec, ACCOUNT)
    [(crm_id,)] = sugar.rows("SELECT crm_id FROM crm_pipeline.link")
    winner = sugar.site.add("Accounts", {"name": "lab 1"})
    sugar.site.merge("Accounts", winner, crm_id)
    with sugar.store.transaction() as connection:
        # What the check of links does where links.when_deleted says so.
        connection.exec_driver_sql("TRUNCATE crm_pipeline.link, crm_pipeline.outcome")
    sugar.load(spec, ACCOUNT)
    assert sugar.rows("SELECT crm_id, origin FROM crm_pipeline.link") == [(winner, "matched")]
    assert sugar.shown("Accounts", "name") == [("Lab 1",)]


def test_contact_goes_as_a_lead_until_people_convert_it_and_goes_on_as_the_contact(sugar: Sugar) -> None:
    by_email = [{"email": {"sugarcrm": "email1"}}]
    mapped = {"map": LEAN_CONTACT_MAP, "sync_on": by_email, "lead": {"map": LEAN_CONTACT_MAP, "sync_on": by_email}}
    spec = sugar.spec(settings={"contacts_as": "lead"}, contacts=mapped)
    loads = (ACCOUNT, CONTACT, RecordType.LEAD)

    def loaded(version: int, **values: Any) -> None:
        sugar.stage(spec, ACCOUNT, customer(1))
        sugar.stage(spec, CONTACT, contact(11, version, of=1, **values))
        sugar.normalize(spec, RecordType.LEAD, window=EVERYTHING)
        for record_type in loads:
            sugar.load(spec, record_type)

    loaded(100)
    assert sugar.shown("Leads", "last_name", "account_name", "status") == [("Ruiz 11", "Lab 1", "")]
    assert sugar.shown("Contacts") == []
    [lead] = [record["id"] for record in sugar.site.records("Leads")]
    _, became = sugar.site.convert_lead(lead)
    loaded(200, last_name="Ruiz-Soto")
    loaded(200, last_name="Ruiz-Soto")
    assert sugar.shown("Leads", "last_name", "status") == [("Ruiz 11", "Converted")]
    assert sugar.shown("Contacts", "id", "last_name") == [(became, "Ruiz-Soto")]
    kept = "SELECT record_type, crm_id, status FROM crm_pipeline.link WHERE record_type <> 'account' AND status = 'live'"
    assert sugar.rows(kept) == [("contact", became, "live")]


def test_edit_in_sugarcrm_comes_home_and_what_the_site_keeps_otherwise_does_not(sugar: Sugar) -> None:
    way = {"name": {"from": "customer_name", "direction": "both"}, "description": {"from": "comments", "direction": "both"}}
    home = Home(sugar, both_ways(sugar.spec(), accounts=way))
    number = home.tenant.add_customer(customer_name="Lab", comments="cold 🧪 box", at=1_000)
    home.extract()
    sugar.load(home.spec, ACCOUNT)
    assert sugar.rows("SELECT outcome, error_type, reason FROM crm_pipeline.outcome") == [("created", None, "kept by the CRM: description")]
    [(crm_id,)] = sugar.rows("SELECT crm_id FROM crm_pipeline.link")
    home.hour()
    assert home.comments(number) == "cold 🧪 box"

    sugar.site.update("Accounts", crm_id, {"name": "Lab & Sons"})
    home.hour()
    assert (home.tenant.customer(number)["customer_name"], home.comments(number)) == ("Lab & Sons", "cold 🧪 box")
    home.extract()
    sugar.load(home.spec, ACCOUNT)
    assert "write" not in sugar.calls
