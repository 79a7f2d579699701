"""When a load stops because going on is of no use (rules.md, 30)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from crm_pipeline.errors import SameRefusalError, StoreError
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.salesforce.org import ValidationRule
from crm_pipeline.schemas import WRITE_RESULTS
from crm_pipeline.sync.stops import EQUAL_REFUSALS, FirstRefusals
from crm_pipeline_tests.awaiting import await_that
from crm_pipeline_tests.conftest import end_lock_holders
from crm_pipeline_tests.sync.conftest import ACCOUNT, Bench, customer

REFUSED = "RequiredFieldException"


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
            "error_code": pd.Series(["REQUIRED" if error else None for error in errors], dtype="str"),
            "error_fields": pd.Series([fields if error else None for error in errors], dtype="str"),
        }
    )


def after(*batches: pd.DataFrame) -> None:
    refusals = FirstRefusals()
    for batch in batches:
        refusals = refusals.followed_by(batch)
        refusals.require_different_causes(integration="acme", service="salesforce")


def test_fifty_equal_permanent_errors_from_the_first_batches_stop_the_load_and_are_named() -> None:
    half = answer(*[REFUSED] * (EQUAL_REFUSALS // 2))
    with pytest.raises(SameRefusalError, match=r"first 50 .* RequiredFieldException \(REQUIRED\), fields Tier__c. Map the field"):
        after(half, half)


@pytest.mark.parametrize(
    "batches",
    [
        [answer(*[REFUSED] * (EQUAL_REFUSALS - 1))],
        [answer(None), answer(*[REFUSED] * 100)],
        [answer(*[REFUSED] * 100, None)],
        [answer(*[REFUSED] * 40), answer(*[REFUSED] * 40, fields="Name")],
        [answer(*[REFUSED, "ValueTooLongException"] * 50)],
        [answer(*["ServiceFailedException"] * 100)],
        [answer(*["ExistingRecordException"] * 100)],
    ],
    ids=["49", "after a success", "with a success", "two fields", "two errors", "a passing cause", "records that are skipped"],
)
def test_fewer_or_other_errors_do_not_stop_it(batches: list[pd.DataFrame]) -> None:
    after(*batches)


def test_a_passing_error_in_between_does_not_hide_the_cause() -> None:
    with pytest.raises(SameRefusalError):
        after(answer(*[REFUSED] * 30, "RecordLockedException", *[REFUSED] * 20))


def test_a_stopped_load_has_stored_what_it_did_and_sent_no_more(salesforce: Bench) -> None:
    spec = salesforce.spec()
    salesforce.sandbox.org.add_validation_rule(ValidationRule("Account", lambda row: not row.get("Site"), "Site is required"))
    salesforce.stage(spec, ACCOUNT, *(customer(number) for number in range(1, 451)))
    with pytest.raises(SameRefusalError, match="FIELD_CUSTOM_VALIDATION_EXCEPTION"):
        salesforce.load(spec, ACCOUNT)
    assert salesforce.calls["write"] == 1
    assert set(salesforce.outcomes().values()) == {("failed", "InvalidValueException")}
    assert len(salesforce.outcomes()) == 200
