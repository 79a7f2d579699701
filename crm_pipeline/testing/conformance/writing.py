"""How a CRM creates and updates records, one by one and in full batches."""

from __future__ import annotations

import numpy as np
import pytest

from crm_pipeline.crms.base import Crm
from crm_pipeline.model import RecordType
from crm_pipeline.testing.batches import Put, valid
from crm_pipeline.testing.bench import Bench
from crm_pipeline.testing.conformance.common import (
    ACCOUNT,
    CONTACT,
    added,
    both_types,
    errors_of,
    has_keys,
    key_of,
    new,
    only_record,
    plain,
    written,
)


@both_types
def test_keyed_create_makes_the_record_with_its_key(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    """In a CRM that keeps no field unique: without one."""
    names, key = bench.fields[record_type], key_of(bench, "uk-7")
    values = {**valid(bench, record_type), names.text: "Ada"}
    result = written(crm, bench.object(record_type), Put(7, values, key=key))[7]
    record = only_record(bench, record_type)
    assert (result["error_type"], result["created"], result["crm_id"]) == (None, True, record["id"])
    assert (record[names.text], record[names.match]) == (plain(bench, "Ada"), plain(bench, values[names.match]))
    assert record[bench.key] == key


@both_types
def test_keyed_create_repeated_is_the_same_record(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    """One without a key is another record, or refused: it is never taken for an update of the first."""
    row = new(bench, record_type, 7)
    first, second = (written(crm, bench.object(record_type), row)[7] for _ in range(2))
    if has_keys(bench):
        assert second["crm_id"] == first["crm_id"]
        assert not second["created"]
        assert len(bench.records(record_type)) == 1
    else:
        assert second["error_type"] or (second["created"] and second["crm_id"] != first["crm_id"])


@both_types
def test_keyless_create_makes_the_record(bench: Bench, keyless: Crm, record_type: RecordType) -> None:
    result = written(keyless, bench.object(record_type), Put(7, valid(bench, record_type)))[7]
    assert (result["error_type"], result["created"], result["crm_id"]) == (None, True, only_record(bench, record_type)["id"])


@both_types
def test_update_changes_only_what_is_sent(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    names = bench.fields[record_type]
    crm_id = added(bench, record_type, **{names.text: "old", names.choice: names.option})
    result = written(crm, bench.object(record_type), Put(7, {names.text: "new"}, crm_id=crm_id))[7]
    record = only_record(bench, record_type)
    assert (result["error_type"], result["created"], result["crm_id"]) == (None, False, crm_id)
    assert (record[names.text], record[names.choice]) == (plain(bench, "new"), plain(bench, names.option))
    assert record[bench.key] is None


@both_types
def test_update_by_id_writes_the_key(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    crm_id, key = added(bench, record_type), key_of(bench, "7")
    written(crm, bench.object(record_type), Put(7, {bench.fields[record_type].text: "new"}, crm_id=crm_id, key=key))
    assert only_record(bench, record_type)[bench.key] == key


@both_types
def test_sent_null_clears_the_field(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    names = bench.fields[record_type]
    crm_id = added(bench, record_type, **{names.text: "old"})
    written(crm, bench.object(record_type), Put(7, {names.text: None}, crm_id=crm_id))
    assert not only_record(bench, record_type)[names.text]


@pytest.mark.parametrize("text", ["Łódź 试验室 🧪", 'O\'Brien "& Söhne" \\ <b>', "two\nlines"])
def test_text_arrives_as_it_was_sent(bench: Bench, crm: Crm, text: str) -> None:
    """Or in the CRM's own way, where it does not keep text or says so, but it arrives."""
    name = bench.fields[ACCOUNT].text
    result = written(crm, bench.object(ACCOUNT), new(bench, ACCOUNT, 7, **{name: text}))[7]
    (record,) = bench.records(ACCOUNT)
    assert (result["error_type"], bool(record[name])) == (None, True)
    kept = name in (result["kept"] or {})
    assert (record[name] == text) != kept or not bench.kind.capabilities.keeps_text


def test_whole_numbers_of_pandas_are_sent_as_numbers(bench: Bench, crm: Crm) -> None:
    name = bench.fields[ACCOUNT].number
    if name is None:
        assert "integer" not in set(crm.fields(bench.object(ACCOUNT))["type"])
        return
    rows = [new(bench, ACCOUNT, number, **{name: value}) for number, value in enumerate([np.int64(12), 12.0])]
    assert errors_of(written(crm, bench.object(ACCOUNT), *rows)) == {0: None, 1: None}
    assert {float(record[name]) for record in bench.records(ACCOUNT)} == {12.0}


def test_row_with_nothing_to_send_costs_no_call(bench: Bench, crm: Crm) -> None:
    crm_id = added(bench, ACCOUNT)
    result = written(crm, bench.object(ACCOUNT), Put(7, crm_id=crm_id))[7]
    assert (result["error_type"], result["crm_id"], result["parent_sent"]) == (None, crm_id, False)
    assert bench.journal.calls() == []


@both_types
def test_rows_of_every_kind_in_one_batch_are_accounted_for(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    there, idle = (added(bench, record_type, number) for number in (1, 2))
    rows = [
        Put(1, {bench.fields[record_type].text: "new"}, crm_id=there),
        Put(2, crm_id=idle),
        new(bench, record_type, 3),
        Put(4, valid(bench, record_type, 4)),
    ]
    results = written(crm, bench.object(record_type), *rows)
    assert errors_of(results) == dict.fromkeys([1, 2, 3, 4])
    assert {row["crm_id"] for row in results.values()} == {record["id"] for record in bench.records(record_type)}


@both_types
def test_full_batch_costs_one_call(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    match, numbers = bench.fields[record_type].match, range(crm.capabilities.batch_size)
    results = written(crm, bench.object(record_type), *(new(bench, record_type, number) for number in numbers))
    made = {plain(bench, record[match]): record["id"] for record in bench.records(record_type)}
    assert {plain(bench, valid(bench, record_type, number)[match]): results[number]["crm_id"] for number in numbers} == made
    if has_keys(bench):
        assert {record["id"]: record[bench.key] for record in bench.records(record_type)} == {
            row["crm_id"]: str(number) for number, row in results.items()
        }
    assert crm.calls.snapshot()["write"] == 1


@both_types
def test_rows_that_share_a_key_are_both_accounted_for(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    rows = [Put(number, valid(bench, record_type, number), key=key_of(bench, "7")) for number in (1, 2)]
    assert set(written(crm, bench.object(record_type), *rows, new(bench, record_type, 3))) == {1, 2, 3}
    assert [record.get(bench.key) for record in bench.records(record_type)].count("7") <= 1


@pytest.mark.parametrize("verb", ["create", "upsert", "update"])
def test_contacts_account_goes_with_the_writes_that_can_carry_it(bench: Bench, crm: Crm, verb: str) -> None:
    """Upserts are those of a CRM with keys; without, they are creates."""
    account = added(bench, ACCOUNT)
    row = Put(
        7,
        valid(bench, CONTACT),
        crm_id=added(bench, CONTACT) if verb == "update" else None,
        key=key_of(bench, "7") if verb == "upsert" else None,
        parent=account,
    )
    used = "create" if verb == "upsert" and not has_keys(bench) else verb
    result = written(crm, bench.object(CONTACT), row)[7]
    assert result["error_type"] is None
    assert result["parent_sent"] == (used in bench.kind.capabilities.parent_goes_with)
    assert bench.parent(result["crm_id"]) == (account if result["parent_sent"] else None)
