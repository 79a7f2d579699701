"""``crm-pipeline provision``: what the CRMs lack is shown, made where an API makes it, and else told in clicks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from crm_pipeline.sandbox.credentials import SUGARCRM_CREDENTIALS
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, Sandbox, start_sandbox
from crm_pipeline.sandbox.sugarcrm import SugarSite
from crm_pipeline.store.database import Store
from crm_pipeline_tests.commands.conftest import Desk, _desk
from crm_pipeline_tests.sync.conftest import Bench
from crm_pipeline_tests.tenants import SHORT_WAITS

ACCOUNTS = {"map": {"name": "customer_name", "salesforce.Lab_Tier__c": "group_name", "hubspot.lab_tier": "group_name"}}
CONTACTS = {"map": {"email": "email_address", "first_name": "first_name", "last_name": "last_name", "phone": "phone"}}


@pytest.fixture
def bare() -> Iterator[Sandbox]:
    """The stand-ins without any field of the integration's."""
    with pytest.MonkeyPatch.context() as environment, start_sandbox(site=SugarSite()) as running:
        for name, value in {**SANDBOX_CREDENTIALS, **SUGARCRM_CREDENTIALS}.items():
            environment.setenv(name, value)
        yield running


@pytest.fixture
def desk(bare: Sandbox, store: Store, database_in_environment: str, tmp_path: Path) -> Iterator[Desk]:
    """A project whose integration needs a key everywhere, and a field for tiers."""
    with _desk(Bench(bare, store, "salesforce"), tmp_path, accounts=ACCOUNTS, contacts=CONTACTS) as desk:
        yield desk


def found(desk: Desk, *words: str) -> dict[str, tuple[str, str]]:
    """Level and words of each finding, by CRM and subject."""
    told = json.loads(desk.type("provision", "--json", *words).output)
    return {f"{one['area']} {one['subject']}": (one["level"], f"{one['text']}; {one['remedy']}") for one in told}


NEEDED = {
    "hubspot companies: qbench_id",
    "hubspot companies: lab_tier",
    "hubspot contacts: qbench_id",
    "salesforce Account: QBench_Id__c",
    "salesforce Account: Lab_Tier__c",
    "salesforce Contact: QBench_Id__c",
}


def test_what_is_missing_is_shown_and_nothing_is_made(desk: Desk, bare: Sandbox) -> None:
    told = found(desk)
    assert {subject for subject, (level, _) in told.items() if level == "problem"} == NEEDED
    assert all("let `crm-pipeline provision --apply` make it" in words for _, words in told.values())
    assert desk.type("provision").exit_code == 1
    assert "qbench_id" not in bare.portal.store("companies").properties
    assert "Lab_Tier__c" not in next(spec for spec in bare.org.objects() if spec.name == "Account").fields


def test_what_is_missing_is_made_once_and_an_integration_works_with_it(desk: Desk, bare: Sandbox) -> None:
    bare.org.customizes = True
    bare.portal.scopes |= {"crm.schemas.companies.write", "crm.schemas.contacts.write"}
    told = found(desk, "--apply")
    assert {subject for subject, (level, words) in told.items() if level == "ok" and words.startswith("made: ")} == NEEDED
    made = {name: dict(bare.portal.store(name).properties) for name in ("companies", "contacts")}
    assert (made["companies"]["qbench_id"].unique, made["companies"]["lab_tier"].unique) == (True, False)
    key = next(spec for spec in bare.org.objects() if spec.name == "Contact").fields["QBench_Id__c"]
    assert (key.unique, key.external_id, key.case_sensitive, key.visible, key.length) == (True, True, False, True, 64)
    again = desk.type("provision", "--apply")
    assert (again.exit_code, "no field is missing" in again.output) == (0, True)
    assert made == {name: dict(bare.portal.store(name).properties) for name in made}
    problems = [one for one in desk_doctor(desk) if one["level"] == "problem"]
    assert problems == []


