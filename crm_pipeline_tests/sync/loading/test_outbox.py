"""When planned writes go out, and with which others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import pytest

from crm_pipeline.sync.loading.outbox import Outbox, Wave
from crm_pipeline.sync.planning.emails import HELD, WANTED
from crm_pipeline.sync.planning.plan import PLAN, Plan


def writes(*ids: int, **columns: Any) -> Plan:
    """Planned writes of these QBench ids: updates, unless the columns say another thing."""
    known = {"version": 1, "operation": "update", "verb": "update", "content": 0, "crm_id": [f"crm-{one}" for one in ids]}
    rows = PLAN.build(pd.DataFrame({"qbench_id": list(ids)}).assign(**{**known, **columns}))
    nothing = pd.DataFrame(index=rows.index)
    return Plan(rows, nothing, nothing)


def creates(*ids: int, key: str | None = None) -> Plan:
    """Planned creates."""
    return writes(*ids, operation="create", verb="create" if key is None else "upsert", crm_id=None, key=key)


def outbox(*, apart: dict[int, int] | None = None) -> Outbox:
    """An outbox of a CRM that takes three rows in a call."""
    return Outbox(3, at_once=1, apart=apart or {})


def ids_of(wave: Wave) -> list[list[int]]:
    return [list(batch) for batch in wave.batches(wave.rows.rows["qbench_id"].tolist())]


def ids(waves: Iterator[Wave]) -> Sequence[list[int]]:
    """The QBench ids of each batch."""
    return [batch for wave in waves for batch in ids_of(wave)]


def test_writes_wait_until_a_batch_is_full() -> None:
    box = outbox()
    assert ids(box.add(writes(1, 2))) == []
    assert ids(box.add(writes(3, 4))) == [[1, 2, 3]]
    assert ids(box.rest()) == [[4]]
    assert ids(box.rest()) == []


def test_a_batch_holds_writes_of_one_verb() -> None:
    box = outbox()
    for part in (writes(1, 2), creates(3, 4), creates(5, 6, key="5")):
        assert ids(box.add(part)) == []
    assert ids(box.rest()) == [[1, 2], [3, 4], [5, 6]]


def test_a_batch_holds_writes_of_one_object() -> None:
    box = outbox()
    assert ids(box.add(writes(1, 2, 3, object=[None, "leads", None]))) == []
    assert ids(box.rest()) == [[1, 3], [2]]
    box.put_back(writes(1, 2, 3, object=[None, "leads", None]), locked=False)
    assert ids(box.again()) == [[1, 3], [2]]


@pytest.mark.parametrize(("key", "batches"), [(None, [[1], [3], [2, 4]]), ("k", [[1, 2, 3], [4]])])
def test_a_create_that_a_call_failed_on_goes_apart_where_it_cannot_be_recognized_when_repeated(
    key: str | None, batches: list[list[int]]
) -> None:
    box = outbox(apart={1: 1, 3: 1})
    assert [*ids(box.add(creates(1, 2, 3, 4, key=key))), *ids(box.rest())] == batches


def test_what_takes_an_address_goes_behind_what_gives_it_up() -> None:
    box, no_address = outbox(), pd.array([None], dtype="Int64")
    assert ids(box.add(writes(1, **{HELD: 7, WANTED: 8}))) == []
    assert ids(box.add(writes(2, **{HELD: no_address, WANTED: 7}))) == [[1]]
    assert ids(box.rest()) == [[2]]


def test_what_goes_again_waits_to_be_asked_for_and_keeps_its_verb() -> None:
    box = outbox()
    box.put_back(writes(1), locked=False)
    box.put_back(creates(2), locked=True)
    assert ids(box.rest()) == []
    assert box.is_locked
    assert ids(box.again()) == [[1], [2]]
    assert (ids(box.again()), box.is_locked) == ([], False)


def test_all_that_is_not_sent_is_named() -> None:
    box = outbox()
    list(box.add(writes(1, 2)))
    box.put_back(writes(3), locked=False)
    assert [rows["qbench_id"].tolist() for rows in box.waiting] == [[1, 2], [3]]


def waves(box: Outbox, added: Plan) -> list[list[list[int]]]:
    """The QBench ids of each batch, wave by wave."""
    return [ids_of(wave) for wave in box.add(added)]


def test_full_batches_go_at_the_same_time_as_many_as_may() -> None:
    box = Outbox(2, at_once=2, apart={})
    assert waves(box, writes(*range(1, 8))) == [[[1, 2], [3, 4]], [[5, 6]]]


def test_contacts_of_one_customer_go_together_and_never_in_two_calls_at_the_same_time() -> None:
    box = Outbox(2, at_once=3, apart={})
    customers = pd.array([10, 30, 10, 20, 10, 30], dtype="Int64")
    assert waves(box, writes(*range(1, 7), parent_qbench_id=customers)) == [[[1, 3], [2, 6]], [[5, 4]]]


def test_creates_that_go_apart_go_one_call_at_a_time() -> None:
    box = Outbox(3, at_once=3, apart=dict.fromkeys(range(1, 4), 1))
    assert waves(box, creates(1, 2, 3)) == [[[1]], [[2]], [[3]]]


def test_what_a_job_carries_is_gathered_for_it_and_the_rest_goes_in_batches() -> None:
    box = Outbox(3, at_once=2, apart={}, rows_of_a_job=lambda _, verb: 5 if verb == "update" else None)
    assert ids(box.add(creates(20, 21, 22))) == [[20, 21, 22]]
    assert ids(box.add(writes(1, 2, 3, 4))) == []
    assert ids(box.add(writes(5, 6, 7, 8, 9))) == [[1, 2, 3, 4, 5]]
    assert [ids_of(wave) for wave in box.rest()] == [[[6, 7, 8], [9]]]
