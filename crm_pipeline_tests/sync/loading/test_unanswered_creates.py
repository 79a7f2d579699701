"""Creates without an external key on which the CRM fails: for one record's sake no other one stays away (docs/rules.md, 4 and 41)."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from crm_pipeline.errors import ServiceError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, Bench, contact, customer

CREATES = {"salesforce": "composite/sobjects$", "hubspot": "/(companies|contacts)/batch/create$"}
WRITES = {"salesforce": "composite/sobjects", "hubspot": "/(companies|contacts)/batch/"}
RECORDS, BAD = 7, 4
OPEN_BY_ITSELF = ("failed", "CrmFailsOnRecordException")


def staged(bench: Bench, record_type: RecordType) -> IntegrationSpec:
    """New records, one of them called Poison, of an integration without external keys."""
    spec = bench.spec(external_keys=False)
    names = {number: "Poison" if number == BAD else f"Fine {number}" for number in range(1, RECORDS + 1)}
    if record_type is ACCOUNT:
        bench.stage(spec, ACCOUNT, *(customer(number, customer_name=name) for number, name in names.items()))
    else:
        bench.given(spec, ACCOUNT, customer(100))
        bench.stage(spec, CONTACT, *(contact(number, of=100, last_name=name) for number, name in names.items()))
    return spec


def poison(bench: Bench, kind: Literal["status", "drop_before", "html"], **more: Any) -> None:
    """Let each create that carries the bad record fail."""
    bench.sandbox.faults.add(Fault(service=bench.crm, path=CREATES[bench.crm], kind=kind, times=None, holding="Poison", **more))


def made(bench: Bench, record_type: RecordType) -> int:
    """How many records the CRM holds, each once."""
    names = bench.names() if record_type is ACCOUNT else bench.emails()
    assert len(set(names)) == len(names)
    return len(names) - (record_type is ACCOUNT and "Lab 100" in names)


def is_found_at_once(bench: Bench, record_type: RecordType) -> bool:
    """HubSpot's companies are found by its search alone, which lags."""
    return (bench.crm, record_type) != ("hubspot", ACCOUNT)


@pytest.mark.parametrize("record_type", [ACCOUNT, CONTACT])
def test_record_whose_create_fails_inside_stays_open_by_itself_and_the_others_are_made(bench: Bench, record_type: RecordType) -> None:
    spec = staged(bench, record_type)
    poison(bench, "status", status=500)
    report = bench.load(spec, record_type)
    if not is_found_at_once(bench, record_type):
        bench.load(spec, record_type)
        report = bench.load(spec, record_type)
    assert made(bench, record_type) == RECORDS - 1
    assert {number for number, (outcome, _) in bench.outcomes(record_type).items() if outcome == "failed"} == {BAD}
    assert bench.outcomes(record_type)[BAD] == OPEN_BY_ITSELF
    assert (report.retryable, report.accounted) == (1, report.rows)
    bench.sandbox.faults.clear()
    bench.load(spec, record_type)
    assert made(bench, record_type) == RECORDS
    assert bench.rows("SELECT count(*) FROM crm_pipeline.intent") == [(0,)]


@pytest.mark.parametrize("record_type", [ACCOUNT, CONTACT])
def test_record_whose_create_breaks_off_each_time_stays_open_by_itself_once_the_calls_must_be_over(
    bench: Bench, record_type: RecordType
) -> None:
    spec = staged(bench, record_type)
    poison(bench, "drop_before")
    for _ in range(3):
        bench.load(spec, record_type)
    assert made(bench, record_type) == RECORDS - 1
    assert bench.outcomes(record_type)[BAD] == OPEN_BY_ITSELF
    bench.sandbox.faults.clear()
    bench.load(spec, record_type)
    assert made(bench, record_type) == RECORDS


def test_records_behind_a_create_that_broke_off_are_made_by_the_same_load(salesforce: Bench) -> None:
    spec = salesforce.spec(external_keys=False)
    salesforce.stage(
        spec, ACCOUNT, *(customer(number, customer_name="Poison" if number == 1 else f"Fine {number}") for number in range(1, 251))
    )
    poison(salesforce, "drop_before")
    salesforce.load(spec, ACCOUNT)
    assert len(salesforce.names()) == 50


def test_service_that_makes_nothing_counts_as_down_and_its_load_fails(bench: Bench) -> None:
    spec = staged(bench, ACCOUNT)
    bench.sandbox.faults.add(Fault(service=bench.crm, status=500, times=None))
    with pytest.raises(ServiceError):
        bench.load(spec, ACCOUNT)
    assert sum(bench.calls.values()) <= 3


def test_records_that_all_make_the_service_fail_go_behind_the_others_next_time_and_keep_nobody_away(bench: Bench) -> None:
    spec = bench.spec()
    bench.stage(spec, ACCOUNT, *(customer(number, customer_name=f"Poison {number}") for number in range(1, 9)))
    bench.sandbox.faults.add(Fault(service=bench.crm, path=WRITES[bench.crm], times=None, status=500, holding="Poison"))
    with pytest.raises(ServiceError):
        bench.load(spec, ACCOUNT)
    bench.stage(spec, ACCOUNT, *(customer(number, 200) for number in range(11, 15)))
    report = bench.load(spec, ACCOUNT)
    assert bench.names() == ["Lab 11", "Lab 12", "Lab 13", "Lab 14"]
    assert (report.retryable, report.accounted) == (8, 12)
    bench.sandbox.faults.clear()
    bench.load(spec, ACCOUNT)
    assert len(bench.names()) == 12
