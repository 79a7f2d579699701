"""Whatever the records have wrong costs them their own sync alone, and shows no value of theirs to anyone."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

import dagster as dg
import pytest

from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.salesforce.org import ValidationRule
from crm_pipeline_tests.orchestration.conftest import READS, World, failures, metadata_of, outcomes
from crm_pipeline_tests.tenants import BEFORE_START, FIRST, IN_SECOND, SECOND, add_laboratories, integration

MARKER = "Xyzzyplugh"
"""Stands in every planted value; nothing of the sandbox's or ours holds it."""

REFUSED = f"{MARKER} Refused Labs"
UNREADABLE_DATES: tuple[object, ...] = (f"{MARKER}day", None, "", 10**30, True, {"when": MARKER})
ODD_SHAPES: tuple[dict[str, object], ...] = (
    {"customer_name": {"a": MARKER}},
    {"customer_name": [MARKER]},
    {"employees": MARKER},
    {"phone": 10**40},
    {"comments": True, "city_name": 1.5},
)
BLANK_CONTACT, WORDY_CONTACT = 5_000, 5_001


@dataclass(frozen=True)
class BadRecords:
    """One customer with a contact that are well, many that are not, and the run that met them all. Ids are of customers."""

    run: dg.ExecuteInProcessResult
    sound: int
    blank: int
    talkative: int
    refused: int
    undated: list[int]
    odd: list[int]
    said: dict[tuple[str, str, int], tuple[str, str | None, str | None]]


@pytest.fixture(scope="module")
def met(world: World) -> BadRecords:
    tenant = world.sandbox.tenant
    sound = tenant.add_customer(customer_name=f"{MARKER} Labs", comments=f"{MARKER} comment", at=BEFORE_START)
    tenant.add_contact(
        customer_ids=[sound], email_address=f"{MARKER}@example.org", first_name=MARKER, last_name=MARKER, phone="512 555 0102", at=1
    )
    tenant.add_contact(customer_ids=[sound], id=BLANK_CONTACT, at=BEFORE_START)
    tenant.add_contact(customer_ids=[sound], id=WORDY_CONTACT, last_name="Wordy", at=BEFORE_START)
    # Random, because PostgreSQL would compress anything else into its index.
    tenant.answer_with("contacts", WORDY_CONTACT, email_address=f"{MARKER}{random.Random(7).randbytes(3_000).hex()}@example.org")
    blank = tenant.add_customer(customer_name=None, status=None, at=BEFORE_START)
    talkative = tenant.add_customer(customer_name="Talkative", comments=MARKER * 1_000_000, at=BEFORE_START)
    refused = tenant.add_customer(customer_name=REFUSED, at=BEFORE_START)
    world.sandbox.org.add_validation_rule(
        ValidationRule("Account", refuses=lambda row: row["Name"] == REFUSED, message=f"{REFUSED} is not welcome", field="Name")
    )
    undated = add_laboratories(tenant, len(UNREADABLE_DATES))
    for number, date in zip(undated, UNREADABLE_DATES, strict=True):
        tenant.answer_with("customers", number, last_updated=date)
    odd = add_laboratories(tenant, len(ODD_SHAPES))
    for number, fields in zip(odd, ODD_SHAPES, strict=True):
        tenant.answer_with("customers", number, **fields)
    assets = (*READS, "salesforce/accounts", "salesforce/contacts", "hubspot/companies")
    result = world.dagster.run(integration(world.sandbox), FIRST, assets=assets)
    return BadRecords(result, sound, blank, talkative, refused, undated, odd, outcomes())


def test_no_bad_record_fails_a_run(met: BadRecords) -> None:
    assert met.run.success, failures(met.run)


def test_records_beside_bad_ones_are_synced(met: BadRecords) -> None:
    assert {met.said[crm, "account", met.sound][0] for crm in ("salesforce", "hubspot")} == {"created"}
    assert met.said["salesforce", "contact", 1][0] == "created"


def test_record_with_every_field_null_is_skipped_with_its_reason(met: BadRecords) -> None:
    accounts = {met.said[crm, "account", met.blank][:2] for crm in ("salesforce", "hubspot")}
    assert accounts == {("skipped", "NoNameForCustomerException")}
    assert met.said["salesforce", "contact", BLANK_CONTACT][:2] == ("skipped", "NoEmailForContactException")


def test_address_longer_than_any_can_be_is_refused_as_invalid(met: BadRecords) -> None:
    assert met.said["salesforce", "contact", WORDY_CONTACT] == ("skipped", "InvalidEmailException", "email_address")


def test_comment_of_ten_megabytes_is_left_out_and_named(met: BadRecords) -> None:
    assert {crm: met.said[crm, "account", met.talkative] for crm in ("salesforce", "hubspot")} == {
        "salesforce": ("created", None, "omitted: Description"),
        "hubspot": ("created", None, "omitted: description"),
    }


def test_dates_that_nobody_can_parse_fail_their_records_alone(met: BadRecords) -> None:
    assert {met.said["salesforce", "account", number] for number in met.undated} == {
        ("failed", "UnreadableRecordException", "last_updated")
    }


def test_values_of_unexpected_shapes_end_in_an_outcome(met: BadRecords) -> None:
    assert {("salesforce", "account", number) for number in met.odd} <= set(met.said)


def test_refused_record_leaves_no_value_in_its_outcome(met: BadRecords) -> None:
    said = met.said["salesforce", "account", met.refused]
    assert said[:2] == ("failed", "InvalidValueException")
    assert MARKER not in str(said)
    assert "InvalidValueException" in str(metadata_of(met.run, "salesforce", "accounts")["errors"])


def test_no_value_of_a_bad_record_is_in_any_event(world: World, met: BadRecords) -> None:
    assert MARKER not in world.dagster.events_of(met.run.run_id)


ODD_TEXT = {"customer_name": "O\0d\ud800d \N{GRINNING FACE}", "comments": "\udc00"}
TYPED_BY_OTHERS = (
    # The escapes stand in the JSON as a server in another language would send them.
    json.dumps({"id": 9_000, "last_updated": IN_SECOND, **ODD_TEXT}),
    f'{{"id": 9001, "last_updated": {IN_SECOND}, "customer_name": "Infinity Labs", "employees": 1e999}}',
)
"""Customers as QBench answers with them, in these very characters."""


@pytest.fixture(scope="module")
def odd_json(world: World, met: BadRecords) -> dict[str, dict[str, object]]:
    """What Salesforce holds of them in the end, by QBench id."""
    answer = f'{{"data": [{", ".join(TYPED_BY_OTHERS)}], "total_pages": 1, "total_count": {len(TYPED_BY_OTHERS)}}}'
    as_json = {"content-type": "application/json"}
    world.sandbox.faults.add(Fault(service="qbench", path="/customers$", status=200, times=1, headers=as_json, body=answer))
    assets = ("qbench/customers", "normalized/accounts", "salesforce/accounts")
    result = world.dagster.run(integration(world.sandbox), SECOND, assets=assets)
    assert result.success, failures(result)
    return {record["QBench_Id__c"]: record for record in world.sandbox.org.records("Account")}


def test_nul_and_lone_surrogates_are_left_out(odd_json: dict[str, dict[str, object]]) -> None:
    assert odd_json["9000"]["Name"] == "Odd \N{GRINNING FACE}"


def test_number_beyond_every_measure_is_no_value(odd_json: dict[str, dict[str, object]]) -> None:
    assert odd_json["9001"].items() >= {"Name": "Infinity Labs", "NumberOfEmployees": None}.items()
