"""When a load stops because going on is of no use (docs/rules.md, 30)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from crm_pipeline.errors import SameRefusalError, StoreError
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.obstacles import Obstacle
from crm_pipeline.sandbox.salesforce.org import ValidationRule
from crm_pipeline.schemas import WRITE_RESULTS, WRITE_ROWS
from crm_pipeline.sync.loading.first_refusals import EQUAL_REFUSALS, FirstRefusals
from crm_pipeline_tests.awaiting import await_that
from crm_pipeline_tests.conftest import end_lock_holders
from crm_pipeline_tests.sync.conftest import ACCOUNT, Bench, customer

REFUSED = "MappingRefusedException"
DATA = ("InvalidValueException", "InvalidOptionException", "ValueTooLongException", "DuplicateRecordException", "RecordRefusedException")


def test_load_that_lost_its_lock_stops_before_its_next_batch(hubspot: Bench, database_url: str) -> None:
    spec = hubspot.spec()
    hubspot.stage(spec, ACCOUNT, *(customer(number) for number in range(1, 151)))
    held = Fault(service="hubspot", path="companies/batch/upsert", kind="delay", until=threading.Event())
    hubspot.sandbox.faults.add(held)
    with ThreadPoolExecutor(1) as threads:
        load = threads.submit(hubspot.load, spec, ACCOUNT)
        await_that(lambda: held not in hubspot.sandbox.faults.open(), "the first batch is under way")
        end_lock_holders(database_url)
        assert held.until is not None
        held.until.set()
        with pytest.raises(StoreError, match="acme: writing hubspot: the connection that held this lock is gone"):
            load.result()
    assert len(hubspot.sandbox.portal.records("companies")) == 100
    assert hubspot.load(spec, ACCOUNT).outcomes["created"] == 50


def answer(*errors: str | None, fields: str | None = "Tier__c") -> pd.DataFrame:
    """The results of a batch: an error for each row, None where it was written."""
    rows = range(len(errors))
    return WRITE_RESULTS.build(
        {
            "qbench_id": pd.Series(rows, dtype="int64"),
            "crm_id": pd.Series([None if error else f"crm-{row}" for row, error in zip(rows, errors, strict=True)], dtype="str"),
            "error_type": pd.Series(errors, dtype="str"),
            "error_code": pd.Series(["REFUSED" if error else None for error in errors], dtype="str"),
            "error_fields": pd.Series([fields if error else None for error in errors], dtype="str"),
        }
    )


def after(*batches: pd.DataFrame, crm_id: str | None = None, mapped: Collection[str] = ("Name",)) -> None:
    """As a load does after batches of rows that all go to this CRM record, or to new ones."""
    refusals = FirstRefusals()
    for batch in batches:
        rows = WRITE_ROWS.build(batch[["qbench_id"]].assign(operation="update" if crm_id else "create", crm_id=crm_id))
        refusals = refusals.followed_by(batch, rows=rows, mapped=mapped)
        refusals.require_different_causes(integration="acme", service="salesforce")


def stops(error_type: str, *, fields: str | None = "Tier__c", crm_id: str | None = None, mapped: Collection[str] = ("Name",)) -> bool:
    """Whether a load stops that meets nothing else at first."""
    try:
        after(answer(*[error_type] * EQUAL_REFUSALS, fields=fields), crm_id=crm_id, mapped=mapped)
    except SameRefusalError:
        return True
    return False


def test_fifty_equal_refusals_that_only_configuration_can_cure_stop_the_load_and_are_named() -> None:
    half = answer(*[REFUSED] * (EQUAL_REFUSALS // 2))
    with pytest.raises(SameRefusalError, match=r"first 50 .* MappingRefusedException \(REFUSED\), fields Tier__c. Correct the mapping"):
        after(half, half)


@pytest.mark.parametrize(
    "batches",
    [
        [answer(*[REFUSED] * (EQUAL_REFUSALS - 1))],
        [answer(None), answer(*[REFUSED] * 100)],
        [answer(*[REFUSED] * 100, None)],
        [answer(*[REFUSED] * 40), answer(*[REFUSED] * 40, fields="Name")],
        [answer(*[REFUSED, "NoAccessToObjectException"] * 50)],
        [answer(*["ServiceFailedException"] * 100)],
        [answer(*["ExistingRecordException"] * 100)],
    ],
    ids=["49", "after a success", "with a success", "two fields", "two errors", "a passing cause", "records that are skipped"],
)
def test_fewer_or_other_errors_do_not_stop_it(batches: list[pd.DataFrame]) -> None:
    after(*batches)


@pytest.mark.parametrize("error_type", DATA)
@pytest.mark.parametrize("crm_id", [None, "crm-1"])
def test_refusals_of_data_never_stop_a_load(error_type: str, crm_id: str | None) -> None:
    assert not stops(error_type, crm_id=crm_id)


@pytest.mark.parametrize(
    ("fields", "mapped", "expected"),
    [
        ("Tier__c", ("Name",), True),
        ("Tier__c, Rating", ("Name",), True),
        ("Tier__c", ("Name", "Tier__c"), False),
        ("name, domain", ("name",), False),
        (None, ("Name",), False),
    ],
)
def test_a_required_field_stops_a_load_only_where_no_mapping_fills_it(
    fields: str | None, mapped: Collection[str], *, expected: bool
) -> None:
    assert stops("RequiredFieldException", fields=fields, mapped=mapped) is expected


def test_no_right_to_create_stops_a_load_and_no_right_to_one_record_does_not() -> None:
    assert stops("NoAccessToObjectException", fields=None, crm_id="crm-1")
    assert stops("NoAccessToRecordException", fields=None)
    assert not stops("NoAccessToRecordException", fields=None, crm_id="crm-1")


@pytest.mark.parametrize("between", ["RecordLockedException", *DATA])
def test_what_says_nothing_of_the_configuration_does_not_hide_the_cause(between: str) -> None:
    with pytest.raises(SameRefusalError):
        after(answer(*[REFUSED] * 30, between, *[REFUSED] * 20))


def test_a_stopped_load_has_stored_what_it_did_and_sent_no_more(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.sandbox.org.obstacles.append(Obstacle("Account", bool, "REQUIRED_FIELD_MISSING", ("Site",)))
    salesforce.stage(spec, ACCOUNT, *(customer(number) for number in range(1, 451)))
    with pytest.raises(SameRefusalError, match="REQUIRED_FIELD_MISSING"):
        salesforce.load(spec, ACCOUNT)
    assert salesforce.calls["write"] == 1
    assert set(salesforce.outcomes().values()) == {("failed", "RequiredFieldException")}
    assert len(salesforce.outcomes()) == 200


@pytest.mark.parametrize("old", [60, 250])
def test_a_head_of_records_that_break_a_rule_keeps_no_good_one_back(salesforce: Bench, old: int) -> None:
    spec = salesforce.spec()
    salesforce.sandbox.org.add_validation_rule(ValidationRule("Account", lambda row: not row.get("Description"), "Describe it."))
    salesforce.stage(spec, ACCOUNT, *(customer(number) for number in range(1, old + 1)))
    salesforce.stage(spec, ACCOUNT, *(customer(number, 200, comments="x") for number in range(old + 1, old + 51)))
    for _ in range(2):
        salesforce.load(spec, ACCOUNT)
    found = Counter(salesforce.outcomes().values())
    assert found == {("failed", "InvalidValueException"): old, ("unchanged", None): 50}
