"""How many calls may fail as a whole before a load stops (docs/rules.md, 41)."""

from __future__ import annotations

import math

import pytest

from crm_pipeline.errors import RequestRefusedError, ServiceUnavailableError
from crm_pipeline.sync.loading.failed_calls import FailedCalls
from crm_pipeline_tests.sync.loading.test_first_refusals import answer

FAILED_INSIDE = ServiceUnavailableError("failed", integration="acme", service="HubSpot")


@pytest.mark.parametrize("batch_size", [1, 100, 200])
def test_creates_that_fail_one_after_the_other_cost_no_more_calls_than_a_batch_in_halves_before_the_service_counts_as_down(
    batch_size: int,
) -> None:
    failed, calls = FailedCalls(batch_size), 0
    while failed.are_few_with(FAILED_INSIDE, repeatable=False):
        calls += 2
    assert calls <= 2 * math.log2(batch_size) + 2


def test_call_that_gets_through_makes_up_for_those_that_failed_before() -> None:
    failed = FailedCalls(100)
    for _ in range(50):
        assert failed.are_few_with(FAILED_INSIDE, repeatable=False)
        failed.note(answer(None))


def test_one_batch_that_failed_down_to_its_last_record_may_be_passed_over_and_two_in_a_row_may_not() -> None:
    failed = FailedCalls(100)
    assert failed.are_few_with(FAILED_INSIDE, repeatable=True)
    failed.note(answer("CrmFailsOnRecordException"))
    assert not failed.are_few_with(FAILED_INSIDE, repeatable=True)


def test_refused_call_is_never_passed_over() -> None:
    assert not FailedCalls(100).are_few_with(RequestRefusedError("no", integration="acme", service="HubSpot"), repeatable=False)