def desk_doctor(desk: Desk) -> list[dict[str, Any]]:
    """What the doctor finds."""
    told: list[dict[str, Any]] = json.loads(desk.type("doctor", "--json").output)
    return told


def test_field_that_is_there_but_hidden_is_shown_to_the_user_and_not_made_again(desk: Desk, bare: Sandbox) -> None:
    bare.org.customizes = True
    bare.org.add_field("Account", name="Lab_Tier__c", type="string", length=10, visible=False)
    level, words = found(desk, "--apply", "--crm", "salesforce")["salesforce Account: Lab_Tier__c"]
    assert (level, "it was there" in words) == ("ok", True)
    field = next(spec for spec in bare.org.objects() if spec.name == "Account").fields["Lab_Tier__c"]
    assert (field.visible, field.length) == (True, 10)


def test_field_that_is_made_and_not_seen_is_still_a_problem(desk: Desk, bare: Sandbox) -> None:
    bare.org.customizes = True
    answered = {"id": "01k000000000001AAA", "success": True, "errors": []}
    bare.faults.add(Fault(path="sobjects/FieldPermissions", method="POST", status=201, body=answered, times=None))
    level, words = found(desk, "--apply", "--crm", "salesforce")["salesforce Account: Lab_Tier__c"]
    assert (level, "the integration's user does not see it yet" in words) == ("problem", True)


def test_where_the_user_may_not_make_fields_the_clicks_are_told(desk: Desk, bare: Sandbox) -> None:
    bare.portal.scopes -= {"crm.schemas.companies.write", "crm.schemas.contacts.write"}
    told = found(desk, "--apply")
    assert {level for level, _ in told.values()} == {"problem"}
    salesforce, hubspot = told["salesforce Account: QBench_Id__c"][1], told["hubspot companies: qbench_id"][1]
    assert "Setup, Object Manager, Account, Fields & Relationships, New: Text" in salesforce
    assert "External ID" in salesforce
    assert "lacks scopes: crm.schemas.companies.write" in hubspot
    assert "Settings, Properties, Company properties" in hubspot


def test_archived_property_is_not_brought_back_unasked(desk: Desk, bare: Sandbox) -> None:
    store = bare.portal.store("companies")
    store.properties["lab_tier"] = replace(store.properties["name"], name="lab_tier", archived=True)
    level, words = found(desk, "--apply", "--crm", "hubspot")["hubspot companies: lab_tier"]
    assert (level, "an archived property has the name lab_tier" in words) == ("problem", True)


def test_misspelt_and_impossible_names_are_not_made(desk: Desk, bare: Sandbox) -> None:
    bare.org.customizes = True
    written = yaml.safe_load(desk.file.read_text())
    written["attributes"]["accounts"] = {"map": {"name": "customer_name", "salesforce.website": "x", "salesforce.Nmae": "y"}}
    desk.file.write_text(yaml.safe_dump(written))
    told = found(desk, "--apply", "--crm", "salesforce")
    assert "salesforce Account: website" not in told
    assert "ends in __c" in told["salesforce Account: Nmae"][1]


def test_sugarcrm_has_no_way_but_studio(desk: Desk, bare: Sandbox) -> None:
    written = yaml.safe_load(desk.file.read_text())
    credentials = {"user": {"env": "SUGARCRM_USER_NAME"}, "password": {"env": "SUGARCRM_PASSWORD"}}
    site = {"url": bare.sugarcrm_url, **credentials, "waits": SHORT_WAITS, "external_key": "qbench_id_c"}
    written["attributes"]["crms"] = {"sugarcrm": site}
    written["attributes"]["accounts"] = {"map": {"name": "customer_name", "sugarcrm.tier": "group_name"}}
    desk.file.write_text(yaml.safe_dump(written))
    told = found(desk, "--apply")
    assert (
        "Admin, Studio, Accounts, Fields, Add Field: Data Type TextField, Field Name qbench_id" in told["sugarcrm Accounts: qbench_id_c"][1]
    )
    assert "ends in _c" in told["sugarcrm Accounts: tier"][1]
