"""What looking for a record costs, and that the cheap way finds as much."""

from __future__ import annotations

from contextlib import closing

import pandas as pd
import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.mapping.folding import fold
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sync.planning.lookup import FEW
from crm_pipeline_tests.sync.conftest import ACCOUNT, BY_EMAIL, BY_NAME, CONTACT, CRM_FIELDS, LEAN_ACCOUNT_MAP, Bench, contact, customer

MANY = FEW + 1


@pytest.fixture
def spec(bench: Bench) -> IntegrationSpec:
    """The integration, matching contacts by email, with its one customer synced."""
    made = bench.spec(contacts=BY_EMAIL)
    bench.given(made, ACCOUNT, customer(1))
    return made


def test_many_emails_are_not_looked_up_in_a_crm_that_has_none(bench: Bench, spec: IntegrationSpec) -> None:
    bench.stage(spec, CONTACT, *(contact(number, of=1) for number in range(1, MANY + 1)))
    assert bench.load(spec, CONTACT).outcomes == {"created": MANY}
    whether_keys_and_whether_emails, organization = 2, 1
    assert bench.calls["read"] <= whether_keys_and_whether_emails + organization


def test_the_one_email_that_a_crm_has_is_found_among_many(bench: Bench, spec: IntegrationSpec) -> None:
    email = "person7@labs.example.org"
    name = CRM_FIELDS[bench.crm, CONTACT]
    bench.add(CONTACT, {name["last_name"]: "Ruiz", name["email"]: email})
    bench.stage(spec, CONTACT, *(contact(number, of=1) for number in range(1, MANY + 1)))
    assert bench.load(spec, CONTACT).outcomes == {"created": MANY - 1, "linked": 1}
    assert bench.outcomes(CONTACT)[7] == ("linked", None)


def test_look_up_and_scan_find_the_same_records_by_email(bench: Bench) -> None:
    field, last_name = (CRM_FIELDS[bench.crm, CONTACT][name] for name in ("email", "last_name"))
    held = ["Ana@Labs.example.org", "bea+x@labs.example.org", "o'neil@labs.example.org", "CLEO_%@labs.example.org"]
    for number, email in enumerate(held):
        bench.add(CONTACT, {last_name: f"Ruiz {number}", field: email})
    asked = fold(pd.Series([*held, "dora@labs.example.org", "cleo_x@labs.example.org", "bea@labs.example.org"]), "email")
    with closing(bench.connect(bench.spec())) as crm:
        looked_up = crm.find(bench.object(CONTACT), field, asked.tolist())
        scanned = pd.concat(list(crm.scan(bench.object(CONTACT), field)))
    pairs = [set(zip(fold(found["value"], "email"), found["crm_id"], strict=True)) for found in (looked_up, scanned)]
    assert pairs[0] == {pair for pair in pairs[1] if pair[0] in set(asked)}
    assert len(pairs[0]) == len(held)


def test_a_row_of_sync_on_applies_to_the_crms_that_it_names_and_its_field_is_only_read(bench: Bench) -> None:
    by_code = {"map": LEAN_ACCOUNT_MAP, "sync_on": [{"field": "code", "in": {"salesforce": "AccountNumber"}}]}
    spec = bench.spec(accounts=by_code)
    account = bench.sandbox.org.add("Account", {"Name": "Old name", "AccountNumber": "E-1"})
    bench.stage(spec, ACCOUNT, customer(1, code=" e-1 "))
    outcome = {"salesforce": "linked", "hubspot": "created"}[bench.crm]
    assert dict(bench.load(spec, ACCOUNT).outcomes) == {outcome: 1}
    assert bench.sandbox.org.record("Account", account)["AccountNumber"] == "E-1"


def test_a_value_that_names_nobody_finds_nothing_and_the_outcome_says_so(bench: Bench) -> None:
    spec = bench.spec(accounts={**BY_NAME, "meaningless": ["Walk-in customer"]})
    names = ["Unknown", "walk-in  Customer", "Eco Labs"]
    for name in names:
        bench.add_account(name.lower())
    bench.stage(spec, ACCOUNT, *(customer(number, customer_name=name) for number, name in enumerate(names, start=1)))
    assert bench.load(spec, ACCOUNT).outcomes == {"created": 2, "linked": 1}
    said = bench.rows("SELECT qbench_id, reason FROM crm_pipeline.outcome ORDER BY qbench_id")
    note = "no match by a value that names nobody: name"
    assert said == [(1, note), (2, note), (3, None)]


