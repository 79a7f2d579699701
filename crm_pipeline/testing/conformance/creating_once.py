"""What becomes of creates whose answer is lost: by their key, or by what was sent, they never become two records."""

from __future__ import annotations

from contextlib import suppress

import pytest

from crm_pipeline.crms.base import Crm
from crm_pipeline.errors import ServiceUnavailableError
from crm_pipeline.model import RecordType
from crm_pipeline.testing.batches import Put, intents_of, valid, writes_of
from crm_pipeline.testing.bench import Bench
from crm_pipeline.testing.conformance.common import (
    ACCOUNT,
    CONTACT,
    both_types,
    break_next,
    create_of,
    fail_on,
    fail_on_record,
    has_keys,
    has_own_ids,
    new,
    only_record,
    written,
)


@both_types
def test_keyed_create_whose_answer_is_lost_is_never_a_second_record(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    """One without a key is not made again: what became of it is for its intent to tell."""
    break_next(bench, create_of(bench, record_type), kind="drop_after")
    if has_keys(bench):
        result = written(crm, bench.object(record_type), new(bench, record_type, 7))[7]
        assert (result["error_type"], result["crm_id"]) == (None, only_record(bench, record_type)["id"])
    else:
        with pytest.raises(ServiceUnavailableError):
            crm.write(bench.object(record_type), writes_of(new(bench, record_type, 7)))
        assert len(bench.records(record_type)) == 1


@both_types
def test_keyless_create_whose_answer_is_lost_is_found_by_its_intent(bench: Bench, keyless: Crm, record_type: RecordType) -> None:
    values = valid(bench, record_type)
    break_next(bench, bench.plain_create(record_type), kind="drop_after")
    with suppress(ServiceUnavailableError):
        keyless.write(bench.object(record_type), writes_of(Put(7, values)))
    found = keyless.resolve_intents(bench.object(record_type), intents_of((7, values)))
    assert found.to_dict("records") == [{"qbench_id": 7, "crm_id": only_record(bench, record_type)["id"]}]


@both_types
def test_intent_of_a_create_that_never_arrived_finds_nothing(bench: Bench, keyless: Crm, record_type: RecordType) -> None:
    keyless.write(bench.object(record_type), writes_of(Put(1, valid(bench, record_type, 1))))
    found = keyless.resolve_intents(bench.object(record_type), intents_of((7, valid(bench, record_type, 7))))
    assert list(found.columns) == ["qbench_id", "crm_id"]
    assert found.empty


def test_intents_name_every_record_that_may_be_theirs(bench: Bench, keyless: Crm) -> None:
    """None is, where its id would tell."""
    values = valid(bench, ACCOUNT)
    keyless.write(bench.object(ACCOUNT), writes_of(Put(1, values)))
    keyless.write(bench.object(ACCOUNT), writes_of(Put(2, values)))
    found = keyless.resolve_intents(bench.object(ACCOUNT), intents_of((7, values)))
    made = [] if has_own_ids(bench) else [record["id"] for record in bench.records(ACCOUNT)]
    assert sorted(found["crm_id"]) == sorted(made)


def test_intent_that_the_crm_fails_to_tell_of_keeps_no_other_from_being_told(bench: Bench, keyless: Crm) -> None:
    """It fails on what it is asked for: an address, or the record's own id."""
    values = {number: valid(bench, CONTACT, number) for number in range(4)}
    made = written(keyless, bench.object(CONTACT), *(Put(number, value) for number, value in values.items()))
    if has_own_ids(bench):
        fail_on_record(bench, made[2]["crm_id"])
    else:
        fail_on(bench, "person2@")
    found = keyless.resolve_intents(bench.object(CONTACT), intents_of(*values.items())).astype("object")
    told = {int(row.qbench_id): row.crm_id for row in found.where(found.notna(), None).itertuples()}
    assert told == {**{number: made[number]["crm_id"] for number in (0, 1, 3)}, 2: None}


def test_create_without_a_key_that_may_have_been_carried_out_is_not_sent_in_halves(bench: Bench, keyless: Crm) -> None:
    """Where its id is its own it may be, and is no second record."""
    break_next(bench, bench.plain_create(ACCOUNT), kind="drop_after", times=None)
    rows = min(4, keyless.capabilities.batch_size)
    with suppress(ServiceUnavailableError) if has_own_ids(bench) else pytest.raises(ServiceUnavailableError):
        keyless.write(bench.object(ACCOUNT), writes_of(*(Put(number, valid(bench, ACCOUNT, number)) for number in range(rows))))
    assert len(bench.records(ACCOUNT)) == rows
