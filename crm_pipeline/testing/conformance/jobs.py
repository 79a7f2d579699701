"""Many writes as one job, where a CRM takes them so; of another, the same rows go by calls. Nothing is written twice, whoever asks."""

from __future__ import annotations

from typing import Any

from crm_pipeline.crms.abilities import JobsCrm
from crm_pipeline.crms.base import Crm
from crm_pipeline.errors import RecordLockedException
from crm_pipeline.model import RecordType
from crm_pipeline.testing.batches import Put, batch_of, results_by_id
from crm_pipeline.testing.bench import Bench
from crm_pipeline.testing.conformance.common import added, both_types, errors_of, new, plain, written

AGAIN = RecordLockedException.__name__


def by_job(bench: Bench, crm: Crm, record_type: RecordType, *rows: Put) -> dict[int, dict[str, Any]]:
    """The results by QBench id, of rows of one verb that a job writes."""
    crm_object, batch = bench.object(record_type), batch_of(*rows)
    if not isinstance(crm, JobsCrm):
        return written(crm, crm_object, *rows)
    assert crm.rows_that_fit(crm_object, batch) == len(batch)
    job = crm.open_job(crm_object, batch)
    assert job is not None
    return results_by_id(crm.carry_out(crm_object, batch, job))


@both_types
def test_job_creates_and_updates_records_and_tells_which_is_which(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    text = bench.fields[record_type].text
    created = by_job(bench, crm, record_type, *(new(bench, record_type, number, **{text: f"Made {number}"}) for number in (1, 2, 3)))
    assert errors_of(created) == {1: None, 2: None, 3: None}
    assert all(row["created"] for row in created.values())
    ids = {number: row["crm_id"] for number, row in created.items()}
    changed = by_job(bench, crm, record_type, *(Put(number, {text: f"Changed {number}"}, crm_id=ids[number]) for number in (1, 2)))
    assert {number: (row["crm_id"], row["created"], row["error_type"]) for number, row in changed.items()} == {
        number: (ids[number], False, None) for number in (1, 2)
    }
    held = {record["id"]: plain(bench, record[text]) for record in bench.records(record_type)}
    texts = {1: "Changed 1", 2: "Changed 2", 3: "Made 3"}
    assert held == {ids[number]: plain(bench, value) for number, value in texts.items()}


@both_types
def test_job_tells_of_a_row_that_is_refused_what_a_call_does_and_writes_the_others(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    text = bench.fields[record_type].text
    kept, gone = added(bench, record_type, 1), added(bench, record_type, 2)
    bench.delete(record_type, gone)
    rows = [Put(1, {text: "Changed"}, crm_id=kept), Put(2, {text: "Changed"}, crm_id=gone)]
    by_calls = errors_of(written(crm, bench.object(record_type), *rows))
    assert errors_of(by_job(bench, crm, record_type, *rows)) == by_calls
    assert by_calls[1] is None
    assert by_calls[2] is not None


@both_types
def test_job_that_was_not_given_its_rows_writes_nothing_and_gives_them_back(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    if isinstance(crm, JobsCrm):
        crm_object, batch = bench.object(record_type), batch_of(new(bench, record_type, 1), new(bench, record_type, 2))
        job = crm.open_job(crm_object, batch)
        assert job is not None
        told = crm.take_up(crm_object, batch.rows, job)
        assert told is not None
        assert errors_of(results_by_id(told)) == {1: AGAIN, 2: AGAIN}
    assert bench.records(record_type) == []


@both_types
def test_job_that_is_over_tells_the_same_whoever_asks_it(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    if isinstance(crm, JobsCrm):
        crm_object, batch = bench.object(record_type), batch_of(new(bench, record_type, 1), new(bench, record_type, 2))
        job = crm.open_job(crm_object, batch)
        assert job is not None
        first = results_by_id(crm.carry_out(crm_object, batch, job))
        again = crm.take_up(crm_object, batch.rows, job)
        assert again is not None
        assert results_by_id(again) == first
        assert sorted(record["id"] for record in bench.records(record_type)) == sorted(row["crm_id"] for row in first.values())
