"""What is done with each row by its answer: it is done, goes again, or is there already."""

from __future__ import annotations

import pytest

from crm_pipeline.sync.loading.sorting import Sorted, Sorting
from crm_pipeline_tests.sync.conftest import ACCOUNT, Bench, customer
from crm_pipeline_tests.sync.loading.stages import answers, stages

LOCKED = {"crm_id": None, "error_type": "RecordLockedException"}
THERE = {"crm_id": None, "error_type": "ExistingRecordException"}
REFUSED = {"crm_id": None, "error_type": "ValueTooLongException"}
BY_NAME = {"sync_on": [{"name": {"salesforce": "Name"}}]}


def masks(found: Sorted) -> dict[str, list[bool]]:
    return {name: getattr(found, name).tolist() for name in ("done", "again", "locked", "there")}


@pytest.mark.parametrize("last", [False, True])
def test_locked_row_goes_again_but_for_the_last_time(salesforce: Bench, *, last: bool) -> None:
    spec = salesforce.spec()
    salesforce.stage(spec, ACCOUNT, customer(1), customer(2), customer(3))
    with stages(salesforce, spec, ACCOUNT) as load:
        batch = load.plan(1, 2, 3)
        found = masks(Sorting(load.job, lambda: load.plans.planner).sort(batch, answers(batch, {}, LOCKED, REFUSED), first=True, last=last))
    assert found["again"] == found["locked"] == [False, not last, False]
    assert found["done"] == [True, last, True]


@pytest.mark.parametrize("has_match_key", [True, False])
def test_create_of_a_record_that_is_there_is_looked_for_where_a_match_key_can_find_it(salesforce: Bench, *, has_match_key: bool) -> None:
    spec = salesforce.spec()
    if has_match_key:
        spec = salesforce.spec(accounts={**spec.accounts.model_dump(mode="json", exclude_defaults=True), **BY_NAME})
    salesforce.stage(spec, ACCOUNT, customer(1), customer(2))
    with stages(salesforce, spec, ACCOUNT) as load:
        batch = load.plan(1, 2)
        found = masks(Sorting(load.job, lambda: load.plans.planner).sort(batch, answers(batch, {}, THERE), first=True, last=False))
    assert (found["there"], found["done"]) == ([False, has_match_key], [True, not has_match_key])


def test_row_refused_for_a_record_of_our_own_goes_again_the_first_time_only(salesforce: Bench) -> None:
    spec = salesforce.spec()
    ours = salesforce.given(spec, ACCOUNT, customer(1))[1]
    salesforce.stage(spec, ACCOUNT, customer(2))
    with stages(salesforce, spec, ACCOUNT) as load:
        batch = load.plan(2)
        told, sorting = answers(batch, {**THERE, "error_ids": ours}), Sorting(load.job, lambda: load.plans.planner)
        assert [masks(sorting.sort(batch, told, first=first, last=False))["again"] for first in (True, False)] == [[True], [False]]