def test_a_key_that_differs_in_case_is_the_records_own(bench: Bench) -> None:
    name, key = CRM_FIELDS[bench.crm, ACCOUNT]["name"], {"salesforce": "QBench_Id__c", "hubspot": "qbench_id"}[bench.crm]
    spec = bench.spec(accounts=BY_NAME, settings={"external_key_prefix": "us-"})
    bench.add(ACCOUNT, {name: "Lab 1", key: "US-1"})
    bench.add(ACCOUNT, {name: "Lab 2", key: "US-1000"})
    bench.stage(spec, ACCOUNT, customer(1), customer(2))
    assert bench.load(spec, ACCOUNT).outcomes == {"linked": 1, "created": 1}


def test_a_link_survives_renames_on_either_side(hubspot: Bench) -> None:
    spec = hubspot.spec(accounts=BY_NAME)
    crm_id = hubspot.given(spec, ACCOUNT, customer(1))[1]
    hubspot.sandbox.portal.update("companies", crm_id, {"name": "By hand"})
    hubspot.stage(spec, ACCOUNT, customer(1, 200, customer_name="Renamed"))
    assert dict(hubspot.load(spec, ACCOUNT).outcomes) == {"updated": 1}
    assert hubspot.names() == ["Renamed"]


def test_record_that_a_scan_cannot_show_keeps_only_those_of_its_value_waiting(bench: Bench) -> None:
    spec = bench.spec(accounts=BY_NAME)
    for name in ("Zaphod", "Lab 2", "Lab 4"):
        bench.add_account(name)
    bench.stage(spec, ACCOUNT, customer(1, customer_name="ZAPHOD"), customer(2), customer(3))
    bench.sandbox.faults.add(Fault(service=bench.crm, status=500, returning='"Zaphod"', times=None))
    assert bench.load(spec, ACCOUNT).outcomes == {"failed": 1, "linked": 1, "created": 1}
    assert bench.outcomes(ACCOUNT)[1] == ("failed", "CrmFailsOnRecordException")
    bench.sandbox.faults.clear()
    bench.load(spec, ACCOUNT)
    assert bench.outcomes(ACCOUNT)[1] == ("linked", None)


@pytest.mark.parametrize(
    ("source", "fields", "held", "ours"),
    [
        ("phone_number", {"salesforce": "Phone", "hubspot": "phone"}, "(512) 555-0142", "+1 512 555 0142"),
        ("website", {"salesforce": "Website", "hubspot": "website"}, "https://www.zaphod.dev", "zaphod.dev"),
    ],
)
def test_no_second_record_is_made_of_one_that_a_scan_cannot_show_and_that_writes_the_value_in_another_way(
    bench: Bench, source: str, fields: dict[str, str], held: str, ours: str
) -> None:
    spec = bench.spec(accounts={"map": {**LEAN_ACCOUNT_MAP, source: source.removesuffix("_number")}, "sync_on": [{source: fields}]})
    crm_id = bench.add(ACCOUNT, {CRM_FIELDS[bench.crm, ACCOUNT]["name"]: "Zaphod", fields[bench.crm]: held})
    bench.add_account("Lab 4")
    bench.stage(spec, ACCOUNT, customer(1, 100, **{source.removesuffix("_number"): ours}), customer(2))
    bench.sandbox.faults.add(Fault(service=bench.crm, status=500, returning=f'"{held}"', times=None))
    assert bench.load(spec, ACCOUNT).outcomes == {"failed": 1, "created": 1}
    bench.sandbox.faults.clear()
    bench.load(spec, ACCOUNT)
    assert bench.rows("SELECT qbench_id FROM crm_pipeline.link WHERE crm_id = '" + crm_id + "'") == [(1,)]
